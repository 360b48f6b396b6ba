"""The story, step by step. A step tells something only after it was seen, and raises `NotSeenError` when it was not."""

import time

from .evidence import (
    see_failing_callers,
    see_fallback_beside_control,
    see_nothing_left,
    see_only_rejections,
    see_orders_charged,
)
from .places import RELEASE_NAMESPACE
from .seeing import NotSeenError
from .shop import Pod
from .stage import GET_POLICY, Stage
from .watch import PolicyWatch

__all__ = ["STEPS"]


def healthy(stage: Stage) -> None:
    """Healthy: every circuit closed, every pod under the newest policy."""
    stage.see_policy(30, STATE="Closed", OPEN="0/3", UPDATED="3/3")
    see_orders_charged(stage)


def trouble(stage: Stage) -> None:
    """Payments hangs, then fails: the circuits open, and callers no longer wait."""
    hung = stage.behave("hang", "payments hangs")
    stage.narrator.say("payments hangs: a call to it ends with its caller's timeout of 1 s")
    opened = stage.see_pods("the circuit is open", 20, lambda reading: reading.state == "open")
    stage.narrator.seen(f"the circuit is open in all three pods, {opened - hung:.1f} s later")
    stage.see_policy(15, STATE="Open", OPEN="3/3")
    see_fallback_beside_control(stage, hung, opened)
    failed = stage.behave("fail", "payments fails")
    stage.narrator.say("payments answers again, but with 503")
    see_failing_callers(stage, failed)
    stage.see_policy(15, STATE="Open", OPEN="3/3")


def live_edit(stage: Stage) -> None:
    """A live edit reaches every pod, restarts none and closes no circuit."""
    before, closings = stage.shop.pods("checkout"), stage.closings()
    within = 20 * stage.place.patience
    with PolicyWatch(stage.place.kubectl, GET_POLICY) as watch:
        first = stage.see_row(watch, 0, 15, UPDATED="3/3")
        edited = stage.recorder.mark("openDuration 4s → 8s")
        stage.kubectl(
            """patch cbp payments -n shop --type=merge -p '{"spec":{"recovery":{"openDuration":"8s"}}}'"""
        )
        stage.kubectl(f"wait --for=condition=Propagated cbp/payments -n shop --timeout={within:.0f}s")
        none = stage.see_row(watch, edited, 10, UPDATED="0/3")
        every = stage.see_row(watch, none.at, 10, UPDATED="3/3")
    stage.narrator.command(f"kubectl {GET_POLICY} --watch")
    stage.narrator.output("\n".join([watch.header, first.line, none.line, every.line]))
    stage.narrator.seen(f"UPDATED 0/3 → 3/3: all three pods run the edit, {every.at - edited:.1f} s after it")
    stage.kubectl("get pods -n shop -l app=checkout")
    _same_pods(stage, before)
    closed = sorted({sample.pod for sample in stage.recorder.samples(edited) if sample.state == "closed"})
    if closed or stage.closings() != closings:
        raise NotSeenError(f"no circuit closed by the edit\nseen instead: closed in {', '.join(closed)}")
    stage.narrator.seen("no pod was restarted, and no circuit was closed by the edit")


def emergency(stage: Stage) -> None:
    """The emergency switch: mode ForceOpen, and back."""
    forced = _switch(stage, "ForceOpen")
    done = stage.see_pods(
        "the circuit is forced open and no call is under way",
        20,
        lambda reading: reading.state == "forced_open" and not reading.in_flight,
    )
    stage.narrator.seen(
        f"the last of the three pods rejects every call, {done - forced:.1f} s after the edit"
    )
    stage.see_policy(15, STATE="ForcedOpen", UPDATED="3/3")
    see_only_rejections(stage)
    back = _switch(stage, "Enforce")
    done = stage.see_pods("the circuit judges again", 20, lambda reading: reading.state != "forced_open")
    stage.narrator.seen(
        f"the last of the three pods judges for itself again, {done - back:.1f} s after the edit"
    )


def recovery(stage: Stage) -> None:
    """Payments mends: half-open, then closed."""
    mended = stage.behave("well", "payments mends")
    stage.narrator.say("payments is well again: each pod finds out when its circuit's open period ends")
    stage.see_policy(30, STATE="HalfOpen")
    stage.narrator.seen(f"half-open {time.time() - mended:.1f} s later: in each pod, 30 calls may try it")
    stage.see_policy(20, STATE="Closed", OPEN="0/3", UPDATED="3/3")
    stage.narrator.seen(f"closed {time.time() - mended:.1f} s after payments was mended")
    see_orders_charged(stage)


def uninstall(stage: Stage) -> None:
    """Helm uninstall: the workloads stay protected, and nothing is orphaned."""
    before = stage.shop.pods("checkout")
    stage.recorder.mark("helm uninstall")
    stage.helm(f"uninstall switchgear -n {RELEASE_NAMESPACE} --wait")
    see_nothing_left(stage)
    failed = stage.behave("fail", "payments fails again")
    stage.narrator.say("payments fails again, and there is no operator any more")
    opened = stage.see_pods("the circuit is open", 20, lambda reading: reading.state == "open")
    stage.narrator.seen(f"by their own metrics, all three circuits are open {opened - failed:.1f} s later")
    mended = stage.behave("well", "payments mends")
    closed = stage.see_pods("the circuit is closed", 30, lambda reading: reading.state == "closed")
    if closed - opened < 7:
        raise NotSeenError(
            f"open for 8 s, as last edited\nseen instead: closed {closed - opened:.1f} s after opening"
        )
    stage.narrator.seen(
        f"payments mends, and all three are closed {closed - mended:.1f} s later: the edit to 8 s still holds"
    )
    _same_pods(stage, before)
    stage.kubectl("get crd/circuitbreakerpolicies.switchgear.dev -o name")
    stage.kubectl("get cbp/payments configmap/switchgear-policies -n shop -o name")
    stage.narrator.note(
        "These stay, on purpose: definition and policies are yours, and the ConfigMap carries them into"
    )
    stage.narrator.note("the pods. Install the chart again, and the operator takes over what it finds.")


STEPS = (
    (healthy, "Healthy: every circuit is closed, every pod runs the newest policy"),
    (trouble, "payments hangs, then fails: the circuits open, and callers no longer wait"),
    (live_edit, "A live edit reaches every pod, restarts none and closes no circuit"),
    (emergency, "The emergency switch: mode ForceOpen, and back"),
    (recovery, "payments mends: half-open, then closed"),
    (uninstall, "helm uninstall: the workloads stay protected, and nothing is orphaned"),
)
"""Each step and its heading, in the order in which they are told."""


def _switch(stage: Stage, mode: str) -> float:
    at = stage.recorder.mark(f"mode {mode}")
    stage.kubectl(f"""patch cbp payments -n shop --type=merge -p '{{"spec":{{"mode":"{mode}"}}}}'""")
    return at


def _same_pods(stage: Stage, before: list[Pod]) -> None:
    now = stage.shop.pods("checkout")
    if now != before:
        raise NotSeenError(f"the same pods as before, none restarted: {before}\nseen instead: {now}")
