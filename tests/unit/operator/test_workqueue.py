"""The work queue: each name at most once in it, never twice at work, later again after a failure, nobody held up."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from switchgear_operator import workqueue
from switchgear_operator.workqueue import WorkQueue
from tests.support.waiting import eventually_async


class Bench:
    """Work that a test holds up, lets fail, and counts."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.at_work: Counter[str] = Counter()
        self.most_at_once: Counter[str] = Counter()
        self.failures: list[tuple[str, str, float]] = []
        self.gates: dict[str, asyncio.Event] = {}
        self.errors: dict[str, list[Exception]] = defaultdict(list)
        self.later: dict[str, list[float]] = defaultdict(list)
        self.on_work: Callable[[str], None] = lambda name: None

    async def work(self, name: str) -> float | None:
        self.at_work[name] += 1
        self.on_work(name)
        self.most_at_once[name] = max(self.most_at_once[name], self.at_work[name])
        try:
            if name in self.gates:
                await self.gates[name].wait()
            if self.errors[name]:
                raise self.errors[name].pop(0)
        finally:
            self.at_work[name] -= 1
        self.done.append(name)
        return self.later[name].pop(0) if self.later[name] else None

    def failed(self, name: str, error: Exception, delay: float) -> None:
        self.failures.append((name, str(error), delay))

    def hold(self, name: str) -> asyncio.Event:
        self.gates[name] = asyncio.Event()
        return self.gates[name]

    async def until(self, *done: str) -> None:
        async def reached() -> bool:
            return Counter(self.done) == Counter(done)

        await eventually_async(reached, message=f"{done} done")

    async def until_at_work(self, *names: str) -> None:
        async def reached() -> bool:
            return +self.at_work == Counter(names)

        await eventually_async(reached, message=f"{names} at work")


