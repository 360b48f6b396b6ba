"""The command `python -m dev node`: a local node until Ctrl-C."""

import os
import signal
import sys
from pathlib import Path

import httpx

from dev.node.api import ApiError
from dev.node.local import LocalNode

__all__ = ["main"]


def main(arguments: list[str]) -> int:
    """Run the pods of the cluster that KUBECONFIG names, such as one of `python -m dev up`."""
    kubeconfig = os.environ.get("KUBECONFIG")
    if arguments or not kubeconfig:
        print(
            "usage: KUBECONFIG=FILE python -m dev node (FILE as `python -m dev up` prints it)",
            file=sys.stderr,
        )
        return 2
    try:
        with LocalNode(Path(kubeconfig), certificate=_certificate(Path(kubeconfig))) as node:
            print(f"» node up; logs in {node.folder / 'logs'}\n  Ctrl-C ends it and its pods", flush=True)
            signal.pause()
    except (ApiError, httpx.HTTPError, OSError, ValueError) as error:
        print(f"the node cannot run: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("» node stopped")
    return 0


def _certificate(kubeconfig: Path) -> Path | None:
    """The embedded API server's own certificate lies beside its kubeconfig; elsewhere `kubectl logs` does without."""
    found = kubeconfig.parent / "certificates" / "apiserver.crt"
    return found if found.exists() else None
