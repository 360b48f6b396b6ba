"""The right to make one call, which cannot get lost; and the calls that a `with breaker:` block has entered."""

from contextvars import ContextVar
from types import TracebackType
from typing import TYPE_CHECKING, Self

from .classify import error_name
from .states import Outcome

if TYPE_CHECKING:
    from .breaker import CircuitBreaker
    from .phases import Phase

__all__ = ["Permit", "enter", "leave"]

_NOT_GIVEN = object()


class Permit:
    """The right to make one call. Settle it once with its outcome; further settling does nothing.

    `with permit:` settles it by how the block ends. A permit that is dropped unsettled gives its place back, as a
    cancelled call.
    """

    __slots__ = ("_breaker", "_phase", "_serial", "_started")

    def __init__(self, breaker: "CircuitBreaker", serial: int, started: float) -> None:
        self._breaker = breaker
        self._serial = serial
        self._started = started
        self._phase: Phase | None = None

    def success(self, result: object = _NOT_GIVEN) -> None:
        """The call returned; a `result` that is given is judged by `failure_result`."""
        classifier = self._breaker._classifier
        self.settle(Outcome.SUCCESS if result is _NOT_GIVEN else classifier.of_result(result))

    def failure(self, error: BaseException | None = None) -> None:
        """The call failed; an `error` that is given is judged by the config's exception lists."""
        classifier = self._breaker._classifier
        self.settle(Outcome.FAILURE if error is None else classifier.of_exception(error), error_name(error))

    def ignore(self) -> None:
        """The call ended in a way that says nothing about the target."""
        self.settle(Outcome.IGNORED)

    def cancel(self) -> None:
        """The call was given up from this side."""
        self.settle(Outcome.CANCELLED)

    def settle(self, outcome: Outcome, error: str | None = None) -> None:
        """The call ended as `outcome`; `error` names a failure in metrics, by type (`error_name`)."""
        self._breaker._settle(self, outcome, error)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.success() if error is None else self.failure(error)

    def __del__(self) -> None:
        if self._serial in self._breaker._in_flight:
            self.settle(Outcome.CANCELLED)


def enter(permit: Permit) -> None:
    """Remember `permit` for the `with` block that this thread or task is about to run."""
    entered = _entered.get()
    try:
        _entered.set((*entered, permit))
    except BaseException:  # a signal between entering and the body: no block will leave
        _entered.set(entered)
        raise


def leave(breaker: "CircuitBreaker", error: BaseException | None) -> None:
    """Settle the permit of the innermost block of `breaker` that this thread or task is in."""
    entered = _entered.get()
    for at in range(len(entered) - 1, -1, -1):
        permit = entered[at]
        if permit._breaker is breaker:
            _entered.set(entered[:at] + entered[at + 1 :])
            permit.success() if error is None else permit.failure(error)
            return


_entered: ContextVar[tuple[Permit, ...]] = ContextVar("switchgear_entered", default=())
