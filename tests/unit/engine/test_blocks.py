"""`with breaker:` wherever a with statement can be: in generators, exit stacks, and under calls by hand."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, AsyncExitStack, ExitStack
from contextvars import Context, copy_context
from functools import partial
from threading import Thread

import pytest

from switchgear import CircuitBreaker, CircuitOpenError

from .support import BrokenError, Clock, make, totals


def guarded(breaker: CircuitBreaker, fails: bool = False) -> Iterator[int]:
    with breaker:
        yield 1
        if fails:
            raise BrokenError


def in_a_thread(function: Callable[[], object]) -> None:
    thread = Thread(target=function)
    thread.start()
    thread.join()


def _entered(breaker: CircuitBreaker) -> ExitStack:
    stack = ExitStack()
    stack.enter_context(breaker)
    return stack


def test_a_generator_may_end_in_another_context() -> None:
    breaker = make()
    stream = guarded(breaker)
    assert Context().run(next, stream) == 1
    assert copy_context().run(next, stream, "end") == "end"
    assert totals(breaker) == {"success": 1}
    assert breaker.reading().in_flight == 0


def test_a_generator_may_end_in_another_thread() -> None:
    breaker = make()
    stream = guarded(breaker)
    next(stream)
    in_a_thread(stream.close)  # type: ignore[attr-defined]  # it is a generator
    assert totals(breaker) == {"cancelled": 1}


def test_an_abandoned_generator_gives_its_place_back() -> None:
    breaker = make()
    next(guarded(breaker))
    assert totals(breaker) == {"cancelled": 1}
    assert breaker.reading().in_flight == 0


def test_blocks_that_interleave_keep_their_own_permits() -> None:
    breaker = make()
    early = guarded(breaker, fails=True)
    next(early)
    breaker.reset()
    breaker.trip()
    breaker.reset()
    late = guarded(breaker)
    next(late)
    with pytest.raises(BrokenError):
        next(early)
    assert breaker.reading().window_calls == 0, "it belongs to the circuit before the trip"
    next(late, None)
    assert breaker.reading().window_calls == 1


def test_an_exit_stack_may_hold_it() -> None:
    breaker = make()
    with ExitStack() as stack:
        assert stack.enter_context(breaker) is breaker
        stack.enter_context(breaker)
        assert breaker.reading().in_flight == 2
    failing = ExitStack()
    failing.enter_context(breaker)
    with pytest.raises(BrokenError), failing:
        raise BrokenError
    assert totals(breaker) == {"success": 2, "failure": 1}


def test_an_exit_stack_may_close_in_another_thread_or_context() -> None:
    breaker = make()
    stack = ExitStack()
    stack.enter_context(breaker)
    stack.enter_context(breaker)
    in_a_thread(stack.close)
    Context().run(ExitStack().enter_context, breaker)
    failing = Context().run(_entered, breaker)
    with pytest.raises(BrokenError), failing:
        raise BrokenError
    assert totals(breaker) == {"success": 2, "cancelled": 1, "failure": 1}
    assert breaker.reading().in_flight == 0


async def test_an_async_exit_stack_may_be_entered_and_closed_by_tasks() -> None:
    breaker = make()
    stack = AsyncExitStack()
    await asyncio.create_task(stack.enter_async_context(breaker))
    await asyncio.create_task(stack.aclose())
    assert totals(breaker) == {"success": 1}


def test_an_exit_stack_that_is_dropped_gives_its_place_back() -> None:
    breaker = make()
    ExitStack().enter_context(breaker)
    assert breaker.reading().in_flight == 0


async def test_an_async_exit_stack_may_hold_it() -> None:
    breaker = make()
    async with AsyncExitStack() as stack:
        assert await stack.enter_async_context(breaker) is breaker
        stack.enter_context(breaker)
        assert breaker.reading().in_flight == 2
    assert totals(breaker) == {"success": 2}


def test_an_exit_stack_leaves_nothing_behind_when_rejected() -> None:
    breaker = make()
    breaker.trip()
    with pytest.raises(CircuitOpenError), ExitStack() as stack:
        stack.enter_context(breaker)
    breaker.reset()
    with breaker:
        pass
    assert totals(breaker) == {"rejected": 1, "success": 1}


def test_enter_and_exit_may_be_called_by_hand() -> None:
    breaker = make()
    breaker.__enter__()
    breaker.__enter__()
    error = BrokenError()
    breaker.__exit__(BrokenError, error, None)
    breaker.__exit__(None, None, None)
    breaker.__exit__(None, None, None)
    assert totals(breaker) == {"success": 1, "failure": 1}


def test_who_enters_by_hand_may_exit_elsewhere() -> None:
    breaker, other = make(), make()
    in_a_thread(breaker.__enter__)
    in_a_thread(other.__enter__)
    breaker.__exit__(None, None, None)
    in_a_thread(partial(other.__exit__, None, None, None))
    assert totals(breaker) == totals(other) == {"success": 1}
    assert breaker.reading().in_flight == other.reading().in_flight == 0


def test_who_enters_by_hand_exits_what_was_entered_here_before_what_was_entered_elsewhere() -> None:
    breaker = make()
    breaker.__enter__()
    breaker.reset()
    in_a_thread(breaker.__enter__)
    CircuitBreaker.__exit__(breaker, None, None, None)
    assert breaker.reading().window_calls == 0, "it belongs to the circuit before the reset"
    breaker.__exit__(None, None, None)
    assert breaker.reading().window_calls == 1


def test_a_pushed_exit_ends_what_was_entered_by_hand() -> None:
    breaker = make()
    breaker.__enter__()
    with ExitStack() as stack:
        stack.push(breaker)
    assert totals(breaker) == {"success": 1}


def test_an_exit_that_was_fetched_and_dropped_disturbs_no_block() -> None:
    breaker, other = make(), make()
    _ = breaker.__exit__
    _ = other.__exit__
    with breaker, other:
        pass
    assert totals(breaker) == totals(other) == {"success": 1}


def test_it_is_a_context_manager_to_everybody() -> None:
    breaker = make()
    manager: AbstractContextManager[CircuitBreaker] = breaker
    assert isinstance(breaker, AbstractContextManager)
    with manager as entered:
        assert entered is breaker
    assert totals(breaker) == {"success": 1}


def test_a_listener_that_uses_the_breaker_leaves_the_block_its_permit() -> None:
    clock = Clock()
    breaker = make(clock, open_duration=0.001)
    breaker.trip()
    clock.advance(1.0)

    @breaker.on_transition
    def use(transition: object) -> None:
        with breaker:
            pass

    with breaker:
        assert breaker.reading().in_flight == 1
    assert totals(breaker) == {"success": 2}
