"""State across a restart: what the breakers of a process remember, in a file that its successor inherits.

A process owns one slot of the state directory for as long as it lives: a lock file, locked (`flock`), and beside
it the state. The kernel drops the lock with the process, however it ends, so a restarted process gets the slot and
the state of its predecessor, and two live ones never share any. The state file is replaced, never changed, and
carries a checksum; what is not exactly what was written is ignored.

What can be lost: a change is on the disk once the writer's thread has had its turn and the disk has synced, which
takes a few milliseconds. In a burst only the first change is written at once, the others together with the next
writing, at least 0.1 s later. While the disk is full or broken the last good state stays, and writing is tried again
after 1, 2, 4 … 30 s. A process killed in between leaves what was written before. A regular exit writes once more.

The wall clock may be set at any time. A state from the future counts as just taken. What closed circuits remember is
dropped once it is old; a circuit that was open is restored however old the state is, and probes its target if its
time is over.
"""

import contextlib
import json
import logging
import math
import os
import stat
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import sha256

from .forks import Stage, after_fork
from .snapshots import Snapshot
from .states import CircuitState

__all__ = ["LARGEST_STATE", "OLDEST_STATE", "REFRESH_INTERVAL", "StateFile"]

LARGEST_STATE = 16 * 1024 * 1024
"""Bytes beyond which a state file is ignored unread."""

OLDEST_STATE = 3600.0
"""Seconds after which what a closed circuit remembers says nothing any more about its target."""

REFRESH_INTERVAL = 300.0
"""Seconds after which the state is written again while a circuit is not closed, so that it does not age."""

MOST_SLOTS = 1000
"""Processes that can share a state directory."""

_MAGIC = b"switchgear-state 1 "
_log = logging.getLogger("switchgear")


class _UnusableError(ValueError):
    """A state file that must be ignored; the message says why."""


@dataclass(frozen=True, slots=True)
class _Slot:
    lock: int
    path: str