@asynccontextmanager
async def running(bench: Bench, workers: int = 2) -> AsyncIterator[WorkQueue]:
    queue = WorkQueue(bench.work, bench.failed, workers=workers)
    task = asyncio.create_task(queue.run())
    try:
        yield queue
    finally:
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled(), "the queue ended by itself"


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Delays that double from 1 ms up to 4 ms."""
    monkeypatch.setattr(workqueue, "SHORTEST_BACKOFF", 0.001)
    monkeypatch.setattr(workqueue, "LONGEST_BACKOFF", 0.004)


async def settle() -> None:
    """Let everything run that can run without waiting for a timer."""
    for _ in range(50):
        await asyncio.sleep(0)


async def test_a_name_that_is_added_is_worked_on() -> None:
    bench = Bench()
    async with running(bench) as queue:
        queue.add("a")
        await bench.until("a")


async def test_names_added_before_the_start_are_not_lost() -> None:
    bench = Bench()
    queue = WorkQueue(bench.work, bench.failed, workers=1)
    queue.add("a")
    queue.add("b")
    task = asyncio.create_task(queue.run())
    await bench.until("a", "b")
    task.cancel()
    await asyncio.wait([task])


async def test_a_name_that_waits_is_there_once_however_often_it_is_added() -> None:
    bench = Bench()
    gate = bench.hold("busy")
    async with running(bench, workers=1) as queue:
        queue.add("busy")
        await bench.until_at_work("busy")
        for _ in range(100):
            queue.add("a")
        assert queue.depth == 1
        gate.set()
        await bench.until("busy", "a")
        assert queue.depth == 0


async def test_a_name_added_while_at_work_is_done_once_more_and_never_twice_at_a_time() -> None:
    bench = Bench()
    gate = bench.hold("a")
    async with running(bench, workers=4) as queue:
        queue.add("a")
        await bench.until_at_work("a")
        for _ in range(100):
            queue.add("a")
        await settle()
        gate.set()
        await bench.until("a", "a")
        await settle()
    assert bench.done == ["a", "a"]
    assert bench.most_at_once["a"] == 1


async def test_no_more_names_are_at_work_than_there_are_workers() -> None:
    bench = Bench()
    gates = [bench.hold(name) for name in "abcd"]
    async with running(bench, workers=2) as queue:
        for name in "abcd":
            queue.add(name)
        await bench.until_at_work("a", "b")
        await settle()
        assert queue.depth == 2
        for gate in gates:
            gate.set()
        await bench.until("a", "b", "c", "d")


async def test_a_name_that_is_always_added_again_lets_the_others_have_their_turn() -> None:
    bench = Bench()
    async with running(bench, workers=1) as queue:
        bench.on_work = lambda name: queue.add(name) if name == "keen" else None
        queue.add("keen")
        queue.add("a")
        queue.add("b")
        await eventually_async(lambda: _has(bench, "a", "b"), message="a turn for everybody")
        assert bench.done.index("b") <= 3


async def _has(bench: Bench, *names: str) -> bool:
    return set(names) <= set(bench.done)


async def test_a_name_that_hangs_holds_up_nobody_else() -> None:
    bench = Bench()
    bench.hold("hung")
    async with running(bench, workers=2) as queue:
        for name in ("hung", "a", "b", "c"):
            queue.add(name)
        await bench.until("a", "b", "c")


@pytest.mark.usefixtures("quick")
async def test_what_fails_is_tried_again_with_doubled_delays_up_to_the_longest() -> None:
    bench = Bench()
    bench.errors["a"] = [RuntimeError(f"{number}") for number in range(5)]
    async with running(bench) as queue:
        queue.add("a")
        await bench.until("a")
    assert bench.failures == [
        ("a", "0", 0.001),
        ("a", "1", 0.002),
        ("a", "2", 0.004),
        ("a", "3", 0.004),
        ("a", "4", 0.004),
    ]


@pytest.mark.usefixtures("quick")
async def test_a_success_starts_the_delays_anew() -> None:
    bench = Bench()
    bench.errors["a"] = [RuntimeError("1"), RuntimeError("2")]
    async with running(bench) as queue:
        queue.add("a")
        await bench.until("a")
        bench.errors["a"] = [RuntimeError("3")]
        queue.add("a")
        await bench.until("a", "a")
    assert [delay for _, _, delay in bench.failures] == [0.001, 0.002, 0.001]


async def test_a_failure_delays_its_own_name_only() -> None:
    bench = Bench()
    bench.errors["bad"] = [RuntimeError("no")] * 100
    async with running(bench, workers=1) as queue:
        queue.add("bad")
        queue.add("good")
        await bench.until("good")
        assert len(bench.failures) == 1


async def test_a_name_that_waits_after_a_failure_is_tried_at_once_when_it_is_added(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(workqueue, "SHORTEST_BACKOFF", 3600.0)
    monkeypatch.setattr(workqueue, "LONGEST_BACKOFF", 3600.0)
    bench = Bench()
    bench.errors["a"] = [RuntimeError("no")]
    async with running(bench) as queue:
        queue.add("a")
        await eventually_async(lambda: _failed(bench), message="the failure")
        assert bench.done == []
        queue.add("a")
        await bench.until("a")
        await settle()
        assert queue._timers == {}
    assert bench.done == ["a"]


async def _failed(bench: Bench) -> bool:
    return bool(bench.failures)


async def test_news_that_came_during_a_failure_wait_for_its_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workqueue, "SHORTEST_BACKOFF", 3600.0)
    monkeypatch.setattr(workqueue, "LONGEST_BACKOFF", 3600.0)
    bench = Bench()
    bench.errors["a"] = [RuntimeError("no"), RuntimeError("again, at once")]
    gate = bench.hold("a")
    async with running(bench) as queue:
        queue.add("a")
        await bench.until_at_work("a")
        queue.add("a")
        gate.set()
        await eventually_async(lambda: _failed(bench), message="the failure")
        await settle()
        assert len(bench.failures) == 1, "it failed in a tight loop"
        assert queue._again == set(), "the next success would be done twice"
        bench.errors["a"].clear()
        queue.add("a")
        await bench.until("a")


async def test_work_that_asks_for_it_is_done_again_later() -> None:
    bench = Bench()
    bench.later["a"] = [0.001, 0.001]
    async with running(bench) as queue:
        queue.add("a")
        await bench.until("a", "a", "a")
        await settle()
    assert bench.done == ["a", "a", "a"]


async def test_work_that_asks_for_later_and_has_news_is_done_again_at_once() -> None:
    bench = Bench()
    bench.later["a"] = [3600.0]
    gate = bench.hold("a")
    async with running(bench) as queue:
        queue.add("a")
        await bench.until_at_work("a")
        queue.add("a")
        gate.set()
        await bench.until("a", "a")


async def test_an_error_that_says_when_to_come_again_is_obeyed() -> None:
    class TooManyRequestsError(Exception):
        retry_after = 7.0

    bench = Bench()
    bench.errors["a"] = [TooManyRequestsError("slow down")]
    async with running(bench) as queue:
        queue.add("a")
        await eventually_async(lambda: _failed(bench), message="the failure")
    assert bench.failures == [("a", "slow down", 7.0)]


async def test_under_a_storm_of_names_each_is_done_after_it_was_last_added_and_never_twice_at_once() -> None:
    bench = Bench()
    names = [f"namespace-{number}" for number in range(20)]
    async with running(bench, workers=4) as queue:
        for turn in range(2000):
            queue.add(names[turn * 7 % 20])
            if turn % 13 == 0:
                await asyncio.sleep(0)
        done_before = Counter(bench.done)
        for name in names:
            queue.add(name)
        await eventually_async(lambda: _more(bench, done_before, names), message="everything done")
    assert set(bench.most_at_once.values()) == {1}
    assert len(bench.done) < 1000, "nothing was coalesced"


async def _more(bench: Bench, before: Counter[str], names: list[str]) -> bool:
    return all(Counter(bench.done)[name] > before[name] for name in names)


async def test_a_stop_ends_what_is_at_work() -> None:
    bench = Bench()
    bench.hold("a")
    async with running(bench) as queue:
        queue.add("a")
        await bench.until_at_work("a")
    assert +bench.at_work == Counter()
