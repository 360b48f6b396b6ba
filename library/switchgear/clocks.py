"""Time and chance as a breaker uses them: whatever it is given, a call is not disturbed."""

import random
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio

__all__ = ["Contained", "contained", "timeout_scope"]

Source = Callable[[], float]
_TRUSTED: tuple[Source, ...] = (time.monotonic, time.time, random.random)


class Contained:
    """The numbers of `source`, but `substitute()` in place of one that cannot be had since `source` raises."""

    __slots__ = ("source", "substitute")

    def __init__(self, source: Source, substitute: Source) -> None:
        self.source = source
        self.substitute = substitute

    def __call__(self) -> float:
        """The next number."""
        try:
            return self.source()
        except Exception:
            return self.substitute()


def contained(source: Source, substitute: Source) -> Source:
    """`source`, contained unless it is known to raise nothing: the usual ones cost no call more."""
    return source if any(source is trusted for trusted in _TRUSTED) else Contained(source, substitute)


def timeout_scope(seconds: float) -> "asyncio.Timeout":
    """As `asyncio.timeout`, which only programs that run on it pay for."""
    from asyncio import timeout  # noqa: PLC0415  # see above

    return timeout(seconds)
