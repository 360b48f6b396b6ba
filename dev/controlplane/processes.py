"""Processes that never outlive the one that started them, and the folder they write to.

A guardian, a small process of its own, kills what is left and removes the folder if this process dies without a word.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from .signals import signals_held

__all__ = ["GuardedProcesses"]

_GUARDIAN = Path(__file__).parent.parent / "node" / "guardian.py"


class GuardedProcesses:
    """Starts programs, each in a process group of its own, with its output in a log file of a temporary folder."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="switchgear-"))
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._guardian = subprocess.Popen(
            [sys.executable, "-I", _GUARDIAN, self.folder],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )

    def start(self, name: str, command: list[str | Path]) -> None:
        """Start a program; `name` is what its log is called."""
        with self.log(name).open("wb") as log, signals_held():
            process = subprocess.Popen(
                command,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            self._running[name] = process
            self._tell_guardian(f"+{process.pid}")

    def log(self, name: str) -> Path:
        """The file with a program's output."""
        return self.folder / f"{name}.log"

    def ended(self) -> str | None:
        """The name of a program that has ended, though it should run."""
        return next((name for name, process in self._running.items() if process.poll() is not None), None)

    def stop(self) -> None:
        """Kill everything at once (its data is thrown away, there is nothing to save) and remove the folder."""
        for process in self._running.values():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        for process in self._running.values():
            process.wait()
            self._tell_guardian(f"-{process.pid}")
        self._running.clear()
        shutil.rmtree(self.folder, ignore_errors=True)
        if self._guardian.stdin:
            self._guardian.stdin.close()
        self._guardian.wait()

    def _tell_guardian(self, line: str) -> None:
        if self._guardian.stdin:
            with contextlib.suppress(
                BrokenPipeError
            ):  # it was killed: the processes still end with this one in order
                self._guardian.stdin.write(f"{line}\n".encode())
                self._guardian.stdin.flush()
