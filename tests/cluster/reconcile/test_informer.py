"""The informer over the real API: it knows what is there, through history that is gone and a network that fails."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from dev.controlplane import ControlPlane
from switchgear_operator import informer as informers
from switchgear_operator.cluster import Cluster
from switchgear_operator.connection import Connection
from switchgear_operator.informer import Informer
from tests.cluster.reconcile.shop import Shop, config_maps_path
from tests.support.proxy import Network, network_to
from tests.support.waiting import eventually_async


class CountingCluster(Cluster):
    """The API, and how often it was asked for a list."""

    lists = 0

    async def list_all(self, path: str, selector: Mapping[str, str]) -> tuple[list[dict[str, Any]], str]:
        self.lists += 1
        return await super().list_all(path, selector)


class Known:
    """What an informer has told."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self.told: list[str] = []

    def changed(self, body: dict[str, Any]) -> None:
        name = body["metadata"]["name"]
        self.told.append(name)
        self.values[name] = body["data"]["value"]

    def gone(self, namespace: str, name: str) -> None:
        self.told.append(f"-{name}")
        self.values.pop(name, None)

    async def until(self, **values: str) -> None:
        async def reached() -> bool:
            assert self.values == values
            return True

        await eventually_async(reached, timeout=30, message=f"the informer to know {values}")


