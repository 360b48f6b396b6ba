"""Holding signals back while something must not be left half done."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["signals_held"]

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def signals_held() -> Iterator[None]:
    """Deliver Ctrl-C, SIGTERM and SIGHUP when the block has ended, not within it.

    A process that was started, but not yet noted down, would be forgotten. Python runs handlers in the main thread only, so
    in any other one there is nothing to hold. The started process is not affected: what it inherits is its own default.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    held: list[int] = []
    handlers = {number: signal.getsignal(number) for number in _ENDING}
    for number, handler in handlers.items():
        if callable(handler):
            signal.signal(number, lambda arrived, _: held.append(arrived))
    try:
        yield
    finally:
        for number, handler in handlers.items():
            if callable(handler):
                signal.signal(number, handler)
        for arrived in held:
            signal.raise_signal(arrived)
