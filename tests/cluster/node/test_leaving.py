"""A node that ends takes everything with it: processes, files, its Node object."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from dev.controlplane import ControlPlane, KubectlError
from dev.node import LocalNode
from tests.cluster.node.pods import alive
from tests.conftest import Kubectl
from tests.support.waiting import eventually

PROGRAM = """
import sys
from pathlib import Path
from dev.node import LocalNode
with LocalNode(Path(sys.argv[1]), name="short-lived", scheduler="short-lived") as node:
    print(node.folder, flush=True)
    sys.stdin.read()
"""


def sleeper() -> str:
    container = {"name": "main", "image": "test", "command": ["sh", "-c", "echo $$$$; exec sleep 1000"]}
    spec = {"schedulerName": "short-lived", "containers": [container]}
    return json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "sleeper"}, "spec": spec})


def test_leaving_ends_pods_and_removes_the_node(
    control_plane: ControlPlane, kubectl: Kubectl, namespace: str
) -> None:
    with LocalNode(control_plane.kubeconfig, name="short-lived", scheduler="short-lived") as node:
        kubectl("apply", "-n", namespace, "-f", "-", stdin=sleeper())
        log = node.log(namespace, "sleeper", "main")
        process = eventually(lambda: log.exists() and log.read_text().strip())
        assert isinstance(process, str)
        assert "short-lived" in kubectl("get", "nodes", "-o", "name")

    assert not alive(int(process))
    assert not node.folder.exists()
    assert "short-lived" not in kubectl("get", "nodes", "-o", "name")
    with pytest.raises(KubectlError, match="NotFound"):
        kubectl("get", "pod", "sleeper", "-n", namespace)


def test_a_node_that_is_killed_leaves_no_process_and_no_file(
    control_plane: ControlPlane, kubectl: Kubectl, namespace: str
) -> None:
    command = [sys.executable, "-c", PROGRAM, str(control_plane.kubeconfig)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as owner:
        assert owner.stdout is not None
        folder = owner.stdout.readline().strip()
        kubectl("apply", "-n", namespace, "-f", "-", stdin=sleeper())
        logs = Path(folder, "logs", namespace, "sleeper", "main.log")
        process = eventually(lambda: logs.exists() and logs.read_text().strip())
        assert isinstance(process, str)

        owner.send_signal(signal.SIGKILL)
        owner.wait()

    eventually(lambda: not alive(int(process)), message="the end of the pod's process")
    eventually(lambda: not logs.parents[3].exists(), message="the end of the node's folder")


def test_a_node_that_cannot_reach_its_api_server_says_so(tmp_path: Path, control_plane: ControlPlane) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(
        control_plane.kubeconfig.read_text().replace(control_plane.url, "https://127.0.0.1:9")
    )
    node = LocalNode(kubeconfig)

    with pytest.raises(httpx.ConnectError), node:
        pass

    assert not node.folder.exists()


def test_the_command_says_what_it_needs() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "KUBECONFIG"}

    done = subprocess.run(
        [sys.executable, "-m", "dev", "node"], env=environment, capture_output=True, text=True, check=False
    )

    assert done.returncode == 2
    assert "KUBECONFIG=FILE python -m dev node" in done.stderr
