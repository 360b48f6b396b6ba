"""Signals wait until what must not be left half done is done."""

import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from dev.controlplane.programs import run_program
from dev.controlplane.signals import signals_held


@pytest.fixture(autouse=True)
def own_handlers() -> Iterator[list[int]]:
    """Handlers of this test's own: the first signal is noted and raised, as the demo does it."""
    arrived: list[int] = []

    def note(number: int, _: object) -> None:
        arrived.append(number)
        raise KeyboardInterrupt

    before = {
        number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    yield arrived
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_within_the_block_is_delivered_after_it(
    number: signal.Signals, own_handlers: list[int]
) -> None:
    steps = []

    def work() -> None:
        with signals_held():
            signal.raise_signal(number)
            steps.append("done")

    with pytest.raises(KeyboardInterrupt):
        work()

    assert steps == ["done"]
    assert own_handlers == [number]


def test_after_the_block_signals_are_delivered_as_before(own_handlers: list[int]) -> None:
    with signals_held():
        pass

    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGTERM)

    assert own_handlers == [signal.SIGTERM]


def test_a_signal_that_was_ignored_stays_ignored(own_handlers: list[int]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    with signals_held():
        signal.raise_signal(signal.SIGINT)

    assert own_handlers == []
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_a_process_started_within_the_block_can_be_interrupted() -> None:
    with signals_held():
        process = subprocess.Popen(["sleep", "60"])

    process.send_signal(signal.SIGINT)

    assert process.wait(10) == -signal.SIGINT


def test_another_thread_holds_nothing_and_does_not_fail() -> None:
    done: list[bool] = []

    def work() -> None:
        with signals_held():
            done.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()

    assert done == [True]


def test_a_program_that_was_just_started_when_the_signal_came_is_not_left_behind(
    own_handlers: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[subprocess.Popen[str]] = []

    class Popen(subprocess.Popen[str]):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            started.append(self)
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr("dev.controlplane.programs.subprocess.Popen", Popen)

    with pytest.raises(KeyboardInterrupt):
        run_program(["sleep", "60"], dict(os.environ))

    assert own_handlers == [signal.SIGTERM]
    assert started[0].poll() == -signal.SIGKILL
