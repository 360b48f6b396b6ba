"""The embedded control plane does what a cluster's does, and leaves nothing behind."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from dev.controlplane import ControlPlane, KubectlError, StartError
from tests.conftest import Kubectl
from tests.support.waiting import eventually

REPOSITORY = Path(__file__).parent.parent.parent.parent


def test_a_deployment_becomes_a_pod_and_its_deletion_removes_it(
    kubectl: Kubectl, namespace: str, api: httpx.Client
) -> None:
    pods = f"/api/v1/namespaces/{namespace}/pods"
    kubectl("create", "deployment", "web", "-n", namespace, "--image=example.org/web")
    eventually(lambda: len(api.get(pods).json()["items"]) == 1, 30, "the deployment's pod")

    kubectl("delete", "deployment", "web", "-n", namespace)

    eventually(lambda: api.get(pods).json()["items"] == [], 60, "the pod's garbage collection")


def test_a_deleted_namespace_goes_with_all_that_is_in_it(
    control_plane: ControlPlane, kubectl: Kubectl, namespace: str, api: httpx.Client
) -> None:
    kubectl("create", "configmap", "settings", "-n", namespace)

    kubectl("delete", "namespace", namespace, "--wait=false")

    eventually(
        lambda: api.get(f"/api/v1/namespaces/{namespace}").status_code == 404, 60, "the namespace's end"
    )


def test_a_service_account_may_do_what_its_role_says_and_no_more(
    control_plane: ControlPlane, kubectl: Kubectl, namespace: str
) -> None:
    kubectl("create", "role", "reader", "-n", namespace, "--verb=get,list", "--resource=configmaps")
    kubectl(
        "create",
        "rolebinding",
        "reader",
        "-n",
        namespace,
        "--role=reader",
        f"--serviceaccount={namespace}:default",
    )
    account = control_plane.service_account_kubeconfig(namespace, "default")

    assert "kube-root-ca.crt" in kubectl("get", "configmaps", "-n", namespace, kubeconfig=account)
    with pytest.raises(KubectlError, match=f"Forbidden.*system:serviceaccount:{namespace}:default"):
        kubectl("get", "secrets", "-n", namespace, kubeconfig=account)


def test_the_restricted_pod_security_standard_is_enforced_where_asked_for(
    kubectl: Kubectl, namespace: str
) -> None:
    kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted")

    with pytest.raises(KubectlError, match='violates PodSecurity "restricted'):
        kubectl("run", "web", "-n", namespace, "--image=example.org/web")


def test_the_certificate_in_a_pods_namespace_is_the_api_servers(
    control_plane: ControlPlane, kubectl: Kubectl, namespace: str
) -> None:
    stored = json.loads(kubectl("get", "configmap", "kube-root-ca.crt", "-n", namespace, "-o", "json"))

    assert stored["data"]["ca.crt"] == control_plane.authority.read_text()


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, 143), (signal.SIGKILL, -9)]
)
def test_the_command_up_leaves_no_process_and_no_file(
    control_plane: ControlPlane, number: int, code: int
) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "dev", "up"],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as up:
        assert up.stdout
        told = [up.stdout.readline() for _ in range(3)]
        folder = Path(told[1].strip().removeprefix("export KUBECONFIG=")).parent
        assert folder.is_dir()
        assert processes_of(folder)

        up.send_signal(number)
        up.communicate()

    assert up.returncode == code
    eventually(lambda: not processes_of(folder), 30, "the end of every process")
    eventually(lambda: not folder.exists(), 30, "the removal of the folder")


def test_a_program_that_ends_at_once_is_named_with_the_end_of_its_log(
    control_plane: ControlPlane, tmp_path: Path
) -> None:
    broken = tmp_path / "kube-apiserver"
    broken.write_text("#!/bin/sh\necho no such flag\nexit 1\n")
    broken.chmod(0o700)

    with pytest.raises(StartError, match=r"kube-apiserver ended\. The end of its log:\nno such flag"):
        ControlPlane.start(replace(control_plane.binaries, kube_apiserver=broken))


def processes_of(folder: Path) -> list[int]:
    """The ids of processes whose command line names the folder."""
    found = []
    for process in Path("/proc").iterdir():
        try:
            command = (process / "cmdline").read_bytes()
        except (FileNotFoundError, NotADirectoryError, ProcessLookupError):
            continue
        if process.name.isdigit() and int(process.name) != os.getpid() and os.fsencode(folder) in command:
            found.append(int(process.name))
    return found
