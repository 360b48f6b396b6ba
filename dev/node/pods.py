"""One pod on the local node, from the moment it is bound to the moment it is gone."""

import asyncio
import logging
import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx
import yaml

from dev.node.addresses import AddressBlock
from dev.node.api import Api, ApiError, Informer, JsonObject
from dev.node.containers import Backoff, ContainerRun, Launch, ProcessGroups
from dev.node.environment import (
    ContainerConfigError,
    PodContext,
    command_line,
    container_environment,
    localize,
    unsupported,
    working_directory,
)
from dev.node.guardian import NAMES
from dev.node.manifests import Container, Pod
from dev.node.probes import ProbeTarget
from dev.node.status import pod_status
from dev.node.volumes import PodVolumes, VolumeError
from dev.node.waiting import within

__all__ = ["NodeParts", "PodRun"]

_HURRIED_GRACE = 2
_LOG = logging.getLogger("dev.node")


@dataclass(frozen=True, kw_only=True)
class NodeParts:
    """What all pods of a node share."""

    name: str
    folder: Path
    api: Api
    addresses: AddressBlock
    config_maps: Informer
    groups: ProcessGroups
    probe_client: httpx.AsyncClient
    guest: Path
    """The folder with the `sitecustomize` that gives Python processes a pod's network."""
    images: Mapping[str, Path]
    backoff: Backoff
    volume_delay: float
    """Seconds between a change of a ConfigMap and its files following."""


