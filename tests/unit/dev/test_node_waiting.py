"""Waiting for an event on the local node."""

import asyncio

import pytest

from dev.node.waiting import within


async def test_a_cancellation_that_comes_with_the_event_is_not_lost() -> None:
    event = asyncio.Event()
    waiting = asyncio.create_task(within(60, event))
    await asyncio.wait({waiting}, timeout=0)

    event.set()
    waiting.cancel()

    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_it_tells_whether_the_event_came() -> None:
    event = asyncio.Event()

    assert not await within(0, event)
    event.set()
    assert await within(0, event)
