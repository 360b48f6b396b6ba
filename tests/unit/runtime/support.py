"""What the runtime's tests share: policies, a ConfigMap volume as the kubelet keeps one, and waiting."""

import asyncio
import contextlib
import itertools
import json
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

from switchgear.config import CircuitConfig
from switchgear.directory import PolicyDirectory
from switchgear.policy import PolicyDocument
from switchgear.targets import NameTarget, Target


def document(
    name: str = "payments",
    *,
    target: Target | None = None,
    namespace: str = "shop",
    uid: str = "u1",
    generation: int = 1,
    config: CircuitConfig | None = None,
) -> PolicyDocument:
    """A policy, on the breaker of its own name unless told otherwise."""
    return PolicyDocument(
        policy=f"{namespace}/{name}",
        uid=uid,
        generation=generation,
        target=target or NameTarget(name),
        config=config or CircuitConfig(),
    )


def changed(policy: PolicyDocument, **fields: object) -> str:
    """The policy's JSON with some top-level fields replaced, valid or not."""
    return json.dumps({**json.loads(policy.to_json()), **fields})


class MountedVolume:
    """A directory that changes as the kubelet changes a ConfigMap volume: everything at once, by `..data`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._versions = itertools.count()
        path.mkdir(parents=True, exist_ok=True)

    def write(self, files: Mapping[str, str | bytes]) -> Path:
        """Swap to a version with exactly these keys. Returns the version's folder."""
        old = self.path / "..data"
        before = old.readlink() if old.is_symlink() else None
        version = self.path / f"..2026_11_24_{next(self._versions)}"
        version.mkdir()
        for name, content in files.items():
            (version / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        for name in files:
            if not (self.path / name).is_symlink():
                (self.path / name).symlink_to(f"..data/{name}")
        temporary = self.path / "..data_tmp"
        temporary.symlink_to(version.name)
        temporary.rename(old)
        for link in self.path.glob("*.json"):
            if link.name not in files:
                link.unlink()
        if before is not None:
            shutil.rmtree(self.path / before)
        return version

    def policies(self, *documents: PolicyDocument) -> Path:
        """Swap to a version with exactly these policies, each under its own key."""
        return self.write({f"{d.policy.partition('/')[2]}.json": d.to_json() for d in documents})


class Follower:
    """A policy directory under test, with what it applied and counted."""

    def __init__(self, path: Path, namespace: str = "", clock: Callable[[], float] | None = None) -> None:
        self.applied: list[list[PolicyDocument]] = []
        self.errors: Counter[str] = Counter()
        self.now = 4e9  # long after any file was written: fingerprints are trusted
        self.directory = PolicyDirectory(
            str(path),
            apply=self.applied.append,
            count_error=lambda reason: self.errors.update([reason]),
            namespace=namespace,
            clock=clock or (lambda: self.now),
        )

    def poll(self) -> list[str]:
        self.directory.poll()
        return self.in_force

    @property
    def in_force(self) -> list[str]:
        return [f"{d.policy}#{d.generation}" for d in self.applied[-1]] if self.applied else []


def unmount(path: Path) -> None:
    """Leave an empty directory where another one was, as an unmount does."""
    path.rename(path.with_name("gone"))
    path.mkdir()


def eventually(condition: Callable[[], bool], *, timeout: float = 20.0) -> None:
    """Wait until `condition` holds; fail when it does not within `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        threading.Event().wait(0.01)


async def eventually_async(condition: Callable[[], bool]) -> None:
    """As `eventually`, while the event loop goes on."""
    async with asyncio.timeout(20):
        while not condition():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asyncio.Event().wait(), 0.005)
