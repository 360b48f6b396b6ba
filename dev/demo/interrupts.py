"""Ctrl-C, SIGTERM and SIGHUP end the demo in order, whenever they come."""

import signal

__all__ = ["ignore_interrupts", "obey_interrupts", "raise_if_interrupted"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_arrived: list[int] = []


def obey_interrupts() -> None:
    """From now on the first of these signals raises KeyboardInterrupt; later ones wait for the end that it began."""
    _arrived.clear()
    for number in _SIGNALS:
        signal.signal(number, _interrupt)


def raise_if_interrupted() -> None:
    """Raise KeyboardInterrupt if a signal came: for loops that wait.

    Python drops an exception that a handler raises while a finalizer runs.
    """
    if _arrived:
        raise KeyboardInterrupt


def ignore_interrupts() -> None:
    """From now on everything is being stopped anyway."""
    _arrived.clear()
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _interrupt(number: int, _frame: object) -> None:
    _arrived.append(number)
    if len(_arrived) == 1:
        raise KeyboardInterrupt
