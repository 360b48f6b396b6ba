"""When a ConfigMap that somebody else changed may be repaired: the first time at once, then ever less often.

Somebody may put his state back as fast as the operator does, and neither knows of the other. What the policies
themselves ask for is never held up.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import inf

from .objects import Policy

__all__ = ["Repairs"]

SHORTEST_PAUSE = 1.0
LONGEST_PAUSE = 30.0

CALM = 2 * LONGEST_PAUSE
"""Seconds after a repair from which the next one does not follow it."""

Wanted = frozenset[tuple[str, int]]


@dataclass(frozen=True, slots=True)
class _State:
    wanted: Wanted  # the policies, as uid and generation, that the ConfigMap was last made to fit
    repaired_at: float = -inf
    pause: float = 0.0


class Repairs:
    """What was repaired in which namespace, and how long that is to do.

    A write is a repair if the policies are those that the ConfigMap fitted already.

    Args:
        clock: Seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._states: dict[str, _State] = {}

    def pause(self, namespace: str, policies: Iterable[Policy]) -> float:
        """Seconds to wait before a write; 0 if it may be done now."""
        state = self._states.get(namespace)
        if state is None or state.wanted != _wanted(policies):
            return 0.0
        return max(0.0, state.repaired_at + state.pause - self._clock())

    def follows(self, namespace: str, policies: Iterable[Policy]) -> bool:
        """Whether a write now would be one more in a row of repairs."""
        state = self._states.get(namespace)
        return state is not None and state.wanted == _wanted(policies) and self._is_recent(state)

    def fits(self, namespace: str, policies: Iterable[Policy], *, written: bool) -> float:
        """The ConfigMap is as these policies want it, for which it was `written` or not.

        Returns:
            Seconds until the next repair.
        """
        wanted = _wanted(policies)
        state = self._states.get(namespace) or _State(frozenset())
        if written and state.wanted == wanted:
            pause = min(LONGEST_PAUSE, 2 * state.pause) if self._is_recent(state) else SHORTEST_PAUSE
            state = _State(wanted, self._clock(), pause)
        else:
            state = _State(wanted, state.repaired_at, state.pause)
        self._states[namespace] = state
        if not wanted and not self._is_recent(state):
            del self._states[namespace]
        return state.pause

    def _is_recent(self, state: _State) -> bool:
        return self._clock() - state.repaired_at < CALM


def _wanted(policies: Iterable[Policy]) -> Wanted:
    return frozenset((policy.uid, policy.generation) for policy in policies)
