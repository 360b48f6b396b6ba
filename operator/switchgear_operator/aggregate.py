"""From what each pod said to what the fleet does: one `Fleet` per policy, whatever the order of the answers.

An instance is a pod. It reports while its last good reading is fresh, so one failed scrape does not make it silent.
It is open when any of its breakers of the policy is, and closed when it has none: then it rejects nothing.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from switchgear.config import Mode
from switchgear.metrics import bounded
from switchgear.states import CircuitState

from .objects import Policy
from .observation import Observation
from .readings import PolicyReading

__all__ = ["Fleet", "OpenInstance", "OutdatedInstance", "SilentInstance", "aggregate"]

_WORST_FIRST = (CircuitState.FORCED_OPEN, CircuitState.OPEN, CircuitState.HALF_OPEN, CircuitState.CLOSED)
_NOT_LOADED = PolicyReading()


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenInstance:
    """A pod whose circuit is open.

    Args:
        pod: Its name.
        uid: Its uid.
        since: When it was first seen open, in this operator's time.
        until: When its open period ends, in the pod's time; None where that is not known, as while forced open.
        last_error: The type name of the last failure counted there.
    """

    pod: str
    uid: str
    since: datetime
    until: datetime | None = None
    last_error: str | None = None


@dataclass(frozen=True, slots=True)
class OutdatedInstance:
    """A reporting pod that does not run the policy as it stands; `generation` is None where it runs none of it."""

    pod: str
    generation: int | None


@dataclass(frozen=True, slots=True)
class SilentInstance:
    """A pod that is expected to report and does not, and why."""

    pod: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """All instances of one policy at one moment. `open + half_open + closed == reporting <= expected`.

    Args:
        expected: Pods that should report.
        states: How many of the reporting ones are in each state.
        updated: How many of them run the policy's generation.
        calls: Calls in the windows of all of them; `failures` and `slow_calls` are the failed and the slow of these.
        rejected_per_minute: Calls rejected by all of them; None until one has been read twice.
        open_instances: The open ones, the longest open first.
        outdated: The reporting ones that are not updated, by name.
        silent: The ones that do not report, by name.
        skipped: Running pods left out because they are on their host's network.
    """

    expected: int = 0
    states: Mapping[CircuitState, int] = field(default_factory=dict)
    updated: int = 0
    calls: int = 0
    failures: int = 0
    slow_calls: int = 0
    rejected_per_minute: float | None = None
    open_instances: tuple[OpenInstance, ...] = ()
    outdated: tuple[OutdatedInstance, ...] = ()
    silent: tuple[SilentInstance, ...] = ()
    skipped: int = 0

    @property
    def reporting(self) -> int:
        """Instances that report."""
        return sum(self.states.values())

    @property
    def open(self) -> int:
        """Instances that are open, by themselves or because the policy says so."""
        return self.count(CircuitState.OPEN) + self.count(CircuitState.FORCED_OPEN)

    @property
    def half_open(self) -> int:
        """Instances that are half-open."""
        return self.count(CircuitState.HALF_OPEN)

    @property
    def closed(self) -> int:
        """Instances that let every call through: closed, disabled, or without a breaker of this policy yet."""
        return self.count(CircuitState.CLOSED) + self.count(CircuitState.DISABLED)

    @property
    def runs_it(self) -> bool:
        """Whether any reporting instance has loaded the policy, in whatever generation."""
        return self.updated > 0 or any(each.generation is not None for each in self.outdated)

    def count(self, state: CircuitState) -> int:
        """Reporting instances in exactly this state."""
        return self.states.get(state, 0)


def aggregate(
    policy: Policy,
    observations: Iterable[Observation],
    *,
    at: float,
    now: datetime,
    stale_after: float,
    open_since: Mapping[str, datetime] | None = None,
    skipped: int = 0,
) -> Fleet:
    """Judge the fleet of a policy.

    Args:
        policy: The policy as it stands.
        observations: One per pod that should report, read or not, in any order.
        at: Now, on the monotonic clock of the observations.
        now: Now, in wall-clock time.
        stale_after: Seconds after which a reading no longer counts.
        open_since: By pod uid, or by name where only that is known, when instances were first seen open.
        skipped: Running pods that were left out of `observations`.
    """
    known = sorted(observations, key=lambda each: (each.pod.name, each.pod.uid))
    fresh = [each for each in known if each.is_fresh(at, stale_after)]
    readings = [(each, _reading(each, policy)) for each in fresh]
    breakers = [breaker for _, reading in readings for breaker in reading.breakers]
    states: dict[CircuitState, int] = {}
    for _, reading in readings:
        state = _instance_state(reading, policy)
        states[state] = states.get(state, 0) + 1
    outdated = tuple(
        OutdatedInstance(each.pod.name, reading.generation if reading.uid == policy.uid else None)
        for each, reading in readings
        if not _is_updated(reading, policy)
    )
    return Fleet(
        expected=len(known),
        states=states,
        updated=len(fresh) - len(outdated),
        calls=sum(breaker.window_calls for breaker in breakers),
        failures=sum(breaker.window_failures for breaker in breakers),
        slow_calls=sum(breaker.window_slow_calls for breaker in breakers),
        rejected_per_minute=_rejected_per_minute(policy, fresh),
        open_instances=_open_instances(policy, readings, open_since or {}, now),
        outdated=outdated,
        silent=tuple(_silent(each, at) for each in known if not each.is_fresh(at, stale_after)),
        skipped=skipped,
    )


def _reading(observation: Observation, policy: Policy) -> PolicyReading:
    assert observation.reading is not None
    return observation.reading.policies.get(bounded(policy.key), _NOT_LOADED)


def _is_updated(reading: PolicyReading, policy: Policy) -> bool:
    return reading.generation == policy.generation and reading.uid == policy.uid


def _instance_state(reading: PolicyReading, policy: Policy) -> CircuitState:
    states = {breaker.state for breaker in reading.breakers}
    for state in _WORST_FIRST:
        if state in states:
            return state
    if states:
        return CircuitState.DISABLED
    return _state_before_the_first_call(policy) if _is_updated(reading, policy) else CircuitState.CLOSED


def _state_before_the_first_call(policy: Policy) -> CircuitState:
    match policy.spec.get("mode"):
        case Mode.FORCE_OPEN.value:
            return CircuitState.FORCED_OPEN
        case Mode.DISABLED.value:
            return CircuitState.DISABLED
        case _:
            return CircuitState.CLOSED


def _rejected_per_minute(policy: Policy, fresh: list[Observation]) -> float | None:
    rates = [each.rejected_per_minute for each in fresh if each.rejected_per_minute is not None]
    return sum(rate.get(bounded(policy.key), 0.0) for rate in rates) if rates else None


def _open_instances(
    policy: Policy,
    readings: list[tuple[Observation, PolicyReading]],
    open_since: Mapping[str, datetime],
    now: datetime,
) -> tuple[OpenInstance, ...]:
    found = [
        _open_instance(each, reading, open_since, now)
        for each, reading in readings
        if _instance_state(reading, policy) in {CircuitState.OPEN, CircuitState.FORCED_OPEN}
    ]
    return tuple(sorted(found, key=lambda each: (each.since, each.pod, each.uid)))


def _open_instance(
    observation: Observation, reading: PolicyReading, open_since: Mapping[str, datetime], now: datetime
) -> OpenInstance:
    pod = observation.pod
    rejecting = [each for each in reading.breakers if each.state is CircuitState.OPEN]
    last = max(rejecting, key=lambda each: (each.open_until or 0.0, each.name), default=None)
    return OpenInstance(
        pod=pod.name,
        uid=pod.uid,
        since=open_since.get(pod.uid) or open_since.get(pod.name) or now,
        until=None if last is None else _time(last.open_until),
        last_error=None if last is None else last.last_error,
    )


def _time(timestamp: float | None) -> datetime | None:
    try:
        return None if timestamp is None else datetime.fromtimestamp(timestamp, UTC)
    except (ValueError, OverflowError, OSError):  # beyond the year 9999
        return None


def _silent(observation: Observation, at: float) -> SilentInstance:
    if observation.error is not None:
        reason = observation.error.detail
    elif observation.reading is None:
        reason = "has not answered yet"
    else:
        reason = f"last answered {_roughly(at - observation.read_at)} ago"
    return SilentInstance(observation.pod.name, reason)


def _roughly(seconds: float) -> str:
    """An age that is not news with each round: tens of seconds, then minutes, then hours."""
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return f"{max(10, int(seconds // 10) * 10)} s"
