"""One reconciliation: which requests it takes, what it asks before it withdraws, and what it does when refused."""

from collections.abc import Mapping
from typing import Any

import pytest

from switchgear_operator.cluster import FIELD_MANAGER, MANAGED_BY, ApiError, ConfigMap
from switchgear_operator.compile import compile_policy
from switchgear_operator.informed import Informed, policy_of
from switchgear_operator.reconcile import Reconciler
from switchgear_operator.repairs import CALM, LONGEST_PAUSE, Repairs

Json = dict[str, Any]

OURS = {"labels": MANAGED_BY, "managedFields": [{"manager": FIELD_MANAGER}]}


def body(name: str, generation: int = 1, uid: str = "") -> Json:
    return {
        "metadata": {
            "namespace": "shop",
            "name": name,
            "uid": uid or f"uid-of-{name}",
            "generation": generation,
            "creationTimestamp": "2026-11-24T09:30:00Z",
        },
        "spec": {"target": {"name": name}},
    }


def delivered(*bodies: Json) -> dict[str, str]:
    return {f"{each['metadata']['name']}.json": compile_policy(policy_of(each)).to_json() for each in bodies}


class Desk:
    """Where requests arrive: it keeps one ConfigMap, and refuses what a test tells it to."""

    def __init__(self, *standing: Json) -> None:
        self.standing = list(standing)
        self.config_map: Json | None = None
        self.requests: list[str] = []
        self.refusals: dict[str, list[ApiError]] = {}
        self.judged: list[str] = []
        self.written: list[str] = []
        self._version = 100
        self.informed = Informed()
        self.now = 1000.0
        self.again: float | None = None
        self.reconciler = Reconciler(
            self.informed,
            self,
            judged=self.judged.append,
            written=self.written.append,
            repairs=Repairs(lambda: self.now),
        )

    async def policies(self, namespace: str) -> list[Json]:
        self._asked("list")
        return self.standing

    async def apply_config_map(self, namespace: str, data: Mapping[str, str]) -> Json:
        self._asked("apply")
        others = {} if self.config_map is None else self.config_map["data"]
        ours = {key for key in others if key.endswith(".json")} - data.keys()
        kept = {key: value for key, value in others.items() if key not in ours}
        return self.put({**kept, **data})

    async def drop_config_map_keys(self, namespace: str, data: list[str], binary: list[str]) -> Json:
        self._asked(f"drop {' '.join([*data, *binary])}")
        assert self.config_map is not None
        return self.put({key: value for key, value in self.config_map["data"].items() if key not in data})

    async def delete_config_map(self, config_map: ConfigMap) -> None:
        self._asked("delete")
        assert self.config_map is not None
        assert config_map.uid == self.config_map["metadata"]["uid"]
        self.config_map = None

    def put(self, data: Mapping[str, str], metadata: Json | None = None, **more: Any) -> Json:
        """Have a ConfigMap; nobody is informed of it."""
        self._version += 1
        own = {"namespace": "shop", "name": "switchgear-policies", "uid": "m1"}
        version = {"resourceVersion": f"{self._version}"}
        self.config_map = {
            "metadata": {**own, **version, **(OURS if metadata is None else metadata)},
            "data": dict(data),
            **more,
        }
        return self.config_map

    def inform(self, *bodies: Json) -> None:
        """As the watches would: of these policies and of the ConfigMap as it is."""
        for each in bodies:
            self.informed.learn_policy(each)
        if self.config_map is not None:
            self.informed.learn_config_map(self.config_map)

    def verdicts(self) -> dict[str, tuple[bool, str]]:
        found = {each.name: self.informed.verdict(each) for each in self.informed.policies()}
        return {
            name: (each.accepted, each.undelivered.reason if each.undelivered else "")
            for name, each in found.items()
            if each is not None
        }

    async def reconcile(self) -> list[str]:
        """Reconcile once; the requests that it took."""
        self.requests.clear()
        self.again = await self.reconciler.reconcile("shop")
        return self.requests

    def _asked(self, request: str) -> None:
        self.requests.append(request)
        refusals = self.refusals.get(request.partition(" ")[0])
        if refusals:
            raise refusals.pop(0)


