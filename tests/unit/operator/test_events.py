"""Events tell of transitions: each once, in equal words for equal transitions, and not too many."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchgear_operator.events import Allowance, Allowances, Event, events_between
from switchgear_operator.objects import Policy
from switchgear_operator.status import Condition, ConditionType, PolicyState, PolicyStatus

NOW = datetime(2026, 11, 24, 9, 0, 0, 123456, tzinfo=UTC)
POLICY = Policy(namespace="shop", name="payments", uid="u1", generation=7, created=NOW, spec={})


def condition(kind: ConditionType, status: str, reason: str, message: str = "said why") -> Condition:
    return Condition.model_validate(
        {
            "type": kind.value,
            "status": status,
            "reason": reason,
            "message": message,
            "last_transition_time": NOW,
        }
    )


def status(state: PolicyState | None = None, *conditions: Condition) -> PolicyStatus:
    return PolicyStatus(state=state, conditions=conditions)


UNHEALTHY = condition(ConditionType.HEALTHY, "False", "Open", "3 of 5 reporting instances are open: a, b, c")
CLOSED = status(PolicyState.CLOSED)


@pytest.mark.parametrize(
    ("state", "kind", "reason"),
    [
        (PolicyState.OPEN, "Warning", "Opened"),
        (PolicyState.HALF_OPEN, "Normal", "HalfOpened"),
        (PolicyState.FORCED_OPEN, "Warning", "ForcedOpen"),
        (PolicyState.DISABLED, "Warning", "Disabled"),
        (PolicyState.UNKNOWN, "Warning", "Unknown"),
    ],
)
def test_a_change_of_state_is_told_in_the_words_of_the_health_condition(
    state: PolicyState, kind: str, reason: str
) -> None:
    (event,) = events_between(CLOSED, status(state, UNHEALTHY))

    assert (event.type, event.reason, event.note) == (kind, reason, UNHEALTHY.message)


def test_a_closed_circuit_is_told() -> None:
    healthy = condition(ConditionType.HEALTHY, "True", "NoneOpen", "0 of 3 reporting instances are open")

    assert events_between(status(PolicyState.OPEN), status(PolicyState.CLOSED, healthy)) == (
        Event("Normal", "Closed", "0 of 3 reporting instances are open"),
    )


def test_a_mix_of_modes_is_told_as_an_edit_on_its_way() -> None:
    (event,) = events_between(CLOSED, status(PolicyState.MIXED, UNHEALTHY))

    assert (event.type, event.reason) == ("Normal", "Mixed")
    assert (
        event.note
        == "the instances run different modes: some do not run the policy as it stands, see Propagated"
    )


@pytest.mark.parametrize("state", list(PolicyState))
def test_a_state_that_stays_is_not_told(state: PolicyState) -> None:
    assert events_between(status(state, UNHEALTHY), status(state, UNHEALTHY)) == ()


@pytest.mark.parametrize("state", [PolicyState.UNKNOWN, PolicyState.CLOSED])
def test_the_ordinary_beginning_of_a_policy_is_not_told(state: PolicyState) -> None:
    assert events_between(None, status(state)) == ()


def test_a_policy_that_begins_open_is_told() -> None:
    assert [event.reason for event in events_between(None, status(PolicyState.OPEN, UNHEALTHY))] == ["Opened"]


class TestAcceptance:
    CONFLICTED = condition(ConditionType.ACCEPTED, "False", "Conflicted", "policy older has the same target")
    INVALID = condition(ConditionType.ACCEPTED, "False", "Invalid", "spec.target: …")
    ACCEPTED = condition(ConditionType.ACCEPTED, "True", "Accepted", "applies to calls of payments.shop")

    def test_a_refusal_is_told_once(self) -> None:
        refused = status(None, self.CONFLICTED)

        assert events_between(None, refused) == (
            Event("Warning", "Conflicted", "policy older has the same target"),
        )
        assert events_between(refused, refused) == ()

    def test_another_reason_to_refuse_is_told(self) -> None:
        (event,) = events_between(status(None, self.CONFLICTED), status(None, self.INVALID))

        assert event.reason == "Invalid"

    def test_acceptance_is_told_after_a_refusal_only(self) -> None:
        accepted = status(None, self.ACCEPTED)

        assert [event.reason for event in events_between(status(None, self.CONFLICTED), accepted)] == [
            "Accepted"
        ]
        assert events_between(None, accepted) == ()


class TestPropagation:
    PENDING = status(None, condition(ConditionType.PROPAGATED, "False", "Propagating"))
    DONE = status(None, condition(ConditionType.PROPAGATED, "True", "AllUpdated", "3 of 3 run generation 8"))
    FULL = status(None, condition(ConditionType.PROPAGATED, "False", "ConfigMapFull", "too many policies"))

    def test_completion_is_told_once(self) -> None:
        assert events_between(self.PENDING, self.DONE) == (
            Event("Normal", "Propagated", "3 of 3 run generation 8"),
        )
        assert events_between(self.DONE, self.DONE) == ()

    def test_being_under_way_is_not_told(self) -> None:
        assert events_between(self.DONE, self.PENDING) == ()

    def test_a_full_configmap_is_told_once(self) -> None:
        assert events_between(self.PENDING, self.FULL) == (
            Event("Warning", "ConfigMapFull", "too many policies"),
        )
        assert events_between(self.FULL, self.FULL) == ()


def test_an_event_regards_exactly_this_policy_and_says_who_reports() -> None:
    body = Event("Warning", "Opened", "3 of 5").to_json(POLICY, NOW, "operator-1")

    assert body["regarding"] == {
        "apiVersion": "switchgear.dev/v1alpha1",
        "kind": "CircuitBreakerPolicy",
        "namespace": "shop",
        "name": "payments",
        "uid": "u1",
    }
    assert body["eventTime"] == "2026-11-24T09:00:00.123456Z"
    assert (body["reportingController"], body["reportingInstance"]) == (
        "switchgear.dev/operator",
        "operator-1",
    )


def test_a_note_stays_within_what_the_api_takes_and_ends_in_a_whole_character() -> None:
    note = Event("Normal", "Closed", "é" * 1000).to_json(POLICY, NOW, "operator-1")["note"]

    assert note == "é" * 500


def test_an_allowance_gives_its_burst_and_then_what_time_earns() -> None:
    now = 0.0
    allowance = Allowance(burst=2, seconds_per_token=30.0, clock=lambda: now)

    assert [allowance.take() for _ in range(3)] == [True, True, False]
    now = 29.0
    assert not allowance.take()
    now = 31.0
    assert [allowance.take() for _ in range(2)] == [True, False]


def test_an_allowance_saves_up_no_more_than_its_burst() -> None:
    now = 0.0
    allowance = Allowance(burst=2, seconds_per_token=30.0, clock=lambda: now)
    now = 86_400.0

    assert [allowance.take() for _ in range(3)] == [True, True, False]


@given(st.lists(st.floats(0, 1000), max_size=50))
def test_an_allowance_never_gives_more_than_burst_and_time(steps: list[float]) -> None:
    now = 0.0
    allowance = Allowance(burst=3, seconds_per_token=10.0, clock=lambda: now)
    taken = 0
    for step in steps:
        now += step
        taken += allowance.take()

    assert taken <= 3 + now / 10.0 + 1e-6


class TestAllowances:
    def test_each_key_has_its_own(self) -> None:
        allowances = Allowances(burst=2, seconds_per_token=30.0, clock=lambda: 0.0)

        assert [allowances.take("shop/a") for _ in range(3)] == [True, True, False]
        assert allowances.take("shop/b")

    def test_those_that_are_full_again_are_forgotten(self) -> None:
        now = 0.0
        allowances = Allowances(burst=2, seconds_per_token=30.0, clock=lambda: now)
        for turn in range(1000):
            now = float(turn)
            allowances.take(f"shop/{turn}")

        assert len(allowances) <= 61

    @given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 100)), max_size=60))
    def test_forgetting_gives_nobody_more(self, steps: list[tuple[str, int]]) -> None:
        now = 0.0
        allowances = Allowances(burst=3, seconds_per_token=10.0, clock=lambda: now)
        never_forgotten = {key: Allowance(3, 10.0, lambda: now) for key in "abc"}
        for key, step in steps:
            now += step

            assert allowances.take(key) == never_forgotten[key].take()


def test_equal_transitions_give_equal_events() -> None:
    first = events_between(CLOSED, status(PolicyState.OPEN, UNHEALTHY))
    later = replace_time(UNHEALTHY)

    assert events_between(CLOSED, status(PolicyState.OPEN, later)) == first


def replace_time(of: Condition) -> Condition:
    return of.model_copy(update={"last_transition_time": NOW.replace(year=2027)})
