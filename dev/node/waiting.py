"""Waiting for an event, but not for ever."""

import asyncio
import contextlib

__all__ = ["within"]


async def within(seconds: float, event: asyncio.Event) -> bool:
    """Wait until the event is set or the time is over; whether it is set.

    Not `asyncio.wait_for`: before Python 3.12 that loses a cancellation which comes together with the event.
    """
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
    return event.is_set()