async def test_the_first_policy_is_one_write() -> None:
    desk = Desk()
    desk.inform(body("a"))

    assert await desk.reconcile() == ["apply"]
    assert desk.config_map is not None
    assert desk.config_map["data"] == delivered(body("a"))
    assert desk.verdicts() == {"a": (True, "")}
    assert desk.written == ["apply"]


async def test_what_is_as_it_should_be_takes_no_request_and_is_no_news() -> None:
    desk = Desk()
    desk.inform(body("a"))
    await desk.reconcile()

    assert await desk.reconcile() == []
    assert desk.judged == ["shop"]


async def test_its_own_write_is_known_at_once_and_not_only_when_the_watch_shows_it() -> None:
    desk = Desk()
    desk.inform(body("a"))
    await desk.reconcile()
    desk.inform(body("b"))
    stale = desk.put({"stale.json": "{}"})
    stale["metadata"]["resourceVersion"] = "1"
    desk.informed.learn_config_map(stale)

    assert await desk.reconcile() == ["apply"]


async def test_an_operator_that_knows_no_policies_yet_withdraws_nothing() -> None:
    desk = Desk(body("a"), body("b"))
    before = delivered(body("a"), body("b"))
    desk.put(before)
    desk.inform()

    assert await desk.reconcile() == ["list"]
    assert desk.config_map is not None
    assert desk.config_map["data"] == before


async def test_an_operator_that_knows_some_policies_withdraws_none_of_the_others() -> None:
    desk = Desk(body("a"), body("b"))
    before = delivered(body("a"), body("b"))
    desk.put(before)
    desk.inform(body("b"))

    assert await desk.reconcile() == ["list"]
    assert desk.config_map is not None
    assert desk.config_map["data"] == before


async def test_what_the_server_itself_says_is_gone_is_withdrawn_by_one_write() -> None:
    desk = Desk(body("b"))
    desk.put(delivered(body("a"), body("b")))
    desk.inform(body("b", generation=2))
    desk.standing = [body("b", generation=2)]

    assert await desk.reconcile() == ["list", "apply"]
    assert desk.config_map is not None
    assert desk.config_map["data"] == delivered(body("b", generation=2))


async def test_the_last_policy_takes_the_config_map_with_it() -> None:
    desk = Desk()
    desk.put(delivered(body("a")))
    desk.inform()

    assert await desk.reconcile() == ["list", "delete"]
    assert desk.config_map is None
    assert await desk.reconcile() == []


async def test_without_an_answer_nothing_is_withdrawn() -> None:
    desk = Desk()
    before = delivered(body("a"))
    desk.put(before)
    desk.inform()
    desk.refusals["list"] = [ApiError(0, "Unreachable", "away")]

    with pytest.raises(ApiError, match="away"):
        await desk.reconcile()
    assert desk.config_map is not None
    assert desk.config_map["data"] == before


async def test_a_label_that_was_taken_away_is_put_back() -> None:
    desk = Desk()
    desk.put(delivered(body("a")), metadata={"managedFields": [{"manager": FIELD_MANAGER}]})
    desk.inform(body("a"))

    assert await desk.reconcile() == ["apply"]


async def test_keys_of_others_are_dropped_by_a_write_of_their_own() -> None:
    desk = Desk(body("a"))
    desk.put({**delivered(body("a")), "note.txt": "mine"}, binaryData={"blob": "AA=="})
    desk.inform(body("a"))

    assert await desk.reconcile() == ["list", "drop note.txt blob"]
    assert await desk.reconcile() == []


