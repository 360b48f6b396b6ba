"""A ConfigMap of the operator's name that it did not make is its owner's, whatever that costs the policies."""

from tests.cluster.reconcile.shop import Shop, config_maps_path
from tests.support.operator import OperatorProcess


def test_somebodys_own_config_map_of_that_name_is_left_alone_until_it_is_gone(
    shop: Shop, local_operator: OperatorProcess
) -> None:
    theirs = {"metadata": {"name": "switchgear-policies"}, "data": {"a.json": "mine"}}
    created = shop.ask("POST", config_maps_path(shop.namespace, ""), theirs)
    shop.create("a")

    message = shop.await_condition("a", "Propagated", "False", "ConfigMapForeign")

    assert "delete or rename it" in message
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
