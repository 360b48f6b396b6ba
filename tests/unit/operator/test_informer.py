"""The informer's decisions, one scripted answer of the API at a time: when it lists, when it watches, what it tells."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from switchgear_operator import informer as informers
from switchgear_operator.cluster import ApiError
from switchgear_operator.informer import Informer

Json = dict[str, Any]


def note(name: str, version: int, namespace: str = "shop") -> Json:
    return {"metadata": {"namespace": namespace, "name": name, "resourceVersion": f"{version}"}}


class Script:
    """Answers lists and watches in turn; when it is at its end, a watch stays open."""

    def __init__(self, *answers: list[Json] | list[tuple[str, Json]] | ApiError) -> None:
        self._answers = list(answers)
        self.asked: list[str] = []
        self.told: list[str] = []
        self.is_over = asyncio.Event()

    async def list_all(self, path: str, selector: Mapping[str, str]) -> tuple[list[Json], str]:
        self.asked.append("list")
        answer: Any = self._answers.pop(0)
        if isinstance(answer, ApiError):
            raise answer
        return answer, "100"

    async def watch(
        self, path: str, selector: Mapping[str, str], since: str, seconds: float
    ) -> AsyncIterator[tuple[str, Json]]:
        self.asked.append(f"watch {since}")
        if not self._answers:
            self.is_over.set()
            await asyncio.Event().wait()
        answer: Any = self._answers.pop(0)
        if isinstance(answer, ApiError):
            raise answer
        yield "OPENED", {}
        for event in answer:
            yield event

    def changed(self, body: Json) -> None:
        self.told.append(body["metadata"]["name"])

    def gone(self, namespace: str, name: str) -> None:
        self.told.append(f"-{namespace}/{name}")


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(informers, "SHORTEST_WAIT", 0.001)
    monkeypatch.setattr(informers, "LONGEST_WAIT", 0.001)


async def follow(script: Script) -> Informer:
    """Run an informer until the script is at its end."""
    informer = Informer(script, "/notes", {}, changed=script.changed, gone=script.gone)
    task = asyncio.create_task(informer.run())
    await asyncio.wait_for(script.is_over.wait(), 10)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    return informer


async def test_it_lists_and_then_watches_from_the_lists_version() -> None:
    script = Script([note("a", 7), note("b", 9)])

    informer = await follow(script)

    assert script.asked == ["list", "watch 100"]
    assert script.told == ["a", "b"]
    assert informer.synced.is_set()


async def test_a_watch_that_ends_goes_on_where_it_was() -> None:
    script = Script(
        [], [("ADDED", note("a", 101)), ("MODIFIED", note("a", 105))], [("BOOKMARK", note("", 200))]
    )

    await follow(script)

    assert script.asked == ["list", "watch 100", "watch 105", "watch 200"]
    assert script.told == ["a", "a"]


async def test_what_is_deleted_is_told_once() -> None:
    script = Script([note("a", 7)], [("DELETED", note("a", 101))], ApiError(410, "Gone", "too old"), [])

    await follow(script)

    assert script.asked == ["list", "watch 100", "watch 101", "list", "watch 100"]
    assert script.told == ["a", "-shop/a"]


async def test_what_a_list_lacks_is_gone() -> None:
    script = Script(
        [note("a", 7), note("b", 8)], ApiError(410, "Expired", "too old"), [note("b", 8), note("c", 9)]
    )

    await follow(script)

    assert script.asked == ["list", "watch 100", "list", "watch 100"]
    assert script.told == ["a", "b", "b", "c", "-shop/a"]


async def test_names_are_told_apart_by_namespace() -> None:
    script = Script(
        [note("a", 7), note("a", 8, namespace="bank")], [("DELETED", note("a", 101, namespace="bank"))]
    )

    await follow(script)

    assert script.told == ["a", "a", "-bank/a"]


@pytest.mark.parametrize("code", [410, 500, 504])
async def test_an_error_within_a_watch_leads_to_a_list(code: int) -> None:
    script = Script([], [("ERROR", {"code": code, "reason": "Bad", "message": "no"})], [note("a", 7)])

    await follow(script)

    assert script.asked == ["list", "watch 100", "list", "watch 100"]
    assert script.told == ["a"]


async def test_a_connection_that_breaks_is_taken_up_without_a_list() -> None:
    script = Script([], [("ADDED", note("a", 105))], ApiError(0, "Interrupted", "broken"), [])

    await follow(script)

    assert script.asked == ["list", "watch 100", "watch 105", "watch 105", "watch 105"]


async def test_a_refused_watch_leads_to_a_list() -> None:
    script = Script([], ApiError(403, "Forbidden", "no"), ApiError(500, "Oops", "no"), [note("a", 7)])

    await follow(script)

    assert script.asked == ["list", "watch 100", "list", "list", "watch 100"]


async def test_while_it_cannot_be_read_nothing_is_told_gone() -> None:
    failures = [ApiError(0, "Unreachable", "away")] * 5
    script = Script([note("a", 7)], ApiError(410, "Gone", "too old"), *failures, [note("a", 7)])

    await follow(script)

    assert script.told == ["a", "a"]


async def test_an_outage_and_its_end_are_told_once_each(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", logger="switchgear_operator")
    away = ApiError(0, "Unreachable", "connection refused")
    script = Script(away, away, away, [], away, [], [])

    await follow(script)

    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO", "WARNING", "INFO"]
    assert "/notes cannot be read: connection refused; what is known stays in force" in caplog.text


async def test_history_that_is_gone_is_no_trouble(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", logger="switchgear_operator")
    script = Script([], ApiError(410, "Gone", "too old"), [])

    await follow(script)

    assert caplog.records == []


async def test_it_is_not_synced_before_the_first_list_is_in() -> None:
    script = Script(ApiError(0, "Unreachable", "away"), [])
    informer = Informer(script, "/notes", {}, changed=script.changed, gone=script.gone)

    assert not informer.synced.is_set()
    assert (await follow(script)).synced.is_set()
