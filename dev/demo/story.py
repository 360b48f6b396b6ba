"""The story, step by step. A step tells something only after it was seen, and raises `NotSeenError` when it was not."""

import time
from statistics import median, quantiles

from .places import RELEASE_NAMESPACE
from .recording import Call
from .seeing import NotSeenError, see
from .shop import NAMESPACE, Reading
from .stage import GET_POLICY, Stage

__all__ = ["STEPS"]


def healthy(stage: Stage) -> None:
    """Healthy: every circuit closed, every pod under the newest policy."""
    stage.see_policy(30, STATE="Closed", OPEN="0/3", UPDATED="3/3")
    since = time.time()
    charged = see(
        "orders charged by all three pods",
        lambda: _from_all(
            stage, [call for call in stage.recorder.calls(since) if call.outcome == "charged"], 60
        ),
        within=20,
        instead=lambda: _outcomes(stage.recorder.calls(since)),
    )
    stage.narrator.seen(
        f"customers: {len(charged)} orders charged in {time.time() - since:.0f} s; {_spent(charged)} per call to payments"
    )


def trouble(stage: Stage) -> None:
    """Payments hangs, then fails: the circuits open, and callers no longer wait."""
    hung = stage.behave("hang", "payments hangs")
    stage.narrator.say("payments hangs: a call to it ends with the caller's timeout of 1 s")
    stage.see_pods("the circuit is open", 20, lambda reading: reading.state == "open")
    opened = time.time()
    stage.narrator.seen(f"the circuit is open in all three pods, {opened - hung:.1f} s later")
    stage.see_policy(15, STATE="Open", OPEN="3/3")
    _compare(stage, hung, opened)
    failed = stage.behave("fail", "payments fails")
    stage.narrator.say("payments answers again, with 503: it has failed for good")
    _see_failing(stage, failed)


def live_edit(stage: Stage) -> None:
    """A live edit reaches every pod, restarts none and closes no circuit."""
    before, closings = stage.shop.pods("checkout"), _closings(stage)
    edited = stage.recorder.mark("openDuration 4s → 8s")
    patch = '{"spec":{"recovery":{"openDuration":"8s"}}}'
    stage.kubectl("patch", "cbp", "payments", "-n", NAMESPACE, "--type=merge", "-p", patch)
    none = stage.see_row(edited, 10, UPDATED="0/3")
    stage.kubectl(
        "wait",
        "--for=condition=Propagated",
        "cbp/payments",
        "-n",
        NAMESPACE,
        f"--timeout={20 * stage.place.patience:.0f}s",
    )
    every = stage.see_row(none.at, 10, UPDATED="3/3")
    stage.narrator.command(("kubectl", *GET_POLICY, "--watch"))
    stage.narrator.output("\n".join([stage.watch.header, none.line, every.line]))
    stage.narrator.seen(f"UPDATED 0/3 → 3/3: all three pods run the edit, {every.at - edited:.1f} s after it")
    stage.kubectl("get", "pods", "-n", NAMESPACE, "-l", "app=checkout")
    if stage.shop.pods("checkout") != before:
        raise NotSeenError(
            f"the same pods as before the edit, not restarted\nseen instead: {stage.shop.pods('checkout')}"
        )
    closed = [sample.pod for sample in stage.recorder.samples(edited) if sample.state == "closed"]
    if closed or _closings(stage) != closings:
        raise NotSeenError(f"no circuit closed by the edit\nseen instead: closed in {closed}")
    stage.narrator.seen("no pod restarted, and no circuit was closed by the edit")


