"""What a namespace's ConfigMap shall hold, from its policies and from what it holds. Pure.

Nothing that was delivered is withdrawn but for a policy that is deleted, has lost to another, or has another target's
place: a policy that no longer fits, or that this operator cannot read, keeps its last delivered document.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from switchgear.policy import PolicyDocument, PolicyError

from .compile import InvalidPolicyError, compile_policy
from .conflicts import Candidate, settle
from .objects import Policy
from .verdicts import Undelivered, Verdict

__all__ = ["LIMIT", "Plan", "key_of", "plan"]

LIMIT = 1_000_000
"""Bytes of keys and documents that a namespace's ConfigMap holds: below the API's 1 MiB, with room for its metadata."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The wanted `data`, and what to say of each policy, by name."""

    data: Mapping[str, str]
    verdicts: Mapping[str, Verdict]


def key_of(policy: Policy) -> str:
    """The policy's key in the ConfigMap."""
    return f"{policy.name}.json"


def plan(policies: Iterable[Policy], existing: Mapping[str, str], limit: int = LIMIT) -> Plan:
    """Decide for one namespace.

    Args:
        policies: All policies of the namespace.
        existing: The ConfigMap's `data` as it stands; empty without one.
        limit: Bytes that keys and values may take.
    """
    ordered = sorted(policies, key=lambda policy: (policy.created.timestamp(), policy.name))
    verdicts: dict[str, Verdict] = {}
    candidates: list[Candidate] = []
    data: dict[str, str] = {}
    for policy in ordered:
        try:
            candidates.append(Candidate(policy, compile_policy(policy)))
        except InvalidPolicyError as error:
            message = f"{error}: correct the field, or upgrade the operator"
            verdicts[policy.name] = Verdict(False, "Invalid", message, _target_text(policy))
            _keep_delivered(policy, existing, data)
    wanted = _accepted(candidates, verdicts)
    _pack(wanted, existing, data, verdicts, limit)
    return Plan(data, verdicts)


def _accepted(candidates: list[Candidate], verdicts: dict[str, Verdict]) -> list[Candidate]:
    losses = settle(candidates)
    for candidate in candidates:
        target = str(candidate.document.target)
        winner = losses[candidate.policy.name]
        if winner is None:
            verdicts[candidate.policy.name] = Verdict(
                True, "Accepted", f"applies to calls of {target}", target
            )
        else:
            message = (
                f"policy {winner.name} has the same target and precedence: change or delete one of the two"
            )
            verdicts[candidate.policy.name] = Verdict(False, "Conflicted", message, target)
    return [candidate for candidate in candidates if losses[candidate.policy.name] is None]


def _pack(
    wanted: list[Candidate],
    existing: Mapping[str, str],
    data: dict[str, str],
    verdicts: dict[str, Verdict],
    limit: int,
) -> None:
    """Fill `data`: first what was delivered, then its newer versions, then new policies, each if it still fits."""
    for candidate in wanted:
        _keep_delivered(candidate.policy, existing, data)
    used = sum(len(key) + _size(value) for key, value in data.items())
    for candidate in sorted(wanted, key=lambda candidate: key_of(candidate.policy) not in data):
        key, document = key_of(candidate.policy), candidate.document.to_json()
        delivered = data.get(key)
        before = 0 if delivered is None else len(key) + _size(delivered)
        after = len(key) + _size(document)
        if after > before and used - before + after > limit:
            verdicts[candidate.policy.name] = _full(verdicts[candidate.policy.name], delivered, limit)
            continue
        used += after - before
        data[key] = document


def _keep_delivered(policy: Policy, existing: Mapping[str, str], data: dict[str, str]) -> None:
    """Take over what was delivered of exactly this policy; what somebody else wrote under its key is nothing."""
    value = existing.get(key_of(policy))
    if value is None:
        return
    try:
        document = PolicyDocument.from_json(value)
    except PolicyError:
        return
    if (document.policy, document.uid) == (policy.key, policy.uid) and document.to_json() == value:
        data[key_of(policy)] = value


def _full(verdict: Verdict, delivered: str | None, limit: int) -> Verdict:
    stays = "its last delivered version stays in force" if delivered else "it is not delivered"
    message = f"the namespace's policies take more than {limit} bytes, so {stays}: delete or shorten policies"
    return Verdict(
        verdict.accepted,
        verdict.reason,
        verdict.message,
        verdict.target,
        undelivered=Undelivered("ConfigMapFull", message),
    )


def _size(text: str) -> int:
    return len(text.encode())


def _target_text(policy: Policy) -> str:
    target = policy.spec.get("target")
    return f"{target}"[:100] if target else "none"
