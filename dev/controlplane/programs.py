"""Running a program to its end, without leaving it behind when a signal comes in between."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

from dev.controlplane.signals import signals_held

__all__ = ["run_program"]


def run_program(
    command: Sequence[str | Path], environment: dict[str, str], stdin: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run `command` and return what it printed; its exit status is the caller's to judge.

    `subprocess.run` forgets a program that was started, but not yet noted down, when the signal came.
    """
    program: subprocess.Popen[str] | None = None
    try:
        with signals_held():
            program = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=environment,
                text=True,
            )
        output, errors = program.communicate(stdin)
    except BaseException:
        if program is not None:
            with program:  # closes its pipes and waits for it
                program.kill()
        raise
    return subprocess.CompletedProcess(command, program.returncode, output, errors)
