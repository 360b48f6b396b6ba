"""A ConfigMap of the operator's name that it did not make is its owner's, whatever that costs the policies."""

from tests.cluster.reconcile.shop import Shop, config_maps_path
from tests.support.operator import OperatorProcess
from tests.support.waiting import eventually


def test_somebodys_own_config_map_of_that_name_is_left_alone_until_it_is_gone(
    shop: Shop, local_operator: OperatorProcess
) -> None:
    theirs = {"metadata": {"name": "switchgear-policies"}, "data": {"a.json": "mine"}}
    created = shop.ask("POST", config_maps_path(shop.namespace, ""), theirs)
    shop.create("a")

    message = shop.await_condition("a", "Propagated", "False", "ConfigMapForeign")

    assert "without a sign that the operator made it" in message
    assert shop.condition("a", "Accepted")[0] == "True"
    assert shop.config_map() == created
    assert len(local_operator.errors()) == 1
    shop.delete("a")
    shop.create("b")
    shop.await_condition("b", "Propagated", "False", "ConfigMapForeign")
    assert shop.config_map() == created

    shop.ask("DELETE", config_maps_path(shop.namespace))

    assert shop.await_wanted().keys() == {"b.json"}
    shop.await_condition("b", "Propagated", "Unknown", "NoInstances")


def test_a_config_map_of_the_operators_stays_its_own_when_every_sign_of_that_is_wiped_off(
    shop: Shop, local_operator: OperatorProcess
) -> None:
    shop.create("a")
    shop.await_wanted()

    shop.spoil({"metadata": {"labels": None, "managedFields": [{}]}, "data": {"a.json": "theirs"}})

    shop.await_wanted()


def test_a_rival_who_goes_on_is_answered_now_and_then_but_the_policies_at_once(
    shop: Shop, local_operator: OperatorProcess
) -> None:
    shop.create("a")
    shop.await_wanted()
    theirs = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "switchgear-policies"},
        "data": {"a.json": "theirs"},
    }
    rival = f"{config_maps_path(shop.namespace)}?fieldManager=argocd&force=true"

    def is_told() -> bool:
        shop.ask("PATCH", rival, theirs, "application/apply-patch+yaml")
        return any("argocd keeps changing configmap" in line for line in local_operator.errors())

    eventually(is_told, timeout=30, message="the rival's name in the log")
    shop.ask("PATCH", rival, theirs, "application/apply-patch+yaml")
    shop.edit("a", mode="ForceOpen")

    assert '"mode":"ForceOpen"' in shop.await_wanted()["a.json"]
