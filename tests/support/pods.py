"""Stand-ins for pods: the real library, serving its real metrics on a loopback address of its own."""

import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event

from switchgear import Registry
from switchgear.exposition import render
from switchgear.metrics import breaker_families, policy_families
from switchgear.policy import SCHEMA, PolicyDocument
from switchgear.server import MetricsServer
from switchgear_operator.objects import METRICS_PORT

__all__ = ["Workload", "workload"]

_numbers = itertools.count(1)


class Workload:
    """What runs in one pod.

    Attributes:
        ip: Where it serves its metrics, at the default port.
        registry: Its breakers.
        requests: How often it was asked.
    """

    def __init__(self, ip: str) -> None:
        self.ip = ip
        self.registry = Registry()
        self.requests = 0
        self._may_answer = Event()
        self._may_answer.set()
        self._server = MetricsServer(self._answer, METRICS_PORT, ip)
        assert self._server.start(), f"{ip}:{METRICS_PORT} is taken"

    def load(self, *documents: PolicyDocument) -> None:
        """Follow exactly these policies from now on."""
        self.registry.apply(documents)

    def hang(self) -> None:
        """Take requests and do not answer them."""
        self._may_answer.clear()

    def recover(self) -> None:
        """Answer again, those that wait included."""
        self._may_answer.set()

    def vanish(self) -> None:
        """Listen no more."""
        self._may_answer.set()
        self._server.stop()

    def _answer(self) -> bytes:
        self.requests += 1
        self._may_answer.wait()
        families = [
            *breaker_families(self.registry.readings()),
            *policy_families(self.registry.policies, self.registry.load_errors, "0.1.0", SCHEMA),
        ]
        return render(families)


@contextmanager
def workload(*documents: PolicyDocument) -> Iterator[Workload]:
    """A workload that follows these policies, at an address that no other one has."""
    running = Workload(_fresh_address())
    running.load(*documents)
    try:
        yield running
    finally:
        running.vanish()


def _fresh_address() -> str:
    """An address by process and count, so that test sessions beside each other do not meet."""
    number = next(_numbers)
    return f"127.{64 + os.getpid() // 256 % 64}.{os.getpid() % 256}.{number % 254 + 1}"
