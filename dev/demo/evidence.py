"""What the story claims of customers, callers and the cluster: each measured in the same run, or not said."""

import time
from collections.abc import Iterable, Sequence
from statistics import median, quantiles

from .recording import Call
from .seeing import NotSeenError, see
from .shop import Reading
from .stage import Stage

__all__ = [
    "see_failing_callers",
    "see_fallback_beside_control",
    "see_nothing_left",
    "see_only_rejections",
    "see_orders_charged",
]


def see_orders_charged(stage: Stage) -> None:
    """See customers' orders charged, by all three checkout pods."""
    since = time.time()

    def look() -> list[Call] | None:
        charged = _with_outcome(stage.recorder.calls(since), "charged")
        everywhere = len({call.target for call in charged}) == len(stage.shop.checkouts)
        return charged if everywhere and len(charged) >= 120 else None

    charged = see(
        "120 orders charged", look, within=20, instead=lambda: _outcomes(stage.recorder.calls(since))
    )
    stage.narrator.seen(
        f"{len(charged)} orders charged in {time.time() - since:.0f} s; a call to payments takes {median(_inside(charged)):.0f} ms"
    )


def see_fallback_beside_control(stage: Stage, hung: float, opened: float) -> None:
    """Set what checkout spends per call, now that its circuit is open, beside what a caller without a breaker does."""

    def look() -> tuple[list[float], list[float]] | None:
        fallback = _inside(_with_outcome(stage.recorder.calls(opened), "later"))
        control = [call.waited for call in stage.recorder.calls(hung, control=True)]
        return (fallback, control) if len(fallback) >= 150 and len(control) >= 25 else None

    def instead() -> str:
        return _outcomes(stage.recorder.calls(opened))

    fallback, control = see("150 fallbacks and 25 calls without a breaker", look, within=20, instead=instead)
    stage.narrator.note(f"{'how long a call to payments takes':<42} {'half within':>12} {'99 % within':>12}")
    for name, times in (
        ("  without a breaker, in the same seconds", control),
        ("  in checkout: the fallback", fallback),
    ):
        stage.narrator.note(f"{name:<42} {median(times):>9,.2f} ms {quantiles(times, n=100)[98]:>9,.2f} ms")
    if median(fallback) >= 1:
        raise NotSeenError(
            f"a fallback in under a millisecond\nseen instead: {median(fallback):.2f} ms, the median of {len(fallback)}"
        )
    stage.narrator.seen(
        f"the fallback takes under a millisecond: {len(fallback)} measured in checkout, around the guarded call"
    )


def see_failing_callers(stage: Stage, failed: float) -> None:
    """See that a caller without a breaker fails each time, while checkout keeps the orders for later."""

    def look() -> tuple[list[Call], list[Call]] | None:
        orders, control = stage.recorder.calls(failed), stage.recorder.calls(failed, control=True)
        return (orders, control) if len(orders) >= 120 and len(control) >= 12 else None

    def instead() -> str:
        return _outcomes(stage.recorder.calls(failed))

    orders, control = see("120 orders and 12 calls without a breaker", look, within=20, instead=instead)
    if len(_with_outcome(control, "failed")) < len(control):
        raise NotSeenError(f"every call without a breaker fails\nseen instead: {_outcomes(control)}")
    kept = _with_outcome(orders, "later")
    if len(kept) < 0.8 * len(orders):
        raise NotSeenError(f"checkout keeps most orders for later\nseen instead: {_outcomes(orders)}")
    tried = len(orders) - len(kept)
    stage.narrator.seen(
        f"without a breaker all of {len(control)} calls failed; checkout kept {len(kept)} of {len(orders)} orders for later, "
        f"and asked payments {tried} {'time' if tried == 1 else 'times'}"
    )


def see_only_rejections(stage: Stage) -> None:
    """See that payments is not called at all: the counts of answered calls stand still while the rejections grow."""
    before = stage.recorder.latest()

    def grown(*outcomes: str) -> int:
        return int(_counted(stage.recorder.latest(), outcomes) - _counted(before, outcomes))

    def look() -> int | None:
        rejected = grown("rejected")
        return rejected if rejected >= 90 else None

    rejected = see("90 rejections", look, within=20, instead=lambda: f"{grown('rejected')} rejections")
    called = grown("success", "failure")
    if called:
        raise NotSeenError(f"no call of payments while forced open\nseen instead: {called} calls")
    stage.narrator.seen(f"{rejected} calls rejected and none let through, not even to try")


def see_nothing_left(stage: Stage) -> None:
    """See that nothing of the release is there any more."""
    kinds = "deployments,replicasets,pods,services,serviceaccounts,configmaps,secrets,leases"
    roles = "roles,rolebindings,clusterroles,clusterrolebindings"
    query = ("get", f"{kinds},{roles}", "-A", "-l", "app.kubernetes.io/instance=switchgear", "-o", "name")

    def look() -> bool | None:
        return stage.place.kubectl(*query).strip() == "" or None

    def instead() -> str:
        return f"\n{stage.place.kubectl(*query)}"

    see("nothing of the release is left", look, within=20 * stage.place.patience, instead=instead)
    stage.narrator.seen("nothing of the release is left: no pod, no account, no role, no ConfigMap")


def _with_outcome(calls: Iterable[Call], outcome: str) -> list[Call]:
    return [call for call in calls if call.outcome == outcome]


def _inside(calls: Iterable[Call]) -> list[float]:
    return [call.inside for call in calls if call.inside is not None]


def _outcomes(calls: Sequence[Call]) -> str:
    return ", ".join(
        f"{len(_with_outcome(calls, outcome))} {outcome}" for outcome in ("charged", "later", "failed")
    )


def _counted(readings: Iterable[Reading], outcomes: Iterable[str]) -> float:
    return sum(reading.calls.get(outcome, 0.0) for reading in readings for outcome in outcomes)
