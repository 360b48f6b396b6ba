"""A lock for bookkeeping, which no exception leaves held."""

from collections.abc import Callable
from threading import RLock
from typing import ParamSpec, TypeVar

__all__ = ["Lock"]

P = ParamSpec("P")
R = TypeVar("R")


class Lock:
    """Runs one step at a time. Re-entrant, since a signal handler or a finalizer may call in at any instruction.

    A `with` statement alone lets go of a lock only if the exception strikes in its body: between the body and the
    release there are instructions too.
    """

    __slots__ = ("_inner",)

    def __init__(self) -> None:
        self._inner = RLock()

    def run(self, step: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call `step` under the lock."""
        inner = self._inner
        nested = inner._is_owned()  # type: ignore[attr-defined]  # noqa: SLF001  # as threading.Condition does
        try:
            with inner:
                return step(*args, **kwargs)
        except BaseException:
            while not nested and inner._is_owned():  # type: ignore[attr-defined]  # noqa: SLF001
                inner.release()
            raise
