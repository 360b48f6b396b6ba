"""`with breaker:` wherever a with statement can be: in generators, exit stacks, and under calls by hand."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, AsyncExitStack, ExitStack
from contextvars import Context, copy_context
from threading import Thread

import pytest

from switchgear import CircuitBreaker, CircuitOpenError

from .support import BrokenError, make, totals


def guarded(breaker: CircuitBreaker, fails: bool = False) -> Iterator[int]:
    with breaker:
        yield 1
        if fails:
            raise BrokenError


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
    thread = Thread(target=stream.close)  # type: ignore[attr-defined]  # it is a generator
    thread.start()
    thread.join()
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
    breaker = make(open_duration=0.001)
    breaker.trip()
    breaker._clock.advance(1.0)  # type: ignore[attr-defined]  # the test's clock

    @breaker.on_transition
    def use(transition: object) -> None:
        with breaker:
            pass

    with breaker:
        assert breaker.reading().in_flight == 1
    assert totals(breaker) == {"success": 2}
