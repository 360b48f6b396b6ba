"""How the operator starts, waits, complains and ends."""

import json
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from dev.controlplane import ControlPlane
from tests.conftest import CRD
from tests.support.operator import OperatorProcess, operator_process
from tests.support.proxy import network_to
from tests.support.waiting import eventually

SIGNALS = pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])


@pytest.fixture
def bare_plane() -> Iterator[ControlPlane]:
    """A control plane without the CRD."""
    with ControlPlane.start() as plane:
        yield plane


# ── ending ──


@SIGNALS
def test_a_signal_ends_it_at_rest(local_operator: OperatorProcess, number: signal.Signals) -> None:
    local_operator.stop(number)

    assert local_operator.errors() == []
    assert local_operator.log.splitlines()[-1].endswith("stopped")


@SIGNALS
def test_a_signal_ends_it_while_the_api_server_is_away(
    cluster: ControlPlane, namespace: str, tmp_path: Path, number: signal.Signals
) -> None:
    with network_to(cluster.url) as network:
        kubeconfig = network.kubeconfig(cluster.kubeconfig, tmp_path / "kubeconfig")
        flags = ["--kubeconfig", str(kubeconfig), "--namespaces", namespace]
        with operator_process(tmp_path / "log", *flags) as operator:
            operator.await_ready()
            network.go_down()
            operator.await_line("cannot be read")
            operator.stop(number)
    assert "Traceback" not in operator.log


@SIGNALS
def test_a_signal_ends_it_while_the_api_server_hangs(
    cluster: ControlPlane, namespace: str, tmp_path: Path, number: signal.Signals
) -> None:
    with network_to(cluster.url) as network:
        kubeconfig = network.kubeconfig(cluster.kubeconfig, tmp_path / "kubeconfig")
        flags = ["--kubeconfig", str(kubeconfig), "--namespaces", namespace]
        with operator_process(tmp_path / "log", *flags) as operator:
            operator.await_ready()
            network.stall()
            network.cut()
            taken = network.connections
            eventually(lambda: network.connections > taken, message="a new connection, which hangs")
            operator.stop(number)


def test_a_signal_ends_it_before_the_api_server_was_ever_there(tmp_path: Path, cluster: ControlPlane) -> None:
    with network_to(cluster.url) as network:
        network.go_down()
        kubeconfig = network.kubeconfig(cluster.kubeconfig, tmp_path / "kubeconfig")
        with operator_process(tmp_path / "log", "--kubeconfig", kubeconfig) as operator:
            operator.await_line("the policies cannot be read yet")
            answer = operator.get("/readyz")
            assert answer is not None
            assert (answer.status_code, answer.text) == (503, "the CircuitBreakerPolicy resource\n")
            operator.stop()


# ── waiting ──


def test_it_waits_for_the_crd_and_says_so(bare_plane: ControlPlane, tmp_path: Path) -> None:
    flags = ["--kubeconfig", str(bare_plane.kubeconfig)]
    with operator_process(tmp_path / "log", *flags) as impatient:
        assert "install the CRD" in impatient.await_line("the policies cannot be read yet")
        impatient.stop()
    with operator_process(tmp_path / "log", *flags) as patient:
        eventually(lambda: patient.get("/healthz"), timeout=30, message="a health server")
        healthy, ready = patient.get("/healthz"), patient.get("/readyz")
        assert healthy is not None
        assert ready is not None
        assert (healthy.status_code, ready.status_code) == (200, 503)

        bare_plane.kubectl("apply", "-f", str(CRD))

        patient.await_ready()
        patient.stop()
    warnings = [line for line in patient.errors() if "WARNING" in line]
    assert len(warnings) == 2, "one of each operator"
    assert warnings == patient.errors()


# ── complaining ──


def broken(text: str, tmp_path: Path) -> Path:
    path = tmp_path / "kubeconfig"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "nothing", "apiVersion: v1\nkind: Config\n", "current-context: a\ncontexts: []\n", "\0"],
    ids=["empty", "half", "a list", "a word", "no contexts", "an unknown context", "binary"],
)
def test_a_kubeconfig_that_cannot_be_used_ends_it_with_what_is_wrong(tmp_path: Path, text: str) -> None:
    path = broken(text, tmp_path)

    with operator_process(tmp_path / "log", "--kubeconfig", path) as operator:
        assert operator.ended() == 1

    complaint = operator.log
    assert f"cannot connect by kubeconfig {path}" in complaint
    assert "--kubeconfig" in complaint
    assert "Traceback" not in complaint
    assert len(complaint.splitlines()) == 1


def test_a_kubeconfig_that_is_not_there_ends_it(tmp_path: Path) -> None:
    with operator_process(tmp_path / "log", environ={"KUBECONFIG": str(tmp_path / "none")}) as operator:
        assert operator.ended() == 1

    assert f"cannot connect by kubeconfig {tmp_path / 'none'}" in operator.log
    assert "Traceback" not in operator.log


def test_an_unknown_context_ends_it(cluster: ControlPlane, tmp_path: Path) -> None:
    flags = ["--kubeconfig", str(cluster.kubeconfig), "--context", "elsewhere"]
    with operator_process(tmp_path / "log", *flags) as operator:
        assert operator.ended() == 1

    assert "elsewhere" in operator.log
    assert "Traceback" not in operator.log


def test_neither_kubeconfig_nor_pod_ends_it(tmp_path: Path) -> None:
    environ = {"KUBERNETES_SERVICE_HOST": "", "KUBERNETES_SERVICE_PORT": ""}
    with operator_process(tmp_path / "log", environ=environ) as operator:
        assert operator.ended() == 1

    assert "cannot connect by the pod's service account" in operator.log
    assert "give --kubeconfig or KUBECONFIG, or run in a pod" in operator.log


def test_a_port_that_is_taken_ends_it(cluster: ControlPlane, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        flags = ["--kubeconfig", str(cluster.kubeconfig), "--port", str(port)]
        with operator_process(tmp_path / "log", *flags) as operator:
            assert operator.ended() == 1

    assert f"cannot listen on 127.0.0.1 port {port}" in operator.log
    assert "give --address or --port" in operator.log
    assert "Traceback" not in operator.log


# ── the log ──


def test_json_logs_are_one_object_a_line_and_never_show_the_token(
    cluster: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    flags = ["--kubeconfig", str(cluster.kubeconfig), "--namespaces", namespace]
    with operator_process(tmp_path / "log", *flags, "--log-format=json", "--log-level=debug") as operator:
        operator.await_ready()
        operator.stop()

    records = [json.loads(line) for line in operator.log.splitlines()]
    assert {"time", "level", "logger", "message"} <= records[-1].keys()
    assert cluster.token not in operator.log