def emergency(stage: Stage) -> None:
    """The emergency switch: mode ForceOpen, and back."""
    forced = _switch(stage, "ForceOpen")
    stage.see_pods("the circuit is forced open", 20, lambda reading: reading.state == "forced_open")
    stage.narrator.seen(
        f"ForceOpen: the last of the three pods rejects every call, {time.time() - forced:.1f} s after the edit"
    )
    stage.see_policy(15, STATE="ForcedOpen", UPDATED="3/3")
    _see_only_rejections(stage)
    back = _switch(stage, "Enforce")
    stage.see_pods("the circuit is no longer forced open", 20, lambda reading: reading.state != "forced_open")
    stage.narrator.seen(
        f"Enforce: the last pod judges for itself again, {time.time() - back:.1f} s after the edit"
    )


def recovery(stage: Stage) -> None:
    """Payments mends: half-open, then closed."""
    mended = stage.behave("well", "payments mends")
    stage.narrator.say("payments is well again; each circuit finds out by itself, once its 8 s are over")
    half_open = stage.see_row(mended, 25, STATE="HalfOpen")
    stage.narrator.command(("kubectl", *GET_POLICY, "--watch"))
    stage.narrator.output("\n".join([stage.watch.header, half_open.line]))
    stage.narrator.seen(
        f"HalfOpen, {half_open.at - mended:.1f} s after payments was mended: 30 calls may try it"
    )
    stage.see_policy(20, STATE="Closed", OPEN="0/3", UPDATED="3/3")
    stage.narrator.seen(f"Closed, {time.time() - mended:.1f} s after payments was mended")


def uninstall(stage: Stage) -> None:
    """Helm uninstall: the workloads stay protected, and nothing is orphaned."""
    before = stage.shop.pods("checkout")
    stage.recorder.mark("helm uninstall")
    command = ("uninstall", "switchgear", "-n", RELEASE_NAMESPACE, "--wait")
    stage.narrator.command(("helm", *command))
    stage.narrator.output(stage.place.helm(*command))
    _see_nothing_left(stage)
    failed = stage.behave("fail", "payments fails again")
    stage.narrator.say("payments fails again, and nobody operates any more")
    stage.see_pods("the circuit is open", 20, lambda reading: reading.state == "open")
    stage.narrator.seen(
        f"the circuit is open in all three pods, {time.time() - failed:.1f} s later: by their own metrics"
    )
    if stage.shop.pods("checkout") != before:
        raise NotSeenError(
            f"the same pods as before the uninstall\nseen instead: {stage.shop.pods('checkout')}"
        )
    stage.narrator.note(
        "What stays, on purpose: the definition and the policies, which are yours, and the ConfigMap, which"
    )
    stage.narrator.note(
        "carries them into the pods. helm install again, and the operator takes over what it finds."
    )
    stage.kubectl("get", "crd/circuitbreakerpolicies.switchgear.dev", "-o", "name")
    stage.kubectl("get", "cbp/payments", "configmap/switchgear-policies", "-n", NAMESPACE, "-o", "name")
    stage.behave("well", "payments mends")


STEPS = (healthy, trouble, live_edit, emergency, recovery, uninstall)
"""In the order in which they are told. A step's docstring is its heading."""


def _from_all(stage: Stage, calls: list[Call], least: int) -> list[Call] | None:
    pods = {call.target for call in calls}
    return calls if len(calls) >= least and len(pods) == len(stage.shop.checkouts) else None


def _outcomes(calls: list[Call]) -> str:
    counts = {
        outcome: sum(call.outcome == outcome for call in calls) for outcome in ("charged", "later", "failed")
    }
    return ", ".join(f"{count} {outcome}" for outcome, count in counts.items())


def _spent(calls: list[Call]) -> str:
    return f"median {median(_inside(calls)):,.1f} ms"


def _inside(calls: list[Call]) -> list[float]:
    return [call.inside for call in calls if call.inside is not None]


