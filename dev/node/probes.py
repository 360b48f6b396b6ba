"""Asking a container how it is: one question, and the loop that asks again and again."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from dev.node.manifests import Container, Exec, Handler, HTTPGet, Probe, TCPSocket

__all__ = ["Health", "ProbeTarget", "ask", "watch_health"]


@dataclass(frozen=True, kw_only=True)
class ProbeTarget:
    """The running container that a probe is about."""

    container: Container
    pod_ip: str
    environment: Mapping[str, str]
    directory: Path
    command: Callable[[Sequence[str]], list[str]]
    """Turns a command of the manifest into one that runs here."""
    client: httpx.AsyncClient


@dataclass(frozen=True, kw_only=True)
class Health:
    """How a started container is: whether it wants traffic, and if not, why."""

    ready: bool
    problem: str = ""


async def ask(handler: Handler, target: ProbeTarget, seconds: float) -> str | None:
    """Carry out one handler; None when it went well, else what went wrong in a sentence."""
    try:
        async with asyncio.timeout(seconds):
            if handler.http_get is not None:
                return await _ask_http(handler.http_get, target)
            if handler.exec_ is not None:
                return await _ask_command(handler.exec_, target)
            if handler.tcp_socket is not None:
                return await _ask_tcp(handler.tcp_socket, target)
            if handler.sleep is not None:
                await asyncio.sleep(handler.sleep.seconds)
            return None
    except TimeoutError:
        return f"no answer within {seconds:g} s"
    except (httpx.HTTPError, OSError, ValueError) as error:
        return str(error) or type(error).__name__


async def watch_health(target: ProbeTarget, report: Callable[[Health], None]) -> str:
    """Probe a container as its manifest says, reporting each change; returns why it has to be restarted, if ever.

    Liveness and readiness begin once the startup probe has succeeded.
    """
    doomed: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    probing = asyncio.create_task(_all_probes(target, report, doomed))
    try:
        either: list[asyncio.Future[Any]] = [doomed, probing]
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if not doomed.done():
            probing.result()  # it only ends by an error
        return await doomed
    finally:
        probing.cancel()
        await asyncio.gather(probing, return_exceptions=True)


async def _all_probes(
    target: ProbeTarget, report: Callable[[Health], None], doomed: asyncio.Future[str]
) -> None:
    container = target.container
    if container.startup_probe is not None:
        await _startup(container.startup_probe, target, doomed)
    report(Health(ready=container.readiness_probe is None))
    async with asyncio.TaskGroup() as group:
        if container.readiness_probe is not None:
            group.create_task(_readiness(container.readiness_probe, target, report))
        if container.liveness_probe is not None:
            group.create_task(_liveness(container.liveness_probe, target, doomed))
        group.create_task(asyncio.Event().wait())


async def _startup(probe: Probe, target: ProbeTarget, doomed: asyncio.Future[str]) -> None:
    async for problem in _verdicts(probe, target):
        if problem is None:
            return
        _condemn(doomed, "startup", problem)


async def _readiness(probe: Probe, target: ProbeTarget, report: Callable[[Health], None]) -> None:
    async for problem in _verdicts(probe, target):
        report(Health(ready=problem is None, problem=problem or ""))


async def _liveness(probe: Probe, target: ProbeTarget, doomed: asyncio.Future[str]) -> None:
    async for problem in _verdicts(probe, target):
        if problem is not None:
            _condemn(doomed, "liveness", problem)


def _condemn(doomed: asyncio.Future[str], name: str, problem: str) -> None:
    if not doomed.done():
        doomed.set_result(f"{name} probe failed: {problem}")


async def _verdicts(probe: Probe, target: ProbeTarget) -> AsyncGenerator[str | None]:
    """Ask at the probe's period for ever; yield None (well) or the problem each time a threshold is reached."""
    await asyncio.sleep(probe.initial_delay_seconds)
    row, last = 0, True
    while True:
        problem = await ask(probe, target, probe.timeout_seconds)
        well = problem is None
        row = row + 1 if well == last else 1
        last = well
        if row >= (probe.success_threshold if well else probe.failure_threshold):
            yield problem
        await asyncio.sleep(probe.period_seconds)


async def _ask_http(question: HTTPGet, target: ProbeTarget) -> str | None:
    host = question.host or target.pod_ip
    path = question.path if question.path.startswith("/") else f"/{question.path}"
    url = f"{question.scheme.lower()}://{host}:{target.container.port(question.port)}{path}"
    headers = {"Connection": "close", "User-Agent": "kube-probe/local", "Accept": "*/*"}
    headers |= {header["name"]: header["value"] for header in question.http_headers}
    async with target.client.stream("GET", url, headers=headers) as response:
        well = 200 <= response.status_code < 400
    return None if well else f"GET {url} answered {response.status_code}"


async def _ask_command(question: Exec, target: ProbeTarget) -> str | None:
    process = await asyncio.create_subprocess_exec(
        *target.command(question.command),
        env=dict(target.environment),
        cwd=target.directory,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        code = await process.wait()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
    return None if code == 0 else f"{question.command[0]} exited with {code}"


async def _ask_tcp(question: TCPSocket, target: ProbeTarget) -> str | None:
    port = target.container.port(question.port)
    _, writer = await asyncio.open_connection(question.host or target.pod_ip, port)
    writer.close()
    await writer.wait_closed()
    return None
