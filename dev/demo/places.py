"""Where the demo runs: the embedded control plane with the local node, or a cluster of the user's.

The story is the same in both places. They differ in how a pod is reached, in the image, and in how patient one must be.
"""

import logging
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dev.controlplane import ControlPlane, find_binaries
from dev.node import LocalNode

from .narrator import Narrator
from .shop import NAMESPACE, PodUrl
from .tools import Helm, Kubectl

__all__ = ["RELEASE_NAMESPACE", "Place", "PlaceError", "embedded_place", "user_cluster"]

RELEASE_NAMESPACE = "switchgear-system"
ROOT = Path(__file__).parents[2]


class PlaceError(Exception):
    """The demo cannot run here; the message says why and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A cluster, its tools, and what is particular to it.

    `patience` multiplies every deadline. `chart_values` go to helm, `shop` is the folder that kubectl applies.
    """

    kubectl: Kubectl
    helm: Helm
    pod_url: PodUrl
    patience: float
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
        with LocalNode(plane.kubeconfig) as node, _copied(node.folder / "logs", logs / "pods"):
            yield Place(
                kubectl=Kubectl(binaries.kubectl, plane.kubeconfig),
                helm=Helm(binaries.helm, plane.kubeconfig, plane.folder / "helm"),
                pod_url=lambda pod, port: f"http://{pod.ip}:{port}",
                patience=1.0,
                chart_values="",
                shop="examples/shop",
            )


@contextmanager
def user_cluster(context: str, image: str | None, narrator: Narrator, build: Path) -> Iterator[Place]:
    """Use the cluster of a context of the user's kubeconfig, and remove from it what the demo put there.

    `image` is `repository:tag`, as the cluster can pull it. Pods are reached through the API server (`kubectl proxy`).

    Raises:
        PlaceError: The context is unknown, or something of the demo's names is there already.
    """
    binaries = find_binaries()
    with tempfile.TemporaryDirectory(dir=build) as folder:
        kubectl = Kubectl(binaries.kubectl, _kubeconfig(binaries.kubectl, context, Path(folder)))
        for namespace in (NAMESPACE, RELEASE_NAMESPACE):
            if kubectl("get", "namespace", namespace, "--ignore-not-found", "--output", "name"):
                raise PlaceError(
                    f"context {context}: the namespace {namespace} is there already, and the demo would change and delete it: "
                    f"kubectl --context {context} delete namespace {namespace}, or use another cluster"
                )
        narrator.say(
            f"using the cluster of context {context}; the demo's two namespaces are removed at the end"
        )
        with _kubectl_proxy(kubectl) as proxy:
            yield Place(
                kubectl=kubectl,
                helm=Helm(binaries.helm, kubectl.kubeconfig, Path(folder) / "helm"),
                pod_url=lambda pod, port: (
                    f"{proxy}/api/v1/namespaces/{NAMESPACE}/pods/{pod.name}:{port}/proxy"
                ),
                patience=8.0,
                chart_values=_image_values(image),
                shop=_overlay(build, image),
            )


def _kubeconfig(program: Path, context: str, folder: Path) -> Path:
    """A kubeconfig of this context alone, so that every command of the demo means this cluster and no other."""
    shown = subprocess.run(
        [program, "config", "view", f"--context={context}", "--minify", "--flatten", "--raw"],
        capture_output=True,
        text=True,
        check=False,
    )
    if shown.returncode != 0:
        raise PlaceError(
            f"KUBE_CONTEXT={context}: {shown.stderr.strip()}: kubectl config get-contexts lists them"
        )
    path = folder / "kubeconfig"
    path.touch(mode=0o600)
    path.write_text(shown.stdout)
    return path


@contextmanager
def _kubectl_proxy(kubectl: Kubectl) -> Iterator[str]:
    with subprocess.Popen(
        [kubectl.program, "proxy", "--port=0"],
        env={**os.environ, "KUBECONFIG": str(kubectl.kubeconfig)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            line = process.stdout.readline() if process.stdout else ""
            found = re.search(r"127\.0\.0\.1:\d+", line)
            if found is None:
                raise PlaceError(f"kubectl proxy does not start: {line.strip()}")
            yield f"http://{found[0]}"
        finally:
            process.terminate()


def _image_values(image: str | None) -> str:
    if image is None:
        return ""
    repository, _, tag = image.rpartition(":")
    return f"--set image.repository={repository} --set image.tag={tag}"


def _overlay(build: Path, image: str | None) -> str:
    """The shop with the user's image: a folder that kustomizes examples/shop."""
    folder = build / "shop"
    folder.mkdir(exist_ok=True)
    repository, _, tag = (image or "").rpartition(":")
    images = (
        f"images: [{{name: switchgear-operator, newName: {repository}, newTag: {tag}}}]\n" if image else ""
    )
    base = os.path.relpath(ROOT / "examples" / "shop", folder)
    (folder / "kustomization.yaml").write_text(f"resources: [{base}]\n{images}")
    return os.path.relpath(folder, ROOT)


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
