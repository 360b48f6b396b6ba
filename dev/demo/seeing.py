"""Waiting until something is seen, and saying what was seen instead when it is not."""

import time
from collections.abc import Callable
from typing import TypeVar

from .interrupts import raise_if_interrupted

__all__ = ["NotSeenError", "see"]

T = TypeVar("T")
_PAUSE = 0.1


class NotSeenError(Exception):
    """What the demo promised was not seen in time; the message says what was seen instead."""


def see(what: str, look: Callable[[], T | None], *, within: float, instead: Callable[[], str]) -> T:
    """Look again and again until `look` returns something, and return that.

    Args:
        what: The promise, for the message.
        look: Returns None while there is nothing to see.
        within: Seconds to wait for it.
        instead: Describes what there is, once the time is over.

    Raises:
        NotSeenError: The time is over.
    """
    deadline = time.monotonic() + within
    while (found := look()) is None:
        raise_if_interrupted()
        if time.monotonic() > deadline:
            raise NotSeenError(f"not seen within {within:.0f} s: {what}\nseen instead: {instead()}")
        time.sleep(_PAUSE)
    return found
