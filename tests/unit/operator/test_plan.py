"""What a namespace's ConfigMap shall hold: all that is accepted and fits, and never less than what was delivered."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchgear.policy import PolicyDocument
from switchgear_operator.compile import compile_policy
from switchgear_operator.objects import Policy
from switchgear_operator.plan import LIMIT, Plan, plan

EPOCH = datetime(2026, 11, 24, tzinfo=UTC)

UNREADABLE: dict[str, Any] = {"target": {"name": "a"}, "mode": "FromTheFuture"}


def policy(name: str, *, age: int = 0, generation: int = 1, padding: int = 0, **spec: Any) -> Policy:
    """A policy for the breaker of its own name, unless told otherwise; `padding` makes its document longer."""
    exceptions = {"failures": [f"app.{'x' * padding}"]} if padding else {}
    return Policy(
        namespace="shop",
        name=name,
        uid=f"uid-of-{name}",
        generation=generation,
        created=EPOCH - timedelta(seconds=age),
        spec={"target": {"name": name}, "classify": {"exceptions": exceptions}, **spec},
    )


def document(policy: Policy) -> str:
    return compile_policy(policy).to_json()


def size(data: Mapping[str, str]) -> int:
    return sum(len(key) + len(value.encode()) for key, value in data.items())


def undelivered(found: Plan) -> list[str]:
    return [name for name, verdict in found.verdicts.items() if verdict.undelivered]


def test_without_policies_nothing_is_wanted() -> None:
    assert plan([], {"gone.json": document(policy("gone"))}) == Plan({}, {})


def test_each_accepted_policy_has_its_key() -> None:
    a, b = policy("a"), policy("b")

    found = plan([a, b], {})

    assert found.data == {"a.json": document(a), "b.json": document(b)}
    assert {name: verdict.reason for name, verdict in found.verdicts.items()} == {
        "a": "Accepted",
        "b": "Accepted",
    }
    assert found.verdicts["a"].message == "applies to calls of a"


def test_a_newer_generation_replaces_the_delivered_one() -> None:
    old = policy("a")
    new = replace(old, generation=2)

    assert plan([new], {"a.json": document(old)}).data == {"a.json": document(new)}


def test_a_loser_is_not_delivered_and_is_told_who_won() -> None:
    target = {"name": "orders-db"}
    winner, loser = policy("a", age=1, target=target), policy("b", target=target)

    found = plan([loser, winner], {"b.json": document(loser)})

    assert found.data == {"a.json": document(winner)}
    verdict = found.verdicts["b"]
    assert (verdict.accepted, verdict.reason, verdict.undelivered) == (False, "Conflicted", None)
    assert "policy a " in verdict.message
    assert "change or delete" in verdict.message


def test_a_loser_is_delivered_once_the_winner_is_gone() -> None:
    target = {"name": "orders-db"}
    winner, loser = policy("a", age=1, target=target), policy("b", target=target)

    assert plan([loser], {"a.json": document(winner)}).data == {"b.json": document(loser)}


def test_a_policy_that_cannot_be_read_keeps_what_was_delivered() -> None:
    old = policy("a")
    broken = replace(old, generation=2, spec=UNREADABLE)

    found = plan([broken], {"a.json": document(old)})

    assert found.data == {"a.json": document(old)}
    verdict = found.verdicts["a"]
    assert (verdict.accepted, verdict.reason) == (False, "Invalid")
    assert "spec.mode" in verdict.message
    assert "upgrade the operator" in verdict.message


def test_a_policy_that_could_never_be_read_is_not_delivered() -> None:
    assert plan([policy("a", **UNREADABLE)], {}).data == {}


def test_what_another_version_of_the_operator_delivered_stays() -> None:
    newer = json.dumps({**json.loads(document(policy("a"))), "schema": 2, "mode": "FromTheFuture"})

    assert plan([policy("a", **UNREADABLE)], {"a.json": newer}).data == {"a.json": newer}


@pytest.mark.parametrize(
    "value",
    [
        "",
        "{",
        "[]",
        "null",
        '"a"',
        "[" * 100_000,
        '{"policy":"shop/a"}',
        document(replace(policy("a"), uid="an-earlier-policy-of-that-name")),
        document(replace(policy("a"), namespace="bank")),
        document(replace(policy("b"), uid="uid-of-a")),
    ],
    ids=[
        "empty", "half", "a list", "null", "a text", "very deep", "no uid", "another uid", "another namespace", "another name",
    ],
)  # fmt: skip
def test_what_is_not_the_policys_own_was_not_delivered(value: str) -> None:
    assert plan([policy("a", **UNREADABLE)], {"a.json": value}).data == {}


def test_keys_of_nobody_are_not_wanted() -> None:
    a = policy("a")

    assert plan([a], {"a.json": document(a), "note.txt": "mine", "gone.json": "{}"}).data == {
        "a.json": document(a)
    }


# ── room ──


def test_the_limit_leaves_room_below_the_apis() -> None:
    assert LIMIT < 1024 * 1024


def test_the_oldest_fit_first_and_the_rest_are_told() -> None:
    old, young = policy("old", age=1), policy("young")
    limit = size(plan([old], {}).data)

    found = plan([young, old], {}, limit)

    assert found.data == {"old.json": document(old)}
    assert undelivered(found) == ["young"]
    verdict = found.verdicts["young"]
    assert verdict.accepted
    assert verdict.undelivered is not None
    assert verdict.undelivered.reason == "ConfigMapFull"
    assert f"{limit} bytes" in verdict.undelivered.message
    assert "it is not delivered" in verdict.undelivered.message


def test_what_is_delivered_stays_though_an_older_one_has_no_room() -> None:
    old, young = policy("old", age=1), policy("young")
    delivered = plan([young], {}).data

    found = plan([young, old], delivered, size(delivered))

    assert found.data == delivered
    assert undelivered(found) == ["old"]


def test_an_edit_that_does_not_fit_leaves_the_last_version_in_force() -> None:
    delivered = plan([policy("a")], {}).data
    longer = policy("a", generation=2, padding=100)

    found = plan([longer], delivered, size(delivered) + 50)

    assert found.data == delivered
    assert undelivered(found) == ["a"]
    problem = found.verdicts["a"].undelivered
    assert problem is not None
    assert "its last delivered version stays in force" in problem.message


def test_the_switch_to_force_open_has_room_when_new_policies_have_none() -> None:
    policies = [policy("a", padding=200), policy("b", padding=200)]
    delivered = plan(policies, {}).data
    switched = replace(policies[0], generation=10, spec={**policies[0].spec, "mode": "ForceOpen"})

    found = plan([switched, policies[1], policy("new")], delivered, size(delivered))

    assert found.data == {**delivered, "a.json": document(switched)}
    assert undelivered(found) == ["new"]


def test_an_edit_that_shrinks_is_delivered_even_beyond_the_limit() -> None:
    delivered = plan([policy("a", padding=200), policy("b", padding=200)], {}).data
    shorter = policy("a", generation=2, padding=100)

    found = plan([shorter, policy("b", padding=200)], delivered, limit=10)

    assert found.data == {**delivered, "a.json": document(shorter)}
    assert undelivered(found) == []


def test_room_that_one_edit_makes_is_there_for_the_others_at_once() -> None:
    delivered = plan([policy("a", age=1), policy("b", padding=200)], {}).data
    longer, shorter = policy("a", age=1, generation=2, padding=200), policy("b", generation=2)

    found = plan([longer, shorter], delivered, size(delivered) + 10)

    assert found.data == {"a.json": document(longer), "b.json": document(shorter)}
    assert undelivered(found) == []


def test_bytes_are_counted_and_not_characters() -> None:
    kept = json.dumps({"policy": "shop/a", "uid": "uid-of-a", "note": "ü" * 100}, ensure_ascii=False)
    policies, existing = [policy("a", **UNREADABLE), policy("b")], {"a.json": kept}
    bytes_of_both = size({"a.json": kept, "b.json": document(policy("b"))})

    assert undelivered(plan(policies, existing, bytes_of_both)) == []
    assert undelivered(plan(policies, existing, bytes_of_both - 1)) == ["b"]


# ── whatever happened before ──


@dataclass(frozen=True)
class Scene:
    """Policies as they are now, and a ConfigMap as earlier operators, and others, may have left it."""

    policies: list[Policy]
    existing: dict[str, str]
    limit: int


@st.composite
def scenes(draw: st.DrawFn) -> Scene:
    policies, existing = [], {}
    for name in draw(st.lists(st.sampled_from("abcdef"), unique=True, max_size=5)):
        targets = st.sampled_from(
            [{"name": name}, {"name": "shared"}, {"service": {"name": "shared", "port": 80}}]
        )
        spec = draw(st.one_of(targets.map(lambda target: {"target": target}), st.just(UNREADABLE)))
        now = policy(
            name, age=draw(st.integers(0, 2)), generation=2, padding=draw(st.sampled_from([0, 40, 220]))
        )
        policies.append(replace(now, spec={**now.spec, **spec}))
        before = policy(name, padding=draw(st.sampled_from([0, 40, 220])))
        left = draw(st.sampled_from(["nothing", "delivered", "another's", "garbage"]))
        if left == "delivered":
            existing[f"{name}.json"] = document(before)
        elif left == "another's":
            existing[f"{name}.json"] = document(replace(before, uid="another"))
        elif left == "garbage":
            existing[f"{name}.json"] = '{"policy":'
    if draw(st.booleans()):
        existing["gone.json"] = document(policy("gone"))
    return Scene(policies, existing, draw(st.sampled_from([0, 700, 1500, 3000, LIMIT])))


def delivered_before(scene: Scene, each: Policy) -> bool:
    value = scene.existing.get(f"{each.name}.json")
    return value is not None and f'"uid":"{each.uid}"' in value


@given(scenes())
def test_nothing_delivered_is_withdrawn_but_for_a_loser(scene: Scene) -> None:
    found = plan(scene.policies, scene.existing, scene.limit)

    for each in scene.policies:
        if delivered_before(scene, each) and found.verdicts[each.name].reason != "Conflicted":
            assert f"{each.name}.json" in found.data


@given(scenes())
def test_the_limit_holds_unless_what_was_delivered_is_beyond_it(scene: Scene) -> None:
    found = plan(scene.policies, scene.existing, scene.limit)
    delivered = {
        f"{each.name}.json": scene.existing[f"{each.name}.json"]
        for each in scene.policies
        if delivered_before(scene, each)
    }

    assert size(found.data) <= max(scene.limit * 1.02, size(delivered))


@given(scenes())
def test_a_plan_that_came_true_is_the_plan(scene: Scene) -> None:
    found = plan(scene.policies, scene.existing, scene.limit)

    assert plan(scene.policies, found.data, scene.limit) == found


@given(scenes())
def test_the_order_in_which_policies_are_seen_does_not_matter(scene: Scene) -> None:
    found = plan(scene.policies, scene.existing, scene.limit)

    assert plan(scene.policies[::-1], scene.existing, scene.limit) == found


@given(scenes())
def test_each_policy_gets_a_verdict_that_agrees_with_the_data(scene: Scene) -> None:
    found = plan(scene.policies, scene.existing, scene.limit)

    assert found.verdicts.keys() == {each.name for each in scene.policies}
    for each in scene.policies:
        verdict = found.verdicts[each.name]
        newest = verdict.accepted and verdict.undelivered is None
        assert newest == (
            verdict.reason == "Accepted" and found.data.get(f"{each.name}.json") == document(each)
        )
        assert verdict.message


@given(scenes())
def test_every_new_value_is_readable_and_belongs_to_its_key(scene: Scene) -> None:
    found = plan(scene.policies, scene.existing, scene.limit)

    for key, value in found.data.items():
        assert f"{PolicyDocument.from_json(value).policy}.json" == f"shop/{key}"
