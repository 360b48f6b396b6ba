"""Async callers: cancellation, timeouts, task groups, and several event loops at one breaker."""

import asyncio
from threading import Barrier, Thread

import pytest

from switchgear import CircuitBreaker, CircuitOpenError, CircuitState, CountWindow

from .support import BrokenError, Clock, half_open, make, totals


async def fine() -> str:
    return "fine"


async def broken() -> None:
    raise BrokenError


async def forever() -> None:
    await asyncio.get_running_loop().create_future()


async def in_flight(breaker: CircuitBreaker, calls: int = 1) -> None:
    """Let other tasks run until so many calls are in flight."""
    async with asyncio.timeout(30):
        while breaker.reading().in_flight < calls:  # noqa: ASYNC110  # the breaker has no event to wait for
            await asyncio.sleep(0)


async def test_a_call_returns_its_result_and_raises_its_own_exception() -> None:
    breaker = make()
    assert await breaker.call_async(fine) == "fine"
    with pytest.raises(BrokenError):
        await breaker.call_async(broken)
    assert totals(breaker) == {"success": 1, "failure": 1}


async def test_an_open_circuit_rejects_without_calling() -> None:
    breaker = make()
    breaker.trip()
    with pytest.raises(CircuitOpenError):
        await breaker.call_async(forever)


async def test_a_function_that_raises_before_it_gives_an_awaitable_is_a_failure() -> None:
    def refuses() -> "asyncio.Future[None]":
        raise BrokenError

    breaker = make()
    with pytest.raises(BrokenError):
        await breaker.call_async(refuses)
    assert totals(breaker) == {"failure": 1}


async def test_any_awaitable_will_do() -> None:
    breaker = make()
    future = asyncio.get_running_loop().create_future()
    future.set_result(5)
    assert await breaker.call_async(lambda: future) == 5


async def test_a_cancelled_call_gives_its_place_back_and_does_not_count() -> None:
    breaker = half_open(Clock())
    for _ in range(10):
        task = asyncio.create_task(breaker.call_async(forever))
        await in_flight(breaker)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert breaker.reading().in_flight == 0
    assert breaker.state is CircuitState.HALF_OPEN
    assert totals(breaker) == {"cancelled": 10}


async def test_a_call_cut_by_call_timeout_is_a_failure_whatever_the_lists_say() -> None:
    breaker = make(call_timeout=0.001, ignored_exceptions=(TimeoutError,), failure_exceptions=(KeyError,))
    with pytest.raises(TimeoutError):
        await breaker.call_async(forever)
    assert totals(breaker) == {"failure": 1}
    assert breaker.reading().last_error == "TimeoutError"


async def test_a_timeout_error_of_the_call_itself_is_judged_by_the_lists() -> None:
    async def times_out() -> None:
        raise TimeoutError

    breaker = make(call_timeout=60.0, ignored_exceptions=(TimeoutError,))
    with pytest.raises(TimeoutError):
        await breaker.call_async(times_out)
    assert totals(breaker) == {"ignored": 1}


async def test_a_caller_with_less_patience_than_call_timeout_cancels() -> None:
    breaker = make(call_timeout=60.0)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.001):
            await breaker.call_async(forever)
    assert totals(breaker) == {"cancelled": 1}


async def test_a_cancellation_from_outside_under_a_call_timeout_is_one() -> None:
    breaker = make(call_timeout=60.0)
    task = asyncio.create_task(breaker.call_async(forever))
    await in_flight(breaker)
    task.cancel("from outside")
    with pytest.raises(asyncio.CancelledError, match="from outside"):
        await task
    assert totals(breaker) == {"cancelled": 1}


async def test_a_task_group_that_fails_cancels_the_calls_of_its_other_tasks() -> None:
    breaker, others = make(), make()

    async def work() -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(5):
                group.create_task(others.call_async(forever))
            await in_flight(others, 5)
            group.create_task(breaker.call_async(broken))

    with pytest.raises(ExceptionGroup) as caught:
        await work()
    assert isinstance(caught.value.exceptions[0], BrokenError)
    assert totals(breaker) == {"failure": 1}
    assert totals(others) == {"cancelled": 5}
    assert others.reading().in_flight == 0


async def test_async_with_judges_the_block() -> None:
    breaker = make()
    async with breaker as entered:
        assert entered is breaker
        assert breaker.reading().in_flight == 1
    with pytest.raises(BrokenError):
        async with breaker:
            raise BrokenError
    assert totals(breaker) == {"success": 1, "failure": 1}
    breaker.trip()
    with pytest.raises(CircuitOpenError):
        async with breaker:
            pytest.fail("the block must not run")


async def test_a_block_that_is_cancelled_gives_its_place_back() -> None:
    breaker = make()

    async def block() -> None:
        async with breaker:
            await forever()

    task = asyncio.create_task(block())
    await in_flight(breaker)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert totals(breaker) == {"cancelled": 1}


async def test_blocks_of_interleaved_tasks_do_not_take_each_others_permits() -> None:
    breaker = make()
    first_may_end, second_may_end = asyncio.Event(), asyncio.Event()

    async def block(may_end: asyncio.Event, fails: bool) -> None:
        async with breaker:
            await may_end.wait()
            if fails:
                raise BrokenError

    first = asyncio.create_task(block(first_may_end, fails=True))
    await in_flight(breaker)
    breaker.trip()
    breaker.reset()
    second = asyncio.create_task(block(second_may_end, fails=False))
    await in_flight(breaker, 2)
    first_may_end.set()
    with pytest.raises(BrokenError):
        await first
    assert breaker.reading().window_calls == 0, "it belongs to the circuit before the reset"
    second_may_end.set()
    await second
    assert (breaker.reading().window_calls, breaker.reading().window_failures) == (1, 0)


async def test_a_coroutine_that_is_closed_gives_its_place_back() -> None:
    breaker = half_open(Clock())
    coroutine = breaker.call_async(forever)
    coroutine.send(None)
    assert breaker.reading().in_flight == 1
    coroutine.close()
    assert totals(breaker) == {"cancelled": 1}


async def test_a_coroutine_that_is_never_awaited_takes_no_place() -> None:
    breaker = half_open(Clock())
    coroutine = breaker.call_async(forever)
    assert breaker.reading().in_flight == 0
    coroutine.close()


async def test_a_task_that_hangs_does_not_keep_a_half_open_circuit_waiting() -> None:
    clock = Clock()
    breaker = half_open(clock)
    task = asyncio.create_task(breaker.call_async(forever))
    await in_flight(breaker)
    clock.advance(30.0)
    assert breaker.state is CircuitState.OPEN
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_event_loops_of_several_threads_share_a_breaker() -> None:
    breaker = make(window=CountWindow(10_000), failure_rate_threshold=1.0, max_concurrent_calls=1000)
    barrier = Barrier(8)

    async def work() -> None:
        async def one(number: int) -> None:
            if number % 2:
                with pytest.raises(BrokenError):
                    await breaker.call_async(broken)
            else:
                assert await breaker.call_async(fine) == "fine"

        async with asyncio.TaskGroup() as group:
            for number in range(100):
                group.create_task(one(number))

    def loop() -> None:
        barrier.wait(timeout=30)
        asyncio.run(work())

    threads = [Thread(target=loop) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert totals(breaker) == {"success": 400, "failure": 400}
    assert breaker.reading().in_flight == 0
