"""A policy stays editable by every way that Kubernetes has."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from dev.controlplane import ControlPlane, KubectlError
from dev.controlplane.kubectl import run_kubectl
from tests.conftest import Kubectl
from tests.support.api import policy_manifest

MINIMAL = {"target": {"name": "orders-db"}}
COUNT = {"target": {"name": "orders-db"}, "trip": {"window": {"type": "Count", "size": 100}}}


class Policy:
    """One policy in a namespace, handled with the real kubectl."""

    def __init__(self, kubectl: Kubectl, namespace: str) -> None:
        self.kubectl = kubectl
        self.namespace = namespace

    def apply(self, spec: object, *options: str) -> None:
        manifest = policy_manifest(spec)
        self.kubectl("apply", "-n", self.namespace, "--validate=strict", *options, "-f", "-", stdin=manifest)

    def patch(self, change: object) -> None:
        self.kubectl("patch", "cbp", "policy", "-n", self.namespace, "--type=merge", "-p", json.dumps(change))

    @property
    def stored(self) -> Any:
        get = ("get", "cbp", "policy", "-n", self.namespace, "--show-managed-fields", "-o", "json")
        return json.loads(self.kubectl(*get))

    @property
    def window(self) -> Any:
        return self.stored["spec"]["trip"]["window"]


@pytest.fixture
def policy(cluster: ControlPlane, kubectl: Kubectl, namespace: str) -> Policy:
    return Policy(kubectl, namespace)


def edit(policy: Policy, cluster: ControlPlane, folder: Path, old: str, new: str) -> None:
    """`kubectl edit` with an editor that replaces `old` by `new`, and keeps what it is shown in the file `seen`."""
    editor = folder / "editor.py"
    editor.write_text(
        "import pathlib, sys\n"
        "text = pathlib.Path(sys.argv[1]).read_text()\n"
        f"pathlib.Path({str(folder / 'seen')!r}).write_text(text)\n"
        f"pathlib.Path(sys.argv[1]).write_text(text.replace({old!r}, {new!r}))\n"
    )
    run_kubectl(
        cluster.binaries.kubectl,
        cluster.kubeconfig,
        *("edit", "cbp", "policy", "-n", policy.namespace),
        environment={"KUBE_EDITOR": f"{sys.executable} {editor}", "TMPDIR": str(folder)},
    )


def test_kubectl_edit_changes_what_was_a_default(
    policy: Policy, cluster: ControlPlane, tmp_path: Path
) -> None:
    policy.apply(MINIMAL)

    edit(policy, cluster, tmp_path, "openDuration: 5s", "openDuration: 20s")

    assert policy.stored["spec"]["recovery"]["openDuration"] == "20s"


def test_kubectl_edit_shows_the_remedy_of_a_bad_change_and_keeps_the_policy(
    policy: Policy, cluster: ControlPlane, tmp_path: Path
) -> None:
    policy.apply(MINIMAL)
    before = policy.stored

    with pytest.raises(KubectlError, match="no valid changes were saved"):
        edit(policy, cluster, tmp_path, "openDuration: 5s", "openDuration: 1h")

    assert "raise maxOpenDuration or lower openDuration" in (tmp_path / "seen").read_text()
    assert policy.stored == before


def test_a_patch_changes_one_field_and_the_generation(policy: Policy) -> None:
    policy.apply(MINIMAL)
    before = policy.stored

    policy.patch({"spec": {"recovery": {"openDuration": "30s"}}})

    after = policy.stored
    assert after["metadata"]["generation"] == before["metadata"]["generation"] + 1
    before["spec"]["recovery"]["openDuration"] = "30s"
    assert after["spec"] == before["spec"]


def test_a_patch_to_null_brings_the_default_back(policy: Policy) -> None:
    policy.apply({**MINIMAL, "mode": "ForceOpen"})

    policy.patch({"spec": {"mode": None}})

    assert policy.stored["spec"]["mode"] == "Enforce"


def test_a_patch_to_another_kind_of_target_says_what_to_set_to_null(policy: Policy) -> None:
    policy.apply(MINIMAL)

    with pytest.raises(KubectlError, match="in a patch, set the others to null"):
        policy.patch({"spec": {"target": {"host": "a.example"}}})
    policy.patch({"spec": {"target": {"host": "a.example", "name": None}}})

    assert policy.stored["spec"]["target"] == {"host": "a.example"}


def test_a_patch_from_the_default_window_to_a_count_window_is_accepted(policy: Policy) -> None:
    policy.apply(MINIMAL)

    policy.patch({"spec": COUNT})

    assert policy.window == {"type": "Count", "size": 100, "duration": "10s"}


def test_an_apply_from_the_default_window_to_a_count_window_and_back_is_accepted(policy: Policy) -> None:
    policy.apply(MINIMAL)
    policy.apply(COUNT)
    assert policy.window["size"] == 100

    policy.apply(MINIMAL)

    assert policy.window == {"type": "Time", "duration": "10s"}


def test_a_patch_of_the_other_window_types_field_is_refused(policy: Policy) -> None:
    policy.apply(COUNT)

    with pytest.raises(KubectlError, match="remove duration"):
        policy.patch({"spec": {"trip": {"window": {"duration": "20s"}}}})


def test_a_patch_to_a_type_whose_field_is_missing_is_refused(policy: Policy) -> None:
    policy.apply(COUNT)

    with pytest.raises(KubectlError, match="needs duration: add one"):
        policy.patch({"spec": {"trip": {"window": {"type": "Time"}}}})


def test_another_manager_applies_a_field_of_its_own(policy: Policy) -> None:
    policy.apply(MINIMAL, "--server-side", "--field-manager=alice")

    policy.apply({"mode": "Observe", **MINIMAL}, "--server-side", "--field-manager=bob")

    managers = {entry["manager"] for entry in policy.stored["metadata"]["managedFields"]}
    assert {"alice", "bob"} <= managers
    assert policy.stored["spec"]["mode"] == "Observe"


def test_another_manager_is_told_of_a_conflict_and_may_force_it(policy: Policy) -> None:
    policy.apply({**MINIMAL, "mode": "Observe"}, "--server-side", "--field-manager=alice")
    bobs = {**MINIMAL, "mode": "ForceOpen"}

    with pytest.raises(KubectlError, match=r'conflict with "alice".*\.spec\.mode'):
        policy.apply(bobs, "--server-side", "--field-manager=bob")
    policy.apply(bobs, "--server-side", "--field-manager=bob", "--force-conflicts")

    assert policy.stored["spec"]["mode"] == "ForceOpen"


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ({"type": "Time", "duration": "1m"}, {"type": "Count", "size": 50}),
        ({"type": "Count", "size": 50}, {"type": "Time", "duration": "1m"}),
    ],
)
def test_another_manager_replaces_a_window_as_a_whole(
    policy: Policy, first: dict[str, object], then: dict[str, object]
) -> None:
    policy.apply({**MINIMAL, "trip": {"window": first}}, "--server-side", "--field-manager=alice")

    policy.apply(
        {**MINIMAL, "trip": {"window": then}}, "--server-side", "--field-manager=bob", "--force-conflicts"
    )

    assert policy.window == then


def test_a_server_side_apply_replaces_a_default_list(policy: Policy) -> None:
    policy.apply(MINIMAL, "--server-side")
    statuses = {"failures": ["503"]}

    policy.apply({**MINIMAL, "classify": {"httpStatuses": statuses}}, "--server-side")

    assert policy.stored["spec"]["classify"]["httpStatuses"]["failures"] == ["503"]


def test_a_label_is_added_without_a_new_generation(policy: Policy) -> None:
    policy.apply(MINIMAL)

    policy.kubectl("label", "cbp", "policy", "-n", policy.namespace, "team=shop")

    assert policy.stored["metadata"]["generation"] == 1


def test_a_name_too_long_for_its_configmap_key_is_refused(policy: Policy) -> None:
    longest = policy_manifest(MINIMAL, name="n" * 248)
    policy.kubectl("apply", "-n", policy.namespace, "-f", "-", stdin=longest)

    with pytest.raises(KubectlError, match=r"metadata\.name is too long: give a name of at most 248"):
        policy.kubectl(
            "apply", "-n", policy.namespace, "-f", "-", stdin=policy_manifest(MINIMAL, name="n" * 249)
        )
