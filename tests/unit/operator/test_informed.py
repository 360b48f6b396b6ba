"""API objects become values, and what is known only ever moves forward."""

from datetime import UTC, datetime
from typing import Any

import pytest

from switchgear_operator.informed import Informed, policy_of
from switchgear_operator.objects import METRICS_PATH, METRICS_PORT
from switchgear_operator.verdicts import Verdict

ACCEPTED = Verdict(True, "Accepted", "applies to calls of db", "db")


def policy(name: str = "a", uid: str = "u1", generation: int = 1, **more: Any) -> dict[str, Any]:
    metadata = {
        "namespace": "shop",
        "name": name,
        "uid": uid,
        "generation": generation,
        "creationTimestamp": "2026-11-24T09:30:00Z",
        "managedFields": [{"manager": "kubectl"}],
    }
    return {"metadata": metadata, "spec": {"target": {"name": "db"}}, **more}


def config_map(version: int, uid: str = "m1", **more: Any) -> dict[str, Any]:
    metadata = {
        "namespace": "shop",
        "name": "switchgear-policies",
        "uid": uid,
        "resourceVersion": f"{version}",
        **more.pop("metadata", {}),
    }
    return {"metadata": metadata, "data": {"a.json": f"{version}"}, **more}


def pod(**more: Any) -> dict[str, Any]:
    metadata = {"namespace": "shop", "name": "checkout", "uid": "p1", **more.pop("metadata", {})}
    return {
        "metadata": metadata,
        "spec": {},
        "status": {"phase": "Running", "podIP": "10.0.0.1"},
        **more,
    }


# ── policies ──


def test_a_policy_is_what_matters_of_it_and_nothing_else_is_kept() -> None:
    found = policy_of(policy(status={"state": "Closed"}))

    assert (found.key, found.uid, found.generation) == ("shop/a", "u1", 1)
    assert found.created == datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
    assert (found.spec, found.status) == ({"target": {"name": "db"}}, {"state": "Closed"})
    assert "managedFields" not in repr(found)


def test_a_policy_without_spec_or_status_is_one() -> None:
    found = policy_of({"metadata": policy()["metadata"]})

    assert (found.spec, found.status) == ({}, {})


def test_policies_come_and_go() -> None:
    informed = Informed()
    assert informed.namespaces() == []

    informed.learn_policy(policy("a", "u1"))
    informed.learn_policy(policy("b", "u2"))
    assert informed.namespaces() == ["shop"]
    assert [each.name for each in informed.policies_of("shop")] == ["a", "b"]
    assert informed.policy("shop", "c") is None

    informed.forget_policy("shop", "a", "u1")
    informed.forget_policy("shop", "b", "u2")
    assert informed.namespaces() == []
    assert informed.policies() == []


def test_the_end_of_a_policy_that_has_a_successor_of_its_name_is_no_end_of_that() -> None:
    informed = Informed()
    informed.learn_policy(policy("a", "new"))

    informed.forget_policy("shop", "a", "old")

    assert informed.policy("shop", "a") is not None


# ── verdicts ──


def test_a_verdict_holds_for_its_generation() -> None:
    informed = Informed()
    first = informed.learn_policy(policy())

    assert informed.learn_verdicts([first], {"a": ACCEPTED})
    assert informed.verdict(first) == ACCEPTED
    assert informed.verdict(informed.learn_policy(policy(generation=2))) is None
    assert informed.verdict(informed.learn_policy(policy(uid="another"))) is None


def test_a_verdict_that_is_repeated_is_no_news() -> None:
    informed = Informed()
    found = informed.learn_policy(policy())
    informed.learn_verdicts([found], {"a": ACCEPTED})

    assert not informed.learn_verdicts([found], {"a": ACCEPTED})
    assert informed.learn_verdicts([informed.learn_policy(policy(generation=2))], {"a": ACCEPTED})


def test_a_verdict_is_forgotten_with_its_policy() -> None:
    informed = Informed()
    found = informed.learn_policy(policy())
    informed.learn_verdicts([found], {"a": ACCEPTED})

    informed.forget_policy("shop", "a", "u1")

    assert informed.verdict(found) is None
    assert informed._verdicts == {}


# ── ConfigMaps ──


def test_a_watch_that_lags_behind_our_own_write_changes_nothing() -> None:
    informed = Informed()
    informed.learn_config_map(config_map(20))

    informed.learn_config_map(config_map(9))

    known = informed.config_map("shop")
    assert known is not None
    assert known.data == {"a.json": "20"}


def test_versions_are_numbers() -> None:
    informed = Informed()
    informed.learn_config_map(config_map(9))

    informed.learn_config_map(config_map(10))

    known = informed.config_map("shop")
    assert known is not None
    assert known.resource_version == "10"


def test_a_config_map_that_was_made_anew_replaces_the_old_one() -> None:
    informed = Informed()
    informed.learn_config_map(config_map(20, uid="m1"))

    informed.learn_config_map(config_map(21, uid="m2"))

    known = informed.config_map("shop")
    assert known is not None
    assert known.uid == "m2"


