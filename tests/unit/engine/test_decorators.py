"""Each kind of callable stays what it was, with the breaker around each call."""

import asyncio
import copy
import inspect
import pickle
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from functools import partial, wraps
from typing import Any

import pytest

from switchgear import CircuitOpenError, CircuitState, ConcurrencyLimitError

from .support import BrokenError, Clock, half_open, make, totals


def live(*args: Any, **kwargs: Any) -> str:
    return "live"


class TestFunctions:
    def test_a_function_keeps_its_name_its_documentation_and_its_signature(self) -> None:
        def price(item: str, *, currency: str = "EUR") -> float:
            """What it costs."""
            return len(item) * 1.0

        guarded = make()(price)
        assert guarded("four", currency="USD") == 4.0
        assert (guarded.__name__, guarded.__doc__, guarded.__module__) == (
            "price",
            "What it costs.",
            __name__,
        )
        assert guarded.__wrapped__ is price  # type: ignore[attr-defined]  # functools.wraps gives it
        assert inspect.signature(guarded) == inspect.signature(price)

    def test_methods_static_methods_and_class_methods_are_guarded_on_either_side_of_their_decorator(
        self,
    ) -> None:
        breaker = make()

        class Client:
            base = 10

            @breaker
            def method(self, number: int) -> int:
                return self.base + number

            @breaker
            @staticmethod
            def static_below(number: int) -> int:
                return number

            @staticmethod
            @breaker
            def static_above(number: int) -> int:
                return number

            @breaker
            @classmethod
            def of_class(cls, number: int) -> int:
                return cls.base + number

            @classmethod
            @breaker
            def of_class_above(cls, number: int) -> int:
                return cls.base + number

        client = Client()
        assert client.method(1) == Client.of_class(1) == Client.of_class_above(1) == 11
        assert client.static_below(2) == Client.static_below(2) == client.static_above(2) == 2
        assert totals(breaker) == {"success": 6}

    def test_partials_lambdas_builtins_classes_and_instances_are_guarded(self) -> None:
        class Adding:
            def __call__(self, number: int) -> int:
                return number + 1

        breaker = make()
        assert breaker(partial(pow, 2))(5) == 32
        doubled: Any = breaker(lambda number: number * 2)
        assert doubled(4) == 8
        assert breaker(len)([1, 2]) == 2
        assert breaker(Adding())(1) == 2
        assert isinstance(breaker(Adding)(), Adding)
        assert totals(breaker) == {"success": 5}

    async def test_a_class_whose_instances_are_async_callables_is_still_a_class(self) -> None:
        class Client:
            async def __call__(self) -> str:
                return "fine"

        breaker = make()
        client = breaker(Client)()
        assert isinstance(client, Client)
        assert isinstance(breaker(partial(Client))(), Client)
        assert await breaker(client)() == "fine"
        assert totals(breaker) == {"success": 3}

    def test_a_coroutine_is_refused_where_nobody_awaits_it(self) -> None:
        async def fetch() -> str:
            return "fine"

        breaker = make()
        lazy: Callable[[], object] = breaker(lambda: fetch())  # noqa: PLW0108  # no async function
        calls: list[Callable[[], object]] = [partial(breaker.call, fetch), lazy]
        for call in calls:
            with pytest.raises(
                TypeError, match="returned a coroutine: use call_async, or decorate the async"
            ):
                call()
        assert totals(breaker) == {"cancelled": 2}
        assert breaker.reading().in_flight == 0

    @pytest.mark.parametrize("thing", [None, 3, "text", property(lambda self: 1)])
    def test_what_cannot_be_called_cannot_be_guarded(self, thing: Any) -> None:
        with pytest.raises(TypeError, match="cannot be guarded"):
            make()(thing)

    def test_a_rejected_function_is_not_called(self) -> None:
        breaker = make()
        breaker.trip()
        with pytest.raises(CircuitOpenError):
            breaker(pytest.fail)("called")

    def test_guards_of_two_breakers_stack(self) -> None:
        outer, inner = make(), make()
        guarded = outer(inner(live))
        assert guarded() == "live"
        inner.trip()
        with pytest.raises(CircuitOpenError):
            guarded()
        assert totals(outer) == {"success": 1, "ignored": 1}


