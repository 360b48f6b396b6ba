"""Guarding keeps types: mypy --strict reads this file (it is not run)."""

from collections.abc import AsyncIterator, Iterator
from typing import assert_type

from switchgear import CircuitBreaker, CircuitOpenError, Permit, Transition

breaker = CircuitBreaker("payments")


@breaker
def price(item: str, *, currency: str = "EUR") -> float:
    return float(len(item + currency))


@breaker
async def price_async(item: str) -> float:
    return float(len(item))


@breaker
def stream(count: int) -> Iterator[int]:
    yield from range(count)


@breaker
async def stream_async(count: int) -> AsyncIterator[int]:
    for number in range(count):
        yield number


def cached(error: CircuitOpenError, item: str) -> float:
    return error.retry_after + len(item)


@breaker.protect(fallback=cached)
def protected(item: str) -> float:
    return float(len(item))


class Client:
    @breaker
    def method(self, number: int) -> str:
        return str(number)

    @breaker
    @staticmethod
    def static(number: int) -> str:
        return str(number)

    @classmethod
    @breaker
    def of_class(cls, number: int) -> str:
        return str(number)


@breaker.on_transition
def tell(transition: Transition) -> None:
    assert_type(transition.at, float)


async def use() -> None:
    assert_type(price("tea"), float)
    assert_type(price("tea", currency="USD"), float)
    price(3)  # type: ignore[arg-type]  # the signature is kept
    price("tea", colour="green")  # type: ignore[call-arg]  # the signature is kept
    assert_type(await price_async("tea"), float)
    assert_type(stream(3), Iterator[int])
    assert_type(stream_async(3), AsyncIterator[int])
    assert_type(protected("tea"), float)
    assert_type(Client().method(1), str)
    assert_type(Client.of_class(1), str)
    assert_type(breaker.call(cached, CircuitOpenError("x", breaker.state), "tea"), float)
    assert_type(await breaker.call_async(price_async, item="tea"), float)
    breaker.call(price, 3)  # type: ignore[arg-type]  # arguments are checked against the function
    await breaker.call_async(price, "tea")  # type: ignore[arg-type]  # it must be awaitable
    with breaker as entered:
        assert_type(entered, CircuitBreaker)
    async with breaker as entered_async:
        assert_type(entered_async, CircuitBreaker)
    with breaker.acquire() as permit:
        assert_type(permit, Permit)
