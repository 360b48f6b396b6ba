"""Fleets, and what becomes of them, for the tests of deriving a status."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from switchgear.states import CircuitState
from switchgear_operator.aggregate import Fleet, OpenInstance, OutdatedInstance, SilentInstance
from switchgear_operator.derive import derive
from switchgear_operator.objects import Policy
from switchgear_operator.status import Condition, ConditionType, PolicyStatus
from switchgear_operator.verdicts import Undelivered, Verdict

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
LATER = NOW + timedelta(minutes=1)

POLICY = Policy(
    namespace="shop",
    name="payments",
    uid="u1",
    generation=7,
    created=NOW,
    spec={"target": {"service": {"name": "payments", "port": 8080}}},
)
ACCEPTED = Verdict(accepted=True, reason="Accepted", message="it is delivered", target="payments.shop:8080")
REFUSED = Verdict(
    accepted=False, reason="Conflicted", message="shop/older has the same target", target="payments.shop:8080"
)
FULL = replace(ACCEPTED, undelivered=Undelivered("ConfigMapFull", "the ConfigMap holds 1 MiB"))


def fleet(
    *,
    closed: int = 0,
    open: int = 0,  # noqa: A002 - the status' own word
    half_open: int = 0,
    forced_open: int = 0,
    disabled: int = 0,
    silent: int = 0,
    behind: int = 0,
    since: datetime = NOW,
    until: datetime | None = None,
    **numbers: float,
) -> Fleet:
    """A fleet of pods `open-0`, `silent-0` and so on, of which `behind` run generation 6."""
    states = {
        CircuitState.CLOSED: closed,
        CircuitState.OPEN: open,
        CircuitState.HALF_OPEN: half_open,
        CircuitState.FORCED_OPEN: forced_open,
        CircuitState.DISABLED: disabled,
    }
    reporting = sum(states.values())
    return Fleet(
        expected=reporting + silent,
        states={state: count for state, count in states.items() if count},
        updated=reporting - behind,
        open_instances=tuple(
            OpenInstance(pod=f"open-{number}", uid=f"u{number}", since=since, until=until, last_error="E")
            for number in range(open + forced_open)
        ),
        outdated=tuple(OutdatedInstance(f"behind-{number}", 6) for number in range(behind)),
        silent=tuple(SilentInstance(f"silent-{number}", "no answer within 3s") for number in range(silent)),
        **numbers,  # type: ignore[arg-type]  # each test gives what fits
    )


def status(
    of: Fleet, previous: PolicyStatus | None = None, now: datetime = NOW, verdict: Verdict = ACCEPTED
) -> PolicyStatus:
    return derive(POLICY, verdict, of, previous, now)


def condition(of: PolicyStatus, kind: ConditionType) -> Condition:
    return next(each for each in of.conditions or () if each.type == kind)


def told(of: PolicyStatus, kind: ConditionType) -> tuple[str, str, str]:
    found = condition(of, kind)
    return found.status, found.reason, found.message
