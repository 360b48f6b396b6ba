"""Guarded processes and their folder never outlive the process that started them."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from dev.controlplane.processes import GuardedProcesses
from tests.support.waiting import eventually

REPOSITORY = Path(__file__).parent.parent.parent.parent

STARTER = """
import signal
from dev.controlplane.processes import GuardedProcesses
processes = GuardedProcesses()
processes.start("sleeper", ["sh", "-c", "echo $$ > pid.new; mv pid.new pid; sleep 600 & wait"])
print(processes.folder, flush=True)
signal.pause()
"""


def group_is_gone(pid: int) -> bool:
    """Whether no process of the group is left."""
    try:
        os.killpg(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_stopping_ends_the_whole_group_and_removes_the_folder() -> None:
    processes = GuardedProcesses()
    processes.start("sleeper", ["sh", "-c", "echo $$ > pid.new; mv pid.new pid; sleep 600 & wait"])
    pid = int(
        eventually(lambda: (processes.folder / "pid").exists() and (processes.folder / "pid").read_text())
    )

    processes.stop()

    eventually(lambda: group_is_gone(pid), message="the end of the group")
    assert not processes.folder.exists()


def test_stopping_twice_does_nothing_more() -> None:
    processes = GuardedProcesses()

    processes.stop()
    processes.stop()

    assert not processes.folder.exists()


def test_a_program_that_ended_is_told_by_name_and_its_output_is_kept() -> None:
    processes = GuardedProcesses()
    try:
        processes.start("failing", ["sh", "-c", "echo it is broken; exit 3"])

        assert eventually(processes.ended) == "failing"
        assert processes.log("failing").read_text() == "it is broken\n"
    finally:
        processes.stop()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_a_starter_that_dies_without_a_word_leaves_nothing(number: int) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", STARTER], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True
    ) as starter:
        assert starter.stdout
        folder = Path(starter.stdout.readline().strip())
        pid = int(eventually(lambda: (folder / "pid").exists() and (folder / "pid").read_text()))

        starter.send_signal(number)

    eventually(lambda: group_is_gone(pid), message="the end of the group")
    eventually(lambda: not folder.exists(), message="the removal of the folder")
