"""How the demo speaks: calm, exact, with the seconds since its start; colours on a terminal only."""

import os
import re
import sys
import time
from typing import TextIO

__all__ = ["Narrator"]

_BOLD, _DIM, _GREEN, _RED, _PLAIN = "1", "2", "32", "31", "0"
_MARGIN = " " * 10
_WIDTH = 104
_WORDS = re.compile(r"(?:'[^']*'|\S)+")  # as the shell splits them


class Narrator:
    """Writes the story to `out`. Every line is flushed at once: it is news."""

    def __init__(self, out: TextIO = sys.stdout) -> None:
        self._out = out
        self._coloured = out.isatty() and "NO_COLOR" not in os.environ
        self._begin = time.monotonic()

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._begin

    def title(self, text: str) -> None:
        """Open the story."""
        self._write(self._ink(_BOLD, text))

    def step(self, number: int, text: str) -> None:
        """Open a step."""
        self._write(f"\n{self._ink(_BOLD, f'{number}  {text}')}")

    def say(self, text: str) -> None:
        """Tell what was just seen or is about to be tried, with the time."""
        self._write(f"{self._ink(_DIM, f'{self.elapsed:6.1f} s')}  {text}")

    def note(self, text: str) -> None:
        """Add to what was just said."""
        self._write(f"{_MARGIN}{text}")

    def seen(self, text: str) -> None:
        """Tell that what the step promised was seen."""
        self._write(f"{self._ink(_DIM, f'{self.elapsed:6.1f} s')}  {self._ink(_GREEN, '✓')} {text}")

    def command(self, line: str) -> None:
        """Show a command as one would type it, over several lines where it is long."""
        lines = ["$"]
        for word in _WORDS.findall(line):
            if len(lines[-1]) + len(word) > _WIDTH:
                lines[-1] += " \\"
                lines.append("   ")
            lines[-1] += f" {word}"
        for each in lines:
            self._write(f"{_MARGIN}{self._ink(_BOLD, each)}")

    def output(self, text: str) -> None:
        """Show what a command printed, unchanged but for the margin."""
        for line in text.strip("\n").splitlines():
            self._write(f"{_MARGIN}{line}".rstrip())

    def failed(self, text: str) -> None:
        """Tell what went wrong."""
        first, *rest = text.splitlines()
        self._write(f"{self._ink(_DIM, f'{self.elapsed:6.1f} s')}  {self._ink(_RED, '✗ ' + first)}")
        for line in rest:
            self.note(line)

    def _ink(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[{_PLAIN}m" if self._coloured else text

    def _write(self, text: str) -> None:
        print(text, file=self._out, flush=True)
