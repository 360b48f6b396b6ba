"""What a namespace's ConfigMap shall hold, from its policies and from what it holds. Pure.

Nothing that was delivered is withdrawn but for a policy that is deleted, has lost to another, or has another target's
place: a policy that no longer fits, or that this operator cannot read, keeps its last delivered document.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from .compile import InvalidPolicyError, compile_policy
from .conflicts import Candidate, settle
from .objects import Policy
from .verdicts import Undelivered, Verdict

__all__ = ["LIMIT", "Plan", "holds", "key_of", "plan"]

LIMIT = 1_000_000
"""Bytes of keys and documents that a namespace's ConfigMap holds: below the API's 1 MiB, with room for its metadata."""

ROOM_FOR_EDITS = 0.02
"""Share of the limit kept for edits of what is delivered: new policies must not block the switch to ForceOpen."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The wanted `data`, and what to say of each policy, by name."""

    data: Mapping[str, str]
    verdicts: Mapping[str, Verdict]


def key_of(policy: Policy) -> str:
    """The policy's key in the ConfigMap."""
    return f"{policy.name}.json"


def holds(data: Mapping[str, str], policy: Policy) -> bool:
    """Whether `data` has a document of exactly this policy, of whatever generation."""
    try:
        document = json.loads(data.get(key_of(policy), ""))
    except (ValueError, RecursionError):
        return False
    return isinstance(document, dict) and (document.get("policy"), document.get("uid")) == (
        policy.key,
        policy.uid,
    )


def plan(policies: Iterable[Policy], existing: Mapping[str, str], limit: int = LIMIT) -> Plan:
    """Decide for one namespace.

    Args:
        policies: All policies of the namespace.
        existing: The ConfigMap's `data` as it stands; empty without one.
        limit: Bytes that keys and values may take; edits of what is delivered may take a little more.
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
                f"policy {winner.name} has the same target and comes first: change or delete one of the two"
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
    """Fill `data`: with what was delivered, then its newer versions, then new policies, each if it still fits."""
    for candidate in wanted:
        _keep_delivered(candidate.policy, existing, data)
    documents = {key_of(candidate.policy): candidate.document.to_json() for candidate in wanted}
    used = sum(_size(key, value) for key, value in data.items())

    def growth(key: str) -> int:
        return _size(key, documents[key]) - _size(key, data.get(key))

    # What did not fit before something shrank would fit the next time: shrinking first makes the plan final.
    for key in sorted(documents, key=lambda key: (key not in data, growth(key) > 0)):
        more = growth(key)
        room = limit * (1 + ROOM_FOR_EDITS) if key in data else limit
        if more > 0 and used + more > room:
            name = key.removesuffix(".json")
            verdicts[name] = _full(verdicts[name], data.get(key), limit)
        else:
            used += more
            data[key] = documents[key]


def _keep_delivered(policy: Policy, existing: Mapping[str, str], data: dict[str, str]) -> None:
    """Take over what was delivered of exactly this policy; what somebody else wrote under its key is nothing.

    Only whose it is matters: another version of the operator may have written what this one cannot read.
    """
    if holds(existing, policy):
        data[key_of(policy)] = existing[key_of(policy)]


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


def _size(key: str, value: str | None) -> int:
    return 0 if value is None else len(key) + len(value.encode())


def _target_text(policy: Policy) -> str:
    target = policy.spec.get("target")
    return f"{target}"[:100] if target else "none"
