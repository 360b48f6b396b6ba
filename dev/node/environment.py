"""What a container's process is started with: its environment and its command line (pure).

A process on the local node shares the machine's file system, so a volume cannot appear at its `mountPath`. Instead every
environment value and argument that is such a path, or lies below it, is rewritten to where the volume's files really are
(also after the `=` of a `--flag=/path`), and two paths of switchgear's convention are told by variable:

* `SWITCHGEAR_POLICY_DIR`: where what is mounted at /etc/switchgear lies;
* `SWITCHGEAR_PODINFO_DIR`: likewise for /etc/switchgear-podinfo.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dev.node.manifests import Container, EnvFrom, EnvSource, Pod

__all__ = [
    "ContainerConfigError",
    "PodContext",
    "command_line",
    "container_environment",
    "expand",
    "localize",
    "pod_field",
    "relocate",
    "unsupported",
    "working_directory",
]

_REFERENCE = re.compile(r"\$\$|\$\(([^()$]+)\)")
_MAP_ENTRY = re.compile(r"metadata\.(labels|annotations)\['([^']+)'\]")
_TOLD_PATHS = {
    "/etc/switchgear": "SWITCHGEAR_POLICY_DIR",
    "/etc/switchgear-podinfo": "SWITCHGEAR_PODINFO_DIR",
}


class ContainerConfigError(Exception):
    """A container that cannot be started as its manifest is written; the message names the field and the remedy."""


@dataclass(frozen=True, kw_only=True)
class PodContext:
    """What the node knows of a pod beyond its manifest."""

    pod_ip: str
    host_ip: str
    node_name: str
    base: Mapping[str, str]
    """Variables that every container of the node starts with (PATH, HOME and such)."""
    config_maps: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Name to data, of the pod's namespace."""


def container_environment(
    pod: Pod, container: Container, context: PodContext, mounts: Mapping[str, Path]
) -> dict[str, str]:
    """The whole environment of a container's process.

    Order as in Kubernetes: the node's base, `envFrom`, then `env`, where a value may use `$(NAME)` of what precedes it.
    `mounts` is mount path to real path. Raises `ContainerConfigError` for a reference that cannot be filled.
    """
    environment = dict(context.base)
    for mount_path, told in _TOLD_PATHS.items():
        if mount_path in mounts:
            environment[told] = str(mounts[mount_path])
    own: dict[str, str] = {}
    for source in container.env_from:
        own |= _all_keys(container, source, context)
    for variable in container.env:
        if variable.value_from is None:
            own[variable.name] = expand(variable.value, {**environment, **own})
            continue
        value = _value_from(
            pod, f"container {container.name}: env {variable.name}", variable.value_from, context
        )
        if value is not None:
            own[variable.name] = value
    environment |= {name: relocate(value, mounts) for name, value in own.items()}
    return environment


def command_line(
    container: Container, environment: Mapping[str, str], mounts: Mapping[str, Path], python: str
) -> list[str]:
    """`command` and `args` with `$(NAME)` filled in, made to run here by `localize`.

    Raises `ContainerConfigError` without a command: there is no image whose entry point could be used.
    """
    if not container.command:
        raise ContainerConfigError(
            f"container {container.name}: the local node has no images whose entry point it could run; set command"
        )
    words = [expand(word, environment) for word in (*container.command, *container.args)]
    return localize(words, mounts, python)


def localize(words: Sequence[str], mounts: Mapping[str, Path], python: str) -> list[str]:
    """A command with mount paths relocated, and a leading `python` or `python3` replaced by the interpreter `python`."""
    first, *rest = (relocate(word, mounts) for word in words)
    return [python if first in {"python", "python3"} else first, *rest]


def expand(text: str, values: Mapping[str, str]) -> str:
    """Fill in `$(NAME)`; an unknown name stays as it is, and `$$` stands for one dollar sign."""

    def fill(match: re.Match[str]) -> str:
        name = match[1]
        return "$" if name is None else values.get(name, match[0])

    return _REFERENCE.sub(fill, text)


