"""The demo as a program of its own, followed line by line, and what it leaves on the machine."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.waiting import eventually

__all__ = ["RunningDemo"]

ROOT = Path(__file__).parents[3]


class RunningDemo:
    """`with RunningDemo(tmp_path, KEEP="1") as demo:` starts it with a home and a folder below `tmp_path`."""

    def __init__(self, tmp_path: Path, **environment: str) -> None:
        self.lines: list[str] = []
        self.folder = tmp_path / "demo"
        self.home = tmp_path / "home"
        self.home.mkdir()
        cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
        self._environment = {**os.environ, "HOME": str(self.home), "XDG_CACHE_HOME": cache, **environment}
        self._thread = threading.Thread(target=self._follow, daemon=True)

    def said(self, text: str, within: float) -> str:
        """Wait for a line with this text, and return it."""

        def look() -> str | None:
            assert self._process.poll() is None or not self._thread.is_alive(), "still printing"
            found = next((line for line in list(self.lines) if text in line), None)
            assert found or self._process.poll() is None, self.output
            return found

        found = eventually(look, within, f"the demo says {text!r}")
        assert found is not None
        return found

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the demo alone, as kill does."""
        self._process.send_signal(number)

    def exit_code(self, within: float = 60) -> int:
        """Wait for its end."""
        code = self._process.wait(within)
        self._thread.join(within)
        return code

    @property
    def output(self) -> str:
        """Everything that it printed so far."""
        return "\n".join(self.lines)

    def processes(self) -> list[str]:
        """The command lines of all processes that know of the demo's folder."""
        return [line for line in map(self._command_line, Path("/proc").glob("[0-9]*")) if line]

    def files(self) -> set[str]:
        """What is left in its folder and in its home."""
        kept = {path.relative_to(self.folder).parts[0] for path in self.folder.rglob("*")}
        return kept | {str(path) for path in self.home.rglob("*")}

    def _command_line(self, process: Path) -> str | None:
        if process.name == str(os.getpid()):
            return None
        try:
            line = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            known = (
                str(self.folder) in line or str(self.folder).encode() in (process / "environ").read_bytes()
            )
        except OSError:  # it has just ended
            return None
        return line if known else None

    def _follow(self) -> None:
        for line in self._process.stdout or ():
            self.lines.append(line.rstrip("\n"))

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "dev", "demo", "--folder", str(self.folder)],
            cwd=ROOT,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self._process.terminate()
            self._process.wait(60)
        self._thread.join(60)
        if self._process.stdout:
            self._process.stdout.close()
