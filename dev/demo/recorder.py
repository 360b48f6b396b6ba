"""Records the run: a thread that scrapes the checkout pods and asks the load generator, several times a second."""

import threading
import time
from types import TracebackType
from typing import Self

import httpx

from .recording import CONTROL, Call, Event, Recording, Sample
from .shop import Reading, Shop

__all__ = ["Recorder"]

_PERIOD = 0.2


class Recorder:
    """Use as a context manager. What it has seen so far can be asked at any time, from the story's thread."""

    def __init__(self, shop: Shop) -> None:
        self._recording = Recording()
        self._shop = shop
        self._readings: list[Reading] = []
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)

    def mark(self, label: str, payments: str | None = None) -> float:
        """Remember an event of the story, and return its time. `payments` is what payments does from now on."""
        now = time.time()
        self._recording.events.append(Event(now, label, payments))
        return now

    def so_far(self) -> Recording:
        """Everything recorded until now."""
        with self._lock:
            seen = self._recording
            return Recording(list(seen.samples), list(seen.calls), list(seen.events))

    def latest(self) -> list[Reading]:
        """The newest reading of each checkout pod that answers."""
        with self._lock:
            return list(self._readings)

    def samples(self, since: float) -> list[Sample]:
        """Every sample from a moment on."""
        with self._lock:
            return [sample for sample in self._recording.samples if sample.at >= since]

    def calls(self, since: float, *, control: bool = False) -> list[Call]:
        """The customers' calls that began at a moment or later; or the control calls."""
        with self._lock:
            return [
                call
                for call in self._recording.calls
                if call.at >= since and (call.target == CONTROL) == control
            ]

    def _run(self) -> None:
        while not self._stopping.wait(_PERIOD):
            try:
                self._record(self._shop.readings(), self._shop.new_calls())
            except httpx.HTTPError:
                continue  # a pod that does not answer now is asked again; the gap shows in the picture

    def _record(self, readings: list[Reading], calls: list[Call]) -> None:
        with self._lock:
            self._readings = readings
            self._recording.samples += [
                Sample(each.at, each.pod, each.state, each.calls) for each in readings
            ]
            self._recording.calls += calls

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._thread.join()
