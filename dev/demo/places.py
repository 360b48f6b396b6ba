"""Where the demo runs: what the story needs of a place, and the embedded one (`user_cluster.py` has the other).

The story is the same in both places. They differ in how a pod is reached, in the image, and in how patient one must be.
"""

import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dev.controlplane import ControlPlane, find_binaries
from dev.node import LocalNode

from .narrator import Narrator
from .shop import PodUrl
from .tools import Helm, Kubectl

__all__ = ["CRD", "RELEASE_NAMESPACE", "ROOT", "Place", "PlaceError", "embedded_place"]

RELEASE_NAMESPACE = "switchgear-system"
CRD = "circuitbreakerpolicies.switchgear.dev"
KUBELET_SECONDS = 2.0
"""How late the local node's volumes follow a ConfigMap: quick for a kubelet, slow enough to be watched."""

ROOT = Path(__file__).parents[2]


class PlaceError(Exception):
    """The demo cannot run here; the message says why and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A cluster, its tools, and what is particular to it.

    `patience` multiplies the deadlines of what is to be seen; `start_within` is how many seconds pods may take to be ready.
    `chart_values` go to helm, `shop` is the folder that kubectl applies.
    """

    kubectl: Kubectl
    helm: Helm
    pod_url: PodUrl
    patience: float
    start_within: int
    chart_values: str
    shop: str


@contextmanager
def embedded_place(narrator: Narrator, logs: Path) -> Iterator[Place]:
    """Start a control plane and a local node, and end both; their logs are copied into `logs` on the way out."""
    binaries = find_binaries()
    narrator.say("starting etcd, kube-apiserver and kube-controller-manager on loopback")
    with ControlPlane.start(binaries) as plane, _copied(plane.folder, logs / "control-plane"):
        narrator.say(
            "starting the local node: no container engine here, so each pod is a process with its own address"
        )
        _log_to(logs / "local-node.log")
        with (
            LocalNode(plane.kubeconfig, volume_delay=KUBELET_SECONDS, certificate=plane.authority) as node,
            _copied(node.folder / "logs", logs / "pods"),
        ):
            yield Place(
                kubectl=Kubectl(binaries.kubectl, plane.kubeconfig),
                helm=Helm(binaries.helm, plane.kubeconfig, plane.folder / "helm"),
                pod_url=lambda pod, port: f"http://{pod.ip}:{port}",
                patience=1.0,
                start_within=60,
                chart_values="",
                shop="examples/shop",
            )


@contextmanager
def _copied(source: Path, target: Path) -> Iterator[None]:
    """Copy every log of a folder that is about to be removed, whatever ends the block."""
    try:
        yield
    finally:
        for log in source.rglob("*.log"):
            copy = target / log.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(log, copy)


def _log_to(path: Path) -> None:
    """Write what the local node logs to a file: the terminal is the story's."""
    handler = logging.FileHandler(path, mode="w", delay=True)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logging.getLogger("dev").addHandler(handler)
