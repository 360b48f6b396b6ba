"""What users do to policies is what the ConfigMap says, byte for byte; what others do to the ConfigMap is undone."""

import httpx
import pytest

from switchgear.policy import PolicyDocument
from tests.cluster.reconcile.shop import LABEL, Shop, config_maps_path
from tests.support.api import policies_path
from tests.support.operator import OperatorProcess
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("operator")


# ── policies ──


def test_a_policy_that_is_created_is_delivered(shop: Shop) -> None:
    shop.create("payments", {"service": {"name": "payments", "port": 8080}})

    data = eventually(lambda: shop.data() or {}, message="a ConfigMap")

    document = PolicyDocument.from_json(data["payments.json"])
    assert (document.policy, document.generation) == (f"{shop.namespace}/payments", 1)
    assert document.uid == shop.policy("payments")["metadata"]["uid"]
    assert str(document.target) == f"payments.{shop.namespace}:8080"
    assert shop.await_wanted() == data


def test_a_policy_that_is_edited_is_delivered_anew(shop: Shop) -> None:
    shop.create("payments")
    shop.await_wanted()

    shop.edit("payments", recovery={"openDuration": "7s"})

    data = shop.await_wanted()
    document = PolicyDocument.from_json(data["payments.json"])
    assert (document.generation, document.config.open_duration) == (2, 7.0)


def test_a_policy_that_is_deleted_is_withdrawn_and_the_others_stay(shop: Shop) -> None:
    shop.create("a")
    shop.create("b")
    assert shop.await_wanted().keys() == {"a.json", "b.json"}

    shop.delete("a")

    eventually(lambda: (shop.data() or {}).keys() == {"b.json"}, message="a.json gone")
    shop.await_wanted()


def test_with_its_last_policy_the_config_map_goes(shop: Shop) -> None:
    shop.create("a")
    shop.await_wanted()

    shop.delete("a")

    eventually(lambda: shop.config_map() is None, message="no ConfigMap")


def test_a_policy_that_is_renamed_moves_to_its_new_key(shop: Shop) -> None:
    shop.create("old", {"name": "db"})
    shop.create("bystander")
    shop.await_wanted()

    shop.delete("old")
    shop.create("new", {"name": "db"})

    assert shop.await_wanted().keys() == {"new.json", "bystander.json"}


def test_a_policy_that_is_deleted_and_created_anew_is_another_one(shop: Shop) -> None:
    first = shop.create("a")["metadata"]["uid"]
    shop.await_wanted()

    shop.delete("a")
    second = shop.create("a")["metadata"]["uid"]

    assert f'"uid":"{second}"' in shop.await_wanted()["a.json"]
    assert first != second


def test_many_policies_at_once_are_all_delivered(shop: Shop) -> None:
    for number in range(40):
        shop.create(f"policy-{number}")

    assert len(shop.await_wanted()) == 40


def test_a_namespace_with_more_than_fits_has_what_fits_and_the_rest_is_told(shop: Shop) -> None:
    paths = [f"app.{'x' * 240}{number:03}" for number in range(64)]
    names = [f"policy-{number:02}" for number in range(36)]
    for name in names:
        shop.create(name, classify={"exceptions": {"failures": paths, "ignored": paths}})  # 32 KB each

    message = shop.await_condition(names[-1], "Propagated", "False", "ConfigMapFull")

    assert "it is not delivered" in message
    data = shop.await_wanted()
    assert 25 < len(data) < 36
    assert 900_000 < sum(map(len, data.values())) < 1024 * 1024
    shop.edit(names[0], mode="ForceOpen")
    eventually(lambda: '"mode":"ForceOpen"' in (shop.data() or {})[f"{names[0]}.json"], message="the edit")
    assert (shop.data() or {}).keys() == data.keys(), "an edit must not withdraw anything"
    for name in names[:10]:
        shop.delete(name)
    shop.await_condition(names[-1], "Propagated", "Unknown", "NoInstances")
    assert len(shop.await_wanted()) == 26


# ── conflicts ──


def test_of_two_for_one_target_the_loser_waits_until_the_winner_is_deleted(shop: Shop) -> None:
    target = {"service": {"name": "payments"}}
    shop.create("a-first", target)
    shop.create("b-second", target, recovery={"openDuration": "9s"})

    message = shop.await_condition("b-second", "Accepted", "False", "Conflicted")
    assert "a-first" in message
    assert shop.await_wanted().keys() == {"a-first.json"}

    shop.delete("a-first")

    shop.await_condition("b-second", "Accepted", "True", "Accepted")
    assert shop.await_wanted().keys() == {"b-second.json"}


def test_a_winner_that_turns_to_another_target_makes_way(shop: Shop) -> None:
    shop.create("a", {"name": "db"})
    shop.create("b", {"name": "db"})
    shop.await_condition("b", "Accepted", "False", "Conflicted")

    shop.edit("a", target={"name": "other-db"})

    assert shop.await_wanted().keys() == {"a.json", "b.json"}
    shop.await_condition("b", "Accepted", "True", "Accepted")


def test_a_port_wins_over_none_and_nothing_else_of_the_namespace_is_touched(shop: Shop) -> None:
    shop.create("any-port", {"service": {"name": "payments"}})
    shop.create("bystander")
    shop.await_wanted()

    shop.create("one-port", {"service": {"name": "payments", "port": 443}})

    shop.await_condition("any-port", "Accepted", "False", "Conflicted")
    assert shop.await_wanted().keys() == {"one-port.json", "bystander.json"}


