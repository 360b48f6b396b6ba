"""What each pod said becomes one fleet per policy: counted once each, in any order."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import permutations
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchgear.metrics import bounded
from switchgear.states import CircuitState
from switchgear_operator.aggregate import Fleet, OpenInstance, OutdatedInstance, SilentInstance, aggregate
from switchgear_operator.objects import Pod, Policy
from switchgear_operator.observation import Observation
from switchgear_operator.readings import BreakerReading, InstanceReading, PolicyReading, ScrapeError

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
EARLIER = NOW - timedelta(minutes=5)
UNTIL = datetime(2026, 11, 24, 9, 1, tzinfo=UTC)

CLOSED = CircuitState.CLOSED
OPEN = CircuitState.OPEN
HALF_OPEN = CircuitState.HALF_OPEN
FORCED_OPEN = CircuitState.FORCED_OPEN
DISABLED = CircuitState.DISABLED


def policy(generation: int = 7, uid: str = "u1", mode: str = "Enforce") -> Policy:
    return Policy(
        namespace="shop",
        name="payments",
        uid=uid,
        generation=generation,
        created=NOW,
        spec={"target": {"name": "payments"}, "mode": mode},
    )


def breaker(state: CircuitState = CLOSED, name: str = "payments", **fields: float | str) -> BreakerReading:
    return BreakerReading(name=name, state=state, **fields)  # type: ignore[arg-type]  # each test gives what fits


def pod(
    name: str,
    *breakers: BreakerReading,
    generation: int | None = 7,
    uid: str = "u1",
    read_at: float = 100.0,
    rejected_per_minute: float | None = None,
) -> Observation:
    """A pod that loaded a generation of the policy and has these breakers of it."""
    return Observation(
        pod=bare_pod(name),
        reading=InstanceReading(
            {"shop/payments": PolicyReading(uid=uid, generation=generation, breakers=breakers)}
        ),
        read_at=read_at,
        rejected_per_minute=None if rejected_per_minute is None else {"shop/payments": rejected_per_minute},
    )


def bare_pod(name: str) -> Pod:
    return Pod(namespace="shop", name=name, uid=f"uid-of-{name}", ip="127.0.7.1", running=True)


def fleet(
    *observations: Observation,
    of: Policy | None = None,
    open_since: dict[str, datetime] | None = None,
    skipped: int = 0,
) -> Fleet:
    return aggregate(
        of or policy(),
        observations,
        at=100.0,
        now=NOW,
        stale_after=15.0,
        open_since=open_since,
        skipped=skipped,
    )


def counts(of: Fleet) -> tuple[int, int, int]:
    return of.open, of.half_open, of.closed


def test_no_pods_make_an_empty_fleet() -> None:
    assert fleet() == Fleet()


def test_each_pod_counts_once_in_the_state_of_its_breaker() -> None:
    result = fleet(pod("a", breaker(OPEN)), pod("b", breaker(HALF_OPEN)), pod("c", breaker(CLOSED)))

    assert (result.expected, result.reporting, result.updated) == (3, 3, 3)
    assert counts(result) == (1, 1, 1)


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ([CLOSED, OPEN, HALF_OPEN], (1, 0, 0)),
        ([CLOSED, HALF_OPEN], (0, 1, 0)),
        ([CLOSED, CLOSED], (0, 0, 1)),
        ([FORCED_OPEN], (1, 0, 0)),
        ([DISABLED, DISABLED], (0, 0, 1)),
        ([], (0, 0, 1)),
    ],
)
def test_a_pod_is_as_bad_as_the_worst_of_its_breakers(
    states: list[CircuitState], expected: tuple[int, int, int]
) -> None:
    breakers = (breaker(state, name=f"host-{number}") for number, state in enumerate(states))

    assert counts(fleet(pod("a", *breakers))) == expected


def test_forced_open_and_disabled_are_told_apart_from_open_and_closed() -> None:
    result = fleet(pod("a", breaker(FORCED_OPEN)), pod("b", breaker(DISABLED)), pod("c", breaker(CLOSED)))

    assert result.states == {FORCED_OPEN: 1, DISABLED: 1, CLOSED: 1}


@pytest.mark.parametrize(
    ("mode", "state"),
    [("ForceOpen", FORCED_OPEN), ("Disabled", DISABLED), ("Enforce", CLOSED), ("Observe", CLOSED)],
)
def test_a_pod_without_a_breaker_yet_is_in_the_state_its_first_call_will_meet(
    mode: str, state: CircuitState
) -> None:
    assert fleet(pod("a"), of=policy(mode=mode)).states == {state: 1}


def test_a_mode_that_a_pod_has_not_loaded_yet_says_nothing_of_it() -> None:
    assert fleet(pod("a", generation=6), of=policy(mode="ForceOpen")).states == {CLOSED: 1}


def test_a_pod_that_has_not_loaded_the_policy_reports_but_is_not_updated() -> None:
    stranger = Observation(pod=bare_pod("a"), reading=InstanceReading(), read_at=100.0)

    result = fleet(stranger)

    assert (result.expected, result.reporting, result.updated) == (1, 1, 0)
    assert result.outdated == (OutdatedInstance("a", None),)
    assert counts(result) == (0, 0, 1)


def test_a_policy_with_a_very_long_name_is_found_under_the_label_that_the_library_gives_it() -> None:
    long = replace(policy(), name="p" * 240)
    label = bounded(long.key)
    assert label != long.key
    reading = InstanceReading({label: PolicyReading(uid="u1", generation=7, breakers=(breaker(OPEN),))})

    result = fleet(Observation(pod=bare_pod("a"), reading=reading, read_at=100.0), of=long)

    assert (result.updated, result.open) == (1, 1)


def test_a_pod_on_an_older_generation_is_not_updated() -> None:
    result = fleet(pod("a"), pod("b"), pod("c", generation=6))

    assert (result.reporting, result.updated) == (3, 2)
    assert result.outdated == (OutdatedInstance("c", 6),)


def test_a_pod_on_an_earlier_policy_of_the_same_name_is_not_updated() -> None:
    result = fleet(pod("a", uid="u0"))

    assert result.updated == 0
    assert result.outdated == (OutdatedInstance("a", None),)


def test_a_pod_that_has_not_answered_yet_is_expected_but_silent() -> None:
    result = fleet(pod("a"), Observation(pod=bare_pod("b")))

    assert (result.expected, result.reporting, result.updated) == (2, 1, 1)
    assert result.silent == (SilentInstance("b", "has not answered yet"),)


@pytest.mark.parametrize(
    ("age", "told"),
    [
        (16, "10 s"),
        (19.9, "10 s"),
        (20, "20 s"),
        (59, "50 s"),
        (119, "1 min"),
        (3599, "59 min"),
        (7300, "2 h"),
    ],
)
def test_a_pod_whose_answer_is_merely_old_is_told_by_a_rough_age(age: float, told: str) -> None:
    result = fleet(pod("a", read_at=100.0 - age))

    assert result.silent == (SilentInstance("a", f"last answered {told} ago"),)


def test_a_stale_reading_counts_for_nothing() -> None:
    stale = pod("a", breaker(OPEN, window_calls=9), read_at=84.9, rejected_per_minute=60)
    stale = stale.after(ScrapeError("refused", "port 9464 refuses connections"), at=100.0)

    result = fleet(stale)

    assert result == Fleet(expected=1, silent=(SilentInstance("a", "port 9464 refuses connections"),))


def test_a_missed_attempt_is_forgiven_while_the_last_reading_is_fresh() -> None:
    missed = pod("a", breaker(OPEN), read_at=86).after(ScrapeError("timeout", "no answer"), at=100.0)

    result = fleet(missed)

    assert (result.reporting, result.open, result.silent) == (1, 1, ())


def test_the_windows_of_all_breakers_are_added_up() -> None:
    result = fleet(
        pod("a", breaker(window_calls=10, window_failures=5, window_slow_calls=1)),
        pod("b", breaker(name="x", window_calls=20), breaker(name="y", window_calls=1, window_failures=1)),
    )

    assert (result.calls, result.failures, result.slow_calls) == (31, 6, 1)


def test_rejections_of_pods_that_were_read_twice_are_added_up() -> None:
    result = fleet(
        pod("a", rejected_per_minute=60), pod("b", rejected_per_minute=30), pod("c", rejected_per_minute=None)
    )

    assert result.rejected_per_minute == 90


def test_without_a_pod_that_was_read_twice_nothing_is_said_of_rejections() -> None:
    assert fleet(pod("a")).rejected_per_minute is None


def test_an_open_pod_is_listed_with_its_deadline_and_last_error() -> None:
    reading = breaker(OPEN, open_until=UNTIL.timestamp(), last_error="httpx.ConnectTimeout")

    assert fleet(pod("a", reading)).open_instances == (
        OpenInstance(pod="a", uid="uid-of-a", since=NOW, until=UNTIL, last_error="httpx.ConnectTimeout"),
    )


def test_of_several_open_breakers_the_one_with_the_latest_deadline_speaks_for_the_pod() -> None:
    result = fleet(
        pod(
            "a",
            breaker(OPEN, name="x", open_until=UNTIL.timestamp(), last_error="X"),
            breaker(OPEN, name="y", open_until=UNTIL.timestamp() - 30, last_error="Y"),
            breaker(CLOSED, name="z", open_until=UNTIL.timestamp() + 30, last_error="Z"),
        )
    )

    assert (result.open_instances[0].until, result.open_instances[0].last_error) == (UNTIL, "X")


@pytest.mark.parametrize("open_until", [None, 2.0**53])
def test_a_deadline_that_is_none_is_left_out(open_until: float | None) -> None:
    reading = BreakerReading(name="b", state=OPEN, open_until=open_until)

    assert fleet(pod("a", reading)).open_instances[0].until is None


def test_a_pod_forced_open_is_listed_without_a_deadline() -> None:
    reading = breaker(FORCED_OPEN, open_until=UNTIL.timestamp(), last_error="X")

    assert fleet(pod("a", reading)).open_instances == (OpenInstance(pod="a", uid="uid-of-a", since=NOW),)


def test_open_pods_are_listed_from_the_longest_open_one_on() -> None:
    result = fleet(
        pod("a", breaker(OPEN)),
        pod("b", breaker(OPEN)),
        pod("c", breaker(OPEN)),
        open_since={"uid-of-c": EARLIER, "b": EARLIER},
    )

    assert [(each.pod, each.since) for each in result.open_instances] == [
        ("b", EARLIER),
        ("c", EARLIER),
        ("a", NOW),
    ]


def test_a_pod_that_is_no_longer_open_is_not_listed() -> None:
    assert fleet(pod("a", breaker(CLOSED)), open_since={"uid-of-a": EARLIER}).open_instances == ()


def test_pods_that_were_skipped_are_only_mentioned() -> None:
    assert fleet(skipped=2) == Fleet(skipped=2)


def test_the_order_of_the_pods_does_not_matter() -> None:
    pods = [
        pod("a", breaker(OPEN)),
        pod("b", breaker(HALF_OPEN), generation=6),
        pod("c", read_at=0.0),
        pod("d", breaker(OPEN), uid="u0"),
    ]

    assert all(fleet(*order) == fleet(*pods) for order in permutations(pods))


BREAKERS = st.builds(
    BreakerReading,
    name=st.sampled_from("xyz"),
    state=st.sampled_from(CircuitState),
    open_until=st.none() | st.floats(min_value=0, max_value=2**53),
    window_calls=st.integers(0, 100),
    window_failures=st.integers(0, 100),
    last_error=st.none() | st.text(max_size=5),
)
PODS = st.lists(
    st.builds(
        lambda name, breakers, generation, uid, read_at: pod(
            name, *breakers, generation=generation, uid=uid, read_at=read_at
        ),
        name=st.sampled_from("abcdefgh"),
        breakers=st.lists(BREAKERS, max_size=3, unique_by=lambda each: each.name),
        generation=st.none() | st.integers(5, 9),
        uid=st.sampled_from(["u1", "u0"]),
        read_at=st.floats(80, 100),
    ),
    max_size=8,
    unique_by=lambda each: each.pod.name,
)
MODES = st.sampled_from(["Enforce", "Observe", "ForceOpen", "Disabled"])


@given(PODS, st.randoms(use_true_random=False), MODES)
def test_any_fleet_is_the_same_in_any_order(pods: list[Observation], random: Random, mode: str) -> None:
    shuffled = list(pods)
    random.shuffle(shuffled)

    assert fleet(*shuffled, of=policy(mode=mode)) == fleet(*pods, of=policy(mode=mode))


@given(PODS, MODES)
def test_the_counts_of_any_fleet_add_up(pods: list[Observation], mode: str) -> None:
    result = fleet(*pods, of=policy(mode=mode))

    assert result.open + result.half_open + result.closed == result.reporting
    assert result.reporting + len(result.silent) == result.expected == len(pods)
    assert result.updated + len(result.outdated) == result.reporting
    assert len(result.open_instances) == result.open