def relocate(text: str, mounts: Mapping[str, Path]) -> str:
    """The text with a mount path at its start (or after its first `=`) replaced by the real path; the longest one wins."""
    head, equals, tail = text.partition("=")
    if equals and head.startswith("-"):
        return f"{head}={relocate(tail, mounts)}"
    for mount_path in sorted(mounts, key=len, reverse=True):
        prefix = mount_path.rstrip("/")
        if text.rstrip("/") == prefix or text.startswith(f"{prefix}/"):
            return f"{mounts[mount_path]}{text[len(prefix) :]}"
    return text


def pod_field(pod: Pod, path: str, context: PodContext) -> str:
    """A field of the pod by its `fieldPath`. Raises `ContainerConfigError` for one that the local node does not know."""
    if entry := _MAP_ENTRY.fullmatch(path):
        values = pod.metadata.labels if entry[1] == "labels" else pod.metadata.annotations
        return values.get(entry[2], "")
    known = {
        "metadata.name": pod.metadata.name,
        "metadata.namespace": pod.metadata.namespace,
        "metadata.uid": pod.metadata.uid,
        "metadata.labels": _listing(pod.metadata.labels),
        "metadata.annotations": _listing(pod.metadata.annotations),
        "spec.nodeName": context.node_name,
        "spec.serviceAccountName": pod.spec.service_account_name,
        "status.podIP": context.pod_ip,
        "status.podIPs": context.pod_ip,
        "status.hostIP": context.host_ip,
        "status.hostIPs": context.host_ip,
    }
    if path not in known:
        raise ContainerConfigError(
            f"fieldPath {path}: not known to the local node; known are {', '.join(sorted(known))}"
        )
    return known[path]


def _listing(values: Mapping[str, str]) -> str:
    escaped = (
        (key, value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n"))
        for key, value in values.items()
    )
    return "\n".join(f'{key}="{value}"' for key, value in sorted(escaped))


def _all_keys(container: Container, source: EnvFrom, context: PodContext) -> dict[str, str]:
    if source.config_map_ref is None:
        raise ContainerConfigError(
            f"container {container.name}: envFrom: the local node knows configMapRef only"
        )
    data = context.config_maps.get(source.config_map_ref.name)
    if data is None:
        if source.config_map_ref.optional:
            return {}
        raise ContainerConfigError(
            f"container {container.name}: envFrom: configmap {source.config_map_ref.name!r} not found"
        )
    return {f"{source.prefix}{key}": value for key, value in data.items()}


def _value_from(pod: Pod, where: str, source: EnvSource, context: PodContext) -> str | None:
    if source.field_ref is not None:
        return pod_field(pod, source.field_ref.field_path, context)
    if (wanted := source.config_map_key_ref) is None:
        raise ContainerConfigError(
            f"{where}: valueFrom: the local node knows fieldRef and configMapKeyRef only"
        )
    value = context.config_maps.get(wanted.name, {}).get(wanted.key)
    if value is None and not wanted.optional:
        raise ContainerConfigError(f"{where}: configmap {wanted.name!r} has no key {wanted.key!r}")
    return value


def working_directory(container: Container, mounts: Mapping[str, Path], default: Path) -> Path:
    """Where the process starts: `workingDir` when it lies in a volume, else `default`."""
    moved = relocate(container.working_dir, mounts)
    return Path(moved) if moved != container.working_dir else default


def unsupported(containers: Sequence[Container]) -> str | None:
    """What in these containers the local node would silently get wrong, as one sentence, or None."""
    for container in containers:
        if container.restart_policy is not None:
            return f"container {container.name}: restartPolicy: sidecar containers are not supported by the local node"
        if container.lifecycle.post_start is not None:
            return f"container {container.name}: lifecycle.postStart is not supported by the local node"
        for probe in (container.startup_probe, container.readiness_probe, container.liveness_probe):
            if probe is not None and probe.grpc is not None:
                return (
                    f"container {container.name}: gRPC probes are not supported by the local node; use exec"
                )
    return None