# ── what others do to the ConfigMap ──


@pytest.mark.parametrize(
    "change",
    [
        {"data": {"a.json": "{}"}},
        {"data": {"a.json": None}},
        {"data": {"note.txt": "mine"}},
        {"data": {"gone.json": '{"schema":1}', "a.json": ""}},
        {"data": None},
        {"binaryData": {"blob": "AAAA"}},
        {"metadata": {"labels": None}},
        {"metadata": {"labels": {"app.kubernetes.io/managed-by": "somebody-else"}}},
    ],
    ids=[
        "a value", "a key less", "a key more", "several", "all data", "binary data", "no label", "another label",
    ],
)  # fmt: skip
def test_a_config_map_that_somebody_changed_is_repaired(shop: Shop, change: dict[str, object]) -> None:
    shop.create("a")
    shop.create("b")
    shop.await_wanted()

    shop.spoil(change)

    shop.await_wanted()


def test_a_config_map_that_somebody_deleted_comes_back(shop: Shop) -> None:
    shop.create("a")
    shop.await_wanted()
    before = (shop.config_map() or {})["metadata"]["uid"]

    shop.ask("DELETE", config_maps_path(shop.namespace))

    def came_back() -> bool:
        config_map = shop.config_map()
        return config_map is not None and config_map["metadata"]["uid"] != before

    eventually(came_back, message="another ConfigMap")
    shop.await_wanted()


def test_a_label_that_somebody_added_stays(shop: Shop) -> None:
    shop.create("a")
    shop.await_wanted()
    shop.spoil({"metadata": {"labels": {"team": "shop"}, "annotations": {"note": "ours"}}})

    shop.edit("a", mode="Observe")

    eventually(lambda: '"mode":"Observe"' in (shop.data() or {})["a.json"], message="the edit")
    metadata = (shop.config_map() or {})["metadata"]
    assert metadata["labels"] == {**LABEL, "team": "shop"}
    assert metadata["annotations"] == {"note": "ours"}


def test_junk_that_fills_the_config_map_does_not_keep_policies_out(shop: Shop) -> None:
    shop.create("a")
    shop.await_wanted()

    shop.spoil({"data": {"a.json": None, "junk": "x" * (1024 * 1024 - 10)}})

    shop.await_wanted()


# ── namespaces, and what is never touched ──


def test_a_namespace_that_is_deleted_with_its_policies_is_no_trouble(
    shop: Shop, operator: OperatorProcess
) -> None:
    for number in range(10):
        shop.create(f"policy-{number}")
    shop.await_wanted()

    shop.ask("DELETE", f"/api/v1/namespaces/{shop.namespace}")

    gone = f"/api/v1/namespaces/{shop.namespace}"
    eventually(lambda: shop.api.get(gone).status_code == httpx.codes.NOT_FOUND, timeout=60, message="its end")
    assert operator.errors() == []


def test_of_a_users_policy_nothing_but_the_status_is_ever_written(shop: Shop) -> None:
    shop.create("a")
    shop.create("b", {"name": "a"})
    shop.await_wanted()
    shop.await_condition("b", "Accepted", "False", "Conflicted")
    shop.edit("a", mode="Observe")
    shop.edit("b", target={"name": "b"})
    shop.await_wanted()
    shop.await_condition("b", "Accepted", "True", "Accepted")

    for item in shop.ask("GET", policies_path(shop.namespace))["items"]:
        metadata = item["metadata"]
        assert "annotations" not in metadata
        assert "finalizers" not in metadata
        assert "labels" not in metadata
        written = [
            (entry.get("subresource"), set(entry["fieldsV1"]))
            for entry in metadata["managedFields"]
            if entry["manager"] == "switchgear-operator"
        ]
        assert written == [("status", {"f:status"})]
        others = {entry["manager"] for entry in metadata["managedFields"]} - {"switchgear-operator"}
        assert not [name for name in others if "kopf" in name]


def test_at_rest_nothing_is_written_while_other_namespaces_are_busy(
    shop: Shop, api: httpx.Client, operator: OperatorProcess
) -> None:
    shop.create("quiet")
    shop.await_wanted()
    shop.await_condition("quiet", "Propagated", "Unknown", "NoInstances")
    before = shop.config_map(), shop.policy("quiet")
    other = f"{shop.namespace}-busy"
    shop.ask("POST", "/api/v1/namespaces", {"metadata": {"name": other}})
    busy = Shop(api, other)
    busy.create("a")
    for number in range(10):
        busy.edit("a", recovery={"openDuration": f"{number + 1}s"})
    busy.await_wanted()
    shop.ask(
        "POST", config_maps_path(shop.namespace, ""), {"metadata": {"name": "unrelated"}, "data": {"a": "b"}}
    )
    rounds = operator.metric('controller_runtime_reconcile_total{controller="policies",result="success"}')
    busy.delete("a")
    eventually(lambda: busy.config_map() is None, message="the other ConfigMap gone")

    assert (shop.config_map(), shop.policy("quiet")) == before
    assert (
        operator.metric('controller_runtime_reconcile_total{controller="policies",result="success"}') > rounds
    )
    shop.ask("DELETE", f"/api/v1/namespaces/{other}")
