"""`kubectl logs` shows what the pods of a local node print."""

import subprocess

import pytest

from dev.controlplane import ControlPlane, KubectlError
from tests.cluster.node.pods import Pods

LINES = "import signal\nfor n in range(5): print('line', n, flush=True)\nsignal.pause()"
UNTIL = """
import os, pathlib, sys
print('first', flush=True)
while not pathlib.Path(os.environ['HOME'], 'go').exists(): pass
print('last', flush=True)
"""


def test_a_log_is_shown_whole_and_by_its_tail(pods: Pods) -> None:
    pods.create("talker", LINES)
    pods.printed("talker", "line 4")

    assert pods.kubectl("logs", "talker", "-n", pods.namespace) == "".join(f"line {n}\n" for n in range(5))
    assert pods.kubectl("logs", "talker", "-n", pods.namespace, "--tail=2") == "line 3\nline 4\n"
    assert pods.kubectl("logs", "talker", "-n", pods.namespace, "--tail=0") == ""
    assert pods.kubectl("logs", "talker", "-n", pods.namespace, "--tail=9").startswith("line 0\n")


def test_a_log_is_followed_until_its_pod_is_deleted(pods: Pods, control_plane: ControlPlane) -> None:
    pods.create("talker", UNTIL, restartPolicy="Never")
    pods.printed("talker", "first")
    kubectl, kubeconfig = str(control_plane.binaries.kubectl), str(control_plane.kubeconfig)
    command = [kubectl, "--kubeconfig", kubeconfig, "logs", "-f", "talker", "-n", pods.namespace]

    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as following:
        assert following.stdout is not None
        assert following.stdout.readline() == "first\n"
        (pods.folder("talker") / "home" / "go").touch()
        assert following.stdout.readline() == "last\n"
        pods.kubectl("delete", "pod", "talker", "-n", pods.namespace, "--timeout=20s")

        assert following.wait(20) == 0


def test_a_pod_of_the_same_name_starts_with_an_empty_log(pods: Pods) -> None:
    for text in ("one", "two"):
        pods.create("again", f"print({text!r})", restartPolicy="Never")
        pods.wait_phase("again", "Succeeded")
        assert pods.kubectl("logs", "again", "-n", pods.namespace) == f"{text}\n"
        pods.kubectl("delete", "pod", "again", "-n", pods.namespace, "--timeout=20s")


def test_what_the_node_cannot_show_is_said(pods: Pods) -> None:
    pods.create("talker", LINES)
    pods.printed("talker", "line 4")

    with pytest.raises(KubectlError, match="the local node cannot do timestamps"):
        pods.kubectl("logs", "talker", "-n", pods.namespace, "--timestamps")
