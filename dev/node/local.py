"""A local node as a context manager: a thread with an event loop, a folder, and a guardian process."""

import asyncio
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Self

from dev.node.addresses import AddressBlock
from dev.node.agent import Agent, NodeOptions
from dev.node.api import Api
from dev.node.containers import Backoff, ProcessGroups

__all__ = ["LocalNode"]

_GUARDIAN = Path(__file__).parent / "guardian.py"
_REGISTER_SECONDS = 30
_LEAVE_SECONDS = 30


class LocalNode:
    """`with LocalNode(kubeconfig) as node:` runs the cluster's pods as local processes.

    It binds every pod without a node whose `schedulerName` is `scheduler`, and runs those bound to `name`.
    `images` maps an image's name, without tag, to a folder put on the container's PYTHONPATH. Files of a ConfigMap volume
    follow `volume_delay` seconds after a change. `kubectl logs` works when `certificate` is given: a PEM file with its key
    beside it as `.key`, such as the API server's own. On exit, all pods end and nothing is left: no process, no file, no Node
    object; when this process is killed, its guardian sees to the first two.
    Entering raises `ApiError` or `httpx.HTTPError` when the API server cannot be used.
    """

    def __init__(
        self,
        kubeconfig: Path,
        *,
        name: str = "local",
        scheduler: str = "default-scheduler",
        images: Mapping[str, Path] = MappingProxyType({}),
        backoff: Backoff = Backoff(),  # noqa: B008 - frozen
        volume_delay: float = 1.0,
        certificate: Path | None = None,
    ) -> None:
        self.folder = Path()
        self._kubeconfig = kubeconfig
        self._options = NodeOptions(
            name=name,
            scheduler=scheduler,
            images=images,
            backoff=backoff,
            volume_delay=volume_delay,
            certificate=certificate,
        )
        self._thread = threading.Thread(target=self._run, name=f"node-{name}", daemon=True)
        self._started = threading.Event()
        self._problem: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None
        self._guardian: subprocess.Popen[bytes] | None = None

    def log(self, namespace: str, pod: str, container: str) -> Path:
        """The file that holds what a container printed, over all its restarts; kept until the node ends."""
        return self.folder / "logs" / namespace / pod / f"{container}.log"

    def __enter__(self) -> Self:
        self.folder = Path(tempfile.mkdtemp(prefix="switchgear-node-"))
        self._guardian = subprocess.Popen(
            [sys.executable, "-I", str(_GUARDIAN), str(self.folder)],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )
        self._thread.start()
        self._started.wait(_REGISTER_SECONDS)
        if self._problem is not None or not self._started.is_set():
            self._end()
            raise self._problem or TimeoutError(f"the node did not register within {_REGISTER_SECONDS} s")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()
        if self._problem is not None and error is None:
            raise self._problem

    def _end(self) -> None:
        if self._loop is not None and self._stopping is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(_LEAVE_SECONDS)  # what has not ended by then, the guardian ends
        if self._guardian is not None and self._guardian.stdin is not None:
            self._guardian.stdin.close()  # it removes the folder
            self._guardian.wait()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:
            self._problem = error
        finally:
            self._started.set()

    async def _serve(self) -> None:
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        assert self._guardian is not None
        assert self._guardian.stdin is not None
        with AddressBlock() as addresses:
            async with Api(self._kubeconfig) as api:
                groups = ProcessGroups(self._guardian.stdin)
                agent = Agent(self._options, self.folder, api, addresses, groups)
                running = asyncio.create_task(agent.run(self._stopping))
                waiting = asyncio.create_task(agent.ready.wait())
                await asyncio.wait({running, waiting}, return_when=asyncio.FIRST_COMPLETED)
                waiting.cancel()
                if agent.ready.is_set():
                    self._started.set()
                await running
