"""Waiting for something to become true, never for time to pass."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

__all__ = ["eventually", "eventually_async"]

T = TypeVar("T")

_INTERVAL = 0.02


def eventually(condition: Callable[[], T], timeout: float = 10.0, message: str = "") -> T:
    """Ask until `condition` returns something true, and return that.

    An AssertionError in the condition counts as "not yet" and is shown if it stays so; any other exception is raised.

    Args:
        condition: What is asked, about fifty times a second.
        timeout: Seconds, generous: it only passes when the test fails.
        message: What did not happen, for the failure.
    """
    deadline = time.monotonic() + timeout
    while True:
        answer, why = _ask(condition)
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(_failure(message, timeout, why))
        time.sleep(_INTERVAL)


async def eventually_async(
    condition: Callable[[], Awaitable[T]],
    timeout: float = 10.0,  # noqa: ASYNC109  # it bounds the waiting, not one call
    message: str = "",
) -> T:
    """Like `eventually`, for a condition that is awaited, on a loop that keeps running."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            answer = await condition()
        except AssertionError as error:
            why = f"{error}"
        else:
            if answer:
                return answer
            why = f"last answer: {answer!r}"
        if time.monotonic() > deadline:
            raise AssertionError(_failure(message, timeout, why))
        await asyncio.sleep(_INTERVAL)


def _ask(condition: Callable[[], T]) -> tuple[T | None, str]:
    try:
        answer = condition()
    except AssertionError as error:
        return None, str(error)
    return answer, f"last answer: {answer!r}"


def _failure(message: str, timeout: float, why: str) -> str:
    return f"{message or 'the condition'} did not come true within {timeout:g} s ({why})"
