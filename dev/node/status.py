"""A pod's `status`, from the states of its containers (pure)."""

from collections.abc import Sequence
from datetime import UTC, datetime

from dev.node.api import JsonObject
from dev.node.containers import ContainerRun, ContainerState

__all__ = ["pod_status"]


def pod_status(
    init: Sequence[ContainerRun],
    main: Sequence[ContainerRun],
    *,
    restart_policy: str,
    pod_ip: str,
    host_ip: str,
    started_at: datetime,
    trouble: str,
    last: JsonObject,
) -> JsonObject:
    """The status to write.

    `trouble` says why the pod as a whole cannot start (empty: it can); `last` is the status written before, whose
    conditions keep their `lastTransitionTime` where they did not change.
    """
    initialized = all(run.state.exit_code == 0 for run in init)
    ready = initialized and bool(main) and all(run.state.ready for run in main)
    reason = "" if ready else "ContainersNotReady"
    conditions = [
        _condition("PodScheduled", well=True, last=last),
        _condition(
            "Initialized",
            well=initialized,
            reason="" if initialized else "ContainersNotInitialized",
            last=last,
        ),
        _condition("ContainersReady", well=ready, reason=reason, message=_unready(main), last=last),
        _condition("Ready", well=ready, reason=reason, message=_unready(main), last=last),
    ]
    return {
        "phase": _phase(init, main, restart_policy),
        "message": trouble or None,
        "conditions": conditions,
        "podIP": pod_ip,
        "podIPs": [{"ip": pod_ip}],
        "hostIP": host_ip,
        "hostIPs": [{"ip": host_ip}],
        "startTime": _time(started_at),
        "initContainerStatuses": [_container_status(run) for run in init],
        "containerStatuses": [_container_status(run) for run in main],
    }


def _phase(init: Sequence[ContainerRun], main: Sequence[ContainerRun], restart_policy: str) -> str:
    if any(_ended(run.state, restart_policy) and run.state.exit_code != 0 for run in init):
        return "Failed"
    if all(run.state.phase == "waiting" and run.restarts == 0 and run.previous is None for run in main):
        return "Pending"
    if all(_ended(run.state, restart_policy) for run in main):
        return "Succeeded" if all(run.state.exit_code == 0 for run in main) else "Failed"
    return "Running"


def _ended(state: ContainerState, restart_policy: str) -> bool:
    """Terminated for good."""
    if state.phase != "terminated" or restart_policy == "Always":
        return False
    return restart_policy == "Never" or state.exit_code == 0


def _unready(main: Sequence[ContainerRun]) -> str:
    names = [run.container.name for run in main if not run.state.ready]
    return f"containers with unready status: [{' '.join(names)}]" if names else ""


def _condition(kind: str, *, well: bool, last: JsonObject, reason: str = "", message: str = "") -> JsonObject:
    status = "True" if well else "False"
    before = next(
        (c for c in last.get("conditions", []) if c["type"] == kind and c["status"] == status), None
    )
    since = before["lastTransitionTime"] if before else _time(datetime.now(UTC))
    condition = {"type": kind, "status": status, "lastTransitionTime": since}
    return (
        condition
        | ({"reason": reason} if reason else {})
        | ({"message": message} if message and not well else {})
    )


def _container_status(run: ContainerRun) -> JsonObject:
    status: JsonObject = {
        "name": run.container.name,
        "image": run.container.image,
        "imageID": "",
        "ready": run.state.ready,
        "started": run.state.started,
        "restartCount": run.restarts,
        "state": _state(run.state),
        "lastState": _state(run.previous) if run.previous else {},
    }
    return status


def _state(state: ContainerState) -> JsonObject:
    if state.phase == "running":
        return {"running": {"startedAt": _time(state.started_at)}}
    said = {"reason": state.reason} | ({"message": state.message} if state.message else {})
    if state.phase == "waiting":
        return {"waiting": said}
    times = {"startedAt": _time(state.started_at), "finishedAt": _time(state.finished_at)}
    return {"terminated": {"exitCode": state.exit_code, **times, **said}}


def _time(moment: datetime | None) -> str | None:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ") if moment else None