class Notes:
    """ConfigMaps of a namespace, written by somebody else, on a thread: the test's loop goes on."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop
        self.path = config_maps_path(shop.namespace, "")
        self.selector = {"labelSelector": f"seen-by={shop.namespace}"}

    async def put(self, name: str, value: str, *, selected: bool = True) -> None:
        body = {"metadata": {"name": name, "labels": self._labels(selected)}, "data": {"value": value}}
        await asyncio.to_thread(self._shop.ask, "POST", self.path, body)

    async def change(self, name: str, value: str, *, selected: bool = True) -> None:
        body = {"metadata": {"labels": self._labels(selected)}, "data": {"value": value}}
        await asyncio.to_thread(self._shop.merge, f"{self.path}/{name}", body)

    async def delete(self, name: str) -> None:
        await asyncio.to_thread(self._shop.ask, "DELETE", f"{self.path}/{name}")

    def _labels(self, selected: bool) -> dict[str, str]:
        return {"seen-by": self._shop.namespace if selected else "nobody"}


@pytest.fixture
def notes(shop: Shop) -> Notes:
    return Notes(shop)


@pytest.fixture
def network(cluster: ControlPlane) -> Iterator[Network]:
    with network_to(cluster.url) as network:
        yield network


@pytest.fixture
def kubeconfig(cluster: ControlPlane, network: Network, tmp_path: Path) -> Path:
    return network.kubeconfig(cluster.kubeconfig, tmp_path / "kubeconfig")


@asynccontextmanager
async def informed(
    network: Network, kubeconfig: Path, notes: Notes, path: str = ""
) -> AsyncIterator[tuple[Known, Informer, CountingCluster]]:
    known = Known()
    async with CountingCluster(Connection(str(kubeconfig))) as api:
        informer = Informer(api, path or notes.path, notes.selector, changed=known.changed, gone=known.gone)
        task = asyncio.create_task(informer.run())
        try:
            yield known, informer, api
        finally:
            task.cancel()
            await asyncio.wait([task])
            assert task.cancelled(), "the informer ended by itself"

    async def has_hung_up() -> bool:
        return network.is_idle

    await eventually_async(has_hung_up, message="the end of all connections")


async def test_it_tells_what_is_there_and_what_changes(
    notes: Notes, kubeconfig: Path, network: Network
) -> None:
    await notes.put("a", "1")
    async with informed(network, kubeconfig, notes) as (known, informer, _):
        await informer.synced.wait()
        assert known.values == {"a": "1"}
        await notes.put("b", "1")
        await notes.change("a", "2")
        await known.until(a="2", b="1")
        await notes.delete("a")
        await known.until(b="1")


async def test_only_what_is_selected_is_told(notes: Notes, kubeconfig: Path, network: Network) -> None:
    await notes.put("stranger", "1", selected=False)
    async with informed(network, kubeconfig, notes) as (known, informer, _):
        await informer.synced.wait()
        await notes.put("b", "1")
        await known.until(b="1")
        await notes.change("b", "2", selected=False)
        await known.until()
        await notes.change("stranger", "3")
        await known.until(stranger="3")


async def test_a_watch_goes_on_where_it_was_when_the_network_was_cut(
    notes: Notes, kubeconfig: Path, network: Network
) -> None:
    await notes.put("a", "1")
    async with informed(network, kubeconfig, notes) as (known, informer, _):
        await informer.synced.wait()
        network.cut()
        await notes.change("a", "2")
        await notes.put("b", "1")
        await known.until(a="2", b="1")
        network.go_down()
        await notes.delete("a")
        await notes.change("b", "2")
        network.come_up()
        await known.until(b="2")


async def test_what_vanished_while_history_went_is_told(
    notes: Notes, kubeconfig: Path, network: Network
) -> None:
    await notes.put("a", "1")
    await notes.put("b", "1")
    async with informed(network, kubeconfig, notes) as (known, informer, _):
        await informer.synced.wait()
        network.go_down()
        await notes.delete("a")
        await notes.change("b", "2")
        informer._version = "1"  # long compacted: the API server answers 410 Gone
        network.come_up()
        await known.until(b="2")
        assert "-a" in known.told


async def test_a_network_that_hangs_is_given_up_when_the_watch_is_overdue(
    notes: Notes, kubeconfig: Path, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(informers, "WATCH_SECONDS", -13.0)  # the client gives up 15 s after it is due
    await notes.put("a", "1")
    async with informed(network, kubeconfig, notes) as (known, informer, _):
        await informer.synced.wait()
        heard = informer.heard_at
        network.stall()
        await notes.change("a", "2")
        assert known.values == {"a": "1"}
        taken = network.connections

        async def reconnects() -> bool:
            return network.connections > taken

        await eventually_async(reconnects, timeout=30, message="another connection")
        network.flow()
        network.cut()
        await known.until(a="2")
        assert informer.heard_at > heard


async def test_an_outage_is_told_once_and_so_is_its_end(
    notes: Notes, kubeconfig: Path, network: Network, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="switchgear_operator.informer")
    network.go_down()
    async with informed(network, kubeconfig, notes) as (known, informer, api):

        async def has_tried() -> bool:
            return api.lists > 3

        await eventually_async(has_tried, timeout=30, message="several attempts")
        network.come_up()
        await informer.synced.wait()
        await notes.put("a", "1")
        await known.until(a="1")
    levels = [record.levelname for record in caplog.records]
    assert levels == ["WARNING", "INFO"], caplog.text


async def test_a_namespace_that_is_deleted_takes_its_objects_with_it(
    notes: Notes, shop: Shop, kubeconfig: Path, network: Network
) -> None:
    await notes.put("a", "1")
    async with informed(network, kubeconfig, notes, "/api/v1/configmaps") as (known, informer, _):
        await informer.synced.wait()
        assert known.values == {"a": "1"}
        await asyncio.to_thread(shop.ask, "DELETE", f"/api/v1/namespaces/{shop.namespace}")
        await known.until()


async def test_the_api_sees_one_list_and_one_watch_and_no_more_at_rest(
    notes: Notes, kubeconfig: Path, network: Network, api: httpx.Client
) -> None:
    async with informed(network, kubeconfig, notes) as (known, informer, _):
        await informer.synced.wait()
        await notes.put("a", "1")
        await known.until(a="1")
        taken = network.connections
        for number in range(5):
            await notes.change("a", f"{number}")
        await known.until(a="4")
        assert network.connections == taken
