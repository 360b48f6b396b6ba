"""A change of state: what listeners are told, and the one log line it makes."""

import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .states import CircuitState

__all__ = ["Listener", "Transition", "tell"]

_log = logging.getLogger("switchgear")


@dataclass(frozen=True, slots=True)
class Transition:
    """A breaker's state has changed. `at` is wall-clock seconds since the epoch; `reason` is for people."""

    breaker: str
    policy: str
    from_state: CircuitState
    to_state: CircuitState
    reason: str
    at: float


Listener = Callable[[Transition], object]


def tell(pending: deque[Transition], listeners: Sequence[Listener]) -> None:
    """Log what is pending and hand it to the listeners; what one of them raises is logged, and nobody's harm."""
    while pending:
        try:
            transition = pending.popleft()
        except IndexError:  # another thread was quicker
            return
        _log_transition(transition)
        for listener in tuple(listeners):
            try:
                listener(transition)
            except Exception:
                _log.exception(
                    "a transition listener of circuit %r raised; the circuit is unaffected",
                    transition.breaker,
                )


def _log_transition(transition: Transition) -> None:
    """Opening is a warning, anything else is information."""
    opened = transition.to_state in {CircuitState.OPEN, CircuitState.FORCED_OPEN}
    _log.log(
        logging.WARNING if opened else logging.INFO,
        "circuit %r: %s -> %s (%s)",
        transition.breaker,
        transition.from_state.value,
        transition.to_state.value,
        transition.reason,
        extra={
            "breaker": transition.breaker,
            "policy": transition.policy,
            "from_state": transition.from_state.value,
            "to_state": transition.to_state.value,
            "reason": transition.reason,
        },
    )
