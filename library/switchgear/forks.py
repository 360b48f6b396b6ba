"""What to mend in a forked child: locks that another thread held, sockets that stay the parent's.

The hooks run in the order of their `stage`, so that no thread starts before every lock is new.
"""

import logging
import os
import weakref
from collections.abc import Callable
from enum import IntEnum
from itertools import count

__all__ = ["Stage", "after_fork"]

_log = logging.getLogger("switchgear")


class Stage(IntEnum):
    """When, after a fork, a hook runs in the child."""

    LOCKS = 1
    """Replace locks; nothing else runs yet."""
    FILES = 2
    """Let go of the parent's files and sockets."""
    THREADS = 3
    """Start threads again."""


def after_fork(stage: Stage, method: Callable[[], object]) -> None:
    """Call a bound method in every child forked from now on, as long as its object lives."""
    number = next(_numbers)
    _hooks[number] = (stage, weakref.WeakMethod(method, lambda _: _hooks.pop(number, None)))


def _run_hooks() -> None:
    for _, reference in sorted(_hooks.values(), key=lambda hook: hook[0]):
        method = reference()
        if method is None:
            continue
        try:
            method()
        except Exception:
            _log.exception("a forked process could not mend what it inherited")


_numbers = count()
_hooks: "dict[int, tuple[Stage, weakref.WeakMethod[Callable[[], object]]]]" = {}
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_run_hooks)