def _compare(stage: Stage, hung: float, opened: float) -> None:
    """Set what checkout spends per call, now that the circuit is open, beside what a caller without a breaker does."""

    def look() -> tuple[list[float], list[float]] | None:
        fallback = _inside([call for call in stage.recorder.calls(opened) if call.outcome == "later"])
        control = [call.waited for call in stage.recorder.calls(hung, control=True)]
        return (fallback, control) if len(fallback) >= 90 and len(control) >= 20 else None

    fallback, control = see(
        "90 fallbacks and 20 calls without a breaker", look, within=20,
        instead=lambda: _outcomes(stage.recorder.calls(opened)),
    )  # fmt: skip
    stage.narrator.note("the time that a call to payments takes          median     99 of 100 within")
    for name, times in (
        ("without a breaker, measured alongside", control),
        ("in checkout, circuit open: the fallback", fallback),
    ):
        stage.narrator.note(
            f"  {name:<42} {median(times):>9,.2f} ms  {_most(times):>9,.2f} ms   ({len(times)} calls)"
        )
    if median(fallback) >= 1:
        raise NotSeenError(
            f"a fallback in under a millisecond\nseen instead: a median of {median(fallback):.2f} ms"
        )
    stage.narrator.seen(
        "the fallback takes under a millisecond, measured in checkout around the guarded call"
    )


def _most(times: list[float]) -> float:
    return quantiles(times, n=100)[98]


def _see_failing(stage: Stage, failed: float) -> None:
    control = see(
        "calls without a breaker that fail",
        lambda: calls if len(calls := stage.recorder.calls(failed, control=True)) >= 8 else None,
        within=15,
        instead=lambda: _outcomes(stage.recorder.calls(failed, control=True)),
    )
    if any(call.outcome != "failed" for call in control):
        raise NotSeenError(f"every call without a breaker fails\nseen instead: {_outcomes(control)}")
    stage.see_policy(15, STATE="Open", OPEN="3/3")
    calls = stage.recorder.calls(failed + 1)
    kept = sum(call.outcome == "later" for call in calls)
    stage.narrator.seen(
        f"every call without a breaker fails ({median(c.waited for c in control):.0f} ms); checkout kept {kept} of {len(calls)} orders for later"
    )


def _closings(stage: Stage) -> dict[str, float]:
    return {reading.pod: reading.closings for reading in stage.recorder.latest()}


def _switch(stage: Stage, mode: str) -> float:
    at = stage.recorder.mark(f"mode {mode}")
    stage.kubectl(
        "patch", "cbp", "payments", "-n", NAMESPACE, "--type=merge", "-p", f'{{"spec":{{"mode":"{mode}"}}}}'
    )
    return at


def _see_only_rejections(stage: Stage) -> None:
    """See that payments is not called at all: the counts of answered calls stand still while rejections grow."""
    before = stage.recorder.latest()

    def grown(outcomes: tuple[str, ...]) -> int:
        def total(readings: list[Reading]) -> float:
            return sum(reading.calls.get(outcome, 0) for reading in readings for outcome in outcomes)

        return int(total(stage.recorder.latest()) - total(before))

    rejected = see(
        "60 rejections", lambda: count if (count := grown(("rejected",))) >= 60 else None, within=15,
        instead=lambda: f"{grown(('rejected',))} rejections",
    )  # fmt: skip
    called = grown(("success", "failure"))
    if called:
        raise NotSeenError(f"no call of payments while forced open\nseen instead: {called} calls")
    stage.narrator.seen(f"{rejected} calls rejected and none let through, not even one to try")


def _see_nothing_left(stage: Stage) -> None:
    """See that nothing that the release made is there any more."""
    kinds = "deployments,replicasets,pods,services,serviceaccounts,configmaps,secrets,roles,rolebindings,clusterroles,clusterrolebindings"
    query = ("get", kinds, "-A", "-l", "app.kubernetes.io/instance=switchgear", "-o", "name")
    output = ""

    def look() -> bool | None:
        nonlocal output
        output = stage.place.kubectl(*query)
        return output.strip() == "" or None

    see(
        "nothing of the release is left",
        look,
        within=20 * stage.place.patience,
        instead=lambda: f"\n{output}",
    )
    stage.narrator.seen(
        "nothing of the release is left: no pod, no role, no account, no ConfigMap of its own"
    )
