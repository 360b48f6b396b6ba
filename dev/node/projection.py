"""Files of a volume, replaced all at once as the kubelet does it.

The files live in a folder named for the moment they were written; `..data` is a symlink to the newest such folder, and each
visible name is a symlink through `..data`. Renaming a new `..data` over the old one changes every file at the same instant.
"""

import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

__all__ = ["File", "project"]

_DATA = "..data"
_NEXT = "..data_tmp"


@dataclass(frozen=True)
class File:
    """What one path of a volume holds."""

    content: bytes
    mode: int = 0o644


def project(folder: Path, files: Mapping[str, File]) -> bool:
    """Make `folder` show exactly `files` (relative path to content); True when that changed anything.

    A reader that resolves `..data` sees either all of the old files or all of the new ones.
    Raises `ValueError` for a path that would leave the folder.
    """
    for path in files:
        _check(path)
    current = folder / _DATA
    if current.is_dir() and _read(current) == dict(files):
        return False
    folder.mkdir(parents=True, exist_ok=True)
    stamp = datetime.now(UTC).strftime("..%Y_%m_%d_%H_%M_%S.")
    fresh = Path(tempfile.mkdtemp(prefix=stamp, dir=folder))
    fresh.chmod(0o755)
    for path, file in files.items():
        target = fresh / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.content)
        target.chmod(file.mode)
    stale = current.resolve() if current.is_symlink() else None
    _swap(folder, fresh)
    _show(folder, {PurePosixPath(path).parts[0] for path in files})
    if stale is not None:
        shutil.rmtree(stale)
    return True


def _check(path: str) -> None:
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts or parts[0].startswith(".."):
        raise ValueError(f"volume path {path!r}: must be relative and stay inside the volume")


def _read(folder: Path) -> dict[str, File]:
    return {
        str(path.relative_to(folder)): File(path.read_bytes(), path.stat().st_mode & 0o777)
        for path in folder.rglob("*")
        if path.is_file()
    }


def _swap(folder: Path, fresh: Path) -> None:
    following = folder / _NEXT
    following.unlink(missing_ok=True)
    following.symlink_to(fresh.name)
    following.rename(folder / _DATA)


def _show(folder: Path, names: set[str]) -> None:
    for entry in os.scandir(folder):
        if not entry.name.startswith("..") and entry.name not in names:
            Path(entry.path).unlink()
    for name in names:
        visible = folder / name
        if not visible.is_symlink():
            visible.symlink_to(f"{_DATA}/{name}")
