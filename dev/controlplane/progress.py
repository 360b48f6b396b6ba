"""How far something slow is: a line that moves on a terminal, a line now and then elsewhere."""

import sys
import threading
import time
from types import TracebackType
from typing import Self

__all__ = ["Progress"]


class Progress:
    """Counts, and tells the count on standard error until the `with` block is left.

    Args:
        what: What is counted, such as "packages compiled".
        total: How many there are at most; fewer are counted where some are done already.
    """

    def __init__(self, what: str, total: int | None = None) -> None:
        self._what = what
        self._total = total
        self._count = 0
        self._started = time.monotonic()
        self._moving = sys.stderr.isatty()
        self._over = threading.Event()
        self._teller = threading.Thread(target=self._tell_until_over, name="progress", daemon=True)

    def count(self) -> None:
        """One more is done."""
        self._count += 1

    def __enter__(self) -> Self:
        self._teller.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._teller.join()
        if self._count:
            self._tell()
        if self._moving:
            sys.stderr.write("\n" if self._count else "\r\033[K")

    def _tell_until_over(self) -> None:
        while not self._over.wait(1 if self._moving else 15):
            self._tell()

    def _tell(self) -> None:
        minutes, seconds = divmod(int(time.monotonic() - self._started), 60)
        most = "" if self._total is None else f" of at most {self._total}"
        text = f"  {minutes}:{seconds:02}  {self._count}{most} {self._what}"
        sys.stderr.write(f"\r{text}\033[K" if self._moving else f"{text}\n")
        sys.stderr.flush()
