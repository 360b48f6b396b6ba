"""Guarding every kind of callable: it stays the same callable, with the breaker around each call."""

from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from contextlib import AbstractContextManager, nullcontext
from functools import partial, wraps
from inspect import isasyncgenfunction, iscoroutinefunction, isgeneratorfunction
from typing import TYPE_CHECKING, Any, TypeVar, cast

from .errors import CircuitOpenError

if TYPE_CHECKING:
    from .breaker import CircuitBreaker
    from .permit import Permit

__all__ = ["Guarded", "guard", "refuse_coroutine"]

F = TypeVar("F", bound=Callable[..., Any])
Function = Callable[..., Any]
"""Any callable: a decorator hands arguments and result through without looking at them."""


class Guarded:
    """A decorator: the breaker around each call, and a fallback.

    Where CircuitOpenError comes out of the call, this breaker's or that of one inside, the answer is
    `fallback(error, *args, **kwargs)`. For an async function it may be sync or async. For a generator it is a generator
    too, and takes the place of one that may not begin.
    """

    def __init__(self, breaker: "CircuitBreaker", fallback: Function | None) -> None:
        self._breaker = breaker
        self._fallback = fallback

    def __call__(self, function: F) -> F:
        """The guarded function, with the same signature."""
        return guard(self._breaker, function, self._fallback)


def guard(breaker: "CircuitBreaker", function: F, fallback: Function | None) -> F:
    """Wrap `function`, whatever kind it is.

    Raises:
        TypeError: It is not callable.
    """
    if isinstance(function, staticmethod | classmethod):
        rewrap = type(function)
        return cast("F", rewrap(guard(breaker, function.__func__, fallback)))
    if not callable(function):
        raise TypeError(f"{function!r} cannot be guarded: decorate a function, a method or another callable")
    return cast("F", wraps(function)(_wrapper_for(function)(breaker, function, fallback)))


def refuse_coroutine(function: Function, permit: "Permit", coroutine: object) -> None:
    """Give back the permit of a call whose work has not even begun: it was to be awaited.

    Raises:
        TypeError: Always.
    """
    assert isinstance(coroutine, Coroutine)
    permit.cancel()
    coroutine.close()
    raise TypeError(
        f"{function!r} returned a coroutine: use call_async, or decorate the async function itself"
    )


def _wrapper_for(function: Function) -> "Callable[[CircuitBreaker, Function, Function | None], Function]":
    body = function
    while isinstance(body, partial):
        body = body.func
    if isinstance(body, type):  # its instances may be async callables; making one is not
        return _sync_wrapper
    for candidate in (body, getattr(body, "__call__", None)):  # noqa: B004  # the method, to see what kind it is
        if iscoroutinefunction(candidate):
            return _async_wrapper
        if isasyncgenfunction(candidate):
            return _async_generator_wrapper
        if isgeneratorfunction(candidate):
            return _generator_wrapper
    return _sync_wrapper


def _sync_wrapper(breaker: "CircuitBreaker", function: Function, fallback: Function | None) -> Function:
    def guarded(*args: object, **kwargs: object) -> object:
        if fallback is None:
            return breaker.call(function, *args, **kwargs)
        try:
            return breaker.call(function, *args, **kwargs)
        except CircuitOpenError as error:
            return fallback(error, *args, **kwargs)

    return guarded


def _async_wrapper(breaker: "CircuitBreaker", function: Function, fallback: Function | None) -> Function:
    async def guarded(*args: object, **kwargs: object) -> object:
        try:
            return await breaker.call_async(function, *args, **kwargs)
        except CircuitOpenError as error:
            if fallback is None:
                raise
            answer = fallback(error, *args, **kwargs)
            return await answer if hasattr(answer, "__await__") else answer

    return guarded


def _generator_wrapper(breaker: "CircuitBreaker", function: Function, fallback: Function | None) -> Function:
    def guarded(*args: object, **kwargs: object) -> Generator[Any, Any, Any]:
        permit, source = _begin(breaker, function, fallback, args, kwargs)
        with permit:
            return (yield from source)

    return guarded


def _async_generator_wrapper(
    breaker: "CircuitBreaker", function: Function, fallback: Function | None
) -> Function:
    async def guarded(*args: object, **kwargs: object) -> AsyncGenerator[Any, Any]:
        permit, source = _begin(breaker, function, fallback, args, kwargs)
        with permit:
            steps = [
                source.__anext__()
            ]  # popped to be awaited: a step that threw must not outlive its exception
            while True:
                try:
                    item = await steps.pop()
                except StopAsyncIteration:
                    return
                try:
                    sent = yield item
                except GeneratorExit:
                    if hasattr(source, "aclose"):  # a fallback may be any async iterator
                        await source.aclose()
                    raise
                except BaseException as error:  # whatever is thrown in belongs to the guarded generator
                    steps.append(source.athrow(error))
                else:
                    steps.append(source.__anext__() if sent is None else source.asend(sent))

    return guarded


def _begin(
    breaker: "CircuitBreaker",
    function: Function,
    fallback: Function | None,
    args: tuple[object, ...],
    kwargs: dict[str, object],
) -> "tuple[AbstractContextManager[object], Any]":
    """The permit and the generator it is for; for a rejected call no permit, and the fallback's generator."""
    try:
        permit = breaker.acquire()
    except CircuitOpenError as error:
        if fallback is None:
            raise
        return nullcontext(), fallback(error, *args, **kwargs)
    return permit, function(*args, **kwargs)