class StateFile:
    """Keeps the state of a process in a directory.

    Args:
        directory: Where; it is made if it does not exist.
        collect: Gives the snapshots to write.
        restore: Takes the snapshots that were found.
        namespace: The process's namespace: a state of another one is foreign.
        clock: Wall-clock seconds.
    """

    def __init__(
        self,
        directory: str,
        *,
        collect: Callable[[], list[Snapshot]],
        restore: Callable[[list[Snapshot]], object],
        namespace: str = "",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._directory = directory
        self._collect = collect
        self._restore = restore
        self._namespace = namespace
        self._clock = clock
        self._slot: _Slot | None = None
        self._changed = False
        self._blank = True
        self._written_at = clock()
        self._trouble = ""
        self._errors: dict[str, int] = {}
        self._lock = threading.Lock()
        after_fork(Stage.FILES, self._claim_in_child)

    @property
    def path(self) -> str | None:
        """The state file; None while no slot could be claimed."""
        return None if self._slot is None else self._slot.path

    @property
    def errors(self) -> dict[str, int]:
        """How often trouble appeared, by reason: `directory`, `read` or `write`."""
        return dict(self._errors)

    def open(self) -> None:
        """Claim a slot and restore what a predecessor left there."""
        with self._lock:
            self._open()

    def note_change(self) -> None:
        """There is something new to write. Safe in a signal handler and under any lock."""
        self._changed = True

    def write_if_due(self) -> bool:
        """Write if something changed, if what was written grows old, or if writing failed. Returns False if it fails."""
        age = self._clock() - self._written_at
        # An age below 0: the clock was set back.
        if self._changed or self._trouble or not 0 <= age < REFRESH_INTERVAL:
            self.write()
        return not self._trouble

    def write(self, timeout: float = -1) -> None:
        """Write now, waiting at most `timeout` seconds for a writing under way.

        What prevents it is logged and counted once, and affects nothing else.
        """
        if self._lock.acquire(timeout=timeout):
            try:
                self._write()
            finally:
                self._lock.release()

    def close(self) -> None:
        """Give up the slot; the state stays for a successor."""
        with self._lock:
            if self._slot is not None:
                os.close(self._slot.lock)
                self._slot = None

    def _write(self) -> None:
        self._written_at = self._clock()
        if self._slot is None:
            self._open()
        if self._slot is None:
            return
        self._changed, finished = False, False
        try:
            snapshots = self._collect()
            blank = all(_is_blank(snapshot) for snapshot in snapshots)
            if not (blank and self._blank):
                _replace(self._slot.path, self._encode(snapshots))
            self._blank, finished = blank, True
        except OSError as error:
            self._report("write", f"{self._slot.path} cannot be written ({error}); a restart would forget")
        else:
            self._report("", "")
        finally:
            self._changed = self._changed or not finished

    def _open(self) -> None:
        try:
            os.makedirs(self._directory, mode=0o700, exist_ok=True)  # noqa: PTH103  # paths are texts here
            self._slot = _claim(self._directory)
        except (OSError, ImportError) as error:
            self._report("directory", f"{self._directory} cannot be used ({error}); a restart will forget")
            return
        try:
            self._restore(self._decode(_read(self._slot.path)))
            self._blank = False
        except FileNotFoundError:
            return
        except (OSError, _UnusableError) as error:
            why = (isinstance(error, OSError) and error.strerror) or error
            _log.warning("state: %s is ignored: %s", self._slot.path, why)
            self._count_error("read")

    def _encode(self, snapshots: Iterable[Snapshot]) -> bytes:
        body = json.dumps(
            {
                "namespace": self._namespace,
                "writtenAt": self._clock(),
                "breakers": [snapshot.to_dict() for snapshot in snapshots],
            },
            separators=(",", ":"),
        ).encode("ascii")
        return _MAGIC + sha256(body).hexdigest().encode("ascii") + b"\n" + body

    def _decode(self, content: bytes) -> list[Snapshot]:
        head, _, body = content.partition(b"\n")
        if not head.startswith(_MAGIC):
            raise _UnusableError("it is not a state file of this version")
        if head[len(_MAGIC) :] != sha256(body).hexdigest().encode("ascii"):
            raise _UnusableError("it is damaged: the checksum is another one")
        try:
            fields = json.loads(body)
            written_at, namespace = _time(fields["writtenAt"]), fields["namespace"]
            snapshots = [Snapshot.from_dict(breaker) for breaker in fields["breakers"]]
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
            raise _UnusableError(f"its content is not understood ({error!r:.200})") from error
        if namespace != self._namespace:
            raise _UnusableError(f"it is of namespace {namespace!r:.100}, not of {self._namespace!r}")
        return self._select(snapshots, written_at)

    def _select(self, snapshots: list[Snapshot], written_at: float) -> list[Snapshot]:
        """Those that still say something: all of them unless they are old."""
        now = self._clock()
        if written_at - now > 60.0:
            _log.info(
                "state: %s was written %.0f s ahead of the clock, which was set back; it counts as just written",
                self.path,
                written_at - now,
            )
        claimed = [s for s in snapshots if written_at - s.taken_at <= OLDEST_STATE]
        kept = [s for s in claimed if s.state is not CircuitState.CLOSED or now - s.taken_at <= OLDEST_STATE]
        if len(kept) < len(claimed):
            _log.info(
                "state: %s was written %.0f s ago, more than %.0f s: %d closed circuits start afresh",
                self.path,
                now - written_at,
                OLDEST_STATE,
                len(claimed) - len(kept),
            )
        return kept

    def _count_error(self, reason: str) -> None:
        self._errors[reason] = self._errors.get(reason, 0) + 1

    def _report(self, reason: str, message: str) -> None:
        before, self._trouble = self._trouble, reason
        if reason and reason != before:
            _log.error("state: %s", message)
            self._count_error(reason)
        elif before and not reason:
            _log.info("state: %s is written again", self._slot.path if self._slot else self._directory)

    def _claim_in_child(self) -> None:
        """The slot stays the parent's. Closing our copy of its lock leaves the lock alone."""
        self._lock = threading.Lock()
        slot, self._slot = self._slot, None
        if slot is not None:
            os.close(slot.lock)
            self._open()


def _time(value: object) -> float:
    if not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"writtenAt is {value!r:.60}: seconds are expected")
    return float(value)


def _is_blank(snapshot: Snapshot) -> bool:
    return snapshot == Snapshot(
        breaker=snapshot.breaker, state=CircuitState.CLOSED, taken_at=snapshot.taken_at
    )


def _claim(directory: str) -> _Slot:
    """The first slot that nobody holds.

    Raises:
        OSError: The directory cannot be written to, or has no locks, or all slots are taken.
        ImportError: The operating system has no flock.
    """
    import fcntl  # noqa: PLC0415  # not everywhere, and only needed here

    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    for number in range(MOST_SLOTS):
        path = f"{directory}/switchgear-{number}"
        lock = os.open(f"{path}.lock", flags, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
        except BaseException:
            os.close(lock)
            raise
        else:
            return _Slot(lock, f"{path}.state")
    raise OSError(f"all {MOST_SLOTS} slots are taken by live processes")


def _read(path: str) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise _UnusableError("it is not a plain file")
        if status.st_size > LARGEST_STATE:
            raise _UnusableError(f"it has {status.st_size} bytes, above the limit of {LARGEST_STATE}")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(LARGEST_STATE + 1)
    finally:
        os.close(descriptor)


def _replace(path: str, content: bytes) -> None:
    """Put `content` in place of the file in one step, and see it through to the disk."""
    temporary = f"{path}.new"
    try:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)  # noqa: PTH108  # paths are texts here
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        with os.fdopen(os.open(temporary, flags, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)  # noqa: PTH105  # paths are texts here
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)  # noqa: PTH108  # paths are texts here
        raise
    directory = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)  # noqa: PTH120
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