class PodRun:
    """Runs one pod; `follow` is given each newer version of it, `vanish` when it is gone from the API."""

    def __init__(self, pod: Pod, parts: NodeParts) -> None:
        self._pod = pod
        self._parts = parts
        self._ip = parts.addresses.host if pod.spec.host_network else parts.addresses.allocate()
        self._folder = (
            parts.folder / "pods" / f"{pod.metadata.namespace}_{pod.metadata.name}_{pod.metadata.uid}"
        )
        self._volumes = PodVolumes(
            pod, self._folder / "volumes", parts.api, self._config_map, self._context({})
        )
        self._started_at = datetime.now(UTC)
        self._written: JsonObject = {}
        self._trouble = ""
        self._dirty = asyncio.Event()
        self._volumes_stale = asyncio.Event()
        self._ending = asyncio.Event()
        self.gone = False
        """Whether it is out of the API."""
        self._hurry = False
        self._init = [self._container(container) for container in pod.spec.init_containers]
        self._main = [self._container(container) for container in pod.spec.containers]

    def follow(self, pod: Pod) -> None:
        """Take a newer version of the pod: its labels reach the volumes, its deletion ends it."""
        if (pod.metadata.labels, pod.metadata.annotations) != (
            self._pod.metadata.labels,
            self._pod.metadata.annotations,
        ):
            self._volumes_stale.set()
        self._pod = pod
        self._volumes.follow(pod)
        if pod.metadata.deletion_timestamp is not None:
            self._ending.set()

    def vanish(self) -> None:
        """The pod is gone from the API: end it at once."""
        self.gone = True
        self._ending.set()

    def end(self) -> None:
        """The node is going: end the pod within the blink that a person who pressed Ctrl-C grants."""
        self._hurry = True
        self._ending.set()

    def is_pod(self, namespace: str, name: str) -> bool:
        """Whether it is this pod, and has not been told to end."""
        metadata = self._pod.metadata
        return (metadata.namespace, metadata.name) == (namespace, name) and not self._ending.is_set()

    def config_map_changed(self, namespace: str) -> None:
        """A ConfigMap of this namespace changed."""
        if namespace == self._pod.metadata.namespace:
            self._volumes_stale.set()

    async def run(self) -> None:
        """The pod's whole life; afterwards nothing of it is left on this machine, nor in the API."""
        working = asyncio.create_task(self._work())
        working.add_done_callback(self._note_end)
        helping = [asyncio.create_task(self._keep_status()), asyncio.create_task(self._keep_volumes())]
        try:
            await self._ending.wait()
        finally:
            await self._stop(working)
            for task in helping:
                task.cancel()
            await asyncio.gather(*helping, return_exceptions=True)
            if not self._pod.spec.host_network:
                self._parts.addresses.release(self._ip)
            await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)
        await self._delete()

    async def _delete(self) -> None:
        """Tell the API that the pod has ended; tried until it is heard, unless the node itself is going."""
        options = {"gracePeriodSeconds": 0, "preconditions": {"uid": self._pod.metadata.uid}}
        while not self.gone:
            try:
                await self._parts.api.delete(self._path, options)
            except (ApiError, httpx.HTTPError) as error:
                if self._hurry:
                    return
                _LOG.warning("pod %s: cannot be taken out of the API: %s", self._pod.key, error)
                await asyncio.sleep(1)
            else:
                return

    async def _stop(self, working: asyncio.Task[None]) -> None:
        grace = self._pod.metadata.deletion_grace_period_seconds
        if grace is None:
            grace = self._pod.spec.termination_grace_period_seconds
        grace = min(grace, 0 if self.gone else _HURRIED_GRACE if self._hurry else grace)
        stopping = [run.stop(grace) for run in (*self._init, *self._main)]
        await asyncio.gather(*stopping)
        await asyncio.wait({working}, timeout=_HURRIED_GRACE)
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)

    async def _work(self) -> None:
        """Folders, volumes, init containers one by one, then the containers together."""
        if self._ending.is_set():
            return
        if problem := unsupported([*self._pod.spec.init_containers, *self._pod.spec.containers]):
            self._say(problem)
            return
        await asyncio.to_thread(
            shutil.rmtree, self._logs, ignore_errors=True
        )  # of a pod that had this name before
        for name in ("home", "tmp"):
            (self._folder / name).mkdir(parents=True)
        self._dirty.set()
        while not await self._sync_volumes() and not self._ending.is_set():
            self._volumes_stale.clear()
            await within(0.5, self._volumes_stale)
        for run in self._init:
            await run.run()
            if run.state.exit_code != 0:
                return
        async with asyncio.TaskGroup() as group:
            for run in self._main:
                group.create_task(run.run())

    def _note_end(self, working: asyncio.Task[None]) -> None:
        if not working.cancelled() and (error := working.exception()) is not None:
            self._say(f"the local node failed: {error}")
            _LOG.error("pod %s: the local node failed", self._pod.key, exc_info=error)

    async def _sync_volumes(self) -> bool:
        """Bring the volumes up to date; False, and said in the status, when something required is missing."""
        try:
            await self._volumes.sync()
        except (VolumeError, ContainerConfigError, ApiError, httpx.HTTPError, ValueError) as error:
            self._say(str(error))
            return False
        self._say("")
        return True

    async def _keep_volumes(self) -> None:
        while True:
            if await within(max(1.0, min(self._volumes.seconds_until_renewal(), 60)), self._volumes_stale):
                await asyncio.sleep(self._parts.volume_delay)
            self._volumes_stale.clear()
            if (self._folder / "volumes").exists():
                await self._sync_volumes()

    async def _keep_status(self) -> None:
        while True:
            await self._dirty.wait()
            self._dirty.clear()
            status = pod_status(
                self._init,
                self._main,
                restart_policy=self._pod.spec.restart_policy,
                pod_ip=self._ip,
                host_ip=self._parts.addresses.host,
                started_at=self._started_at,
                trouble=self._trouble,
                last=self._written,
            )
            if status == self._written:
                continue
            try:
                await self._parts.api.merge(
                    f"{self._path}/status", {"metadata": {"uid": self._pod.metadata.uid}, "status": status}
                )
                self._written = status
            except (ApiError, httpx.HTTPError) as error:
                if isinstance(error, ApiError) and error.status == httpx.codes.NOT_FOUND:
                    return
                self._dirty.set()
                await asyncio.sleep(0.5)

    def _say(self, trouble: str) -> None:
        if trouble != self._trouble:
            self._trouble = trouble
            self._dirty.set()

    def _container(self, container: Container) -> ContainerRun:
        policy = self._pod.spec.restart_policy
        is_init = container in self._pod.spec.init_containers
        return ContainerRun(
            container,
            restart_policy="OnFailure" if is_init and policy == "Always" else policy,
            prepare=self._prepare,
            changed=self._dirty.set,
            groups=self._parts.groups,
            log=self._logs / f"{container.name}.log",
            backoff=self._parts.backoff,
            grace=self._pod.spec.termination_grace_period_seconds,
        )

    async def _prepare(self, container: Container) -> Launch:
        mounts = self._volumes.mounts(container)
        environment = container_environment(
            self._pod, container, self._context(self._base(container)), mounts
        )
        python_path = [str(self._parts.guest), *self._image(container), environment.get("PYTHONPATH", "")]
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, python_path))
        directory = working_directory(container, mounts, self._folder / "home")
        target = ProbeTarget(
            container=container,
            pod_ip=self._ip,
            environment=environment,
            directory=directory,
            command=lambda words: localize(words, mounts, sys.executable),
            client=self._parts.probe_client,
        )
        words = command_line(container, environment, mounts, sys.executable)
        return Launch(command=words, environment=environment, directory=directory, target=target)

    def _base(self, container: Container) -> dict[str, str]:
        """What every process of the pod starts with; nothing of the node's own environment but PATH."""
        host, port = self._parts.api.address
        base = {
            "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath))),
            "HOME": str(self._folder / "home"),
            "TMPDIR": str(self._folder / "tmp"),
            "HOSTNAME": self._pod.metadata.name,
            "LANG": "C.UTF-8",
            "KUBERNETES_SERVICE_HOST": host,
            "KUBERNETES_SERVICE_PORT": str(port),
            "SWITCHGEAR_NODE_POD_IP": self._ip,
            "SWITCHGEAR_NODE_NAMESPACE": self._pod.metadata.namespace,
            NAMES: str(self._parts.folder / "names.json"),
        }
        if (tokens := self._volumes.token_folder(container)) is not None:
            base["KUBECONFIG"] = str(self._kubeconfig(tokens))
        return base

    def _kubeconfig(self, tokens: Path) -> Path:
        """The pod's service account as a kubeconfig: a process here cannot find it at the path it has in a container."""
        path = self._folder / "kubeconfig"
        name = {"name": "pod"}
        cluster = {"server": self._parts.api.server, "certificate-authority": str(tokens / "ca.crt")}
        context = {"cluster": "pod", "user": "pod", "namespace": self._pod.metadata.namespace}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "pod",
            "clusters": [name | {"cluster": cluster}],
            "users": [name | {"user": {"tokenFile": str(tokens / "token")}}],
            "contexts": [name | {"context": context}],
        }
        path.write_text(yaml.safe_dump(config))
        return path

    def _image(self, container: Container) -> list[str]:
        """The folder that stands for the container's image, if the node was given one."""
        name = container.image.partition("@")[0]
        head, colon, tag = name.rpartition(":")
        repository = head if colon and "/" not in tag else name
        folder = self._parts.images.get(repository)
        return [] if folder is None else [str(folder)]

    def _context(self, base: Mapping[str, str]) -> PodContext:
        namespace = self._pod.metadata.namespace
        data = {
            name: item.get("data") or {}
            for (where, name), item in self._parts.config_maps.items.items()
            if where == namespace
        }
        return PodContext(
            pod_ip=self._ip,
            host_ip=self._parts.addresses.host,
            node_name=self._parts.name,
            base=base,
            config_maps=data,
        )

    def _config_map(self, name: str) -> JsonObject | None:
        return self._parts.config_maps.items.get((self._pod.metadata.namespace, name))

    @property
    def _logs(self) -> Path:
        metadata = self._pod.metadata
        return self._parts.folder / "logs" / metadata.namespace / metadata.name

    @property
    def _path(self) -> str:
        return f"/api/v1/namespaces/{self._pod.metadata.namespace}/pods/{self._pod.metadata.name}"
