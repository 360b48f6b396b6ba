"""The commands `python -m dev controlplane` and `python -m dev up`."""

import signal
import sys

from .binaries import MissingComponentError, find_binaries
from .plane import ControlPlane, StartError

__all__ = ["build", "up"]


def build(arguments: list[str]) -> int:
    """Get the control plane's programs, building them if needed, and say where they are."""
    if arguments:
        print(f"unknown arguments {' '.join(arguments)}: this command takes none", file=sys.stderr)
        return 2
    try:
        binaries = find_binaries()
    except MissingComponentError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"» control plane in {binaries.kube_apiserver.parent}")
    return 0


def up(arguments: list[str]) -> int:
    """Run a control plane until Ctrl-C or SIGTERM."""
    if arguments:
        print(f"unknown arguments {' '.join(arguments)}: this command takes none", file=sys.stderr)
        return 2
    try:
        with ControlPlane.start() as plane:
            print(
                f"» control plane at {plane.url}\n  export KUBECONFIG={plane.kubeconfig}\n  Ctrl-C ends it",
                flush=True,
            )
            signal.pause()
    except (MissingComponentError, StartError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("» control plane stopped")
    return 0
