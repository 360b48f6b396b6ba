"""A pod's volumes: which files each shows, kept true while ConfigMaps change and tokens grow old."""

import asyncio
import base64
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from dev.node.api import Api, JsonObject
from dev.node.environment import PodContext, pod_field
from dev.node.manifests import (
    ConfigMapProjection,
    Container,
    DownwardProjection,
    Pod,
    TokenProjection,
    Volume,
    VolumeSource,
)
from dev.node.projection import File, project

__all__ = ["PodVolumes", "VolumeError", "config_map_files", "downward_files"]

_TOKEN_FOLDER = "/var/run/secrets/kubernetes.io/serviceaccount"  # noqa: S105 - a path
_RENEW_SHARE = 0.8

ConfigMaps = Callable[[str], JsonObject | None]
"""A ConfigMap of the pod's namespace by name."""


class VolumeError(Exception):
    """A volume that cannot be mounted (yet); the message names it and what is missing."""


class PodVolumes:
    """The volumes of one pod below `folder`."""

    def __init__(
        self, pod: Pod, folder: Path, api: Api, config_maps: ConfigMaps, context: PodContext
    ) -> None:
        self._pod = pod
        self._folder = folder
        self._api = api
        self._config_maps = config_maps
        self._context = context
        self._tokens: dict[TokenProjection, tuple[bytes, float]] = {}

    def mounts(self, container: Container) -> dict[str, Path]:
        """Mount path to real path, for one container."""
        return {
            mount.mount_path: self._folder / mount.name / mount.sub_path for mount in container.volume_mounts
        }

    def token_folder(self, container: Container) -> Path | None:
        """Where the container's service account token, authority and namespace lie; None when it gets none."""
        return self.mounts(container).get(_TOKEN_FOLDER)

    def follow(self, pod: Pod) -> None:
        """Take labels and annotations from a newer version of the pod."""
        self._pod = pod

    async def sync(self) -> None:
        """Write every volume anew where its content has changed.

        Raises `VolumeError` for a volume that misses something required; the others are written all the same.
        """
        problems = []
        for volume in self._pod.spec.volumes:
            try:
                await self._sync_volume(volume)
            except VolumeError as error:
                problems.append(f"volume {volume.name}: {error}")
        if problems:
            raise VolumeError("; ".join(problems))

    def seconds_until_renewal(self) -> float:
        """How long until the first token is due to be renewed; infinity without tokens."""
        return min((due - time.monotonic() for _, due in self._tokens.values()), default=float("inf"))

    async def _sync_volume(self, volume: Volume) -> None:
        folder = self._folder / volume.name
        if volume.empty_dir is not None:
            folder.mkdir(parents=True, exist_ok=True)
        elif volume.config_map is not None:
            files = config_map_files(
                volume.config_map, self._config_maps(volume.config_map.name), volume.config_map.default_mode
            )
            await asyncio.to_thread(project, folder, files)
        elif volume.downward_api is not None:
            await asyncio.to_thread(
                project, folder, self._downward(volume.downward_api, volume.downward_api.default_mode)
            )
        elif volume.projected is not None:
            files = {}
            for source in volume.projected.sources:
                files |= await self._source(source, volume.projected.default_mode)
            await asyncio.to_thread(project, folder, files)
        else:
            raise VolumeError(
                "the local node knows configMap, downwardAPI, projected and emptyDir volumes only"
            )

    async def _source(self, source: VolumeSource, mode: int) -> dict[str, File]:
        if source.config_map is not None:
            return config_map_files(source.config_map, self._config_maps(source.config_map.name), mode)
        if source.downward_api is not None:
            return self._downward(source.downward_api, mode)
        if source.service_account_token is not None:
            return {
                source.service_account_token.path: File(await self._token(source.service_account_token), mode)
            }
        raise VolumeError(
            "projected: the local node knows configMap, downwardAPI and serviceAccountToken sources only"
        )

    def _downward(self, projection: DownwardProjection, mode: int) -> dict[str, File]:
        return downward_files(self._pod, projection, self._context, mode)

    async def _token(self, wanted: TokenProjection) -> bytes:
        token, due = self._tokens.get(wanted, (b"", 0.0))
        if time.monotonic() < due:
            return token
        metadata = self._pod.metadata
        request = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {
                "audiences": [wanted.audience] if wanted.audience else [],
                "expirationSeconds": wanted.expiration_seconds,
                "boundObjectRef": {
                    "apiVersion": "v1",
                    "kind": "Pod",
                    "name": metadata.name,
                    "uid": metadata.uid,
                },
            },
        }
        account = self._pod.spec.service_account_name
        answer = await self._api.create(
            f"/api/v1/namespaces/{metadata.namespace}/serviceaccounts/{account}/token", request
        )
        fresh: str = answer["status"]["token"]
        token = fresh.encode()
        self._tokens[wanted] = token, time.monotonic() + _RENEW_SHARE * wanted.expiration_seconds
        return token


def config_map_files(
    projection: ConfigMapProjection, config_map: JsonObject | None, mode: int
) -> dict[str, File]:
    """The files of a ConfigMap. Raises `VolumeError` when it, or a key that `items` names, is missing and not optional."""
    if config_map is None:
        if projection.optional:
            return {}
        raise VolumeError(f"configmap {projection.name!r} not found")
    contents = _contents(config_map)
    if projection.items is None:
        return {key: File(content, mode) for key, content in contents.items()}
    files = {}
    for item in projection.items:
        if item.key in contents:
            files[item.path] = File(contents[item.key], item.mode if item.mode is not None else mode)
        elif not projection.optional:
            raise VolumeError(f"configmap {projection.name!r} has no key {item.key!r}")
    return files


def downward_files(
    pod: Pod, projection: DownwardProjection, context: PodContext, mode: int
) -> dict[str, File]:
    """Fields of the pod as files. Raises `VolumeError` for resource fields, `ContainerConfigError` for an unknown field."""
    files = {}
    for item in projection.items:
        if item.field_ref is None:
            raise VolumeError(f"downwardAPI item {item.path!r}: the local node knows fieldRef only")
        content = pod_field(pod, item.field_ref.field_path, context).encode()
        files[item.path] = File(content, item.mode if item.mode is not None else mode)
    return files


def _contents(config_map: JsonObject) -> Mapping[str, bytes]:
    texts = {key: value.encode() for key, value in (config_map.get("data") or {}).items()}
    return texts | {
        key: base64.b64decode(value) for key, value in (config_map.get("binaryData") or {}).items()
    }