class TestFallback:
    def test_it_answers_a_rejected_call_with_the_error_and_the_arguments(self) -> None:
        breaker = make()
        seen: list[Any] = []

        def fallback(error: CircuitOpenError, *args: Any, **kwargs: Any) -> str:
            seen.append((error.state, args, kwargs))
            return "cached"

        guarded = breaker.protect(fallback=fallback)(live)
        assert guarded(1, key=2) == "live"
        breaker.trip()
        assert guarded(1, key=2) == "cached"
        assert seen == [(CircuitState.OPEN, (1,), {"key": 2})]

    def test_it_does_not_answer_a_failed_call(self) -> None:
        def broken() -> str:
            raise BrokenError

        with pytest.raises(BrokenError):
            make().protect(fallback=lambda error: "cached")(broken)()

    def test_what_it_raises_reaches_the_caller(self) -> None:
        def fallback(error: CircuitOpenError) -> str:
            raise BrokenError from error

        breaker = make()
        breaker.trip()
        with pytest.raises(BrokenError):
            breaker.protect(fallback=fallback)(live)()

    def test_without_one_protect_is_the_plain_decorator(self) -> None:
        breaker = make()
        guarded = breaker.protect()(live)
        assert guarded() == "live"
        breaker.trip()
        with pytest.raises(CircuitOpenError):
            guarded()

    @pytest.mark.parametrize("kind", ["sync", "async"])
    async def test_that_of_a_coroutine_function_may_be_sync_or_async(self, kind: str) -> None:
        def sync_fallback(error: CircuitOpenError, item: str) -> str:
            return f"cached {item}"

        async def async_fallback(error: CircuitOpenError, item: str) -> str:
            return f"cached {item}"

        breaker = make()

        @breaker.protect(fallback=sync_fallback if kind == "sync" else async_fallback)
        async def price(item: str) -> str:
            return f"live {item}"

        assert await price("tea") == "live tea"
        breaker.trip()
        assert await price("tea") == "cached tea"


class TestCoroutineFunctions:
    async def test_it_stays_a_coroutine_function(self) -> None:
        breaker = make()

        @breaker
        async def price(item: str) -> int:
            return len(item)

        assert inspect.iscoroutinefunction(price)
        assert await price("four") == 4
        assert totals(breaker) == {"success": 1}

    async def test_methods_partials_and_instances_are_seen_to_be_async(self) -> None:
        class Client:
            async def get(self, number: int) -> int:
                return number

            async def __call__(self, number: int) -> int:
                return number

        breaker = make()
        for function in (Client().get, partial(Client().get), partial(partial(Client().get)), Client()):
            guarded: Any = breaker(function)
            assert inspect.iscoroutinefunction(guarded)
            assert await guarded(3) == 3
        assert totals(breaker) == {"success": 4}


def counting(breaker_wraps: Callable[[Any], Any]) -> Any:
    """A generator function that tells all that happens to it."""

    def count() -> Generator[Any, Any, str]:
        seen: list[Any] = []
        try:
            while True:
                try:
                    seen.append((yield list(seen)))
                except KeyError as error:
                    seen.append(repr(error))
                if seen[-1] == "end":
                    return "result"
        finally:
            seen.append("closed")

    return breaker_wraps(count)


class TestGenerators:
    def test_it_is_one_call_from_its_first_step_to_its_end(self) -> None:
        breaker = make()

        @breaker
        def numbers(limit: int) -> Iterator[int]:
            yield from range(limit)

        assert inspect.isgeneratorfunction(numbers)
        stream = numbers(3)
        assert breaker.reading().in_flight == 0
        assert next(stream) == 0
        assert breaker.reading().in_flight == 1
        assert list(stream) == [1, 2]
        assert totals(breaker) == {"success": 1}

    def test_send_throw_and_the_result_pass_through(self) -> None:
        stream = counting(make())()
        assert next(stream) == []
        assert stream.send("a") == ["a"]
        assert stream.throw(KeyError("k")) == ["a", "KeyError('k')"]
        with pytest.raises(StopIteration) as stop:
            stream.send("end")
        assert stop.value.value == "result"

    def test_one_that_fails_is_a_failed_call(self) -> None:
        breaker = make()

        @breaker
        def numbers() -> Iterator[int]:
            yield 1
            raise BrokenError

        with pytest.raises(BrokenError):
            list(numbers())
        assert totals(breaker) == {"failure": 1}

    def test_one_that_is_closed_or_abandoned_gives_its_place_back(self) -> None:
        breaker = half_open(Clock())
        for _ in range(5):
            stream = counting(breaker)()
            next(stream)
            stream.close()
            next(counting(breaker)())
        assert totals(breaker) == {"cancelled": 10}
        assert breaker.state is CircuitState.HALF_OPEN

    def test_a_rejected_one_raises_at_its_first_step_or_becomes_the_fallback(self) -> None:
        breaker = make()
        breaker.trip()
        with pytest.raises(CircuitOpenError):
            next(counting(breaker)())
        guarded = counting(breaker.protect(fallback=lambda error: iter([7, 8])))
        assert list(guarded()) == [7, 8]


async def collected(stream: AsyncIterator[Any]) -> list[Any]:
    return [item async for item in stream]


