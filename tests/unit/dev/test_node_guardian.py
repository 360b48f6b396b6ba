"""What is left when a node dies without a word."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from dev.node import guardian
from tests.support.waiting import eventually

SLEEPER = [sys.executable, "-c", "import subprocess, sys; subprocess.run([sys.executable, '-c', 'input()'])"]


def start_guardian(folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-I", guardian.__file__, folder], stdin=subprocess.PIPE, start_new_session=True
    )


def start_group() -> subprocess.Popen[bytes]:
    return subprocess.Popen(SLEEPER, stdin=subprocess.PIPE, start_new_session=True)


def test_processes_and_folder_go_when_the_pipe_closes(tmp_path: Path) -> None:
    folder = tmp_path / "node"
    (folder / "pods").mkdir(parents=True)
    with start_group() as group, start_guardian(folder) as watching:
        assert watching.stdin is not None
        watching.stdin.write(f"+{group.pid}\n".encode())
        watching.stdin.close()

        assert watching.wait(30) == 0
        assert group.wait(30) == -signal.SIGKILL
    assert not folder.exists()


def test_a_process_of_a_pod_that_left_its_group_is_found(tmp_path: Path) -> None:
    folder = tmp_path / "node"
    folder.mkdir()
    environment = {guardian.NAMES: str(folder / "names.json")}
    with (
        subprocess.Popen(SLEEPER, stdin=subprocess.PIPE, start_new_session=True, env=environment) as stray,
        start_guardian(folder) as watching,
    ):
        assert watching.stdin is not None
        watching.stdin.close()

        assert watching.wait(30) == 0
        assert stray.wait(30) == -signal.SIGKILL


def test_a_process_that_only_knows_the_folder_is_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "node"
    folder.mkdir()
    environment = {"KUBECONFIG": str(folder / "kubeconfig")}
    with (
        subprocess.Popen(SLEEPER, stdin=subprocess.PIPE, start_new_session=True, env=environment) as shell,
        start_guardian(folder) as watching,
    ):
        assert watching.stdin is not None
        watching.stdin.close()
        watching.wait(30)

        assert shell.poll() is None
        os.killpg(shell.pid, signal.SIGKILL)


def test_a_group_that_ended_is_not_killed_again(tmp_path: Path) -> None:
    with start_group() as group, start_guardian(tmp_path / "node") as watching:
        assert watching.stdin is not None
        watching.stdin.write(f"+{group.pid}\n-{group.pid}\n".encode())
        watching.stdin.close()
        watching.wait(30)

        assert group.poll() is None
        group.kill()


def test_a_ctrl_c_meant_for_the_node_does_not_end_it(tmp_path: Path) -> None:
    folder = tmp_path / "node"
    folder.mkdir()
    with start_group() as group, start_guardian(folder) as watching:
        assert watching.stdin is not None
        watching.stdin.write(f"+{group.pid}\n".encode())
        watching.stdin.flush()
        eventually(lambda: ignores_interrupts(watching.pid))
        os.killpg(watching.pid, signal.SIGINT)
        watching.stdin.close()

        assert watching.wait(30) == 0
        assert group.wait(30) == -signal.SIGKILL


def ignores_interrupts(process: int) -> bool:
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    ignored = next(line for line in lines if line.startswith("SigIgn"))
    return bool(int(ignored.split()[1], 16) >> (signal.SIGINT - 1) & 1)
