"""Cleans up after a node that died without a word: run as a program of its own, with the node's pipe as standard input.

The node writes `+GROUP` when it has started a process group and `-GROUP` when that has ended. When the pipe closes, whatever
is still listed is killed and the node's folder (the only argument) is removed. A node that stops in order leaves nothing to
do. On Linux, processes of pods that left their group, or that the node had no time to tell of, are found by their
environment and killed too.
"""

import contextlib
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

__all__ = ["NAMES", "guard"]

NAMES = "SWITCHGEAR_NODE_NAMES"
"""The environment variable of every process of a pod that tells where the node's table of names is, in its folder."""


def guard(lines: Iterable[str], folder: str) -> None:
    """Follow the node's process groups until `lines` end, then kill what is left and remove `folder`."""
    groups: set[int] = set()
    for line in lines:
        change = groups.add if line[0] == "+" else groups.discard
        change(int(line[1:]))
    for group in groups:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)
    clean = 0
    for _ in range(50):  # a process that is only just starting or dying may still write
        strays = list(_strays(folder))
        for stray in strays:
            with contextlib.suppress(ProcessLookupError):
                os.kill(stray, signal.SIGKILL)
        shutil.rmtree(folder, ignore_errors=True)
        clean = 0 if strays or os.path.lexists(folder) else clean + 1
        if clean == 2:
            break
        time.sleep(0.1)


def _strays(folder: str) -> Iterator[int]:
    """Processes of the node's pods, by the variable that each of them has."""
    marker = f"{NAMES}={folder}{os.sep}".encode()
    for environment in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if any(each.startswith(marker) for each in environment.read_bytes().split(b"\0")):
                yield int(environment.parent.name)


if __name__ == "__main__":
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.SIG_IGN)
    guard(sys.stdin, sys.argv[1])
