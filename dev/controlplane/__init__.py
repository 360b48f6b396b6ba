"""A real Kubernetes control plane on loopback: its programs (built once, cached) and a running instance of them."""

from .binaries import Binaries, MissingComponentError, find_binaries
from .kubectl import KubectlError
from .plane import ControlPlane, StartError

__all__ = ["Binaries", "ControlPlane", "KubectlError", "MissingComponentError", "StartError", "find_binaries"]
