"""Where one run of the demo puts everything: its recording, picture and logs, and while it runs its temporary files."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dev.controlplane.binaries import cache_folder

__all__ = ["Folder", "FolderInUseError", "build_folder"]


class FolderInUseError(Exception):
    """Another demo uses the folder; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Folder:
    """`path` is shown as the user gave it."""

    path: Path

    @property
    def logs(self) -> Path:
        """What the control plane, the local node and the pods printed."""
        return self.path / "logs"


@contextmanager
def build_folder(path: Path) -> Iterator[Folder]:
    """Have every file of this run and its programs in the folder. The picture of the run before stays until the next one.

    Raises:
        FolderInUseError: Another demo runs with the same folder.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FolderInUseError(
                f"another demo uses {path}: end it, or run .venv/bin/python -m dev demo --folder build/other"
            ) from None
        temporary = path.absolute() / "tmp"
        for left in (temporary, path / "logs"):
            shutil.rmtree(left, ignore_errors=True)
        temporary.mkdir(parents=True)
        (path / "logs").mkdir()
        tempfile.tempdir = os.environ["TMPDIR"] = str(temporary)
        os.environ["MPLCONFIGDIR"] = str(cache_folder() / "matplotlib")
        try:
            yield Folder(path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
