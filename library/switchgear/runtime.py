"""The module-level registry, and what `configure()` puts to work around it: policies, metrics, state."""

import logging
import os
import threading
from functools import cache
from typing import TYPE_CHECKING

from .breaker import CircuitBreaker
from .config import CircuitConfig
from .forks import Stage, after_fork
from .registry import Registry
from .transitions import Transition

if TYPE_CHECKING:  # brought only once they are configured, so that `import switchgear` stays quick
    from .background import Background
    from .exposition import Family
    from .server import MetricsServer
    from .settings import Path, Settings
    from .state_file import StateFile

__all__ = ["breaker", "breaker_for", "configure", "default_registry", "families", "metrics_port"]

POLL_INTERVAL = 1.0
"""Seconds between two looks at the policy directory."""

STATE_INTERVAL = 30.0
"""Seconds between two looks whether the state grows old; a transition is written at once."""

STATE_PAUSE = 0.1
"""Seconds between two writings at least; the first after a quiet time does not wait."""

EXIT_TIMEOUT = 3.0
"""Seconds that the last writing of the state may wait, at exit, for one under way."""

_log = logging.getLogger("switchgear")


class _Runtime:
    """What runs for the default registry; each part is replaced when its settings change."""

    def __init__(self) -> None:
        self.registry = Registry()
        self.state_file: StateFile | None = None
        self._given: Settings | None = None
        self._source: tuple[object, Background] | None = None
        self._server: tuple[object, MetricsServer] | None = None
        self._writer: tuple[object, Background] | None = None
        self._listening = False
        self._renew_lock()
        after_fork(Stage.LOCKS, self._renew_lock)

    def configure(self, arguments: "Settings") -> None:
        from .identity import find_identity  # noqa: PLC0415  # as for every import below: see above
        from .settings import read_environment  # noqa: PLC0415

        with self._lock:
            given = arguments if self._given is None else arguments.over(self._given)
            settings = given.over(read_environment(os.environ))
            namespace = settings.namespace or find_identity().namespace
            self._given = given
            self._keep_state(settings, namespace)
            self._follow_policies(settings, namespace)
            self._serve_metrics(settings)

    def _keep_state(self, settings: "Settings", namespace: str) -> None:
        wanted = (settings.state_dir, namespace)
        if settings.state_dir is None or (self._writer is not None and self._writer[0] == wanted):
            return
        import atexit  # noqa: PLC0415

        from .background import Background  # noqa: PLC0415
        from .state_file import StateFile  # noqa: PLC0415

        if self._writer is not None:
            self._writer[1].stop()
        if self.state_file is not None:
            self.state_file.close()
        registry = self.registry
        state_file = StateFile(
            settings.state_dir, collect=registry.snapshots, restore=registry.remember, namespace=namespace
        )
        state_file.open()
        self.state_file = state_file
        writer = Background(
            "switchgear state", state_file.write_if_due, interval=STATE_INTERVAL, pause=STATE_PAUSE
        )
        writer.start()
        self._writer = (wanted, writer)
        if not self._listening:
            self._listening = True
            registry.on_transition(self._note_transition)
            atexit.register(self._write_at_exit)

    def _follow_policies(self, settings: "Settings", namespace: str) -> None:
        from .background import Background  # noqa: PLC0415
        from .directory import PolicyDirectory  # noqa: PLC0415
        from .settings import DEFAULT_POLICY_DIR  # noqa: PLC0415

        path = settings.policy_dir or DEFAULT_POLICY_DIR
        interval = settings.poll_interval or POLL_INTERVAL
        wanted = (path, interval, namespace)
        if self._source is not None:
            if self._source[0] == wanted:
                return
            self._source[1].stop()
        registry = self.registry
        directory = PolicyDirectory(
            path, apply=registry.apply, count_error=registry.count_load_error, namespace=namespace
        )
        poller = Background("switchgear policies", directory.poll, interval=interval)
        try:
            directory.poll()  # so that breakers follow their policies from the first call on
        except Exception:
            _log.exception("policies could not be loaded at once; the next attempt is in %g s", interval)
        poller.start()
        self._source = (wanted, poller)

    def _serve_metrics(self, settings: "Settings") -> None:
        wanted = (settings.metrics_port, settings.metrics_address)
        running = self._server is not None and self._server[0] == wanted and self.metrics_port is not None
        if settings.metrics_port is None or running:
            return
        from .exposition import render  # noqa: PLC0415
        from .server import MetricsServer  # noqa: PLC0415

        if self._server is not None:
            self._server[1].stop()
        server = MetricsServer(
            lambda: render(families()), settings.metrics_port, settings.metrics_address or ""
        )
        self._server = (wanted, server) if server.start() else None

    @property
    def metrics_port(self) -> int | None:
        return None if self._server is None else self._server[1].port

    def _note_transition(self, _transition: Transition) -> None:
        if self.state_file is not None and self._writer is not None:
            self.state_file.note_change()
            self._writer[1].wake()

    def _write_at_exit(self) -> None:
        try:
            if self.state_file is not None:
                self.state_file.write(timeout=EXIT_TIMEOUT)
        except Exception:
            _log.exception("the state could not be written at exit")

    def _renew_lock(self) -> None:
        self._lock = threading.RLock()