async def test_junk_that_leaves_no_room_is_dropped_first() -> None:
    desk = Desk(body("a"))
    desk.put({"junk": "x"})
    desk.inform(body("a"))
    desk.refusals["apply"] = [ApiError(422, "Invalid", "data: Too long")]

    assert await desk.reconcile() == ["list", "apply", "drop junk", "apply"]
    assert desk.config_map is not None
    assert desk.config_map["data"] == delivered(body("a"))


async def test_a_write_that_is_refused_for_good_is_raised_and_told_on_the_policies() -> None:
    desk = Desk()
    desk.inform(body("a"))
    desk.refusals["apply"] = [ApiError(403, "Forbidden", "no")]

    with pytest.raises(ApiError, match="no"):
        await desk.reconcile()
    assert desk.verdicts() == {"a": (True, "WriteRefused")}

    assert await desk.reconcile() == ["apply"]
    assert desk.verdicts() == {"a": (True, "")}


@pytest.mark.parametrize("error", [ApiError(409, "Conflict", "no"), ApiError(0, "Unreachable", "no")])
async def test_what_may_pass_is_raised_to_be_tried_again_and_judges_nobody(error: ApiError) -> None:
    desk = Desk()
    desk.inform(body("a"))
    desk.refusals["apply"] = [error]

    with pytest.raises(ApiError, match="no"):
        await desk.reconcile()
    assert desk.verdicts() == {}


@pytest.mark.parametrize(
    "error",
    [
        ApiError(404, "NotFound", 'namespaces "shop" not found'),
        ApiError(
            403, "Forbidden", "unable to create new content in namespace shop because it is being terminated"
        ),
    ],
)
async def test_a_namespace_that_is_ending_is_left_in_peace(error: ApiError) -> None:
    desk = Desk()
    desk.inform(body("a"))
    desk.refusals["apply"] = [error]

    assert await desk.reconcile() == ["apply"]
    assert desk.judged == []


@pytest.mark.parametrize("data", [{}, {"a.json": "theirs"}, {"junk": "x"}])
async def test_a_config_map_of_ours_whose_signs_are_wiped_off_is_repaired(data: dict[str, str]) -> None:
    desk = Desk(body("a"))
    desk.inform(body("a"))
    await desk.reconcile()
    desk.put(data, metadata={})
    desk.inform()

    assert "apply" in await desk.reconcile()
    assert desk.config_map is not None
    assert desk.config_map["data"] == delivered(body("a"))
    assert desk.config_map["metadata"]["labels"] == MANAGED_BY
    assert desk.verdicts() == {"a": (True, "")}


async def test_after_a_restart_a_config_map_is_known_by_the_documents_of_the_policies_in_it() -> None:
    desk = Desk(body("a", generation=2), body("b"))
    desk.put({**delivered(body("a")), "junk": "x"}, metadata={})
    desk.inform(body("a", generation=2), body("b"))

    assert await desk.reconcile() == ["list", "apply", "drop junk"]
    assert desk.config_map is not None
    assert desk.config_map["data"] == delivered(body("a", generation=2), body("b"))


async def test_documents_of_another_policy_of_that_name_are_no_sign() -> None:
    desk = Desk(body("a"))
    desk.put(delivered(body("a", uid="before")), metadata={})
    desk.inform(body("a"))

    assert await desk.reconcile() == []
    assert desk.verdicts() == {"a": (True, "ConfigMapForeign")}


async def test_a_foreign_config_map_takes_no_request_and_is_told_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    desk = Desk()
    desk.put({"a.json": "theirs"}, metadata={"labels": {"app": "x"}})
    desk.inform(body("a"))

    for _ in range(3):
        assert await desk.reconcile() == []

    assert desk.verdicts() == {"a": (True, "ConfigMapForeign")}
    assert desk.judged == ["shop"]
    assert len(caplog.records) == 1


# ── somebody who goes on changing it ──

