"""The real kubectl, as a function."""

import os
from pathlib import Path

from dev.controlplane.programs import run_program

__all__ = ["KubectlError", "run_kubectl"]


class KubectlError(Exception):
    """kubectl ended with an error: the message is the command and all that it said."""

    def __init__(self, command: str, output: str) -> None:
        super().__init__(f"{command}\n{output}")
        self.output = output


def run_kubectl(
    program: Path,
    kubeconfig: Path,
    *arguments: str,
    stdin: str | None = None,
    environment: dict[str, str] | None = None,
) -> str:
    """Run kubectl and return its standard output. Its caches stay in the kubeconfig's folder.

    Raises:
        KubectlError: It ended with an error.
    """
    known = {**os.environ, **kubectl_environment(kubeconfig), **(environment or {})}
    done = run_program([program, *arguments], known, stdin)
    if done.returncode != 0:
        raise KubectlError(" ".join(("kubectl", *arguments)), done.stdout + done.stderr)
    return done.stdout


def kubectl_environment(kubeconfig: Path) -> dict[str, str]:
    """What tells kubectl which cluster is meant, whatever the user's own configuration says."""
    return {
        "KUBECONFIG": str(kubeconfig),
        "KUBECACHEDIR": str(kubeconfig.parent / "kubectl-cache"),
        "KUBERC": "off",
    }