class TestAsyncGenerators:
    async def test_it_is_one_call_from_its_first_step_to_its_end(self) -> None:
        breaker = make()

        @breaker
        async def numbers(limit: int) -> AsyncIterator[int]:
            for number in range(limit):
                await asyncio.sleep(0)
                yield number

        assert inspect.isasyncgenfunction(numbers)
        assert await collected(numbers(3)) == [0, 1, 2]
        assert totals(breaker) == {"success": 1}

    async def test_asend_and_athrow_pass_through(self) -> None:
        breaker = make()

        @breaker
        async def count() -> AsyncGenerator[Any, Any]:
            seen: list[Any] = []
            while True:
                try:
                    seen.append((yield list(seen)))
                except KeyError as error:
                    seen.append(repr(error))
                if seen[-1] == "end":
                    return

        stream = count()
        assert await anext(stream) == []
        assert await stream.asend("a") == ["a"]
        assert await stream.asend(None) == ["a", None]
        assert await stream.athrow(KeyError("k")) == ["a", None, "KeyError('k')"]
        with pytest.raises(StopAsyncIteration):
            await stream.asend("end")
        assert totals(breaker) == {"success": 1}

    async def test_what_is_thrown_in_and_not_caught_is_judged(self) -> None:
        breaker = make()

        @breaker
        async def numbers() -> AsyncGenerator[int, None]:
            yield 1

        stream = numbers()
        await anext(stream)
        with pytest.raises(BrokenError):
            await stream.athrow(BrokenError())
        assert totals(breaker) == {"failure": 1}

    async def test_closing_it_closes_the_guarded_one_at_once(self) -> None:
        breaker, closed = make(), False

        @breaker
        async def numbers() -> AsyncGenerator[int, None]:
            nonlocal closed
            try:
                yield 1
            finally:
                closed = True

        stream = numbers()
        await anext(stream)
        await stream.aclose()
        assert closed
        assert totals(breaker) == {"cancelled": 1}

    async def test_a_cancelled_one_gives_its_place_back(self) -> None:
        breaker = half_open(Clock())

        @breaker
        async def numbers() -> AsyncGenerator[int, None]:
            yield 1
            await asyncio.get_running_loop().create_future()

        stream = numbers()
        await anext(stream)
        task = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert totals(breaker) == {"cancelled": 1}
        assert breaker.state is CircuitState.HALF_OPEN

    async def test_a_rejected_one_becomes_the_fallback_which_may_be_any_async_iterator(self) -> None:
        class Countdown:
            def __init__(self) -> None:
                self.left = 2

            def __aiter__(self) -> "Countdown":
                return self

            async def __anext__(self) -> int:
                if not self.left:
                    raise StopAsyncIteration
                self.left -= 1
                return self.left

        async def generator(error: CircuitOpenError) -> AsyncIterator[int]:
            yield 9

        breaker = make()
        breaker.trip()

        async def live(*args: object) -> AsyncIterator[int]:
            yield 1

        with pytest.raises(CircuitOpenError):
            await collected(breaker(live)())
        assert await collected(breaker.protect(fallback=generator)(live)()) == [9]
        assert await collected(breaker.protect(fallback=lambda error: Countdown())(live)()) == [1, 0]

    async def test_closing_a_fallback_that_cannot_be_closed_is_no_error(self) -> None:
        class Endless:
            def __aiter__(self) -> "Endless":
                return self

            async def __anext__(self) -> int:
                return 1

        async def live() -> AsyncGenerator[int, None]:
            yield 1

        breaker = make()
        breaker.trip()
        stream = breaker.protect(fallback=lambda error: Endless())(live)()
        assert await anext(stream) == 1
        await stream.aclose()


def test_a_guard_under_another_decorator_still_works() -> None:
    def logged(function: Callable[[], int]) -> Callable[[], int]:
        @wraps(function)
        def wrapper() -> int:
            return function() + 1

        return wrapper

    assert logged(make()(lambda: 1))() == 2


class TestErrors:
    @pytest.mark.parametrize("kind", [CircuitOpenError, ConcurrencyLimitError])
    def test_they_pickle_and_copy_whole(self, kind: type[CircuitOpenError]) -> None:
        error = kind("payments", CircuitState.OPEN, 2.5, "httpx.ConnectTimeout")
        error.add_note("noted")
        for other in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
            assert type(other) is kind
            assert (other.breaker, other.state, other.retry_after, other.last_error) == (
                "payments",
                CircuitState.OPEN,
                2.5,
                "httpx.ConnectTimeout",
            )
            assert str(other) == str(error)
            assert other.__notes__ == ["noted"]

    def test_the_message_says_which_circuit_and_when_to_come_back(self) -> None:
        error = CircuitOpenError("payments", CircuitState.OPEN, 2.5, "httpx.ConnectTimeout")
        assert str(error) == "circuit 'payments' is open: retry in 2.5 s (last failure: httpx.ConnectTimeout)"

    def test_a_long_time_is_written_out(self) -> None:
        assert "retry in 1234567.891 s" in str(CircuitOpenError("payments", CircuitState.OPEN, 1234567.8912))