RIVAL = {
    "labels": MANAGED_BY,
    "managedFields": [
        {"manager": FIELD_MANAGER, "time": "2026-11-24T09:32:00Z"},
        {"manager": "helm", "time": "2026-11-24T09:30:00Z"},
        {"manager": "argocd", "time": "2026-11-24T09:31:00Z"},
    ],
}


async def fight(desk: Desk, seconds: float) -> list[float]:
    """Somebody undoes every write, 20 times a second; when it was written again, from the start on."""
    begin, writes = desk.now, []
    while desk.now < begin + seconds:
        desk.put({"a.json": "theirs"}, metadata=RIVAL)
        desk.inform()
        if "apply" in await desk.reconcile():
            writes.append(desk.now - begin)
        desk.now += 0.05
    return [round(at) for at in writes]


async def quarrel() -> Desk:
    """A desk with a policy that was delivered."""
    desk = Desk(body("a"))
    desk.inform(body("a"))
    await desk.reconcile()
    return desk


async def test_changes_by_others_are_put_back_at_once_and_then_ever_less_often() -> None:
    desk = await quarrel()

    assert await fight(desk, 100) == [0, 1, 3, 7, 15, 31, 61, 91]


async def test_while_a_repair_waits_it_is_asked_for_again_and_costs_no_request() -> None:
    desk = await quarrel()
    await fight(desk, 0.05)
    desk.put({"junk": "theirs"}, metadata=RIVAL)
    desk.inform()

    assert await desk.reconcile() == []
    assert desk.again == pytest.approx(0.95)

    desk.now += 0.95
    assert await desk.reconcile() == ["list", "apply", "drop junk"]
    assert desk.again is None


async def test_a_config_map_that_is_deleted_again_and_again_comes_back_ever_less_often() -> None:
    desk, writes = await quarrel(), 0
    for _ in range(10 * 20):
        desk.informed.forget_config_map("shop")
        desk.config_map = None
        writes += len(await desk.reconcile())
        desk.now += 0.05

    assert writes == 4


async def test_a_config_map_that_comes_back_without_policies_is_deleted_ever_less_often() -> None:
    desk, deletions = Desk(), 0
    for _ in range(10 * 20):
        desk.put({"a.json": "theirs"}, metadata=RIVAL)
        desk.inform()
        deletions += (await desk.reconcile()).count("delete")
        await desk.reconcile()
        desk.now += 0.05

    assert deletions == 4


async def test_what_the_policies_want_is_written_at_once_whoever_else_writes() -> None:
    desk = await quarrel()
    await fight(desk, 20)

    desk.standing = [body("a", generation=2)]
    desk.inform(body("a", generation=2))
    desk.put({"a.json": "theirs"}, metadata=RIVAL)
    desk.inform()

    assert await desk.reconcile() == ["apply"]
    assert desk.config_map is not None
    assert desk.config_map["data"] == delivered(body("a", generation=2))


async def test_a_change_after_a_while_of_peace_is_put_back_at_once() -> None:
    desk = await quarrel()
    await fight(desk, 40)
    await desk.reconcile()
    desk.now += CALM

    assert await fight(desk, 2) == [0, 1]
    assert LONGEST_PAUSE < CALM


async def test_who_goes_on_changing_it_is_told_once_for_each_time_it_was_put_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    desk = await quarrel()
    caplog.set_level("INFO")

    await fight(desk, 10)

    assert [record.getMessage() for record in caplog.records] == [
        "apply of configmap shop/switchgear-policies: 1 policies",
        *(
            "argocd keeps changing configmap shop/switchgear-policies: "
            f"it was put back, and next in {pause} s at the earliest"
            for pause in (2, 4, 8)
        ),
    ]


async def test_who_deletes_it_again_and_again_is_somebody(caplog: pytest.LogCaptureFixture) -> None:
    desk = await quarrel()
    for _ in range(2):
        desk.informed.forget_config_map("shop")
        await desk.reconcile()
        desk.now += 1

    assert [record.getMessage().partition(" keeps")[0] for record in caplog.records] == ["somebody"]
