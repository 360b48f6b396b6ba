"""Circuit breakers inside a Python process, re-tuned across the fleet by Kubernetes policies."""

from .breaker import CircuitBreaker
from .config import CircuitConfig, CountWindow, Mode, TimeWindow
from .errors import CircuitOpenError, ConcurrencyLimitError
from .permit import Permit
from .reading import BreakerReading
from .registry import Registry
from .runtime import breaker, breaker_for, configure, default_registry, metrics_port
from .snapshots import Snapshot
from .states import CircuitState, Outcome
from .transitions import Transition

__all__ = [
    "BreakerReading",
    "CircuitBreaker",
    "CircuitConfig",
    "CircuitOpenError",
    "CircuitState",
    "ConcurrencyLimitError",
    "CountWindow",
    "Mode",
    "Outcome",
    "Permit",
    "Registry",
    "Snapshot",
    "TimeWindow",
    "Transition",
    "breaker",
    "breaker_for",
    "configure",
    "default_registry",
    "metrics_port",
]
