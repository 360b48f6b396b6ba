"""Which policy applies to a URL: names and ports in, one match out. No I/O, and no input raises.

Of several matches an exact host or a service beats a wildcard, a longer suffix a shorter one, and then a target
with a port one without. What is still equal is decided by the policy's name, so every process decides alike.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from .targets import DEFAULT_PORTS, HostTarget, ServiceTarget, Target

__all__ = ["Endpoint", "Matcher", "Rule", "parse_endpoint"]

LONGEST_HOST = 253
"""The longest name that DNS knows."""

LONGEST_AUTHORITY = 2048
"""Characters of user, host and port beyond which a URL is not looked at."""

_HOST_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-._")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a URL leads: a host in lower case without a final dot, and a port if one is known."""

    host: str
    port: int | None

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port is None else f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Rule(Generic[T]):
    """A policy (`namespace/name`), its target, and what the target leads to."""

    policy: str
    target: Target
    value: T


class Matcher(Generic[T]):
    """Finds the rule for an endpoint, in a time that does not grow with the number of rules.

    A policy protects callers in its own namespace. So `payments` alone means a service target exactly when the
    target lies in its policy's namespace.
    """

    def __init__(self, rules: Iterable[Rule[T]] = ()) -> None:
        self._hosts: dict[str, list[Rule[T]]] = {}
        self._services: dict[tuple[str, str], list[Rule[T]]] = {}
        self._services_at_home: dict[str, list[Rule[T]]] = {}
        self._suffixes: dict[str, list[Rule[T]]] = {}
        for rule in sorted(rules, key=_precedence):
            self._add(rule)

    def match(self, endpoint: Endpoint) -> Rule[T] | None:
        """The rule that applies to calls of `endpoint`, or None."""
        labels = endpoint.host.split(".")
        exact: list[Rule[T]] = [*self._hosts.get(endpoint.host, ()), *self._services_called(labels)]
        for rule in sorted(exact, key=_precedence):
            if _accepts_port(rule, endpoint.port):
                return rule
        for rule in self._wildcards_above(labels):
            if _accepts_port(rule, endpoint.port):
                return rule
        return None

    def _add(self, rule: Rule[T]) -> None:
        match rule.target:
            case HostTarget(host=host) if host.startswith("*."):
                self._suffixes.setdefault(host[2:].lower(), []).append(rule)
            case HostTarget(host=host):
                self._hosts.setdefault(host.lower(), []).append(rule)
            case ServiceTarget(name=name, namespace=namespace):
                self._services.setdefault((name, namespace), []).append(rule)
                if rule.policy.partition("/")[0] == namespace:
                    self._services_at_home.setdefault(name, []).append(rule)

    def _services_called(self, labels: list[str]) -> Iterable[Rule[T]]:
        match labels:
            case [name]:
                return self._services_at_home.get(name, ())
            case [name, namespace] | [name, namespace, "svc", *_]:
                return self._services.get((name, namespace), ())
        return ()

    def _wildcards_above(self, labels: list[str]) -> Iterator[Rule[T]]:
        for depth in range(1, len(labels)):
            yield from self._suffixes.get(".".join(labels[depth:]), ())


def parse_endpoint(url: object) -> Endpoint | None:
    """The endpoint of a URL, or of `host`, `host:port`, `[v6]:port`; None if there is none in it.

    Any object whose `str()` is a URL with a scheme will do too. User and password are skipped, an international name becomes its
    ASCII form, an IP address its shortest form. Without a port, the scheme's default counts.
    """
    try:
        text = str(url)
        return _parse(text) if isinstance(url, str) or "://" in text else None
    except Exception:  # a caller's odd object must not break the caller's request
        return None


def _parse(text: str) -> Endpoint | None:
    scheme, separator, rest = text.strip().partition("://")
    if not separator:
        scheme, rest = "", scheme.removeprefix("//")
    authority = _until_any(rest, "/?#\\")
    if len(authority) > LONGEST_AUTHORITY:
        return None
    host, port_text = _split_port(authority.rpartition("@")[2])
    port = DEFAULT_PORTS.get(scheme.lower()) if not port_text else _port(port_text)
    if port_text and port is None:
        return None
    name = _normal_host(host)
    return None if name is None else Endpoint(name, port)


def _until_any(text: str, ends: str) -> str:
    return text[: min((at for end in ends if (at := text.find(end)) >= 0), default=len(text))]


def _split_port(host_and_port: str) -> tuple[str, str]:
    if host_and_port.startswith("["):
        address, bracket, after = host_and_port[1:].partition("]")
        return (address, after[1:]) if bracket and after[:1] in {"", ":"} and ":" in address else ("", "")
    if host_and_port.count(":") > 1:
        return host_and_port, ""
    host, _, port = host_and_port.partition(":")
    return host, port


def _port(text: str) -> int | None:
    if not (text.isascii() and text.isdigit() and len(text) <= 5):
        return None
    return int(text) if int(text) <= 65535 else None


def _normal_host(host: str) -> str | None:
    if ":" in host:
        return _normal_address(host)
    if not host.isascii():
        host = host.encode("idna").decode("ascii")
    host = host.lower().removesuffix(".")
    if not host or len(host) > LONGEST_HOST or "" in host.split("."):
        return None
    return host if _HOST_CHARACTERS.issuperset(host) else None


def _normal_address(text: str) -> str | None:
    from ipaddress import IPv6Address  # noqa: PLC0415  # few programs call an IPv6 address by its digits

    try:
        return IPv6Address(text.replace("%25", "%")).compressed
    except ValueError:
        return None


def _precedence(rule: Rule[T]) -> tuple[bool, str]:
    return (_port_of(rule.target) is None, rule.policy)


def _accepts_port(rule: Rule[T], port: int | None) -> bool:
    wanted = _port_of(rule.target)
    return wanted is None or wanted == port


def _port_of(target: Target) -> int | None:
    return None if not isinstance(target, ServiceTarget | HostTarget) else target.port
