"""The operator as a process of its own, as a pod would run it."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.support.waiting import eventually

__all__ = ["OperatorProcess", "operator_process"]

STOPS_WITHIN = 5.0
"""Seconds within which a signal ends it: the chart's grace period is no longer."""


class OperatorProcess:
    """`python -m switchgear_operator run`, on a free loopback port, with its log in a file.

    Args:
        log: Where its log goes, after what is there.
        flags: Flags of `run`.
        environ: Environment variables beside the usual ones; KUBECONFIG is not passed on.
    """

    def __init__(self, log: Path, *flags: str | Path, environ: dict[str, str] | None = None) -> None:
        self.port = _free_port()
        self.log_file = log
        inherited = {name: value for name, value in os.environ.items() if name != "KUBECONFIG"}
        with log.open("ab") as sink:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "switchgear_operator", "run", "--address=127.0.0.1", f"--port={self.port}"]
                + [str(flag) for flag in flags],
                stdout=sink,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**inherited, **(environ or {})},
            )  # fmt: skip

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def log(self) -> str:
        """What it has logged so far."""
        return self.log_file.read_text()

    def errors(self) -> list[str]:
        """Lines of the log that nobody should have to read on a good day."""
        return [
            line for line in self.log.splitlines() if re.search(r" (WARNING|ERROR|CRITICAL) |Traceback", line)
        ]

    def get(self, path: str) -> httpx.Response | None:
        """Its answer to a request; None while it does not listen."""
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}{path}", trust_env=False)
        except httpx.TransportError:
            return None

    def metric(self, sample: str) -> float:
        """The value of one sample of its metrics, such as `switchgear_operator_scrapes_total{outcome="ok"}`; 0 without."""
        answer = self.get("/metrics")
        assert answer is not None, self.log
        values = [
            line.rpartition(" ")[2] for line in answer.text.splitlines() if line.startswith(f"{sample} ")
        ]
        return float(values[0]) if values else 0.0

    def await_ready(self) -> None:
        """Wait until it is informed of everything."""

        def ready() -> bool:
            if self._process.poll() is not None:
                raise RuntimeError(f"the operator ended with {self._process.returncode}:\n{self.log}")
            answer = self.get("/readyz")
            return answer is not None and answer.is_success

        eventually(ready, timeout=60, message="a ready operator")

    def await_line(self, words: str) -> str:
        """Wait for a line with these words in its log."""

        def found() -> str:
            return next((line for line in self.log.splitlines() if words in line), "")

        return eventually(found, timeout=30, message=f"a line with {words!r} in the operator's log")

    def ended(self) -> int:
        """Wait for it to end by itself; its exit status."""
        return self._process.wait(timeout=60)

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def kill(self) -> None:
        """End it at once, with no chance to clean up."""
        self.send(signal.SIGKILL)
        self._process.wait()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End it by a signal: it has to exit with 0, in time."""
        self.send(number)
        assert self._process.wait(timeout=STOPS_WITHIN) == 0, self.log

    def end(self) -> None:
        """End it however that can be done, if it still runs."""
        if self._process.poll() is None:
            self.kill()


@contextmanager
def operator_process(
    log: Path, *flags: str | Path, environ: dict[str, str] | None = None
) -> Iterator[OperatorProcess]:
    """An operator that was started, and does not run afterwards, whatever the test does to it."""
    operator = OperatorProcess(log, *flags, environ=environ)
    try:
        yield operator
    finally:
        operator.end()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port
