"""Nothing of a call stays behind: no frame, no exception, no result; and memory is bounded."""

import asyncio
import gc
import tracemalloc
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress

import pytest

from switchgear import CircuitBreaker, CircuitOpenError, CountWindow, Mode, TimeWindow

from .support import BrokenError, Clock, make


class Thing:
    """What a call works with: a request, a connection."""


class Witness:
    """Hands out things, and tells which of them are still alive."""

    def __init__(self) -> None:
        self._things: list[weakref.ref[Thing]] = []

    def thing(self) -> Thing:
        thing = Thing()
        self._things.append(weakref.ref(thing))
        return thing

    @property
    def alive(self) -> int:
        assert self._things
        return sum(thing() is not None for thing in self._things)


@pytest.fixture(autouse=True)
def _no_garbage_collector() -> Iterator[None]:
    """What a cycle keeps alive counts as alive."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.fixture
def witness() -> Witness:
    return Witness()


def swallow(function: Callable[[], object]) -> None:
    with suppress(BrokenError, CircuitOpenError, KeyboardInterrupt):
        function()


def failing_calls(breaker: CircuitBreaker, witness: Witness) -> list[Callable[[], object]]:
    def broken(request: Thing) -> None:
        local = witness.thing()
        raise BrokenError(local, request)

    def fails(function: Callable[..., object]) -> Callable[[], object]:
        return lambda: function(witness.thing())

    def block() -> None:
        with breaker:
            broken(witness.thing())

    def permit() -> None:
        with breaker.acquire():
            broken(witness.thing())

    @breaker
    def generator() -> Iterator[Thing]:
        yield witness.thing()
        broken(witness.thing())

    def interrupted(request: Thing) -> None:
        raise KeyboardInterrupt(request)

    return [
        fails(lambda request: breaker.call(broken, request)),
        fails(breaker(broken)),
        fails(breaker.protect(fallback=lambda error, request: broken(request))(broken)),
        fails(lambda request: breaker.call(interrupted, request)),
        block,
        permit,
        lambda: list(generator()),
    ]


@pytest.mark.parametrize("number", range(7))
def test_a_failed_call_keeps_nothing_alive(number: int, witness: Witness) -> None:
    breaker = make(window=CountWindow(100), minimum_calls=100)
    swallow(failing_calls(breaker, witness)[number])
    assert witness.alive == 0


@pytest.mark.parametrize("number", range(7))
def test_a_rejected_call_keeps_nothing_alive(number: int, witness: Witness) -> None:
    breaker = make()
    breaker.trip()
    request = witness.thing()
    swallow(failing_calls(breaker, witness)[number])
    del request
    assert witness.alive == 0


@pytest.mark.parametrize("call_timeout", [None, 60.0])
def test_a_failed_async_call_keeps_nothing_alive(witness: Witness, call_timeout: float | None) -> None:
    breaker = make(call_timeout=call_timeout, minimum_calls=10)

    async def broken(request: Thing) -> None:
        local = witness.thing()
        raise BrokenError(local, request)

    @breaker
    async def stream() -> AsyncIterator[Thing]:
        yield witness.thing()
        await broken(witness.thing())

    async def block() -> None:
        async with breaker:
            await broken(witness.thing())

    async def consume() -> None:
        async for _ in stream():
            pass

    async def throw() -> None:
        steps = stream()
        await anext(steps)
        await steps.athrow(BrokenError(witness.thing()))  # type: ignore[attr-defined]  # it is a generator

    async def call() -> None:
        await breaker.call_async(broken, witness.thing())

    async def scenario() -> None:
        alive = []
        for function in (call, block, consume, throw):
            task: asyncio.Task[None] = asyncio.ensure_future(function())
            await asyncio.wait([task])
            assert isinstance(task.exception(), BrokenError)
            del task
            await asyncio.sleep(0)
            alive.append(witness.alive)
        assert alive == [0, 0, 0, 0]

    asyncio.run(scenario())


def test_a_result_and_its_arguments_are_not_kept(witness: Witness) -> None:
    breaker = make(failure_result=lambda result: False)
    assert isinstance(breaker.call(lambda request: request, witness.thing()), Thing)
    assert witness.alive == 0


def test_the_last_error_is_kept_by_name_only(witness: Witness) -> None:
    breaker = make()
    swallow(lambda: breaker.call(failing_calls(breaker, witness)[0]))
    assert breaker.reading().last_error == f"{__package__}.support.BrokenError"
    assert witness.alive == 0


def test_a_breaker_that_is_dropped_goes_at_once() -> None:
    breaker = make()
    breaker.call(str)
    permit = breaker.acquire()
    gone = weakref.ref(breaker)
    permit.success()
    del permit, breaker
    assert gone() is None


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize("window", [CountWindow(1000), TimeWindow(10.0)])
def test_thousands_of_calls_take_no_memory(window: CountWindow | TimeWindow, mode: Mode) -> None:
    clock = Clock()
    breaker = make(clock, window=window, mode=mode)

    def broken() -> None:
        raise BrokenError

    def calls(count: int) -> None:
        for number in range(count):
            clock.advance(0.01)
            swallow(lambda: breaker.call(broken if number % 3 else str))  # noqa: B023  # called at once

    calls(2000)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    calls(12_500)
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert grown < 20_000
