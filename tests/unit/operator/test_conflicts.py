"""Of several policies for the same calls one applies, and everybody can tell which."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchgear.matching import Endpoint, Matcher, Rule
from switchgear.targets import HostTarget, NameTarget
from switchgear_operator.compile import compile_policy
from switchgear_operator.conflicts import Candidate, settle
from switchgear_operator.objects import Policy

EPOCH = datetime(2026, 11, 24, tzinfo=UTC)


def candidate(name: str, target: dict[str, Any], age: int = 0) -> Candidate:
    """A policy; of two, the one with the greater `age` in seconds is older."""
    policy = Policy(
        namespace="shop",
        name=name,
        uid=f"uid-of-{name}",
        generation=1,
        created=EPOCH - timedelta(seconds=age),
        spec={"target": target},
    )
    return Candidate(policy, compile_policy(policy))


def losers(*candidates: Candidate) -> dict[str, str]:
    """Who loses to whom."""
    return {name: winner.name for name, winner in settle(candidates).items() if winner}


def service(name: str = "payments", **more: Any) -> dict[str, Any]:
    return {"service": {"name": name, **more}}


def test_a_policy_alone_applies() -> None:
    assert settle([candidate("a", service())]) == {"a": None}


def test_nobody_settles_nothing() -> None:
    assert settle([]) == {}


def test_the_older_of_two_wins() -> None:
    assert losers(candidate("a", service()), candidate("b", service(), age=1)) == {"a": "b"}


def test_of_the_same_age_the_first_by_name_wins() -> None:
    assert losers(candidate("b", service()), candidate("a", service())) == {"b": "a"}


def test_a_port_wins_over_none_even_if_younger() -> None:
    old, young = candidate("old", service(), age=9), candidate("young", service(port=80))

    assert losers(old, young) == {"old": "young"}


def test_a_policy_for_any_port_loses_while_any_port_has_its_own() -> None:
    any_port = candidate("any", service(), age=9)

    assert losers(any_port, candidate("http", service(port=80)), candidate("tls", service(port=443), age=1)) == {
        "any": "tls"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (service(port=80), service(port=81)),
        (service("payments"), service("orders")),
        (service(namespace="shop"), service(namespace="bank")),
        ({"name": "payments"}, service()),
        ({"name": "api.example"}, {"host": "api.example"}),
        ({"host": "api.example"}, {"host": "*.example"}),
        ({"host": "*.api.example"}, {"host": "*.example"}),
        ({"host": "payments.shop"}, {"host": "payments.shop.svc"}),
        ({"host": "payments.shop.svc.cluster.local"}, {"host": "payments.shop.svc.example"}),
        ({"host": "payments.shop:81"}, service(port=80)),
        ({"host": "payments.bank"}, service()),
        ({"host": "payments"}, service(namespace="bank")),
        ({"host": "payments.shop.example"}, service()),
        ({"host": "*.shop"}, service()),
        ({"host": "*.svc"}, {"service": {"name": "payments", "namespace": "svc"}}),
        ({"name": "payments"}, {"name": "Payments"}),
    ],
)
def test_different_targets_live_side_by_side(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert losers(candidate("one", one), candidate("other", other)) == {}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (service(), service(namespace="shop")),
        ({"host": "API.example."}, {"host": "api.example"}),
        ({"host": "api.example:443"}, {"host": "api.example"}),
        ({"host": "*.example"}, {"host": "*.EXAMPLE"}),
        ({"name": "db"}, {"name": "db"}),
        (service(port=80), service(port=80)),
    ],
)
def test_the_same_target_is_the_same_however_it_is_written(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    assert losers(candidate("one", one), candidate("other", other)) == {"other": "one"}


@pytest.mark.parametrize(
    "host",
    ["payments", "payments.shop", "Payments.Shop.", "payments.shop.svc", "payments.shop.svc.cluster.local"],
)
def test_a_host_that_is_a_name_of_a_service_is_the_same_target(host: str) -> None:
    older, younger = candidate("older", {"host": host}, age=1), candidate("younger", service())
    with_port = candidate("port", {"host": f"{host.removesuffix('.')}:80"})

    assert losers(older, younger) == {"younger": "older"}
    assert losers(candidate("older", service(), age=1), candidate("younger", {"host": host})) == {
        "younger": "older"
    }
    assert losers(older, with_port, candidate("service", service(), age=9)) == {
        "older": "port",
        "service": "port",
    }


def test_two_names_of_a_service_are_in_force_both_and_its_policy_loses_to_the_first() -> None:
    short, long = candidate("a", {"host": "payments.shop"}), candidate("b", {"host": "payments.shop.svc"})

    assert losers(short, long, candidate("c", service())) == {"c": "a"}


def test_a_loser_comes_into_force_when_its_winner_goes() -> None:
    first, second, third = (candidate(name, service(), age) for name, age in (("a", 3), ("b", 2), ("c", 1)))

    assert losers(first, second, third) == {"b": "a", "c": "a"}
    assert losers(second, third) == {"c": "b"}


def test_a_winner_that_turns_to_another_target_makes_way() -> None:
    moved, waiting = candidate("a", service("orders"), age=1), candidate("b", service("payments"))

    assert losers(moved, waiting) == {}


# ── whatever the policies ──

TARGETS = st.sampled_from(
    [
        service(),
        service(port=80),
        service(port=81),
        service("orders"),
        {"host": "api.example"},
        {"host": "api.example:80"},
        {"host": "*.example"},
        {"host": "*.shop"},
        {"host": "payments"},
        {"host": "payments.shop"},
        {"host": "payments.shop:80"},
        {"host": "payments.shop.svc"},
        {"host": "payments.shop.svc.cluster.local:81"},
        {"host": "payments.bank"},
        service(namespace="bank"),
        {"name": "payments"},
    ]
)
ENDPOINTS = [
    Endpoint(host, port)
    for host in (
        *("payments", "payments.shop", "payments.shop.svc", "payments.shop.svc.cluster.local"),
        *("payments.bank", "payments.bank.svc", "orders", "orders.shop", "orders.shop.svc.example"),
        *("api.example", "www.example", "payments.shop.example"),
    )
    for port in (None, 80, 81, 443)
]
NAMED = st.dictionaries(
    st.sampled_from("abcdefghijkl"), st.tuples(TARGETS, st.integers(0, 3)), max_size=12
).map(lambda named: [candidate(name, target, age) for name, (target, age) in named.items()])


def reach(one: Candidate) -> set[object]:
    """What of the endpoints and names above the policy would apply to, if it were the only one."""
    if isinstance(one.document.target, NameTarget):
        return {one.document.target}
    matcher = Matcher([Rule(one.policy.key, one.document.target, None)])
    return {endpoint for endpoint in ENDPOINTS if matcher.match(endpoint)}


def is_wildcard(one: Candidate) -> bool:
    return isinstance(one.document.target, HostTarget) and one.document.target.is_wildcard


def meet(one: Candidate, other: Candidate) -> bool:
    """Whether the library could apply both to one call, and prefers neither for being exact."""
    return is_wildcard(one) == is_wildcard(other) and bool(reach(one) & reach(other))


@given(NAMED)
def test_every_policy_either_applies_or_loses_to_one_that_applies_and_comes_first(
    candidates: list[Candidate],
) -> None:
    by_name = {each.policy.name: each for each in candidates}

    outcome = settle(candidates)

    assert outcome.keys() == by_name.keys()
    for name, winner in outcome.items():
        if winner is not None:
            assert outcome[winner.name] is None
            assert meet(by_name[name], by_name[winner.name])
            assert by_name[winner.name].precedence < by_name[name].precedence


@given(NAMED)
def test_no_two_that_apply_meet(candidates: list[Candidate]) -> None:
    outcome = settle(candidates)
    applied = [each for each in candidates if outcome[each.policy.name] is None]

    assert not [
        (one.policy.name, other.policy.name)
        for one in applied
        for other in applied
        if one is not other and meet(one, other)
    ]


@given(NAMED.flatmap(lambda each: st.tuples(st.just(each), st.permutations(each))))
def test_the_order_in_which_they_are_seen_does_not_matter(
    both: tuple[list[Candidate], Sequence[Candidate]],
) -> None:
    seen, otherwise = both

    assert settle(seen) == settle(otherwise)


@given(NAMED)
def test_a_loser_that_goes_changes_nothing_for_the_others(candidates: list[Candidate]) -> None:
    outcome = settle(candidates)

    for loser in [each for each in candidates if outcome[each.policy.name]]:
        rest = [each for each in candidates if each is not loser]
        assert settle(rest) == {name: won for name, won in outcome.items() if name != loser.policy.name}
