"""The informed state: policies, ConfigMaps and pods as the watches show them, and the verdicts on the policies.

API objects become values here, and nowhere else.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, TypeVar

from .cluster import FIELD_MANAGER, MANAGED_BY, ConfigMap
from .objects import METRICS_PATH, METRICS_PORT, Pod, Policy
from .verdicts import Verdict

__all__ = ["Informed", "policy_of"]

T = TypeVar("T")

PORT_ANNOTATION = "switchgear.dev/metrics-port"
PATH_ANNOTATION = "switchgear.dev/metrics-path"

Json = Mapping[str, Any]  # an API object, as the server sent it


class Informed:
    """What is known now. Everything in it may change between two looks, and comes true in the end."""

    def __init__(self) -> None:
        self._policies: dict[str, dict[str, Policy]] = {}
        self._config_maps: dict[str, ConfigMap] = {}
        self._pods: dict[str, dict[str, Pod]] = {}
        self._verdicts: dict[str, tuple[int, Verdict]] = {}  # by policy uid: for which generation, and what

    # ── what is asked ──

    def namespaces(self) -> list[str]:
        """The namespaces that have policies."""
        return list(self._policies)

    def policies(self) -> list[Policy]:
        """All policies."""
        return [policy for named in self._policies.values() for policy in named.values()]

    def policies_of(self, namespace: str) -> list[Policy]:
        """A namespace's policies."""
        return list(self._policies.get(namespace, {}).values())

    def policy(self, namespace: str, name: str) -> Policy | None:
        """One policy; None if there is none."""
        return self._policies.get(namespace, {}).get(name)

    def config_map(self, namespace: str) -> ConfigMap | None:
        """The namespace's `switchgear-policies`, whoever made it."""
        return self._config_maps.get(namespace)

    def pods(self, namespace: str) -> Iterable[Pod]:
        """The namespace's pods that asked to be observed."""
        return list(self._pods.get(namespace, {}).values())

    def verdict(self, policy: Policy) -> Verdict | None:
        """What reconciling found of this generation of the policy; None while it has not."""
        generation, verdict = self._verdicts.get(policy.uid, (None, None))
        return verdict if generation == policy.generation else None

    # ── what is learned ──

    def learn_policy(self, body: Json) -> Policy:
        """A policy is there, as `body` says."""
        policy = policy_of(body)
        self._policies.setdefault(policy.namespace, {})[policy.name] = policy
        return policy

    def forget_policy(self, namespace: str, name: str, uid: str) -> None:
        """A policy is gone; one that has taken its name since is not."""
        known = self.policy(namespace, name)
        if known is not None and known.uid == uid:
            _take(self._policies, namespace, name)
        self._verdicts.pop(uid, None)

    def learn_config_map(self, body: Json) -> str:
        """The namespace's ConfigMap is as `body` says; returns the namespace."""
        config_map = _config_map_of(body)
        known = self._config_maps.get(config_map.namespace)
        if known is not None and known.ours and known.uid == config_map.uid:
            config_map = replace(config_map, ours=True)  # whatever signs of it somebody has wiped off
        if known is None or known.uid != config_map.uid or _version(known) <= _version(config_map):
            self._config_maps[config_map.namespace] = config_map  # a watch may lag behind our own write
        return config_map.namespace

    def forget_config_map(self, namespace: str) -> None:
        """The namespace's ConfigMap is gone."""
        self._config_maps.pop(namespace, None)

    def learn_pod(self, body: Json) -> str:
        """A pod is there, as `body` says; returns the namespace."""
        pod = _pod_of(body)
        self._pods.setdefault(pod.namespace, {})[pod.name] = pod
        return pod.namespace

    def forget_pod(self, namespace: str, name: str) -> None:
        """A pod is gone."""
        _take(self._pods, namespace, name)

    def learn_verdicts(self, policies: Iterable[Policy], verdicts: Mapping[str, Verdict]) -> bool:
        """What reconciling found, by the policies' names; whether any of it is new."""
        news = False
        for policy in policies:
            found = (policy.generation, verdicts[policy.name])
            news = news or self._verdicts.get(policy.uid) != found
            self._verdicts[policy.uid] = found
        return news


def policy_of(body: Json) -> Policy:
    """A policy from the API's JSON."""
    metadata = body["metadata"]
    return Policy(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        generation=metadata.get("generation", 1),
        created=datetime.fromisoformat(metadata["creationTimestamp"]).astimezone(UTC),
        spec=body.get("spec") or {},
        status=body.get("status") or {},
    )


def _config_map_of(body: Json) -> ConfigMap:
    metadata = body["metadata"]
    labels = metadata.get("labels") or {}
    labelled = MANAGED_BY.items() <= labels.items()
    managers = {entry.get("manager") for entry in metadata.get("managedFields") or ()}
    return ConfigMap(
        namespace=metadata["namespace"],
        uid=metadata["uid"],
        resource_version=metadata["resourceVersion"],
        data=body.get("data") or {},
        ours=labelled or FIELD_MANAGER in managers,
        labelled=labelled,
        immutable=bool(body.get("immutable")),
        foreign_binary=tuple(body.get("binaryData") or ()),
        changed_by=_changed_by(metadata.get("managedFields") or ()),
    )


def _changed_by(entries: Iterable[Json]) -> str | None:
    others = [entry for entry in entries if entry.get("manager") not in {None, FIELD_MANAGER}]
    last = max(others, key=lambda entry: str(entry.get("time") or ""), default={})
    return last.get("manager")


def _version(config_map: ConfigMap) -> int:
    return int(config_map.resource_version)


def _pod_of(body: Json) -> Pod:
    metadata, spec, status = body["metadata"], body.get("spec") or {}, body.get("status") or {}
    annotations = metadata.get("annotations") or {}
    return Pod(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        ip=status.get("podIP"),
        running=status.get("phase") == "Running" and "deletionTimestamp" not in metadata,
        host_network=bool(spec.get("hostNetwork")),
        metrics_port=_port(annotations.get(PORT_ANNOTATION, "")),
        metrics_path=annotations.get(PATH_ANNOTATION) or METRICS_PATH,
    )


def _port(text: str) -> int:
    if not text:
        return METRICS_PORT
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 5 else 0


def _take(table: dict[str, dict[str, T]], namespace: str, name: str) -> T | None:
    named = table.get(namespace, {})
    taken = named.pop(name, None)
    if not named:
        table.pop(namespace, None)
    return taken
