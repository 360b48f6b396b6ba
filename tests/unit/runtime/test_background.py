"""The daemon thread: it survives errors and forks, and holds up nothing."""

import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from queue import Empty, SimpleQueue

import pytest

from switchgear import background as background_module
from switchgear.background import Background
from switchgear.forks import Stage, _hooks, after_fork
from tests.unit.runtime.support import eventually


class Task:
    def __init__(self) -> None:
        self.runs = 0
        self.error: BaseException | None = None

    def __call__(self) -> None:
        self.runs += 1
        if self.error is not None:
            raise self.error


@pytest.fixture
def task() -> Task:
    return Task()


@pytest.fixture
def background(task: Task) -> Iterator[Background]:
    background = Background("test", task, interval=3600)
    yield background
    background.stop()


def test_it_runs_at_the_start_and_when_it_is_woken(task: Task, background: Background) -> None:
    background.start()
    eventually(lambda: task.runs == 1)
    background.wake()
    eventually(lambda: task.runs == 2)


def test_it_runs_at_each_interval(task: Task) -> None:
    background = Background("test", task, interval=0.001)
    background.start()
    eventually(lambda: task.runs > 5)
    background.stop()


def test_many_wakes_are_one_run(task: Task) -> None:
    background = Background("test", task, interval=3600)
    for _ in range(1000):
        background.wake()
    background.start()
    eventually(lambda: background._wakes.empty() and task.runs >= 1)
    background.stop()

    assert task.runs <= 3


def test_a_pause_delays_the_second_wake_of_a_burst_and_never_the_first(
    task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    rests: list[float] = []
    monkeypatch.setattr("switchgear.background.time.sleep", rests.append)
    background = Background("test", task, interval=3600, pause=1000)
    background.start()
    eventually(lambda: task.runs == 1)
    background.wake()
    eventually(lambda: task.runs == 2)
    assert rests == []

    background.wake()
    eventually(lambda: task.runs == 3)
    background.stop()
    assert 900 < rests[0] <= 1000


def test_a_run_that_fails_is_repeated_sooner_and_ever_less_soon(
    task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []

    class Wakes(SimpleQueue[None]):
        def get(self, block: bool = True, timeout: float | None = None) -> None:
            assert timeout is not None
            waits.append(timeout)
            if len(waits) == 7:
                failing._running = False
            if len(waits) == 6:
                task.error = None
            raise Empty

    task.error = OSError("no space")
    failing = Background("test", task, interval=10.0)
    monkeypatch.setattr(failing, "_wakes", Wakes())
    failing.start()
    eventually(lambda: len(waits) == 7)

    assert waits == [1.0, 2.0, 4.0, 8.0, 10.0, 10.0, 10.0]


def test_a_run_that_says_it_failed_is_repeated_as_one_that_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background_module, "FIRST_RETRY", 0.001)
    runs: list[None] = []

    def task() -> bool:
        runs.append(None)
        return len(runs) == 4

    background = Background("test", task, interval=3600)
    background.start()
    eventually(lambda: len(runs) == 4)
    background.stop()


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(1), KeyboardInterrupt(), MemoryError()])
def test_no_error_ends_it_and_each_is_logged_once_in_a_row(
    task: Task, background: Background, caplog: pytest.LogCaptureFixture, error: BaseException
) -> None:
    task.error = error
    background.start()
    for runs in (1, 2, 3):
        eventually(lambda runs=runs: task.runs >= runs)  # type: ignore[misc]  # the loop's value, bound now
        background.wake()
    assert len([r for r in caplog.records if r.name == "switchgear"]) == 1

    task.error = None
    background.wake()
    eventually(lambda: task.runs >= 4)


def test_stopping_ends_the_thread(task: Task, background: Background) -> None:
    background.start()
    background.stop()

    assert background._thread
    assert not background._thread.is_alive()


def test_it_is_a_daemon_and_does_not_keep_the_process_alive() -> None:
    program = textwrap.dedent(
        """
        import threading
        from switchgear.background import Background
        started = threading.Event()
        Background("test", lambda: (started.set(), threading.Event().wait()), interval=1).start()
        started.wait()
        print("end")
        """
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )

    assert (run.stdout, run.stderr) == ("end\n", "")


def in_child(check: Callable[[], object]) -> int:
    child = os.fork()
    if child == 0:
        try:
            check()
            os._exit(0)
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_it_is_started_again_in_a_forked_child(task: Task, background: Background) -> None:
    background.start()
    eventually(lambda: task.runs == 1)

    def check() -> None:
        eventually(lambda: task.runs == 2)
        background.wake()
        eventually(lambda: task.runs == 3)

    assert in_child(check) == 0
    assert task.runs == 1


def test_one_that_was_stopped_stays_so_in_a_child(task: Task, background: Background) -> None:
    background.start()
    background.stop()

    assert in_child(lambda: pytest.fail("it runs") if threading.active_count() > 1 else None) == 0


class Hooked:
    def __init__(self, name: str, log: list[str], stage: Stage) -> None:
        self.name, self.log = name, log
        after_fork(stage, self.mend)

    def mend(self) -> None:
        self.log.append(self.name)
        if self.name == "broken":
            raise RuntimeError


def test_hooks_run_in_the_order_of_their_stage_whatever_one_of_them_raises() -> None:
    log: list[str] = []
    kept = [
        Hooked("thread", log, Stage.THREADS),
        Hooked("broken", log, Stage.LOCKS),
        Hooked("file", log, Stage.FILES),
        Hooked("lock", log, Stage.LOCKS),
    ]

    def check() -> None:
        assert log == ["broken", "lock", "file", "thread"], log
        assert kept

    assert in_child(check) == 0
    assert log == []


def test_hooks_of_objects_that_are_gone_are_forgotten() -> None:
    before = len(_hooks)
    for _ in range(100):
        Hooked("x", [], Stage.LOCKS)

    assert len(_hooks) <= before
