"""`with breaker:` and `async with breaker:`: each statement owns its permit.

The interpreter fetches `__exit__` when a with statement begins, and holds it until the statement ends; contextlib's
stacks do the same, but fetch it from the class. What they get here is an object for this one statement, which holds
the permit. So the permit goes where the statement goes: into another thread, task or context, and away with it when
a signal strikes, be it on the way into `__exit__`.
"""

from collections.abc import Callable
from contextvars import ContextVar
from functools import partial
from threading import local
from types import TracebackType
from typing import TYPE_CHECKING, Generic, TypeVar, overload
from weakref import ref

if TYPE_CHECKING:
    from .breaker import CircuitBreaker
    from .permit import Permit

__all__ = ["AsyncBlock", "Block", "Exit", "begin_block"]

_Kind = type[BaseException] | None
_Unbound = Callable[["CircuitBreaker", _Kind, BaseException | None, TracebackType | None], object]


class Block:
    """The end of one with statement. It has a breaker from the start, or the one that is entered next."""

    __slots__ = ("__weakref__", "breaker", "permit")

    def __init__(self, breaker: "CircuitBreaker | None") -> None:
        self.breaker = breaker
        self.permit: Permit | None = None

    def __call__(self, _kind: _Kind, error: BaseException | None, _traceback: TracebackType | None) -> None:
        """Settle the permit by how the statement ended."""
        _end(self, error)


class AsyncBlock(Block):
    """The end of one async with statement."""

    __slots__ = ()

    async def __call__(  # type: ignore[override]  # awaited by `async with`
        self, _kind: _Kind, error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        """Settle the permit by how the statement ended."""
        _end(self, error)


B = TypeVar("B", bound=Block)


class Exit(Generic[B]):
    """As a class's `__exit__` or `__aexit__`: another block each time it is fetched."""

    def __init__(self, kind: type[B]) -> None:
        self._kind = kind

    @overload
    def __get__(self, breaker: None, owner: type) -> _Unbound: ...
    @overload
    def __get__(self, breaker: "CircuitBreaker", owner: type) -> B: ...
    def __get__(self, breaker: "CircuitBreaker | None", owner: type) -> "B | _Unbound":
        block = self._kind(breaker)
        _opening.block = ref(block)
        return partial(_call_unbound, block) if breaker is None else block


def begin_block(breaker: "CircuitBreaker") -> None:
    """Acquire a permit and give it to the with statement that is about to run, or else remember it for `__exit__`."""
    opening, _opening.block = _opening.block, None
    block = None if opening is None else opening()
    permit = breaker.acquire()
    if block is not None and (block.breaker or breaker) is breaker:
        block.permit = permit
        return
    before = tuple(filter(_by_hand.__contains__, _entered.get()))
    try:
        _by_hand[permit] = None
        _entered.set((*before, permit))
    except BaseException:  # a signal between entering and the body: nobody will exit
        _by_hand.pop(permit, None)
        raise


def _call_unbound(
    block: Block,
    breaker: "CircuitBreaker",
    kind: _Kind,
    error: BaseException | None,
    traceback: TracebackType | None,
) -> object:
    block.breaker = breaker
    end: Callable[..., object] = block  # maybe an AsyncBlock: what it returns is awaited
    return end(kind, error, traceback)


def _end(block: Block, error: BaseException | None) -> None:
    permit = block.permit or _last_entered(block.breaker)
    if permit is not None:
        permit.success() if error is None else permit.failure(error)


def _last_entered(breaker: "CircuitBreaker | None") -> "Permit | None":
    """The permit of whoever called `__enter__` without a with statement: here last, or else anywhere last."""
    for permit in (*reversed(_entered.get()), *reversed(tuple(_by_hand))):
        if permit.breaker is breaker and _by_hand.pop(permit, permit) is None:
            return permit
    return None


class _Opening(local):
    """What this thread fetched last, and has not entered yet. Weak: fetching alone means nothing."""

    block: ref[Block] | None = None


_opening = _Opening()
_by_hand: "dict[Permit, None]" = {}
_entered: "ContextVar[tuple[Permit, ...]]" = ContextVar("switchgear_entered", default=())
