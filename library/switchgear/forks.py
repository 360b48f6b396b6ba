"""What to mend in a forked child: locks that another thread held, sockets that stay the parent's.

The hooks run in the order of their `stage`, so that no thread starts before every lock is new.
"""

import logging
import os
import weakref
from collections.abc import Callable
from enum import IntEnum
from itertools import count
from types import MethodType

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
    assert isinstance(method, MethodType)
    number, forget = next(_numbers), _hooks.pop
    owner = weakref.ref(method.__self__, lambda _: forget(number, None))
    _hooks[number] = (stage, owner, method.__func__)


def _run_hooks() -> None:
    for _, reference, function in sorted(_hooks.values(), key=lambda hook: hook[0]):
        owner = reference()
        if owner is None:
            continue
        try:
            function(owner)
        except Exception:
            _log.exception("a forked process could not mend what it inherited")


_numbers = count()
_hooks: "dict[int, tuple[Stage, weakref.ref[object], Callable[[object], object]]]" = {}
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_run_hooks)
