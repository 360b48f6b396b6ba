"""From a policy, its verdict and its fleet to its status; and whether a new status is worth writing.

Everything is computed anew each time, and only what has a memory is taken over from the status before: when things
changed, and numbers that moved too little to be news.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from pydantic import ValidationError

from switchgear.states import CircuitState

from .aggregate import Fleet
from .aggregate import OpenInstance as OpenPod
from .conditions import conditions_of
from .objects import Policy
from .readings import LARGEST_COUNT
from .status import Instances, OpenInstance, PolicyState, PolicyStatus, Summary
from .verdicts import Verdict

__all__ = ["Change", "adopted", "change_between", "derive", "read_status"]

MOST_OPEN_INSTANCES = 10
"""Open instances that a status lists."""

SAME_MOMENT = timedelta(seconds=2)
"""Less than this between two readings of one deadline is their clocks' noise."""

NEWS_POINTS = 5
"""Percentage points that a rate must move to be news by itself."""

NEWS_SHARE = 0.25
"""Share by which the rejected calls per minute must change to be news by themselves."""

_NUMBERS = ("failure_rate_percent", "slow_call_rate_percent", "calls", "rejected_per_minute")


class Change(Enum):
    """How a status differs from the one before."""

    NONE = "none"
    NUMBERS = "numbers"
    """Only rates, or what pods say of their open circuits, moved: worth telling now and then."""
    STATE = "state"
    """Something else changed: worth telling at once."""


def derive(
    policy: Policy, verdict: Verdict, fleet: Fleet, previous: PolicyStatus | None, now: datetime
) -> PolicyStatus:
    """The status of a policy, as `docs/status.md` defines it.

    Args:
        policy: The policy as it stands.
        verdict: What reconciling found.
        fleet: What its instances do.
        previous: The status before, of the same policy; None before the first.
        now: Wall-clock time.
    """
    before = previous or PolicyStatus()
    state = _state(verdict, fleet)
    since = before.last_transition_time if before.state == state else None
    return PolicyStatus(
        observed_generation=policy.generation,
        state=state,
        instances=Instances(
            expected=fleet.expected,
            reporting=fleet.reporting,
            updated=fleet.updated,
            open=fleet.open,
            half_open=fleet.half_open,
            closed=fleet.closed,
        ),
        failure_rate_percent=_percent(fleet.failures, fleet.calls),
        slow_call_rate_percent=_percent(fleet.slow_calls, fleet.calls),
        calls=_bounded(fleet.calls) if fleet.reporting else None,
        rejected_per_minute=_rejected_per_minute(fleet, before),
        last_transition_time=since or now,
        open_instances=_open_instances(fleet, before),
        conditions=conditions_of(policy, verdict, fleet, before.conditions or (), now),
        summary=Summary(
            target=verdict.target,
            open=f"{fleet.open}/{fleet.reporting}",
            updated=f"{fleet.updated}/{fleet.expected}",
            reporting=f"{fleet.reporting}/{fleet.expected}",
        ),
    )


def change_between(before: PolicyStatus | None, after: PolicyStatus) -> Change:
    """What kind of news `after` is to somebody who knows `before`."""
    if before is None or _without_numbers(before) != _without_numbers(after):
        return Change.STATE
    if before.to_json().get("openInstances") != after.to_json().get("openInstances"):
        return Change.NUMBERS
    points = (
        (before.failure_rate_percent, after.failure_rate_percent),
        (before.slow_call_rate_percent, after.slow_call_rate_percent),
    )
    if any(_rate_moved(old, new) for old, new in points):
        return Change.NUMBERS
    if _volume_moved(before.rejected_per_minute or 0, after.rejected_per_minute or 0):
        return Change.NUMBERS
    return Change.NONE


def read_status(status: Mapping[str, Any]) -> PolicyStatus | None:
    """A status as it stands in the API; None where there is none, or none that this operator wrote."""
    try:
        return PolicyStatus.model_validate(status, strict=False) if status else None
    except ValidationError:
        return None


def adopted(status: PolicyStatus, created: datetime, now: datetime) -> PolicyStatus:
    """A status that may be anybody's, as the one before: with no time before the policy's creation or after `now`."""

    def within(moment: datetime | None) -> datetime | None:
        return None if moment is None else max(created, min(moment, now))

    conditions, instances = status.conditions, status.open_instances
    return status.model_copy(
        update={
            "last_transition_time": within(status.last_transition_time),
            "conditions": conditions
            and tuple(
                each.model_copy(update={"last_transition_time": within(each.last_transition_time)})
                for each in conditions
            ),
            "open_instances": instances
            and tuple(each.model_copy(update={"since": within(each.since)}) for each in instances),
        }
    )


def _state(verdict: Verdict, fleet: Fleet) -> PolicyState:
    if fleet.reporting == 0 or (not verdict.accepted and not fleet.runs_it):
        return PolicyState.UNKNOWN
    for mode, state in (
        (CircuitState.FORCED_OPEN, PolicyState.FORCED_OPEN),
        (CircuitState.DISABLED, PolicyState.DISABLED),
    ):
        if fleet.count(mode) == fleet.reporting:
            return state
    if fleet.outdated and (fleet.count(CircuitState.FORCED_OPEN) or fleet.count(CircuitState.DISABLED)):
        return PolicyState.MIXED
    if fleet.open:
        return PolicyState.OPEN
    return PolicyState.HALF_OPEN if fleet.half_open else PolicyState.CLOSED


def _percent(part: int, whole: int) -> int | None:
    return min(100, round(100 * part / whole)) if whole else None


def _bounded(count: float) -> int:
    return min(LARGEST_COUNT, round(count))


def _rejected_per_minute(fleet: Fleet, before: PolicyStatus) -> int | None:
    if fleet.reporting and fleet.rejected_per_minute is None:
        return before.rejected_per_minute  # the operator has just started: it takes two readings to tell
    return None if fleet.rejected_per_minute is None else _bounded(fleet.rejected_per_minute)


def _open_instances(fleet: Fleet, before: PolicyStatus) -> tuple[OpenInstance, ...]:
    known = {each.pod: each.until for each in before.open_instances or ()}
    return tuple(
        OpenInstance(
            pod=each.pod,
            since=each.since,
            until=_until(each, known.get(each.pod)),
            last_error=each.last_error,
        )
        for each in fleet.open_instances[:MOST_OPEN_INSTANCES]
    )


def _until(instance: OpenPod, known: datetime | None) -> datetime | None:
    until = instance.until
    if until is not None and known is not None and abs(until - known) < SAME_MOMENT:
        return known
    return until


def _without_numbers(status: PolicyStatus) -> dict[str, Any]:
    fields = status.model_copy(update={"open_instances": _which(status)}).to_json()
    return {name: value for name, value in fields.items() if name not in _NUMBER_ALIASES}


def _which(status: PolicyStatus) -> tuple[OpenInstance, ...] | None:
    """The open instances without what the pods themselves say: a pod could say something else every second."""
    if status.open_instances is None:
        return None
    return tuple(OpenInstance(pod=each.pod, since=each.since) for each in status.open_instances)


_NUMBER_ALIASES = frozenset(PolicyStatus.model_fields[name].alias for name in _NUMBERS)


def _rate_moved(old: int | None, new: int | None) -> bool:
    if new is None:
        return bool(old)  # no calls any more: a rate of 0 may stand
    return old is None or (old == 0) != (new == 0) or abs(old - new) >= NEWS_POINTS


def _volume_moved(old: int, new: int) -> bool:
    return (old == 0) != (new == 0) or abs(old - new) > NEWS_SHARE * max(old, new)
