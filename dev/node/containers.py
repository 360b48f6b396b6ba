"""One container of a pod as a local process: started, probed, restarted, stopped."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Literal

from dev.node.environment import ContainerConfigError
from dev.node.manifests import Container
from dev.node.probes import Health, ProbeTarget, ask, watch_health
from dev.node.waiting import within

__all__ = ["Backoff", "ContainerRun", "ContainerState", "Launch", "ProcessGroups"]


@dataclass(frozen=True, kw_only=True)
class Backoff:
    """How long a container waits before it is started again, in seconds: doubled each time, as the kubelet does."""

    first: float = 1.0
    longest: float = 300.0
    forgotten_after: float = 600.0
    """A container that ran this long starts over with `first`."""


@dataclass(kw_only=True)
class ContainerState:
    """What the pod's status says of a container."""

    phase: Literal["waiting", "running", "terminated"] = "waiting"
    reason: str = ""
    message: str = ""
    started_at: datetime | None = None
    finished_at: datetime | None = None
    exit_code: int | None = None
    started: bool = False
    """Running, and its startup probe has succeeded."""
    ready: bool = False


class ProcessGroups:
    """The process groups of a node, told to its guardian."""

    def __init__(self, guardian: IO[bytes]) -> None:
        self._guardian = guardian

    def started(self, group: int) -> None:
        """A process group is there."""
        self._tell(f"+{group}\n")

    def ended(self, group: int) -> None:
        """Kill what is left of a process group whose leader has ended."""
        kill_group(group, signal.SIGKILL)
        self._tell(f"-{group}\n")

    def _tell(self, line: str) -> None:
        with contextlib.suppress(BrokenPipeError):
            self._guardian.write(line.encode())
            self._guardian.flush()


@dataclass(frozen=True, kw_only=True)
class Launch:
    """All that is needed to start a container's process."""

    command: list[str]
    environment: dict[str, str]
    directory: Path
    target: ProbeTarget


class ContainerRun:
    """A container over all its restarts.

    `prepare` tells how to start it (it may raise `ContainerConfigError`), `changed` is called whenever `state` changed;
    `previous` is how the run before the present one ended. `grace` is what a failed probe leaves it to end in, in seconds.
    """

    def __init__(
        self,
        container: Container,
        *,
        restart_policy: str,
        prepare: Callable[[Container], Awaitable[Launch]],
        changed: Callable[[], None],
        groups: ProcessGroups,
        log: Path,
        backoff: Backoff,
        grace: float,
    ) -> None:
        self.container = container
        self.state = ContainerState(reason="ContainerCreating")
        self.previous: ContainerState | None = None
        self.log = log
        self._restart_policy = restart_policy
        self._prepare = prepare
        self._changed = changed
        self._groups = groups
        self._backoff = backoff
        self._grace = grace
        self._starts = 0
        self._stopping = asyncio.Event()
        self._process: asyncio.subprocess.Process | None = None
        self._launch: Launch | None = None

    @property
    def restarts(self) -> int:
        """How often it was started again."""
        return max(self._starts - 1, 0)

    async def run(self) -> None:
        """Run until the restart policy is satisfied or `stop` was called."""
        delay = self._backoff.first
        while not self._stopping.is_set():
            if not await self._run_once():
                await within(1.0, self._stopping)  # what is missing may come
                continue
            if self._stopping.is_set() or not self._restarts():
                return
            if self._ran_for() >= self._backoff.forgotten_after:
                delay = self._backoff.first
            message = f"back-off {delay:g} s before the next start: {self.state.message or f'exit code {self.state.exit_code}'}"
            self.previous = self.state
            self._enter(ContainerState(reason="CrashLoopBackOff", message=message))
            await within(delay, self._stopping)
            delay = min(delay * 2, self._backoff.longest)

    async def stop(self, grace: float) -> None:
        """PreStop, then SIGTERM to the process group, then SIGKILL when it has not ended within `grace` seconds."""
        self._stopping.set()
        if (process := self._process) is None:
            return
        deadline = asyncio.get_running_loop().time() + grace
        if (handler := self.container.lifecycle.pre_stop) and self._launch and grace > 0:
            await ask(handler, self._launch.target, grace)
        await _terminate(process, deadline - asyncio.get_running_loop().time())

    async def _run_once(self) -> bool:
        """One life of the process; False when it could not even be started."""
        try:
            launch = await self._prepare(self.container)
        except ContainerConfigError as error:
            self._wait_with("CreateContainerConfigError", str(error))
            return False
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as output:
            try:
                process = await asyncio.create_subprocess_exec(
                    *launch.command,
                    env=launch.environment,
                    cwd=launch.directory,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                )
            except OSError as error:
                self._wait_with("RunContainerError", f"cannot start {launch.command[0]}: {error.strerror}")
                return False
        self._groups.started(process.pid)
        self._process, self._launch = process, launch
        self._starts += 1
        self._enter(ContainerState(phase="running", started_at=datetime.now(UTC)))
        await self._accompany(process, launch.target)
        return True

    async def _accompany(self, process: asyncio.subprocess.Process, target: ProbeTarget) -> None:
        """Probe the process until it ends, end it when a probe says so, and note how it ended."""
        waiting = asyncio.create_task(process.wait())
        probing = asyncio.create_task(watch_health(target, self._note_health))
        try:
            if self._stopping.is_set():
                kill_group(process.pid, signal.SIGKILL)
            await asyncio.wait({waiting, probing}, return_when=asyncio.FIRST_COMPLETED)
            if not waiting.done():
                self.state.message = probing.result()
                self.state.ready = False
                self._changed()
                await _terminate(process, self._grace)
            code = await waiting
        finally:
            probing.cancel()
            await asyncio.gather(probing, return_exceptions=True)
            self._groups.ended(process.pid)
            self._process = None
        self._enter(
            ContainerState(
                phase="terminated",
                reason="Completed" if code == 0 else "Error",
                message=self.state.message,
                started_at=self.state.started_at,
                finished_at=datetime.now(UTC),
                exit_code=code if code >= 0 else 128 - code,
            )
        )

    def _note_health(self, health: Health) -> None:
        self.state.started, self.state.ready, self.state.message = True, health.ready, health.problem
        self._changed()

    def _wait_with(self, reason: str, message: str) -> None:
        if (self.state.reason, self.state.message) != (reason, message):
            self._enter(ContainerState(reason=reason, message=message))

    def _enter(self, state: ContainerState) -> None:
        self.state = state
        self._changed()

    def _restarts(self) -> bool:
        failed = self.state.exit_code != 0
        return self._restart_policy == "Always" or (self._restart_policy == "OnFailure" and failed)

    def _ran_for(self) -> float:
        started, finished = self.state.started_at, self.state.finished_at
        return (finished - started).total_seconds() if started and finished else 0.0


def kill_group(group: int, number: signal.Signals) -> None:
    """Signal a process group; one that is gone is fine."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, number)


async def _terminate(process: asyncio.subprocess.Process, grace: float) -> None:
    """SIGTERM, and SIGKILL when the process has not ended within `grace` seconds."""
    if process.returncode is None:
        kill_group(process.pid, signal.SIGTERM)
    try:
        async with asyncio.timeout(max(grace, 0)):
            await process.wait()
    except TimeoutError:
        kill_group(process.pid, signal.SIGKILL)
        await process.wait()
