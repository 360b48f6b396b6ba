"""Building the control plane's programs with Go, telling how far it is."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from .progress import Progress
from .toolchain import MissingComponentError

__all__ = ["build"]


def build(go: Path, module: Path, folder: Path) -> None:
    """Build the tools that go.mod in `module` names into `folder`, which appears complete or not at all.

    Raises:
        MissingComponentError: The build fails; the message has what Go said.
    """
    print(
        "» building the Kubernetes control plane, once: usually five to eight minutes on two cores",
        file=sys.stderr,
        flush=True,
    )
    for left_over in folder.parent.glob(".building-*"):
        shutil.rmtree(left_over, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=".building-", dir=folder.parent) as temporary:
        output = Path(temporary) / "bin"
        output.mkdir()
        with Progress("modules downloaded") as progress:
            packages = _run([str(go), "list", "-deps", "tool"], module, progress)
        with Progress("packages compiled", total=len(packages)) as progress:
            flags = ["-trimpath", "-ldflags", "-s -w", "-o", f"{output}{os.sep}"]
            _run([str(go), "build", "-v", *flags, "tool"], module, progress)
        output.rename(folder)


def _run(command: list[str], module: Path, progress: Progress) -> list[str]:
    """Run Go in its own process group, count what it tells on standard error, and return its standard output."""
    environment = {**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOWORK": "off"}
    with (
        tempfile.TemporaryFile("w+") as answer,
        subprocess.Popen(
            command,
            cwd=module,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=answer,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as process,
    ):
        said: list[str] = []
        try:
            for line in process.stderr or ():
                said.append(line)
                progress.count()
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            raise
        if process.wait() != 0:
            raise MissingComponentError("the control plane does not build:\n" + "".join(said[-30:]).strip())
        answer.seek(0)
        return answer.readlines()
