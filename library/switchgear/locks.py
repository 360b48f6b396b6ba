"""A lock for bookkeeping, which no exception leaves held."""

from collections.abc import Callable
from threading import RLock
from typing import TypeVar, TypeVarTuple

__all__ = ["Lock"]

R = TypeVar("R")
Args = TypeVarTuple("Args")


class Lock:
    """Re-entrant, since a signal handler or a finalizer may call in at any instruction.

    A `with` statement alone lets go of a lock only if the exception strikes in its body: between the body and the
    release there are instructions too. So whoever needs it writes what `run` does.
    """

    __slots__ = ("inner", "is_held")

    def __init__(self) -> None:
        self.inner = RLock()
        # as threading.Condition does
        self.is_held: Callable[[], bool] = self.inner._is_owned  # type: ignore[attr-defined]  # noqa: SLF001

    def run(self, step: Callable[[*Args], R], *args: *Args) -> R:
        """Call `step(*args)` under the lock."""
        nested = self.is_held()
        try:
            with self.inner:
                return step(*args)
        except BaseException:
            self.let_go(nested)
            raise

    def let_go(self, nested: bool) -> None:
        """After an exception: release what this thread still holds, unless it held it before (`nested`)."""
        while not nested and self.is_held():
            self.inner.release()
