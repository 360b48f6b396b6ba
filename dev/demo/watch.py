"""`kubectl get cbp --watch`, followed from beginning to end, so that a state that lasts a second is seen too."""

import contextlib
import os
import subprocess
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from dev.controlplane.kubectl import kubectl_environment

from .tools import Kubectl

__all__ = ["PolicyWatch", "Row", "columns"]


@dataclass(frozen=True, slots=True)
class Row:
    """A line that kubectl printed, and its values by the table's column names."""

    at: float
    line: str
    values: Mapping[str, str]

    def shows(self, **expected: str) -> bool:
        """Whether each of the named columns has this value."""
        return all(self.values.get(column) == value for column, value in expected.items())


class PolicyWatch:
    """Use as a context manager. `header` is the table's first line, once it was printed."""

    def __init__(self, kubectl: Kubectl, line: str) -> None:
        self.header = ""
        self._kubectl = kubectl
        self._arguments = line.split()
        self._rows: list[Row] = []
        self._process: subprocess.Popen[str] | None = None
        self._thread = threading.Thread(target=self._follow, name="watch", daemon=True)

    def rows(self, since: float) -> list[Row]:
        """What kubectl printed from a moment on (Unix time)."""
        return [row for row in list(self._rows) if row.at >= since]

    def _follow(self) -> None:
        assert self._process is not None
        for line in self._process.stdout or ():
            text = line.rstrip()
            if self.header:
                self._rows.append(Row(time.time(), text, columns(self.header, text)))
            else:
                self.header = text

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [self._kubectl.program, *self._arguments, "--watch"],
            env={**os.environ, **kubectl_environment(self._kubectl.kubeconfig)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()
            self._process.wait()
        self._thread.join()


def columns(header: str, line: str) -> dict[str, str]:
    """Read a line of the table by its column names.

    kubectl pads the lines of a watch as it goes, so positions tell nothing; but only FAIL% can be empty once a policy has a
    status (an open circuit soon has no calls to judge). A line that fits neither way is one without a status: nothing is read.
    """
    names, words = header.split(), line.split()
    if len(words) == len(names) - 1:
        names = [name for name in names if name != "FAIL%"]
    return dict(zip(names, words, strict=True)) if len(words) == len(names) else {}