@pytest.mark.parametrize(
    ("metadata", "ours", "labelled"),
    [
        ({}, False, False),
        ({"labels": {"app": "x"}}, False, False),
        ({"labels": {"app.kubernetes.io/managed-by": "Helm"}}, False, False),
        ({"labels": {"app.kubernetes.io/managed-by": "switchgear-operator", "x": "y"}}, True, True),
        ({"managedFields": [{"manager": "kubectl"}, {"manager": "switchgear-operator"}]}, True, False),
        ({"managedFields": [{"manager": "kubectl"}]}, False, False),
    ],
    ids=["bare", "other label", "another's", "labelled", "label removed", "another's fields"],
)
def test_whose_a_config_map_is(metadata: dict[str, Any], ours: bool, labelled: bool) -> None:
    informed = Informed()
    informed.learn_config_map(config_map(1, metadata=metadata))

    known = informed.config_map("shop")
    assert known is not None
    assert (known.ours, known.labelled) == (ours, labelled)


def test_a_config_map_that_was_ours_stays_ours_whatever_is_wiped_off_it() -> None:
    informed = Informed()
    informed.learn_config_map(config_map(1, metadata={"managedFields": [{"manager": "switchgear-operator"}]}))

    for version in (2, 3):
        informed.learn_config_map(config_map(version))

    known = informed.config_map("shop")
    assert known is not None
    assert (known.resource_version, known.ours, known.labelled) == ("3", True, False)


def test_a_successor_of_a_config_map_that_was_ours_is_not_ours_for_that() -> None:
    informed = Informed()
    informed.learn_config_map(config_map(1, metadata={"managedFields": [{"manager": "switchgear-operator"}]}))

    informed.learn_config_map(config_map(2, uid="m2"))

    known = informed.config_map("shop")
    assert known is not None
    assert not known.ours


@pytest.mark.parametrize(
    ("entries", "changed_by"),
    [
        (None, None),
        ([{"manager": "switchgear-operator", "time": "2026-11-24T09:30:00Z"}], None),
        ([{"operation": "Update"}, {"manager": "kubectl-edit"}], "kubectl-edit"),
        (
            [
                {"manager": "argocd", "time": "2026-11-24T09:31:00Z"},
                {"manager": "helm", "time": "2026-11-24T09:30:00Z"},
                {"manager": "switchgear-operator", "time": "2026-11-24T09:32:00Z"},
            ],
            "argocd",
        ),
    ],
)
def test_who_else_changed_a_config_map_last(
    entries: list[dict[str, str]] | None, changed_by: str | None
) -> None:
    informed = Informed()
    informed.learn_config_map(config_map(1, metadata={"managedFields": entries}))

    known = informed.config_map("shop")
    assert known is not None
    assert known.changed_by == changed_by


def test_a_config_map_without_data_and_with_binary_data() -> None:
    informed = Informed()
    informed.learn_config_map({**config_map(1), "data": None, "binaryData": {"blob": "AA=="}})

    known = informed.config_map("shop")
    assert known is not None
    assert (known.data, known.foreign_binary) == ({}, ("blob",))


# ── pods ──


def test_a_pod_with_nothing_said_is_asked_where_the_library_serves() -> None:
    informed = Informed()
    informed.learn_pod(pod())

    (found,) = informed.pods("shop")
    assert (found.ip, found.running, found.host_network) == ("10.0.0.1", True, False)
    assert (found.metrics_port, found.metrics_path) == (METRICS_PORT, METRICS_PATH)


@pytest.mark.parametrize(
    ("port", "expected"),
    [
        ("9100", 9100),
        ("0", 0),
        ("http", 0),
        ("-1", 0),
        ("99999", 99999),
        ("999999", 0),
        ("٨٠", 0),
        (" 80", 0),
    ],
)
def test_a_port_that_is_none_is_left_for_the_scrape_to_report(port: str, expected: int) -> None:
    informed = Informed()
    informed.learn_pod(pod(metadata={"annotations": {"switchgear.dev/metrics-port": port}}))

    assert [each.metrics_port for each in informed.pods("shop")] == [expected]


@pytest.mark.parametrize(
    "more",
    [
        {"status": {"phase": "Pending"}},
        {"status": {"phase": "Succeeded", "podIP": "10.0.0.1"}},
        {"status": {}},
        {"metadata": {"deletionTimestamp": "2026-11-24T09:30:00Z"}},
    ],
    ids=["pending", "succeeded", "new", "being deleted"],
)
def test_a_pod_that_is_not_running_is_not_expected(more: dict[str, Any]) -> None:
    informed = Informed()
    informed.learn_pod(pod(**more))

    assert [each.running for each in informed.pods("shop")] == [False]


def test_a_pod_that_is_gone_is_forgotten() -> None:
    informed = Informed()
    informed.learn_pod(pod())

    informed.forget_pod("shop", "checkout")
    informed.forget_pod("shop", "never-there")

    assert informed.pods("shop") == []
