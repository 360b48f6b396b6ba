"""Cleans up after a node that died without a word: run as a program of its own, with the node's pipe as standard input.

The node writes `+GROUP` when it starts a process group and `-GROUP` when that has ended. When the pipe closes, whatever is
still listed is killed and the node's folder (the only argument) is removed. A node that stops in order leaves nothing to do.
"""

import contextlib
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterable

__all__ = ["guard"]


def guard(lines: Iterable[str], folder: str) -> None:
    """Follow the node's process groups until `lines` end, then kill what is left and remove `folder`."""
    groups: set[int] = set()
    for line in lines:
        change = groups.add if line[0] == "+" else groups.discard
        change(int(line[1:]))
    for group in groups:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)
    for _ in range(20):  # a process that is only just dying may still write
        shutil.rmtree(folder, ignore_errors=True)
        if not os.path.lexists(folder):
            break
        time.sleep(0.1)


if __name__ == "__main__":
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.SIG_IGN)
    guard(sys.stdin, sys.argv[1])
