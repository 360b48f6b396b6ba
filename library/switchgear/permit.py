"""The right to make one call, which cannot get lost."""

from math import inf
from types import TracebackType
from typing import TYPE_CHECKING, Self

from .classify import error_name
from .states import Outcome

if TYPE_CHECKING:
    from .breaker import CircuitBreaker
    from .phases import Phase

__all__ = ["Permit"]

_NOT_GIVEN = object()
_SUCCESS, _FAILURE = Outcome.SUCCESS, Outcome.FAILURE


class Permit:
    """The right to make one call. Settle it once with its outcome; further settling does nothing.

    `with permit:` settles it by how the block ends. A permit that is dropped unsettled gives its place back, as a
    cancelled call.
    """

    __slots__ = ("__weakref__", "_ended", "_phase", "_started", "breaker")

    def __init__(self, breaker: "CircuitBreaker", started: float) -> None:
        self.breaker = breaker
        self._started = started
        self._ended = inf
        self._phase: Phase | None = None

    def success(self, result: object = _NOT_GIVEN) -> None:
        """The call returned; a `result` that is given is judged by `failure_result`."""
        breaker = self.breaker
        if result is _NOT_GIVEN or breaker._config.failure_result is None:
            breaker._settle(self, _SUCCESS, None)
        else:
            breaker._settle(self, breaker._classifier.of_result(result), None)

    def failure(self, error: BaseException | None = None) -> None:
        """The call failed; an `error` that is given is judged by the config's exception lists."""
        outcome = _FAILURE if error is None else self.breaker._classifier.of_exception(error)
        self.settle(outcome, error_name(error))

    def ignore(self) -> None:
        """The call ended in a way that says nothing about the target."""
        self.settle(Outcome.IGNORED)

    def cancel(self) -> None:
        """The call was given up from this side."""
        self.settle(Outcome.CANCELLED)

    def stop(self) -> None:
        """The call's duration ends now, for slow calls; its outcome is settled later."""
        self._ended = min(self._ended, self.breaker._clock())

    def settle(self, outcome: Outcome, error: str | None = None) -> None:
        """The call ended as `outcome`; `error` names a failure in metrics, by type (`error_name`)."""
        self.breaker._settle(self, outcome, error)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.success() if error is None else self.failure(error)
