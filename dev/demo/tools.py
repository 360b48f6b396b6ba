"""The real kubectl and the real helm, each with caches and configuration of its own."""

import json
import os
from pathlib import Path
from typing import Any

from dev.controlplane.kubectl import KubectlError, kubectl_environment, run_kubectl
from dev.controlplane.programs import run_program

__all__ = ["Helm", "HelmError", "Kubectl", "KubectlError"]


class Kubectl:
    """kubectl for the demo's cluster. Raises `KubectlError`, with what kubectl said, when it ends with an error."""

    def __init__(self, program: Path, kubeconfig: Path) -> None:
        self.program = program
        self.kubeconfig = kubeconfig

    def __call__(self, *arguments: str) -> str:
        """Run it and return what it printed."""
        return run_kubectl(self.program, self.kubeconfig, *arguments)

    def json(self, *arguments: str) -> Any:
        """Run it with `--output json` and return the object: whatever JSON the API has for it."""
        return json.loads(self(*arguments, "--output", "json"))


class HelmError(Exception):
    """helm ended with an error; the message is the command and all that it said."""


class Helm:
    """helm for the demo's cluster; everything that it remembers goes into `folder`."""

    def __init__(self, program: Path, kubeconfig: Path, folder: Path) -> None:
        self._program = program
        homes = {f"HELM_{kind}_HOME": str(folder / kind.lower()) for kind in ("CACHE", "CONFIG", "DATA")}
        self._environment = {**os.environ, **homes, **kubectl_environment(kubeconfig)}

    def __call__(self, *arguments: str) -> str:
        """Run it and return what it printed. Raises `HelmError`."""
        done = run_program([self._program, *arguments], self._environment)
        if done.returncode != 0:
            raise HelmError(f"{' '.join(('helm', *arguments))}\n{done.stdout}{done.stderr}")
        return done.stdout
