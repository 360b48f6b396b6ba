"""The files of a policy directory, read so that all of them are of one version.

Kubernetes swaps a mounted ConfigMap in one step: `..data` is a symlink to the folder of the current version, and
each key a symlink through it. So the version's folder is opened once, everything is read relative to it, and the
reading counts only if `..data` still leads there at the end. A directory without `..data` is read as it is.
"""

import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from .policy import LARGEST_DOCUMENT

__all__ = ["Fingerprint", "KeyFile", "Volume", "read_volume"]

TRIES = 3
"""How often a reading that was overtaken by a swap is begun anew before the next poll takes over."""

SETTLING_TIME = 2.0
"""Seconds in which a file may change again without a new time stamp: until then it is read at every poll."""

Fingerprint = tuple[int, ...]
"""What changes whenever a file's content does, once the file is older than the settling time."""


@dataclass(frozen=True, slots=True)
class KeyFile:
    """One key. `content` is None if it is `unchanged` since it was last read, or cannot be read: then `problem` says why."""

    fingerprint: Fingerprint | None = None
    content: bytes | None = None
    problem: OSError | None = None
    unchanged: bool = False


@dataclass(frozen=True, slots=True)
class Volume:
    """All keys of one version of a directory.

    Args:
        keys: By file name.
        mounted: Whether there is a `..data`, so that a key that is not here is not in the ConfigMap.
        directory: Device and inode of the directory itself, which tell it from one put in its place.
    """

    keys: dict[str, KeyFile]
    mounted: bool
    directory: tuple[int, int]


class _SwappedError(OSError):
    """The files changed while they were read."""


def read_volume(path: str, known: Mapping[str, Fingerprint], now: float) -> Volume:
    """Read every `*.json` of a directory whose fingerprint is not the known one.

    Args:
        path: The directory.
        known: Fingerprints of the keys read before.
        now: Wall-clock seconds.

    Raises:
        OSError: The directory is not there, not readable, or changes faster than it can be read.
    """
    for attempt in range(TRIES):
        try:
            return _read_once(path, known, now)
        except _SwappedError:
            if attempt == TRIES - 1:
                raise
    raise AssertionError("unreachable")


def _read_once(path: str, known: Mapping[str, Fingerprint], now: float) -> Volume:
    with _opened(path) as outer:
        try:
            with _opened("..data", dir_fd=outer) as version:
                keys = _read_keys(version, known, now)
                if not _leads_to("..data", outer, version):
                    raise _SwappedError("..data was swapped")
                return Volume(keys, mounted=True, directory=_identity(os.fstat(outer)))
        except FileNotFoundError:
            if _exists("..data", outer):
                raise
        return Volume(_read_keys(outer, known, now), mounted=False, directory=_identity(os.fstat(outer)))


@contextmanager
def _opened(path: str, dir_fd: int | None = None) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=dir_fd)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _read_keys(directory: int, known: Mapping[str, Fingerprint], now: float) -> dict[str, KeyFile]:
    names = [n for n in os.listdir(directory) if n.endswith(".json") and not n.startswith(".")]
    return {name: _read_key(name, directory, known.get(name), now) for name in sorted(names)}


def _read_key(name: str, directory: int, known: Fingerprint | None, now: float) -> KeyFile:
    try:
        # Looked at before it is opened: opening a device can have effects, opening a pipe can wait for ever.
        status = os.stat(name, dir_fd=directory)
        _require_plain_file(status)
        if _fingerprint(status) == known and now - status.st_ctime > SETTLING_TIME:
            return KeyFile(known, unchanged=True)
        return _read_file(name, directory)
    except FileNotFoundError as error:
        if _exists(name, directory):
            return KeyFile(problem=error)  # a link that leads nowhere
        raise _SwappedError(f"{name} went away while it was read") from error
    except OSError as error:
        return KeyFile(problem=error)


def _read_file(name: str, directory: int) -> KeyFile:
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    descriptor = os.open(name, flags, dir_fd=directory)
    try:
        status = os.fstat(descriptor)
        _require_plain_file(status)
        content = bytearray()
        while len(content) <= LARGEST_DOCUMENT and (
            part := os.read(descriptor, LARGEST_DOCUMENT + 1 - len(content))
        ):
            content += part
    finally:
        os.close(descriptor)
    return KeyFile(_fingerprint(status), bytes(content))


def _require_plain_file(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise OSError("it is not a plain file")


def _exists(name: str, directory: int) -> bool:
    try:
        os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _leads_to(name: str, directory: int, expected: int) -> bool:
    try:
        return _identity(os.stat(name, dir_fd=directory)) == _identity(os.fstat(expected))
    except FileNotFoundError:
        return False


def _identity(status: os.stat_result) -> tuple[int, int]:
    return (status.st_dev, status.st_ino)


def _fingerprint(status: os.stat_result) -> Fingerprint:
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
