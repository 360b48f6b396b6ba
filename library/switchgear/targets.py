"""What a policy protects: a Kubernetes service, a host, or a breaker that code asks for by name."""

from dataclasses import dataclass

__all__ = ["DEFAULT_PORTS", "HostTarget", "NameTarget", "ServiceTarget", "Target"]

DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}
"""The port that a URL means when it names none."""


@dataclass(frozen=True, slots=True)
class ServiceTarget:
    """A service, called by any of its cluster DNS names.

    `payments` is matched only from the service's own namespace; `payments.shop`, `payments.shop.svc` and
    `payments.shop.svc.<any cluster domain>` from everywhere. Without a port, any port matches.
    """

    name: str
    namespace: str
    port: int | None = None

    def __str__(self) -> str:
        return _with_port(f"{self.name}.{self.namespace}", self.port)


@dataclass(frozen=True, slots=True)
class HostTarget:
    """A host, exact or as `*.suffix` (any depth below the suffix, not the suffix itself), in lower case."""

    host: str
    port: int | None = None

    @property
    def is_wildcard(self) -> bool:
        """Whether one policy keeps a breaker for each host it meets."""
        return self.host.startswith("*.")

    def __str__(self) -> str:
        return _with_port(self.host, self.port)


@dataclass(frozen=True, slots=True)
class NameTarget:
    """A breaker by the name that code uses: `switchgear.breaker("orders-db")`."""

    name: str

    def __str__(self) -> str:
        return self.name


Target = ServiceTarget | HostTarget | NameTarget


def _with_port(host: str, port: int | None) -> str:
    return host if port is None else f"{host}:{port}"
