"""Where the control plane's programs are: KUBEBUILDER_ASSETS, else the cache, else built into the cache."""

import fcntl
import hashlib
import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .build import build
from .toolchain import MissingComponentError, find_go

__all__ = ["MODULE", "Binaries", "MissingComponentError", "cache_folder", "cache_key", "find_binaries"]

MODULE = Path(__file__).parent
"""The folder of go.mod and go.sum, which say what is built."""

_PROGRAMS = ("kube-apiserver", "kube-controller-manager", "helm")
_ETCD = ("etcd", "server")  # etcd's own main package is called server


@dataclass(frozen=True, slots=True)
class Binaries:
    """The programs, each as an absolute path."""

    etcd: Path
    kube_apiserver: Path
    kube_controller_manager: Path
    helm: Path
    kubectl: Path


def find_binaries() -> Binaries:
    """Find the programs, and build what is nowhere yet (minutes, with its progress on standard error).

    Raises:
        MissingComponentError: Something is missing that only the user can provide; the message says how.
    """
    given = os.environ.get("KUBEBUILDER_ASSETS")
    if given:
        return _in_folder(
            Path(given), f"KUBEBUILDER_ASSETS={given}", "complete the folder, or unset the variable"
        )
    folder = cache_folder() / f"controlplane-{cache_key(MODULE)}"
    if not folder.is_dir():
        with _locked(folder):
            if not folder.is_dir():
                build(find_go(MODULE, cache_folder()), MODULE, folder)
    return _in_folder(folder, str(folder), "remove the folder, and it will be built again")


def cache_folder() -> Path:
    """Where everything is kept that outlives a run."""
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (base if base.is_absolute() else Path.home() / ".cache") / "switchgear"


def _in_folder(folder: Path, name: str, remedy: str) -> Binaries:
    etcd = next((folder / program for program in _ETCD if (folder / program).exists()), None)
    missing = [program for program in _PROGRAMS if not (folder / program).exists()]
    if etcd is None:
        missing.insert(0, "etcd")
    if missing or etcd is None:
        raise MissingComponentError(f"{name} has no {', '.join(missing)}: {remedy}")
    apiserver, controller_manager, helm = (folder.resolve() / program for program in _PROGRAMS)
    return Binaries(etcd.resolve(), apiserver, controller_manager, helm, _kubectl())


def _kubectl() -> Path:
    kubectl = Path(sys.executable).parent / "kubectl"
    if not kubectl.exists():
        raise MissingComponentError(
            f"{kubectl} is missing: run this with the virtual environment's Python, which `make venv` makes"
        )
    return kubectl


def cache_key(module: Path) -> str:
    """A hash of everything that decides what the programs are."""
    digest = hashlib.sha256(f"{platform.system()} {platform.machine()}\n".encode())
    for name in ("go.mod", "go.sum"):
        digest.update((module / name).read_bytes())
    return digest.hexdigest()[:16]


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Let one process at a time build into `folder`; the lock ends with the process."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{folder.name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(
                "» another process is building the control plane: waiting for it", file=sys.stderr, flush=True
            )
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
