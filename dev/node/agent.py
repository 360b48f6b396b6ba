"""The node itself: it registers, keeps its lease, binds pods to itself and runs those bound to it."""

import asyncio
import contextlib
import json
import logging
import os
import ssl
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx
from pydantic import ValidationError

from dev.node.addresses import AddressBlock
from dev.node.api import Api, ApiError, Informer, JsonObject
from dev.node.containers import Backoff, ProcessGroups
from dev.node.logs import serve_logs
from dev.node.manifests import Pod
from dev.node.names import service_table
from dev.node.pods import NodeParts, PodRun

__all__ = ["Agent", "NodeOptions"]

_LEASE_SECONDS = 40
_LOG = logging.getLogger("dev.node")


@dataclass(frozen=True, kw_only=True)
class NodeOptions:
    """How a local node runs."""

    name: str
    scheduler: str
    images: Mapping[str, Path]
    backoff: Backoff
    volume_delay: float
    certificate: Path | None


class Agent:
    """One node, registered with the API server from `run`'s start to its end."""

    def __init__(
        self, options: NodeOptions, folder: Path, api: Api, addresses: AddressBlock, groups: ProcessGroups
    ) -> None:
        self.ready = asyncio.Event()
        self._options = options
        self._folder = folder
        self._api = api
        self._addresses = addresses
        self._groups = groups
        self._pods = Informer(api, "/api/v1/pods", self._pod_changed)
        self._services = Informer(api, "/api/v1/services", lambda _kind, _item: self._names_stale.set())
        self._config_maps = Informer(api, "/api/v1/configmaps", self._config_map_changed)
        self._runs: dict[str, PodRun] = {}
        self._ended: set[str] = set()
        """Pods that ended here, until the API's watch says so too."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._names_stale = asyncio.Event()
        self._parts: NodeParts | None = None

    async def run(self, stopping: asyncio.Event) -> None:
        """Register, run pods until `stopping`, then end them and leave the cluster."""
        async with _probe_client() as client, self._log_server():
            self._parts = NodeParts(
                name=self._options.name,
                folder=self._folder,
                api=self._api,
                addresses=self._addresses,
                config_maps=self._config_maps,
                groups=self._groups,
                probe_client=client,
                guest=Path(__file__).parent / "guest",
                images=self._options.images,
                backoff=self._options.backoff,
                volume_delay=self._options.volume_delay,
            )
            await self._register()
            async with asyncio.TaskGroup() as group:
                duties = (
                    self._heartbeat(),
                    self._keep_names(),
                    self._config_maps.run(),
                    self._services.run(),
                    self._watch_pods(),
                )
                serving = [group.create_task(duty) for duty in duties]
                await self._pods.synced.wait()
                self.ready.set()
                await stopping.wait()
                for task in serving:
                    task.cancel()
                await self._leave()

    @asynccontextmanager
    async def _log_server(self) -> AsyncIterator[None]:
        """`kubectl logs` is answered where there is a certificate to do it with."""
        if self._options.certificate is None:
            yield
            return
        logs = self._folder / "logs"
        async with serve_logs(self._addresses.listener, self._options.certificate, logs, self._is_running):
            yield

    def _is_running(self, namespace: str, pod: str) -> bool:
        return any(run.is_pod(namespace, pod) for run in self._runs.values())

    async def _register(self) -> None:
        now = _now()
        node = {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {
                "name": self._options.name,
                "labels": {
                    "kubernetes.io/hostname": self._options.name,
                    "kubernetes.io/os": "linux",
                    "switchgear.dev/local-node": "true",
                },
            },
            "spec": {"taints": []},
        }
        capacity = {
            "cpu": str(os.cpu_count() or 1),
            "memory": "16Gi",
            "pods": "253",
            "ephemeral-storage": "10Gi",
        }
        condition = {
            "type": "Ready",
            "status": "True",
            "reason": "KubeletReady",
            "message": "pods run as local processes",
        }
        status = {
            "capacity": capacity,
            "allocatable": capacity,
            "conditions": [condition | {"lastHeartbeatTime": now, "lastTransitionTime": now}],
            "addresses": [{"type": "InternalIP", "address": self._addresses.host}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": self._kubelet_port()}},
            "nodeInfo": _node_info(),
        }
        await self._api.delete(f"/api/v1/nodes/{self._options.name}")
        await self._api.create("/api/v1/nodes", node)
        await self._api.merge(f"/api/v1/nodes/{self._options.name}/status", {"status": status})
        # admission taints a new node until a controller finds it ready; here nobody but this node binds pods
        await self._api.merge(f"/api/v1/nodes/{self._options.name}", {"spec": {"taints": None}})
        await self._renew_lease()

    def _kubelet_port(self) -> int:
        """Where `kubectl logs` is answered; without an answer, a port that refuses beats one that hangs."""
        return self._addresses.kubelet_port if self._options.certificate else 1

    async def _heartbeat(self) -> None:
        while True:
            await asyncio.sleep(_LEASE_SECONDS / 4)
            try:
                await self._renew_lease()
            except (ApiError, httpx.HTTPError) as error:
                _LOG.warning("node %s: cannot renew its lease: %s", self._options.name, error)

    async def _renew_lease(self) -> None:
        name, path = self._options.name, "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
        spec = {"holderIdentity": name, "leaseDurationSeconds": _LEASE_SECONDS, "renewTime": _now(micro=True)}
        try:
            await self._api.merge(f"{path}/{name}", {"spec": spec})
        except ApiError as error:
            if error.status != httpx.codes.NOT_FOUND:
                raise
            lease = {
                "apiVersion": "coordination.k8s.io/v1",
                "kind": "Lease",
                "metadata": {"name": name},
                "spec": spec,
            }
            await self._api.create(path, lease)

    async def _watch_pods(self) -> None:
        await self._config_maps.synced.wait()  # a pod must not start with less than its ConfigMaps
        await self._pods.run()

    def _pod_changed(self, kind: str, item: JsonObject) -> None:
        self._names_stale.set()
        spec, metadata = item["spec"], item["metadata"]
        if not spec.get("nodeName"):
            wanted = spec.get("schedulerName") == self._options.scheduler and not spec.get("schedulingGates")
            if wanted and kind != "DELETED" and "deletionTimestamp" not in metadata:
                self._spawn(self._bind(metadata["namespace"], metadata["name"], metadata["uid"]))
            return
        if spec["nodeName"] != self._options.name:
            return
        run = self._runs.get(metadata["uid"])
        if kind == "DELETED":
            self._ended.discard(metadata["uid"])
            if run is not None:
                run.vanish()
            return
        if metadata["uid"] in self._ended:
            return  # news from before it was taken out of the API
        try:
            pod = Pod.model_validate(item)
        except ValidationError as error:
            _LOG.warning("pod %s/%s cannot be run: %s", metadata["namespace"], metadata["name"], error)
            return
        if run is not None:
            run.follow(pod)
        elif pod.status.phase not in {"Succeeded", "Failed"} or pod.metadata.deletion_timestamp is not None:
            self._start(pod)

    def _start(self, pod: Pod) -> None:
        assert self._parts is not None
        run = PodRun(pod, self._parts)
        self._runs[pod.metadata.uid] = run
        run.follow(pod)
        self._spawn(self._run_pod(pod, run))

    async def _run_pod(self, pod: Pod, run: PodRun) -> None:
        try:
            await run.run()
        finally:
            del self._runs[pod.metadata.uid]
            if not run.gone:
                self._ended.add(pod.metadata.uid)

    async def _bind(self, namespace: str, name: str, uid: str) -> None:
        """What a scheduler does, with one node to choose from."""
        target = {"apiVersion": "v1", "kind": "Node", "name": self._options.name}
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": name, "uid": uid},
            "target": target,
        }
        try:
            await self._api.create(f"/api/v1/namespaces/{namespace}/pods/{name}/binding", binding)
        except ApiError as error:
            if error.status not in {httpx.codes.NOT_FOUND, httpx.codes.CONFLICT}:
                raise

    def _config_map_changed(self, _kind: str, item: JsonObject) -> None:
        for run in self._runs.values():
            run.config_map_changed(item["metadata"]["namespace"])

    async def _keep_names(self) -> None:
        """Write the table of Services whenever a Service or a pod changed, swapped in by rename."""
        await asyncio.gather(self._pods.synced.wait(), self._services.synced.wait())
        target, written = self._folder / "names.json", ""
        while True:
            await self._names_stale.wait()
            self._names_stale.clear()
            table = json.dumps(
                service_table(self._services.items.values(), self._pods.items.values(), self._api.address)
            )
            if table != written:
                fresh = target.with_suffix(".tmp")
                fresh.write_text(table)
                fresh.rename(target)
                written = table

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _LOG.error("node %s: %s: %s", self._options.name, type(error).__name__, error, exc_info=error)

    async def _leave(self) -> None:
        """End every pod at once and take the node and its pods out of the API, if that still answers."""
        for run in list(self._runs.values()):
            run.end()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with contextlib.suppress(ApiError, httpx.HTTPError):
            await self._api.delete(f"/api/v1/nodes/{self._options.name}")
            await self._api.delete(
                f"/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/{self._options.name}"
            )


def _probe_client() -> httpx.AsyncClient:
    """Probes ask the pods as the kubelet does: certificates are not checked, redirects count as an answer."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return httpx.AsyncClient(verify=context, trust_env=False, follow_redirects=False, timeout=None)  # noqa: S113 - each probe has its own timeout


def _node_info() -> JsonObject:
    uname = os.uname()
    empty = ("machineID", "systemUUID", "bootID", "osImage", "kubeProxyVersion")
    versions = {
        "kernelVersion": uname.release,
        "containerRuntimeVersion": "process://local",
        "kubeletVersion": "local",
    }
    return dict.fromkeys(empty, "") | versions | {"operatingSystem": "linux", "architecture": uname.machine}


def _now(*, micro: bool = False) -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ" if micro else "%Y-%m-%dT%H:%M:%SZ")