_runtime = _Runtime()


def configure(
    *,
    policy_dir: "Path | None" = None,
    metrics_port: int | None = None,
    metrics_address: str | None = None,
    state_dir: "Path | None" = None,
    namespace: str | None = None,
    poll_interval: float | None = None,
) -> Registry:
    """Put the module-level registry to work, and return it. To be called again at will.

    What is not given here stays as an earlier call gave it, else comes from the environment, else is the default.
    Policies that are there already are in force when this returns. Background work is done by daemon threads.

    Args:
        policy_dir: The directory of policies (SWITCHGEAR_POLICY_DIR, default /etc/switchgear). It may appear later.
        metrics_port: Serve /metrics on this port (SWITCHGEAR_METRICS_PORT, default: not at all); 0 for any free one,
            which `switchgear.metrics_port()` tells.
        metrics_address: The address to serve on (SWITCHGEAR_METRICS_ADDRESS, default: all addresses).
        state_dir: Keep state across a restart in this directory (SWITCHGEAR_STATE_DIR, default: not at all).
        namespace: The namespace that this process runs in (see `switchgear.identity` for how it is found otherwise).
        poll_interval: Seconds between two looks at `policy_dir`; default 1.

    Raises:
        ValueError: A value cannot be used; the message names it (or its variable), the value and the remedy.
    """
    from .settings import check_arguments  # noqa: PLC0415  # as in _Runtime.configure

    _runtime.configure(
        check_arguments(
            policy_dir=policy_dir,
            metrics_port=metrics_port,
            metrics_address=metrics_address,
            state_dir=state_dir,
            namespace=namespace,
            poll_interval=poll_interval,
        )
    )
    return _runtime.registry


def breaker(name: str, default: CircuitConfig | None = None) -> CircuitBreaker:
    """The breaker of this name in the module-level registry: see `Registry.breaker`."""
    return _runtime.registry.breaker(name, default)


def breaker_for(url: object, default: CircuitConfig | None = None) -> CircuitBreaker:
    """The breaker for calls of `url` in the module-level registry: see `Registry.breaker_for`."""
    return _runtime.registry.breaker_for(url, default)


def default_registry() -> Registry:
    """The module-level registry."""
    return _runtime.registry


def metrics_port() -> int | None:
    """The port that `configure()` serves /metrics on, also after `metrics_port=0`; None if it is not served."""
    return _runtime.metrics_port


def families(registry: Registry | None = None) -> "list[Family]":
    """Every metric of a registry; of the module-level one unless told otherwise."""
    from .metrics import breaker_families, policy_families, state_families  # noqa: PLC0415
    from .policy import SCHEMA  # noqa: PLC0415

    of = registry or _runtime.registry
    state_file = _runtime.state_file if of is _runtime.registry else None
    return [
        *breaker_families(of.readings()),
        *policy_families(of.policies, of.load_errors, _version(), SCHEMA),
        *(state_families(state_file.errors) if state_file is not None else []),
    ]


@cache
def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415

    try:
        return version("switchgear")
    except PackageNotFoundError:  # run from a source tree that nobody installed
        return "unknown"
