"""The control plane's programs are built once, whole or not at all, and an interruption leaves nothing behind."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.waiting import eventually
from tests.unit.dev.fake_go import install_fake_go

REPOSITORY = Path(__file__).parent.parent.parent.parent


class Machine:
    """A machine with an empty cache and a Go on PATH that does as it is told."""

    def __init__(self, folder: Path) -> None:
        self.go = install_fake_go(folder / "go").parent
        self.cache = folder / "cache" / "switchgear"

    def start(self) -> "subprocess.Popen[str]":
        """Start `python -m dev controlplane`."""
        environment = {**os.environ, "PATH": f"{self.go}{os.pathsep}{os.environ['PATH']}"}
        environment |= {"XDG_CACHE_HOME": str(self.cache.parent)}
        environment.pop("KUBEBUILDER_ASSETS", None)
        return subprocess.Popen(
            [sys.executable, "-m", "dev", "controlplane"],
            cwd=REPOSITORY,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self) -> tuple[int, str]:
        """Exit code and all output of the whole command."""
        with self.start() as process:
            output, errors = process.communicate()
        return process.returncode, output + errors

    @property
    def builds(self) -> int:
        return (self.go / "builds").read_text().count("built")

    @property
    def cached(self) -> list[str]:
        return sorted(path.name for path in self.cache.iterdir() if path.suffix != ".lock")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_the_first_time_builds_and_tells_how_long_it_takes(machine: Machine) -> None:
    code, output = machine.run()

    assert code == 0
    assert "usually five to eight minutes on two cores" in output
    assert "1 modules downloaded" in output
    assert "1 of at most 3 packages compiled" in output
    (folder,) = machine.cached
    assert f"control plane in {machine.cache / folder}" in output


def test_the_second_time_builds_nothing(machine: Machine) -> None:
    machine.run()

    code, output = machine.run()

    assert (code, machine.builds) == (0, 1)
    assert "building" not in output


def test_two_at_once_build_once(machine: Machine) -> None:
    with machine.start() as first, machine.start() as second:
        first.communicate()
        second.communicate()

    assert (first.returncode, second.returncode) == (0, 0)
    assert machine.builds == 1


def test_a_failing_build_says_what_go_said_and_caches_nothing(machine: Machine) -> None:
    (machine.go / "fails").touch()

    code, output = machine.run()

    assert code == 1
    assert "the control plane does not build:" in output
    assert "module: it does not compile" in output
    assert "Traceback" not in output
    assert machine.cached == []


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_build_leaves_no_process_and_no_file(machine: Machine, number: int, code: int) -> None:
    (machine.go / "hangs").touch()
    with machine.start() as process:
        pid = int(eventually(lambda: (machine.go / "pid").exists() and (machine.go / "pid").read_text(), 30))

        process.send_signal(number)
        _, errors = process.communicate()

    assert process.returncode == code
    assert "Traceback" not in errors
    eventually(lambda: is_gone(pid), message="the end of go")
    assert machine.cached == []


def test_a_killed_build_is_cleaned_up_by_the_next(machine: Machine) -> None:
    (machine.go / "hangs").touch()
    with machine.start() as process:
        pid = int(eventually(lambda: (machine.go / "pid").exists() and (machine.go / "pid").read_text(), 30))
        process.kill()
    assert machine.cached[0].startswith(".building-")
    os.kill(pid, signal.SIGKILL)
    (machine.go / "hangs").unlink()

    code, _ = machine.run()

    assert code == 0
    (folder,) = machine.cached
    assert folder.startswith("controlplane-")


def is_gone(pid: int) -> bool:
    """Whether no process has this id any more."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False
