"""The real helm, as functions."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import yaml

from dev.controlplane import ControlPlane

__all__ = ["CHART", "REPOSITORY", "Helm", "HelmError", "Manifest"]

REPOSITORY = Path(__file__).parents[3]
CHART = REPOSITORY / "charts" / "switchgear"

Manifest = dict[str, Any]  # a Kubernetes object


class HelmError(Exception):
    """Helm ended with an error; the message is all that it said."""


class Helm:
    """Runs helm against one cluster; values are given as JSON, so that they keep their types."""

    def __init__(self, plane: ControlPlane) -> None:
        self._plane = plane

    def __call__(self, *arguments: str, values: Manifest | None = None) -> str:
        """Run helm and return its standard output. Raises `HelmError`."""
        given = [f"--set-json={name}={json.dumps(value)}" for name, value in (values or {}).items()]
        folder = self._plane.folder / "helm"
        homes = {f"HELM_{kind}_HOME": str(folder / kind.lower()) for kind in ("CACHE", "CONFIG", "DATA")}
        done = subprocess.run(
            [self._plane.binaries.helm, *arguments, *given],
            env={**os.environ, **homes, "KUBECONFIG": str(self._plane.kubeconfig)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise HelmError(done.stdout + done.stderr)
        return done.stdout

    def template(
        self, namespace: str, values: Manifest | None = None, release: str = "switchgear"
    ) -> list[Manifest]:
        """The objects that the chart becomes."""
        text = self("template", release, str(CHART), "--namespace", namespace, values=values)
        return [each for each in yaml.safe_load_all(text) if each]

    def install(self, namespace: str, values: Manifest | None = None, release: str = "switchgear") -> str:
        """Install the chart and wait until the operator is ready.

        A CRD that an earlier test of the session applied by hand becomes the release's.
        """
        return self(
            "install",
            release,
            str(CHART),
            "-n",
            namespace,
            "--wait",
            "--timeout=60s",
            "--take-ownership",
            values=values,
        )

    def uninstall(self, namespace: str, release: str = "switchgear") -> str:
        """Uninstall a release and wait until its objects are gone."""
        return self("uninstall", release, "-n", namespace, "--wait", "--timeout=60s", "--ignore-not-found")
