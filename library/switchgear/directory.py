"""Policies from a mounted directory: what is good is applied, what is bad leaves the last good in force.

Evidence: a key that cannot be read or understood keeps its last good policy. A key is gone only when a complete
listing of the mounted version (or of the same plain directory) lacks it; an empty `..data` is such a listing, it
is what the kubelet leaves of a deleted ConfigMap. A directory that is missing, unreadable, without its `..data`,
or empty and another one than before, says nothing about any policy.

The document says which policy it is; the file's name only decides between two files that claim the same one.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from .forks import Stage, after_fork
from .policy import PolicyDocument, PolicyError
from .volume import Fingerprint, KeyFile, Volume, read_volume

__all__ = ["PolicyDirectory"]

_LONGEST_MESSAGE = 400
_log = logging.getLogger("switchgear")


@dataclass(frozen=True, slots=True)
class _Problem:
    reason: str
    message: str


@dataclass(slots=True)
class _Key:
    """A key's last good document, and what is wrong with what the file says now."""

    fingerprint: Fingerprint | None = None
    document: PolicyDocument | None = None
    problem: _Problem | None = None


class PolicyDirectory:
    """Keeps a set of policies in step with a directory, one `poll` at a time.

    Args:
        path: The directory; it may appear later.
        apply: Called with every policy in force, whenever that set changes.
        count_error: Called with a reason, once for each problem that appears.
        namespace: The namespace of this process; policies of another one are refused. Empty: any.
        clock: Wall-clock seconds.
    """

    def __init__(
        self,
        path: str,
        *,
        apply: Callable[[list[PolicyDocument]], object],
        count_error: Callable[[str], object],
        namespace: str = "",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._path = path
        self._apply = apply
        self._count_error = count_error
        self._namespace = namespace
        self._clock = clock
        self._keys: dict[str, _Key] = {}
        self._applied: list[PolicyDocument] | None = None
        self._last: Volume | None = None
        self._problems: dict[str, _Problem] = {}
        self._lock = threading.Lock()
        after_fork(Stage.LOCKS, self._start_over_in_child)

    def poll(self) -> None:
        """Look at the directory, and apply its policies if they changed."""
        with self._lock:
            volume = self._read()
            if isinstance(volume, _Problem):
                self._tell({**self._problems, "": volume})
                return
            self._last = volume
            self._take_in(volume)
            documents, problems = self._judge()
            self._tell(problems)
            if documents != self._applied:
                self._apply(documents)
                self._applied = documents

    def _read(self) -> Volume | _Problem:
        known = {name: key.fingerprint for name, key in self._keys.items() if key.fingerprint}
        try:
            volume = read_volume(self._path, known, self._clock())
        except (FileNotFoundError, NotADirectoryError) as error:
            if self._last is None:
                return _Problem("", "is not there yet; calls go by their code defaults until it appears")
            return _Problem("directory", f"has gone ({error}); the last good policies stay in force")
        except OSError as error:
            return _Problem("directory", f"cannot be read ({error}); the last good policies stay in force")
        if self._last is not None and _is_torn_away(self._last, volume):
            return _Problem("directory", "has lost its content; the last good policies stay in force")
        return volume

    def _take_in(self, volume: Volume) -> None:
        for name in self._keys.keys() - volume.keys.keys():
            del self._keys[name]
        for name, file in volume.keys.items():
            if not file.unchanged:
                self._take_in_key(file, self._keys.setdefault(name, _Key()))

    def _take_in_key(self, file: KeyFile, key: _Key) -> None:
        try:
            key.document, key.problem = self._parse(file), None
        except PolicyError as error:
            stays = "its last good policy stays in force" if key.document else "it brings no policy"
            key.problem = _Problem(error.reason, f"{error}; {stays}")
        key.fingerprint = file.fingerprint  # last, so that a key whose taking in was cut short is read again

    def _parse(self, file: KeyFile) -> PolicyDocument:
        if file.content is None:
            raise PolicyError("unreadable", f"cannot be read: {_why(file.problem)}")
        document = PolicyDocument.from_json(file.content)
        namespace = document.policy.partition("/")[0]
        if self._namespace and namespace != self._namespace:
            raise PolicyError(
                "foreign",
                f"policy {document.policy} is of namespace {namespace!r}, but this process runs in "
                f"{self._namespace!r}: mount the ConfigMap of that namespace",
            )
        return document

    def _judge(self) -> tuple[list[PolicyDocument], dict[str, _Problem]]:
        """The documents in force, by policy, and what is wrong, by key."""
        problems = {name: key.problem for name, key in self._keys.items() if key.problem}
        claims: dict[str, list[tuple[str, PolicyDocument]]] = {}
        for name, key in self._keys.items():
            if key.document is not None:
                claims.setdefault(key.document.policy, []).append((name, key.document))
        documents = []
        for policy, claimants in sorted(claims.items()):
            (best, document), *others = sorted(claimants, key=lambda claim: self._rank(*claim))
            documents.append(document)
            for name, _ in others:
                message = f"policy {policy} is in {best} too, which counts: remove one of the two"
                problems.setdefault(name, _Problem("duplicate", message))
        return documents, problems

    def _rank(self, name: str, document: PolicyDocument) -> tuple[bool, bool, str]:
        return (
            self._keys[name].problem is not None,
            name != f"{document.policy.partition('/')[2]}.json",
            name,
        )

    def _tell(self, problems: dict[str, _Problem]) -> None:
        """Log and count each problem that is new, and say which are over."""
        before, self._problems = self._problems, problems
        for name, problem in problems.items():
            if before.get(name) != problem:
                subject = f"{self._path}/{name}:" if name else self._path
                _log.warning("policies: %s %s", subject, problem.message[:_LONGEST_MESSAGE])
                if problem.reason:
                    self._count_error(problem.reason)
        for name in before.keys() - problems.keys():
            _log.info("policies: %s is in order again", f"{self._path}/{name}" if name else self._path)

    def _start_over_in_child(self) -> None:
        self._lock = threading.Lock()
        self._applied = None  # another thread may have been in the middle of applying


def _why(error: OSError | None) -> str:
    return str((error and error.strerror) or error)


def _is_torn_away(before: Volume, now: Volume) -> bool:
    if before.mounted:
        return not now.mounted
    return not now.mounted and not now.keys and now.directory != before.directory
