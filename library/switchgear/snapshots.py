"""What a breaker remembers, in a form that outlives its process."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from .config import LARGEST_COUNT_WINDOW, LONGEST, CircuitConfig
from .phases import Closed, HalfOpen, Open, Phase
from .states import CircuitState
from .windows import BUCKETS, Bucket, Contents, refilled

__all__ = ["Snapshot"]

_LARGEST = 1_000_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A breaker's memory at one moment.

    Args:
        breaker: The breaker's name.
        state: CLOSED, OPEN or HALF_OPEN: the state behind the mode.
        taken_at: Wall-clock seconds since the epoch.
        remaining: Seconds that an open circuit had left.
        reopenings: Consecutive re-openings, which the backoff counts.
        row: Failures in a row of a closed circuit.
        window: What a closed circuit's window held.
    """

    breaker: str
    state: CircuitState
    taken_at: float
    remaining: float = 0.0
    reopenings: int = 0
    row: int = 0
    window: Contents = field(default_factory=Contents)

    @classmethod
    def of(cls, breaker: str, phase: Phase, now: float, taken_at: float) -> Self:
        """Of a breaker in `phase` at `now` on its monotonic clock."""
        return cls(
            breaker=breaker,
            state=phase.state,
            taken_at=taken_at,
            remaining=max(0.0, phase.until - now) if isinstance(phase, Open) else 0.0,
            reopenings=0 if isinstance(phase, Closed) else phase.reopenings,
            row=phase.row if isinstance(phase, Closed) else 0,
            window=phase.window.contents(now) if isinstance(phase, Closed) else Contents(),
        )

    def phase(self, config: CircuitConfig, now: float, elapsed: float) -> Phase:
        """The phase to go on in, `elapsed` seconds later, at `now` on the monotonic clock."""
        if self.state is CircuitState.OPEN:
            remaining = min(self.remaining, config.max_open_duration) - elapsed
            return Open(now + max(0.0, remaining), self.reopenings)
        if self.state is CircuitState.HALF_OPEN:
            return HalfOpen(self.reopenings)
        return Closed(refilled(config.window, now, self.window.aged(elapsed)), self.row)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "breaker": self.breaker,
            "state": self.state.value,
            "takenAt": self.taken_at,
            "remaining": self.remaining,
            "reopenings": self.reopenings,
            "row": self.row,
            "outcomes": self.window.outcomes.hex(),
            "buckets": [list(asdict(bucket).values()) for bucket in self.window.buckets],
        }

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Self:
        """Read what `to_dict` wrote, from a file that anybody may have written.

        Raises:
            ValueError: A field is missing, of another type, or out of bounds; the message names it.
        """
        if not isinstance(fields, Mapping):
            raise ValueError(f"the snapshot is {_brief(fields)}: an object is expected")
        return cls(
            breaker=_text(fields, "breaker"),
            state=_state(fields),
            taken_at=_number(fields, "takenAt"),
            remaining=_number(fields, "remaining", most=LONGEST),
            reopenings=_whole(fields, "reopenings"),
            row=_whole(fields, "row"),
            window=Contents(_outcomes(fields), _buckets(fields)),
        )


def _state(fields: Mapping[str, Any]) -> CircuitState:
    text = _text(fields, "state")
    for state in (CircuitState.CLOSED, CircuitState.OPEN, CircuitState.HALF_OPEN):
        if text == state.value:
            return state
    raise ValueError(f"state is {_brief(text)}: closed, open or half_open is expected")


def _outcomes(fields: Mapping[str, Any]) -> bytes:
    text = _text(fields, "outcomes")
    if len(text) > 2 * LARGEST_COUNT_WINDOW:
        raise ValueError(f"outcomes has {len(text)} digits: at most {2 * LARGEST_COUNT_WINDOW} are expected")
    try:
        outcomes = bytes.fromhex(text)
    except ValueError as error:
        raise ValueError(f"outcomes is not hexadecimal: {error}") from error
    if any(outcome > 3 for outcome in outcomes):
        raise ValueError("outcomes holds a byte above 3")
    return outcomes


def _buckets(fields: Mapping[str, Any]) -> tuple[Bucket, ...]:
    rows = fields.get("buckets")
    if not isinstance(rows, list) or len(rows) > BUCKETS:
        raise ValueError(f"buckets is not a list of at most {BUCKETS}")
    return tuple(_bucket(row) for row in rows)


def _bucket(row: object) -> Bucket:
    if not isinstance(row, list) or len(row) != 4:
        raise ValueError("a bucket is not a list of age, calls, failures and slow calls")
    named = dict(zip(("age", "calls", "failures", "slow"), row, strict=True))
    bucket = Bucket(
        _number(named, "age", most=LONGEST),
        _whole(named, "calls"),
        _whole(named, "failures"),
        _whole(named, "slow"),
    )
    if max(bucket.failures, bucket.slow) > bucket.calls:
        raise ValueError(
            f"a bucket has {bucket.failures} failures and {bucket.slow} slow of {bucket.calls} calls"
        )
    return bucket


def _text(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str):
        raise ValueError(f"{name} is {_brief(value)}: a text is expected")
    return value


def _number(fields: Mapping[str, Any], name: str, most: float = _LARGEST) -> float:
    value = fields.get(name)
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= most:
        raise ValueError(f"{name} is {_brief(value)}: a number from 0 to {most:.0f} is expected")
    return float(value)


def _whole(fields: Mapping[str, Any], name: str) -> int:
    value = fields.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _LARGEST:
        raise ValueError(f"{name} is {_brief(value)}: a whole number from 0 to {_LARGEST} is expected")
    return value


def _brief(value: object) -> str:
    try:
        return f"{value!r:.60}"
    except (RecursionError, ValueError):  # nested too deep, or an integer of too many digits
        return f"{type(value).__name__} beyond all bounds"
