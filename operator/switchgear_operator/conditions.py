"""The four conditions of a policy: Accepted, Propagated, Reporting and Healthy. docs/status.md explains each reason."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Literal

from switchgear.states import CircuitState

from .aggregate import Fleet, OutdatedInstance
from .objects import Policy
from .status import Condition, ConditionType
from .verdicts import Verdict

__all__ = ["conditions_of"]

POD_LABEL = "switchgear.dev/enabled"

_NAMED = 5
"""Pods that a message names before it counts the rest."""

_Judgement = tuple[Literal["True", "False", "Unknown"], str, str]


def conditions_of(
    policy: Policy, verdict: Verdict, fleet: Fleet, previous: Iterable[Condition], now: datetime
) -> tuple[Condition, ...]:
    """All conditions, in a fixed order. A condition keeps its transition time as long as its status stays."""
    before = {condition.type: condition for condition in previous}
    judgements: Mapping[ConditionType, _Judgement] = {
        ConditionType.ACCEPTED: _accepted(verdict),
        ConditionType.PROPAGATED: _propagated(policy, verdict, fleet),
        ConditionType.REPORTING: _reporting(policy, fleet),
        ConditionType.HEALTHY: _healthy(policy, verdict, fleet),
    }
    return tuple(
        _condition(kind, judgement, before.get(kind), policy, now) for kind, judgement in judgements.items()
    )


def _condition(
    kind: ConditionType, judgement: _Judgement, before: Condition | None, policy: Policy, now: datetime
) -> Condition:
    status, reason, message = judgement
    since = before.last_transition_time if before is not None and before.status == status else now
    return Condition(
        type=kind,
        status=status,
        reason=reason,
        message=message,
        last_transition_time=since,
        observed_generation=policy.generation,
    )


def _accepted(verdict: Verdict) -> _Judgement:
    return ("True" if verdict.accepted else "False", verdict.reason, verdict.message)


def _propagated(policy: Policy, verdict: Verdict, fleet: Fleet) -> _Judgement:
    if not verdict.accepted:
        return "False", "NotAccepted", "this generation is not accepted: see the condition Accepted"
    if verdict.undelivered is not None:
        return "False", verdict.undelivered.reason, verdict.undelivered.message
    if fleet.reporting == 0:
        return _nobody_reports(policy, fleet)
    share = f"{fleet.updated} of {fleet.reporting} reporting instances run generation {policy.generation}"
    if fleet.updated == fleet.reporting:
        return "True", "AllUpdated", share
    behind = _names(_runs(each) for each in fleet.outdated)
    return "False", "Propagating", f"{share}; not yet: {behind}"


def _reporting(policy: Policy, fleet: Fleet) -> _Judgement:
    if fleet.reporting == 0:
        status, reason, message = _nobody_reports(policy, fleet)
        return "False" if fleet.expected else status, reason, message
    if not fleet.silent:
        return "True", "AllReporting", f"{fleet.reporting} of {fleet.expected} instances report"
    return "False", "SomeSilent", _silence(fleet)


def _healthy(policy: Policy, verdict: Verdict, fleet: Fleet) -> _Judgement:
    if fleet.reporting == 0:
        return _nobody_reports(policy, fleet)
    if not verdict.accepted and not fleet.runs_it:
        return "Unknown", "NotAccepted", "the policy is not accepted, and no instance runs it"
    if fleet.count(CircuitState.DISABLED) == fleet.reporting:
        return "Unknown", "Disabled", "all reporting instances let calls straight through and judge none"
    if fleet.open:
        forced = fleet.open == fleet.count(CircuitState.FORCED_OPEN)
        pods = _names(each.pod for each in fleet.open_instances)
        share = f"{fleet.open} of {fleet.reporting} reporting instances are open: {pods}"
        return "False", "ForcedOpen" if forced else "Open", share
    if fleet.half_open:
        share = f"{fleet.half_open} of {fleet.reporting} reporting instances are half-open"
        return "True", "Recovering", f"no instance is open; {share}"
    return "True", "NoneOpen", f"0 of {fleet.reporting} reporting instances are open"


def _nobody_reports(policy: Policy, fleet: Fleet) -> _Judgement:
    if fleet.expected:
        return "Unknown", "NoneReporting", _silence(fleet)
    skipped = f"; {fleet.skipped} on their host's network are not scraped" if fleet.skipped else ""
    return (
        "Unknown",
        "NoInstances",
        f'no running pod in namespace {policy.namespace} has the label {POD_LABEL}: "true"{skipped}',
    )


def _silence(fleet: Fleet) -> str:
    silent = _names(f"{each.pod} ({each.reason})" for each in fleet.silent)
    return f"{fleet.reporting} of {fleet.expected} instances report; silent: {silent}"


def _runs(instance: OutdatedInstance) -> str:
    runs = "has not loaded it" if instance.generation is None else f"runs generation {instance.generation}"
    return f"{instance.pod} ({runs})"


def _names(names: Iterable[str]) -> str:
    known = list(names)
    rest = len(known) - _NAMED
    return ", ".join(known[:_NAMED]) + (f" and {rest} more" if rest > 0 else "")
