"""What a container's process is started with on the local node."""

from pathlib import Path

import pytest

from dev.node.environment import (
    ContainerConfigError,
    PodContext,
    command_line,
    container_environment,
    expand,
    localize,
    pod_field,
    relocate,
)
from dev.node.manifests import Container, Pod

POD = Pod.model_validate(
    {
        "metadata": {
            "name": "checkout-1",
            "namespace": "shop",
            "uid": "u-1",
            "labels": {"app": "checkout", "tier": 'we"b'},
            "annotations": {"team": "a"},
        },
        "spec": {"containers": [{"name": "main"}], "nodeName": "local"},
    }
)
CONTEXT = PodContext(
    pod_ip="127.0.9.2",
    host_ip="127.0.9.1",
    node_name="local",
    base={"PATH": "/bin"},
    config_maps={"settings": {"LEVEL": "debug", "SIZE": "3"}},
)


def environment(mounts: dict[str, Path] | None = None, **container: object) -> dict[str, str]:
    parsed = Container.model_validate({"name": "main", **container})
    return container_environment(POD, parsed, CONTEXT, mounts or {})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$(A)", "1"),
        ("a-$(A)-$(B)", "a-1-2"),
        ("$(MISSING)", "$(MISSING)"),
        ("$$(A)", "$(A)"),
        ("$$$(A)", "$1"),
        ("$A ${A} $", "$A ${A} $"),
        ("$(A", "$(A"),
    ],
)
def test_references_are_expanded_as_kubernetes_does(text: str, expected: str) -> None:
    assert expand(text, {"A": "1", "B": "2"}) == expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("metadata.name", "checkout-1"),
        ("metadata.namespace", "shop"),
        ("metadata.uid", "u-1"),
        ("metadata.labels['app']", "checkout"),
        ("metadata.labels['absent']", ""),
        ("metadata.annotations['team']", "a"),
        ("metadata.labels", 'app="checkout"\ntier="we\\"b"'),
        ("status.podIP", "127.0.9.2"),
        ("status.hostIP", "127.0.9.1"),
        ("spec.nodeName", "local"),
        ("spec.serviceAccountName", "default"),
    ],
)
def test_fields_of_the_pod_can_be_referred_to(path: str, expected: str) -> None:
    assert pod_field(POD, path, CONTEXT) == expected


def test_an_unknown_field_is_refused_by_name() -> None:
    with pytest.raises(ContainerConfigError, match=r"spec\.hostname.*known are .*status\.podIP"):
        pod_field(POD, "spec.hostname", CONTEXT)


def test_a_variable_sees_the_ones_before_it_and_env_wins_over_env_from() -> None:
    found = environment(
        envFrom=[{"prefix": "X_", "configMapRef": {"name": "settings"}}],
        env=[
            {"name": "X_SIZE", "value": "9"},
            {"name": "LATE", "value": "$(X_LEVEL)-$(X_SIZE)-$(AFTER)"},
            {"name": "AFTER", "value": "1"},
            {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
            {"name": "ONE", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "LEVEL"}}},
            {
                "name": "NONE",
                "valueFrom": {"configMapKeyRef": {"name": "absent", "key": "k", "optional": True}},
            },
        ],
    )

    assert found == {
        "PATH": "/bin",
        "X_LEVEL": "debug",
        "X_SIZE": "9",
        "LATE": "debug-9-$(AFTER)",
        "AFTER": "1",
        "IP": "127.0.9.2",
        "ONE": "debug",
    }


@pytest.mark.parametrize(
    ("container", "message"),
    [
        ({"envFrom": [{"configMapRef": {"name": "absent"}}]}, "configmap 'absent' not found"),
        ({"envFrom": [{"secretRef": {"name": "s"}}]}, "envFrom: the local node knows configMapRef only"),
        (
            {"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]},
            "env A: valueFrom: the local node knows",
        ),
        (
            {"env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "k"}}}]},
            "configmap 'settings' has no key 'k'",
        ),
    ],
)
def test_a_reference_that_cannot_be_filled_is_named(container: dict[str, object], message: str) -> None:
    with pytest.raises(ContainerConfigError, match=message):
        environment({}, **container)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/etc/app", "/real/app"),
        ("/etc/app/", "/real/app/"),
        ("/etc/app/a/b", "/real/app/a/b"),
        ("/etc/app/deep/x", "/real/deep/x"),
        ("/etc/apple", "/etc/apple"),
        ("--config=/etc/app/c", "--config=/real/app/c"),
        ("KEY=/etc/app/c", "KEY=/etc/app/c"),
        ("http://x/etc/app", "http://x/etc/app"),
        ("", ""),
    ],
)
def test_mount_paths_are_relocated_where_they_begin_a_value(text: str, expected: str) -> None:
    mounts = {"/etc/app": Path("/real/app"), "/etc/app/deep": Path("/real/deep")}

    assert relocate(text, mounts) == expected


def test_switchgears_own_mounts_are_told_by_variable() -> None:
    mounts = {"/etc/switchgear": Path("/real/policies"), "/etc/switchgear-podinfo": Path("/real/podinfo")}

    found = environment(mounts)

    assert (found["SWITCHGEAR_POLICY_DIR"], found["SWITCHGEAR_PODINFO_DIR"]) == (
        "/real/policies",
        "/real/podinfo",
    )


def test_the_manifest_may_set_switchgears_variables_itself() -> None:
    mounts = {"/etc/switchgear": Path("/real/policies"), "/other": Path("/real/other")}

    found = environment(mounts, env=[{"name": "SWITCHGEAR_POLICY_DIR", "value": "/other/sub"}])

    assert found["SWITCHGEAR_POLICY_DIR"] == "/real/other/sub"


def test_a_command_is_expanded_relocated_and_run_by_our_python() -> None:
    container = Container(
        name="main", command=("python", "-m", "app"), args=("--at", "$(IP)", "/data/x", "python")
    )

    words = command_line(container, {"IP": "127.0.9.2"}, {"/data": Path("/real")}, "/venv/bin/python")

    assert words == ["/venv/bin/python", "-m", "app", "--at", "127.0.9.2", "/real/x", "python"]


def test_a_probes_command_is_not_expanded() -> None:
    assert localize(["sh", "-c", "test $$(A)"], {}, "/venv/bin/python") == ["sh", "-c", "test $$(A)"]


def test_a_container_without_a_command_is_told_what_to_do() -> None:
    with pytest.raises(ContainerConfigError, match=r"container main: .*set command"):
        command_line(Container(name="main", args=("x",)), {}, {}, "python")
