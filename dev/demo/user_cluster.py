"""The demo in a cluster of the user's: what it needs there, how it reaches pods, and that it leaves nothing behind."""

import contextlib
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dev.controlplane import find_binaries
from dev.controlplane.kubectl import kubectl_environment
from dev.controlplane.programs import run_program

from .narrator import Narrator
from .places import CRD, RELEASE_NAMESPACE, ROOT, Place, PlaceError
from .shop import NAMESPACE
from .tools import Helm, HelmError, Kubectl, KubectlError

__all__ = ["user_cluster"]


@contextmanager
def user_cluster(context: str, image: str, narrator: Narrator, folder: Path) -> Iterator[Place]:
    """Use the cluster of a context of the user's kubeconfig, and remove from it what the demo put there.

    `image` is `repository:tag`, as the cluster has it or can pull it. Pods are reached through the API server.

    Raises:
        PlaceError: The context or the image cannot be used, or something of the demo's names is there already.
    """
    binaries = find_binaries()
    repository, tag = _split(image)
    with tempfile.TemporaryDirectory() as own:
        kubectl = Kubectl(binaries.kubectl, _kubeconfig(binaries.kubectl, context, Path(own)))
        helm = Helm(binaries.helm, kubectl.kubeconfig, Path(own) / "helm")
        _refuse_what_is_there(kubectl, context)
        narrator.say(
            f"using the cluster of context {context}; what the demo puts there is removed at the end"
        )
        narrator.note(f"its nodes need the image {image}: made by make image, then pushed, or loaded")
        narrator.note(f"(kind load docker-image {image}, minikube image load {image})")
        with _removed(kubectl, helm, narrator, folder / "logs"), _kubectl_proxy(kubectl) as proxy:
            yield Place(
                kubectl=kubectl,
                helm=helm,
                pod_url=lambda pod, port: (
                    f"{proxy}/api/v1/namespaces/{NAMESPACE}/pods/{pod.name}:{port}/proxy"
                ),
                patience=8.0,
                start_within=180,
                chart_values=f"--set image.repository={repository} --set image.tag={tag}",
                shop=_overlay(folder / "shop", repository, tag),
            )


def _split(image: str) -> tuple[str, str]:
    repository, _, tag = image.rpartition(":")
    if not repository or not tag or "/" in tag:
        raise PlaceError(f"IMAGE={image}: give it as repository:tag")
    return repository, tag


def _refuse_what_is_there(kubectl: Kubectl, context: str) -> None:
    for name in (f"namespace/{NAMESPACE}", f"namespace/{RELEASE_NAMESPACE}", f"crd/{CRD}"):
        if kubectl("get", name, "--ignore-not-found", "--output", "name"):
            raise PlaceError(
                f"context {context} has {name} already, and the demo would change it and remove it at the end: "
                "use a cluster without switchgear, or remove it first"
            )


@contextmanager
def _removed(kubectl: Kubectl, helm: Helm, narrator: Narrator, logs: Path) -> Iterator[None]:
    """Remove what the demo put into a cluster, whatever ends the block; keep the pods' logs and descriptions first."""
    try:
        yield
    finally:
        narrator.say("removing the demo from the cluster")
        for namespace in (NAMESPACE, RELEASE_NAMESPACE):
            with contextlib.suppress(KubectlError):
                _save_logs(kubectl, namespace, logs / namespace)
        with contextlib.suppress(HelmError):
            helm("uninstall", "switchgear", "-n", RELEASE_NAMESPACE, "--ignore-not-found", "--wait")
        kubectl("delete", "namespace", NAMESPACE, RELEASE_NAMESPACE, "--ignore-not-found")
        kubectl("delete", "crd", CRD, "--ignore-not-found")


def _save_logs(kubectl: Kubectl, namespace: str, folder: Path) -> None:
    folder.mkdir()
    (folder / "pods.txt").write_text(kubectl("describe", "pods", "-n", namespace))
    for pod in kubectl("get", "pods", "-n", namespace, "-o", "name").split():
        with contextlib.suppress(KubectlError):  # it has not started: pods.txt says why
            (folder / f"{Path(pod).name}.log").write_text(kubectl("logs", "-n", namespace, pod))


def _kubeconfig(program: Path, context: str, folder: Path) -> Path:
    """A kubeconfig of this context alone, so that every command of the demo means this cluster and no other."""
    view: list[str | Path] = [
        program,
        "config",
        "view",
        f"--context={context}",
        "--minify",
        "--flatten",
        "--raw",
    ]
    shown = run_program(view, dict(os.environ))
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
        env={**os.environ, **kubectl_environment(kubectl.kubeconfig)},
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


def _overlay(folder: Path, repository: str, tag: str) -> str:
    """A folder that kustomizes examples/shop: the same shop, with the cluster's image."""
    folder.mkdir()
    base = os.path.relpath(ROOT / "examples" / "shop", folder.absolute())
    images = f"images: [{{name: switchgear-operator, newName: {repository}, newTag: {tag}}}]\n"
    (folder / "kustomization.yaml").write_text(f"resources: [{base}]\n{images}")
    return str(folder)
