"""Which of several policies for the same target applies. Pure.

Two policies of a namespace conflict when some call could be both's: the same service, host (wildcards as written)
or name, and a port in common, where no port means every port. A host that is one of a service's DNS names
(`payments.shop`, `payments.shop.svc`, `payments.shop.svc.<domain>`, and in the service's own namespace `payments`)
is the same target as the service. The more specific target wins (a port over none), then the older policy
(creationTimestamp, then name). A loser applies to nothing, and comes into force once no winner is left. An exact host
or a service beside a wildcard is no conflict: the library prefers the exact one, call by call.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from switchgear.policy import PolicyDocument
from switchgear.targets import HostTarget, NameTarget, ServiceTarget, Target

from .objects import Policy

__all__ = ["Candidate", "settle"]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A policy that could be read, and its document."""

    policy: Policy
    document: PolicyDocument

    @property
    def precedence(self) -> tuple[bool, float, str]:
        """Smaller wins: a port before none, then older, then the name."""
        return _port(self.document.target) is None, self.policy.created.timestamp(), self.policy.name


def settle(candidates: Iterable[Candidate]) -> Mapping[str, Policy | None]:
    """For each policy's name the policy that it loses to, or None if it applies."""
    winners: dict[object, list[Candidate]] = {}
    outcome: dict[str, Policy | None] = {}
    for candidate in sorted(candidates, key=lambda candidate: candidate.precedence):
        rivals = winners.setdefault(_what(candidate), [])
        winner = next((rival for rival in rivals if _overlap(rival, candidate)), None)
        outcome[candidate.policy.name] = winner.policy if winner else None
        if winner is None:
            rivals.append(candidate)
    return outcome


def _overlap(one: Candidate, other: Candidate) -> bool:
    """Whether some call could be both's, given that they are about the same thing."""
    target, against = one.document.target, other.document.target
    if isinstance(target, HostTarget) and isinstance(against, HostTarget) and target.host != against.host:
        return False  # two names of one service: a call has one of them
    ports = {_port(target), _port(against)}
    return len(ports) == 1 or None in ports


def _what(candidate: Candidate) -> tuple[str, ...]:
    match candidate.document.target:
        case ServiceTarget(name, namespace):
            return ("service", name, namespace)
        case HostTarget(host):
            return _service_called(host, candidate.policy.namespace) or ("host", host)
        case NameTarget(name):
            return ("name", name)


def _service_called(host: str, home: str) -> tuple[str, ...] | None:
    """The service that callers in namespace `home` reach by `host`, if its form is that of a service's name."""
    match host.split("."):
        case ["*", *_]:
            return None
        case [name]:
            return ("service", name, home)
        case [name, namespace] | [name, namespace, "svc", *_]:
            return ("service", name, namespace)
    return None


def _port(target: Target) -> int | None:
    return None if isinstance(target, NameTarget) else target.port
