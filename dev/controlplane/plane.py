"""A running control plane: etcd, kube-apiserver and kube-controller-manager, on loopback, for as long as a `with` block."""

import atexit
import base64
import contextlib
import functools
import json
import secrets
import socket
import ssl
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Self

from .binaries import Binaries, find_binaries
from .kubectl import run_kubectl
from .processes import GuardedProcesses

__all__ = ["ControlPlane", "StartError"]

_READY_WITHIN = 120.0
_CONTROLLERS = (
    "serviceaccount-controller",
    "serviceaccount-token-controller",
    "root-ca-certificate-publisher-controller",
    "namespace-controller",
    "garbage-collector-controller",
    "deployment-controller",
    "replicaset-controller",
    "endpoints-controller",
    "endpointslice-controller",
)


class StartError(Exception):
    """The control plane did not start; the message has the end of the log that tells why."""


class ControlPlane:
    """Start with `ControlPlane.start()`, use as a context manager. Nothing of it is left afterwards.

    Attributes:
        binaries: The programs, kubectl and helm among them.
        url: The API server's, on loopback.
        token: A bearer token of the group system:masters.
        folder: A temporary folder that is removed at the end; what belongs to this run may be put there.
    """

    def __init__(self, binaries: Binaries, processes: GuardedProcesses, api_port: int) -> None:
        self.binaries = binaries
        self.url = f"https://127.0.0.1:{api_port}"
        self.token = secrets.token_hex(16)
        self.folder = processes.folder
        self._processes = processes

    @classmethod
    def start(cls, binaries: Binaries | None = None) -> Self:
        """Start a control plane and wait until it answers: about five seconds.

        Raises:
            StartError: A program ended, or nothing answered within two minutes.
            MissingComponentError: A program is nowhere and cannot be built.
        """
        programs = binaries or find_binaries()
        processes = GuardedProcesses()
        atexit.register(processes.stop)
        try:
            etcd, etcd_peer, api = _free_ports(3)
            plane = cls(programs, processes, api)
            plane._start_etcd(etcd, etcd_peer)
            plane._start_apiserver(etcd)
            plane._wait_for("/readyz")
            plane._write_kubeconfig(plane.kubeconfig, plane.token)
            plane._start_controller_manager()
            plane._wait_for("/api/v1/namespaces/default/serviceaccounts/default")
        except BaseException:
            processes.stop()
            raise
        return plane

    def stop(self) -> None:
        """End every process and remove the folder. A second time it does nothing."""
        atexit.unregister(self._processes.stop)
        self._processes.stop()

    @property
    def kubeconfig(self) -> Path:
        """A kubeconfig of the administrator."""
        return self.folder / "kubeconfig"

    @property
    def authority(self) -> Path:
        """The certificate authority to trust, in PEM."""
        return self.folder / "certificates" / "apiserver.crt"

    def service_account_kubeconfig(self, namespace: str, name: str) -> Path:
        """A kubeconfig with a service account's own token (TokenRequest, one hour)."""
        token = self.kubectl("create", "token", name, "--namespace", namespace).strip()
        path = self.folder / f"kubeconfig-{namespace}-{name}"
        self._write_kubeconfig(path, token)
        return path

    def kubectl(self, *arguments: str, stdin: str | None = None, kubeconfig: Path | None = None) -> str:
        """Run the real kubectl, as the administrator unless told otherwise, and return its standard output.

        Raises:
            KubectlError: It ended with an error; the message has what it said.
        """
        return run_kubectl(self.binaries.kubectl, kubeconfig or self.kubeconfig, *arguments, stdin=stdin)

    def _start_etcd(self, port: int, peer_port: int) -> None:
        client, peer = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{peer_port}"
        command: list[str | Path] = [
            self.binaries.etcd,
            f"--data-dir={self.folder / 'etcd'}",
            "--unsafe-no-fsync",
        ]
        command += [f"--listen-client-urls={client}", f"--advertise-client-urls={client}"]
        command += [f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}"]
        command += [f"--initial-cluster=default={peer}"]
        self._processes.start("etcd", command)

    def _start_apiserver(self, etcd_port: int) -> None:
        tokens = self.folder / "tokens"
        tokens.touch(mode=0o600)
        tokens.write_text(f"{self.token},admin,admin,system:masters\n")
        key = self.authority.with_suffix(
            ".key"
        )  # the API server makes it, and it signs service accounts' tokens too
        self._processes.start(
            "kube-apiserver",
            [
                self.binaries.kube_apiserver,
                f"--etcd-servers=http://127.0.0.1:{etcd_port}",
                "--bind-address=127.0.0.1",
                "--advertise-address=127.0.0.1",
                f"--secure-port={self.url.rpartition(':')[2]}",
                f"--cert-dir={self.authority.parent}",
                f"--token-auth-file={tokens}",
                "--authorization-mode=RBAC",
                "--service-account-issuer=https://kubernetes.default.svc",
                f"--service-account-key-file={key}",
                f"--service-account-signing-key-file={key}",
                "--service-cluster-ip-range=10.96.0.0/16",
                "--endpoint-reconciler-type=none",  # it refuses to publish a loopback address
            ],
        )

    def _start_controller_manager(self) -> None:
        self._processes.start(
            "kube-controller-manager",
            [
                self.binaries.kube_controller_manager,
                f"--kubeconfig={self.kubeconfig}",
                f"--root-ca-file={self.authority}",
                f"--service-account-private-key-file={self.authority.with_suffix('.key')}",
                f"--controllers={','.join(_CONTROLLERS)}",
                "--leader-elect=false",
                "--secure-port=0",
                "--kube-api-qps=500",
                "--kube-api-burst=1000",
            ],
        )

    def _wait_for(self, path: str) -> None:
        deadline = time.monotonic() + _READY_WITHIN
        while not self._answers(path):
            ended = self._processes.ended()
            if ended or time.monotonic() > deadline:
                name = ended or "kube-apiserver"
                log = self._processes.log(name).read_text(errors="replace").splitlines()
                what = "ended" if ended else f"does not answer {path} within {_READY_WITHIN:.0f} s"
                raise StartError("\n".join([f"{name} {what}. The end of its log:", *log[-15:]]))
            time.sleep(0.05)

    def _answers(self, path: str) -> bool:
        if not self.authority.exists():
            return False
        headers = {"Authorization": f"Bearer {self.token}"}
        request = urllib.request.Request(self.url + path, headers=headers)  # noqa: S310  # always https
        try:
            with self._opener.open(request, timeout=5):
                return True
        except (OSError, ssl.SSLError):  # an HTTP error status is an OSError too
            return False

    @functools.cached_property
    def _opener(self) -> urllib.request.OpenerDirector:
        trust = ssl.create_default_context(cafile=str(self.authority))
        return urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=trust)
        )

    def _write_kubeconfig(self, path: Path, token: str) -> None:
        authority = base64.b64encode(self.authority.read_bytes()).decode()
        cluster = {"server": self.url, "certificate-authority-data": authority}
        context = {"cluster": "switchgear", "user": "user", "namespace": "default"}
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "switchgear", "cluster": cluster}],
            "users": [{"name": "user", "user": {"token": token}}],
            "contexts": [{"name": "switchgear", "context": context}],
            "current-context": "switchgear",
        }
        path.touch(mode=0o600)
        path.write_text(json.dumps(document, indent=2))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _free_ports(count: int) -> list[int]:
    """Ports that nobody listens on, below those that the kernel gives to outgoing connections at any moment."""
    sockets: list[socket.socket] = []
    try:
        while len(sockets) < count:
            with contextlib.suppress(OSError):
                sockets.append(socket.create_server(("127.0.0.1", 20_000 + secrets.randbelow(12_000))))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()
