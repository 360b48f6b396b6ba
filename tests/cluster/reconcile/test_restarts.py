"""An operator that was away, however it went: the ConfigMap ends as the policies say, and never loses in between."""

import json
import random
import threading
from pathlib import Path
from typing import Self

import pytest

from dev.controlplane import ControlPlane
from tests.cluster.reconcile.shop import Shop, config_maps_path
from tests.support.api import api_client
from tests.support.operator import operator_process
from tests.support.waiting import eventually

KILLS = 8


@pytest.fixture
def flags(cluster: ControlPlane, namespace: str) -> list[str]:
    return ["--kubeconfig", str(cluster.kubeconfig), "--namespaces", namespace]


class Writer:
    """Writes policies at random, in a thread of its own, until it is told to stop."""

    def __init__(self, shop: Shop, seed: int) -> None:
        self._shop = shop
        self._random = random.Random(seed)
        self._stop = threading.Event()
        self._failures: list[BaseException] = []
        self.writes = 0
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        assert self._failures == []

    def await_writes(self, more: int) -> None:
        """Until it has written so many times more."""
        goal = self.writes + more
        eventually(lambda: self.writes >= goal, timeout=30, message=f"{more} more writes")

    def _run(self) -> None:
        standing: set[str] = set()
        try:
            while not self._stop.wait(0.02):
                name = f"policy-{self._random.randrange(12)}"
                if name not in standing:
                    self._shop.create(name, {"name": f"db-{self._random.randrange(8)}"})
                    standing.add(name)
                elif self._random.random() < 0.4:
                    self._shop.delete(name)
                    standing.remove(name)
                else:
                    self._shop.edit(name, recovery={"openDuration": f"{self._random.randrange(1, 250)}s"})
                self.writes += 1
        except BaseException as error:
            self._failures.append(error)


def test_killed_at_any_point_under_writes_it_ends_with_what_the_policies_say(
    cluster: ControlPlane, shop: Shop, flags: list[str], tmp_path: Path
) -> None:
    points = random.Random(5)
    log = tmp_path / "log"
    with api_client(cluster) as own, Writer(Shop(own, shop.namespace), seed=7) as writer:
        for turn in range(KILLS):
            with operator_process(log, *flags) as operator:
                if turn % 4 == 0:
                    writer.await_writes(points.randrange(3, 30))  # it is starting
                else:
                    operator.await_ready()
                    writer.await_writes(points.randrange(1, 6))
                operator.kill()

    with operator_process(log, *flags) as operator:
        shop.await_wanted(timeout=60)
        operator.await_ready()
        shop.await_wanted()
        operator.stop()
    assert "Traceback" not in log.read_text()


def test_a_start_withdraws_nothing_even_for_a_moment(shop: Shop, flags: list[str], tmp_path: Path) -> None:
    names = {f"policy-{number:02}" for number in range(30)}
    with operator_process(tmp_path / "log", *flags) as operator:
        operator.await_ready()
        for name in sorted(names):
            shop.create(name)
        assert len(shop.await_wanted()) == 30
        operator.kill()
    config_map = shop.config_map()
    assert config_map is not None
    since = config_map["metadata"]["resourceVersion"]
    shop.edit("policy-07", recovery={"openDuration": "9s"})

    with operator_process(tmp_path / "log", *flags) as operator:
        operator.await_ready()
        shop.create("marker")
        shop.await_wanted()
        operator.stop()

    versions = changes(shop, since)
    assert versions, "the marker must have been written"
    for keys in versions:
        assert {f"{name}.json" for name in names} <= keys


def test_a_config_map_whose_last_policy_went_while_the_operator_was_away_is_deleted(
    shop: Shop, flags: list[str], tmp_path: Path
) -> None:
    with operator_process(tmp_path / "log", *flags) as operator:
        operator.await_ready()
        shop.create("a")
        shop.await_wanted()
        operator.kill()
    shop.delete("a")

    with operator_process(tmp_path / "log", *flags) as operator:
        eventually(lambda: shop.config_map() is None, timeout=30, message="no ConfigMap")
        operator.await_ready()
        operator.stop()


def test_what_changed_while_the_operator_was_away_comes_true(
    shop: Shop, flags: list[str], tmp_path: Path
) -> None:
    with operator_process(tmp_path / "log", *flags) as operator:
        operator.await_ready()
        for name in ("edited", "deleted", "winner", "loser"):
            shop.create(name, {"name": name.replace("loser", "winner")})
        shop.await_wanted()
        operator.kill()
    shop.edit("edited", mode="Observe")
    shop.delete("deleted")
    shop.delete("loser")
    shop.create("created")
    shop.spoil({"data": {"note.txt": "mine", "edited.json": "{}"}, "metadata": {"labels": None}})

    with operator_process(tmp_path / "log", *flags) as operator:
        data = shop.await_wanted()
        assert data.keys() == {"edited.json", "winner.json", "created.json"}
        operator.await_ready()
        operator.stop()


def test_a_restart_with_nothing_new_writes_nothing(shop: Shop, flags: list[str], tmp_path: Path) -> None:
    with operator_process(tmp_path / "log", *flags) as operator:
        operator.await_ready()
        shop.create("a")
        shop.await_wanted()
        shop.await_condition("a", "Propagated", "Unknown", "NoInstances")
        operator.stop()
    config_map, policy = shop.config_map(), shop.policy("a")
    assert config_map is not None

    with operator_process(tmp_path / "log", *flags) as operator:
        operator.await_ready()
        result = 'controller_runtime_reconcile_total{controller="policies",result="success"}'
        eventually(lambda: operator.metric(result) > 0, message="a reconciled namespace")
        shop.create("marker")
        shop.await_condition("marker", "Propagated", "Unknown", "NoInstances")
        shop.delete("marker")
        shop.await_wanted()
        assert shop.policy("a") == policy
        operator.stop()
    written = changes(shop, config_map["metadata"]["resourceVersion"])
    assert written == [{"a.json", "marker.json"}, {"a.json"}]


def test_only_the_namespaces_that_it_is_told_are_served(
    cluster: ControlPlane, shop: Shop, tmp_path: Path
) -> None:
    other = Shop(shop.api, f"{shop.namespace}-other")
    shop.ask("POST", "/api/v1/namespaces", {"metadata": {"name": other.namespace}})
    third = f"{shop.namespace}-third"
    other.create("a")
    shop.create("a")
    flags = ["--kubeconfig", str(cluster.kubeconfig), "--namespaces", f"{shop.namespace}, {third}"]

    with operator_process(tmp_path / "log", *flags) as operator:
        shop.await_wanted()
        operator.await_ready()
        assert other.config_map() is None
        assert "status" not in other.policy("a")
        operator.stop()
    assert operator.errors() == []
    shop.ask("DELETE", f"/api/v1/namespaces/{other.namespace}")


def changes(shop: Shop, since: str) -> list[set[str]]:
    """The keys of each version of the ConfigMap after a resourceVersion, as the API server remembers them."""
    query = {"watch": "true", "resourceVersion": since, "timeoutSeconds": "1"}
    answer = shop.api.get(config_maps_path(shop.namespace, ""), params=query)
    events = [json.loads(line) for line in answer.text.splitlines()]
    ours = [event for event in events if event["object"]["metadata"]["name"] == "switchgear-policies"]
    assert {event["type"] for event in ours} <= {"MODIFIED"}, "it was deleted or created anew"
    return [set(event["object"].get("data", {})) for event in ours]
