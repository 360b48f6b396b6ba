"""Where Service names and addresses lead: the table that the processes of the pods look things up in (pure).

A cluster has DNS and kube-proxy for this. Here `guest/sitecustomize.py` reads the table inside each Python process.
"""

from collections.abc import Iterable, Iterator, Mapping

from dev.node.api import JsonObject

__all__ = ["service_table"]


def service_table(
    services: Iterable[JsonObject], pods: Iterable[JsonObject], api_server: tuple[str, int]
) -> JsonObject:
    """`{"names": {"payments.shop": [address, ...]}, "endpoints": {"address:port": [[pod address, port], ...]}}`.

    A Service's name leads to its cluster IP, or to its ready pods when it is headless; cluster IP and port lead to the
    ready pods that its selector matches, and the Service of the API to `api_server`.
    """
    names: dict[str, list[str]] = {}
    endpoints: dict[str, list[list[str | int]]] = {}
    known = list(pods)
    for service in services:
        metadata, spec = service["metadata"], service["spec"]
        name = f"{metadata['name']}.{metadata['namespace']}"
        if name == "kubernetes.default":
            names[name] = [spec["clusterIP"]]
            endpoints[f"{spec['clusterIP']}:443"] = [list(api_server)]
            continue
        backends = [pod for pod in known if _serves(pod, metadata["namespace"], spec)]
        if spec.get("clusterIP") in {None, "", "None"}:
            names[name] = sorted(pod["status"]["podIP"] for pod in backends)
            continue
        names[name] = [spec["clusterIP"]]
        for port in spec.get("ports", []):
            key = f"{spec['clusterIP']}:{port['port']}"
            endpoints[key] = sorted(
                [pod["status"]["podIP"], number] for pod in backends for number in _target(pod, port)
            )
    return {"names": names, "endpoints": endpoints}


def _serves(pod: JsonObject, namespace: str, spec: JsonObject) -> bool:
    selector: Mapping[str, str] = spec.get("selector") or {}
    metadata, status = pod["metadata"], pod.get("status", {})
    if (
        not selector
        or metadata["namespace"] != namespace
        or not status.get("podIP")
        or "deletionTimestamp" in metadata
    ):
        return False
    labels = metadata.get("labels", {})
    if any(labels.get(key) != value for key, value in selector.items()):
        return False
    ready = any(c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions", []))
    return ready or bool(spec.get("publishNotReadyAddresses"))


def _target(pod: JsonObject, port: JsonObject) -> Iterator[int]:
    wanted = port.get("targetPort", port["port"])
    if isinstance(wanted, int):
        yield wanted
        return
    for container in pod["spec"]["containers"]:
        for candidate in container.get("ports", []):
            if candidate.get("name") == wanted:
                yield candidate["containerPort"]
