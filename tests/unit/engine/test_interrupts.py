"""A signal at any instruction loses no permit, leaves no lock held, and breaks no circuit."""

import contextlib
import dis
import logging
import signal
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import switchgear
from switchgear import CircuitBreaker, CircuitState, Mode

from .support import CONFIG, BrokenError, Clock, fail, half_open, make, succeed

LIBRARY = str(Path(switchgear.__file__).parent)
MODULES = {
    str(Path(LIBRARY) / f"{name}.py") for name in ("breaker", "permit", "blocks", "phases", "windows")
} | {
    str(Path(LIBRARY) / f"{name}.py")
    for name in ("classify", "decorate", "locks", "backoff", "transitions", "errors")
}


def _striking(
    opcode: int, strike: Callable[[FrameType], None]
) -> tuple[Callable[[FrameType, str, object], Any], Callable[[], bool]]:
    """A trace function that calls `strike` at the given instruction of the engine; and whether it has."""
    count = 0

    def trace(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal count
        if frame.f_code.co_filename not in MODULES:
            return None
        frame.f_trace_opcodes = True
        if event == "opcode" and not _is_beyond_python(frame):
            count += 1
            if count == opcode:
                strike(frame)
        return trace

    return trace, lambda: count >= opcode


def _is_beyond_python(frame: FrameType) -> bool:
    """Whether an exception raised here by a trace function is lost by the interpreter; no signal can strike here.

    At PUSH_EXC_INFO it leaks the exception that is about to be handled, with all frames.
    """
    return frame.f_code.co_code[frame.f_lasti] == dis.opmap["PUSH_EXC_INFO"]


def _interrupt(frame: FrameType) -> None:
    raise KeyboardInterrupt


def interrupted(scenario: Callable[[], object], opcode: int) -> bool:
    """Run `scenario` with an interrupt at its n-th instruction; whether it is that long."""
    return _stepping(scenario, opcode, _interrupt)


def _stepping(scenario: Callable[[], object], opcode: int, strike: Callable[[FrameType], None]) -> bool:
    trace, struck = _striking(opcode, strike)
    before = sys.gettrace()
    sys._getframe().f_trace_opcodes = True  # Python 3.12 asks for it before
    sys.settrace(trace)
    try:
        scenario()
    except (KeyboardInterrupt, BrokenError, switchgear.CircuitOpenError):
        pass
    finally:
        sys.settrace(before)
    return struck()


def assert_sound(breaker: CircuitBreaker, clock: Clock) -> None:
    """Nothing is left over, no lock is held, and the circuit still opens, recovers and closes."""
    assert not breaker._lock.is_held(), "the lock is held"
    assert breaker.reading().in_flight == 0, "a permit is lost"
    _use_until(breaker, CircuitState.CLOSED, str, clock)
    _use_until(breaker, CircuitState.OPEN, _broken, clock)
    _use_until(breaker, CircuitState.CLOSED, str, clock)
    changes = breaker.reading().transitions
    for state in CircuitState:
        entered = sum(count for (_, after), count in changes.items() if after is state)
        left = sum(count for (before, _), count in changes.items() if before is state)
        assert entered == left, "the transitions that were counted do not follow one another"


def _use_until(
    breaker: CircuitBreaker, state: CircuitState, function: Callable[[], object], clock: Clock
) -> None:
    for _ in range(30):
        clock.advance(0.0 if breaker.state is CircuitState.CLOSED else 1000.0)
        with contextlib.suppress(BrokenError, switchgear.CircuitOpenError):
            breaker.call(function)
        if breaker.state is state:
            return
    raise AssertionError(f"it stays {breaker.state.value}, and cannot become {state.value}")


def _broken() -> None:
    raise BrokenError


def _use_block(breaker: CircuitBreaker) -> None:
    with breaker:
        pass


def _fail_in_block(breaker: CircuitBreaker) -> None:
    with breaker:
        raise BrokenError


def _use_permit(breaker: CircuitBreaker) -> None:
    permit = breaker.acquire()
    permit.success("fine")


def _use_permit_block(breaker: CircuitBreaker) -> None:
    with breaker.acquire():
        raise BrokenError


def _run(coroutine: Any) -> None:
    """Drive a coroutine that never really waits, without a loop around it that could be interrupted too."""
    with contextlib.suppress(StopIteration):
        coroutine.send(None)


async def _fine_async() -> str:
    return "fine"


async def _broken_async() -> None:
    raise BrokenError


async def _async_block(breaker: CircuitBreaker) -> None:
    async with breaker:
        raise BrokenError


def _generator(breaker: CircuitBreaker) -> None:
    @breaker
    def numbers() -> Iterator[int]:
        yield 1
        yield 2

    assert list(numbers()) == [1, 2]


def _failing_generator(breaker: CircuitBreaker) -> None:
    @breaker.protect(fallback=lambda error: iter([9]))
    def numbers() -> Iterator[int]:
        yield 1
        raise BrokenError

    list(numbers())


def _async_generator(breaker: CircuitBreaker) -> None:
    @breaker
    async def numbers() -> Any:
        yield 1
        raise BrokenError

    async def use() -> None:
        stream = numbers()
        try:
            async for _ in stream:
                pass
        finally:
            await stream.aclose()

    _run(use())


def _reload(breaker: CircuitBreaker) -> None:
    breaker.apply(make(mode=Mode.FORCE_OPEN, consecutive_failures=9).config)
    breaker.apply(CONFIG)


SCENARIOS: dict[str, Callable[[CircuitBreaker], object]] = {
    "call that succeeds": lambda breaker: breaker.call(str),
    "call that fails": lambda breaker: breaker.call(_broken),
    "async call that succeeds": lambda breaker: _run(breaker.call_async(_fine_async)),
    "async call that fails": lambda breaker: _run(breaker.call_async(_broken_async)),
    "block that ends well": _use_block,
    "block that fails": _fail_in_block,
    "async block": lambda breaker: _run(_async_block(breaker)),
    "permit": _use_permit,
    "permit block": _use_permit_block,
    "decorated function": lambda breaker: breaker(_broken)(),
    "decorated function with fallback": lambda breaker: breaker.protect(fallback=lambda error: 0)(_broken)(),
    "decorated coroutine function": lambda breaker: _run(breaker(_broken_async)()),
    "generator": _generator,
    "failing generator": _failing_generator,
    "async generator": _async_generator,
    "reading": lambda breaker: (breaker.state, breaker.reading(), breaker.snapshot()),
    "trip": lambda breaker: breaker.trip(),
    "reset": lambda breaker: breaker.reset(),
    "reload": _reload,
    "restore": lambda breaker: breaker.restore(breaker.snapshot()),
}


def closed(clock: Clock) -> CircuitBreaker:
    """The next failure opens it."""
    breaker = make(clock)
    fail(breaker, 3)
    return breaker


def due(clock: Clock) -> CircuitBreaker:
    """Open, and the next call makes it half-open."""
    breaker = make(clock)
    breaker.trip()
    clock.advance(5.0)
    return breaker


def deciding(clock: Clock) -> CircuitBreaker:
    """Half-open, and the next success closes it."""
    breaker = half_open(clock)
    succeed(breaker, 2)
    return breaker


pytestmark = pytest.mark.filterwarnings(
    "ignore:coroutine .* was never awaited:RuntimeWarning"  # what an interrupt between a call and its await leaves
)


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    """Thousands of circuits open here."""
    caplog.set_level(logging.CRITICAL, "switchgear")


@pytest.mark.parametrize("start", [closed, due, deciding])
@pytest.mark.parametrize("name", SCENARIOS)
def test_an_interrupt_at_any_instruction_loses_and_breaks_nothing(
    name: str, start: Callable[[Clock], CircuitBreaker]
) -> None:
    scenario, opcode, struck = SCENARIOS[name], 0, True
    while struck:
        opcode += 1
        clock = Clock()
        breaker = start(clock)
        struck = interrupted(partial(scenario, breaker), opcode)
        breaker.apply(CONFIG)
        try:
            assert_sound(breaker, clock)
        except Exception as error:
            error.add_note(f"after an interrupt at instruction {opcode}")
            raise
    assert opcode > 30


@pytest.mark.parametrize("start", [closed, deciding])
@pytest.mark.parametrize(
    "name", ["call that succeeds", "call that fails", "block that fails", "reading", "trip"]
)
def test_a_signal_handler_may_use_the_breaker_at_any_instruction(
    name: str, start: Callable[[Clock], CircuitBreaker]
) -> None:
    scenario, opcode, struck = SCENARIOS[name], 0, True
    while struck:
        opcode += 1
        clock = Clock()
        breaker = start(clock)
        handled = []

        def handler(signum: int, frame: FrameType | None) -> None:
            for _ in range(2):
                with contextlib.suppress(switchgear.CircuitOpenError), breaker:  # noqa: B023  # called in this round
                    handled.append(breaker.state)  # noqa: B023

        def in_handler(frame: FrameType) -> None:
            handler(signal.SIGUSR1, frame)

        struck = _stepping(partial(scenario, breaker), opcode, in_handler)
        assert_sound(breaker, clock)
    assert opcode > 100


@pytest.mark.parametrize(
    "name", ["call that succeeds", "call that fails", "block that ends well", "async block"]
)
def test_real_signals_at_random_moments_lose_and_break_nothing(name: str) -> None:
    scenario, clock, struck = SCENARIOS[name], Clock(), 0

    def strike(signum: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, strike)
    breaker = make(clock, failure_rate_threshold=1.0, minimum_calls=10)
    try:
        for number in range(300):
            try:
                signal.setitimer(signal.ITIMER_REAL, 0.00001 + number % 50 * 0.000004)
                for _ in range(10_000):  # until it strikes
                    with contextlib.suppress(BrokenError, switchgear.CircuitOpenError):
                        scenario(breaker)
            except KeyboardInterrupt:
                struck += 1
            signal.setitimer(signal.ITIMER_REAL, 0)
            assert breaker.reading().in_flight == 0
            breaker.reset()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert struck > 250
    breaker.apply(CONFIG)
    assert_sound(breaker, clock)
