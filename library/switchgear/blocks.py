"""`with breaker:` and `async with breaker:`: each statement owns its permit.

The interpreter fetches `__exit__` when a with statement begins, and holds it until the statement ends. What it gets
here is an object for this one statement, which holds the permit. So the permit goes where the statement goes: into
another thread or context with the generator that it is part of, and away with it when a signal strikes, be it on the
way into `__exit__`.
"""

from contextvars import ContextVar
from threading import local
from types import TracebackType
from typing import TYPE_CHECKING, Generic, TypeVar, overload
from weakref import ref

if TYPE_CHECKING:
    from .breaker import CircuitBreaker
    from .permit import Permit

__all__ = ["AsyncBlock", "Block", "Exit", "begin_block"]


class Block:
    """The end of one with statement."""

    __slots__ = ("__weakref__", "breaker", "permit")

    def __init__(self, breaker: "CircuitBreaker") -> None:
        self.breaker = breaker
        self.permit: Permit | None = None

    def __call__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        """Settle the permit by how the statement ended."""
        _end(self.permit or _last_entered(self.breaker), error)


class AsyncBlock(Block):
    """The end of one async with statement."""

    __slots__ = ()

    async def __call__(  # type: ignore[override]  # awaited by `async with`
        self, _kind: type[BaseException] | None, error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        """Settle the permit by how the statement ended."""
        _end(self.permit or _last_entered(self.breaker), error)


B = TypeVar("B", bound=Block)


class Exit(Generic[B]):
    """As a class's `__exit__` or `__aexit__`: another block each time it is fetched."""

    def __init__(self, kind: type[B]) -> None:
        self._kind = kind

    @overload
    def __get__(self, breaker: None, owner: type) -> "Exit[B]": ...
    @overload
    def __get__(self, breaker: "CircuitBreaker", owner: type) -> B: ...
    def __get__(self, breaker: "CircuitBreaker | None", owner: type) -> "B | Exit[B]":
        if breaker is None:
            return self
        block = self._kind(breaker)
        _opening.block = ref(block)
        return block

    def __call__(
        self,
        breaker: "CircuitBreaker",
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> object:
        """`type(breaker).__exit__(breaker, ...)`, as contextlib.ExitStack calls it."""
        return self._kind(breaker)(kind, error, traceback)


def begin_block(breaker: "CircuitBreaker") -> None:
    """Acquire a permit and give it to the with statement that is about to run, or else remember it for `__exit__`."""
    opening, _opening.block = _opening.block, None
    block = None if opening is None else opening()
    permit = breaker.acquire()
    if block is not None and block.breaker is breaker:
        block.permit = permit
        return
    entered = _entered.get()
    try:
        _entered.set((*entered, permit))
    except BaseException:  # a signal between entering and the body: nobody will exit
        _entered.set(entered)
        raise


def _last_entered(breaker: "CircuitBreaker") -> "Permit | None":
    """The permit of whoever called `__enter__` and `__exit__` without a with statement, innermost first."""
    entered = _entered.get()
    for at in range(len(entered) - 1, -1, -1):
        if entered[at].breaker is breaker:
            _entered.set(entered[:at] + entered[at + 1 :])
            return entered[at]
    return None


def _end(permit: "Permit | None", error: BaseException | None) -> None:
    if permit is not None:
        permit.success() if error is None else permit.failure(error)


class _Opening(local):
    """What this thread fetched last, and has not entered yet. Weak: fetching alone means nothing."""

    block: ref[Block] | None = None


_opening = _Opening()
_entered: "ContextVar[tuple[Permit, ...]]" = ContextVar("switchgear_entered", default=())
