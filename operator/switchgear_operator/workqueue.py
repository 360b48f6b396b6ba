"""A queue of names to work on: each at most once in it, never twice at work, and later again after a failure."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

__all__ = ["SHORTEST_BACKOFF", "WorkQueue"]

SHORTEST_BACKOFF = 0.2
LONGEST_BACKOFF = 60.0


class WorkQueue:
    """Runs `work(name)` for every name that was added, by a few workers.

    A name that is added while it waits is not added again; one that is added while it is at work is done again
    afterwards. What raises is retried after a delay that doubles up to a minute, per name, and holds up no other;
    an error with a longer `retry_after` (seconds) has its way.

    Args:
        work: What to do; returns seconds after which to do it again, or None.
        failed: Told the name, the error and the delay.
        workers: Names that are at work at the same time at most.
    """

    def __init__(
        self,
        work: Callable[[str], Awaitable[float | None]],
        failed: Callable[[str, Exception, float], None],
        *,
        workers: int,
    ) -> None:
        self._work = work
        self._failed = failed
        self._workers = workers
        self._waiting: deque[str] = deque()
        self._queued: set[str] = set()  # the same names
        self._at_work: set[str] = set()
        self._again: set[str] = set()
        self._delays: dict[str, float] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._wake = asyncio.Semaphore(0)

    def add(self, name: str) -> None:
        """Have `name` worked on, soon."""
        timer = self._timers.pop(name, None)
        if timer is not None:
            timer.cancel()
        if name in self._at_work:
            self._again.add(name)
        elif name not in self._queued:
            self._queued.add(name)
            self._waiting.append(name)
            self._wake.release()

    def add_later(self, name: str, seconds: float) -> None:
        """Have `name` worked on after a while, or sooner if it is added by then."""
        if name in self._queued or name in self._again:
            return
        timer = self._timers.pop(name, None)
        if timer is not None:
            timer.cancel()
        self._timers[name] = asyncio.get_running_loop().call_later(seconds, self.add, name)

    @property
    def depth(self) -> int:
        """Names that wait."""
        return len(self._queued)

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for _ in range(self._workers):
                tasks.create_task(self._worker())

    async def _worker(self) -> None:
        while True:
            await asyncio.sleep(0)  # names whose work never waits must not hold up everything else
            await self._wake.acquire()
            name = self._waiting.popleft()
            self._queued.remove(name)
            self._at_work.add(name)
            later: float | None = None
            try:
                later = await self._work(name)
                self._delays.pop(name, None)
            except Exception as error:
                backoff = min(LONGEST_BACKOFF, 2 * self._delays.get(name, SHORTEST_BACKOFF / 2))
                self._delays[name] = backoff
                later = max(backoff, getattr(error, "retry_after", None) or 0.0)
                self._failed(name, error, later)
            finally:
                self._at_work.discard(name)
            if name in self._again and name not in self._delays:
                self._again.discard(name)
                self.add(name)
            elif later is not None:
                self._again.discard(name)
                self.add_later(name, later)
