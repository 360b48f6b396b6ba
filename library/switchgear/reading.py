"""What a breaker tells about itself: all that metrics are made of."""

from dataclasses import dataclass

from .states import CircuitState, Outcome

__all__ = ["BreakerReading"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerReading:
    """A breaker's state and counters at one moment: all that metrics are made of.

    `open_until` is in wall-clock seconds since the epoch, None unless the state is OPEN. Counters only grow.
    `window_*` are what the rates are judged by. From when a circuit opens until it closes they tell what opened it, and
    stay: what the window held then, or nothing if the circuit was restored by another process.
    """

    name: str
    policy: str
    state: CircuitState
    open_until: float | None
    calls: dict[Outcome, int]
    slow_calls: int
    transitions: dict[tuple[CircuitState, CircuitState], int]
    in_flight: int
    window_calls: int
    window_failures: int
    window_slow_calls: int
    last_error: str | None
    unknown_exceptions: tuple[str, ...]
