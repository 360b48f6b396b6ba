"""Volumes of the local node follow the API, as the kubelet's do."""

import json

from tests.cluster.node.pods import Json, Pods
from tests.support.waiting import eventually

WAIT = "import signal; print('up', flush=True); signal.pause()"


def config_volume(name: str, mount: str, **source: object) -> tuple[Json, Json]:
    container: Json = {"volumeMounts": [{"name": "files", "mountPath": mount}]}
    return container, {"volumes": [{"name": "files", "configMap": {"name": name, **source}}]}


def test_a_config_map_that_comes_changes_and_goes_is_followed(pods: Pods) -> None:
    container, volumes = config_volume("switchgear-policies", "/etc/switchgear", optional=True)
    pods.create("reader", WAIT, container=container, **volumes)
    pods.printed("reader", "up")
    data = pods.folder("reader") / "volumes" / "files" / "..data"
    assert list(data.iterdir()) == []

    pods.apply("ConfigMap", "switchgear-policies", data={"a.json": "1"})
    eventually(lambda: (data / "a.json").is_file() and (data / "a.json").read_text() == "1")
    pods.apply("ConfigMap", "switchgear-policies", data={"a.json": "2", "b.json": "3"})
    eventually(
        lambda: {path.name: path.read_text() for path in data.iterdir()} == {"a.json": "2", "b.json": "3"}
    )
    pods.kubectl("delete", "configmap", "switchgear-policies", "-n", pods.namespace)
    eventually(lambda: list(data.iterdir()) == [])

    assert pods.status("reader")["restartCount"] == 0


def test_the_library_is_told_where_its_policies_are(pods: Pods) -> None:
    pods.apply("ConfigMap", "switchgear-policies", data={"a.json": "here"})
    container, volumes = config_volume("switchgear-policies", "/etc/switchgear", optional=True)
    program = "import os; print(open(os.environ['SWITCHGEAR_POLICY_DIR'] + '/a.json').read())"

    pods.create("told", program, restartPolicy="Never", container=container, **volumes)

    pods.wait_phase("told", "Succeeded")
    assert pods.log("told") == "here\n"


def test_items_pick_keys_and_name_files(pods: Pods) -> None:
    pods.apply("ConfigMap", "settings", data={"a": "1", "b": "2"})
    container, volumes = config_volume("settings", "/config", items=[{"key": "b", "path": "sub/file"}])
    container["command"] = ["cat", "/config/sub/file"]

    pods.create("picky", restartPolicy="Never", container=container, **volumes)

    pods.wait_phase("picky", "Succeeded")
    assert pods.log("picky") == "2"


def test_a_pod_waits_for_a_config_map_that_it_requires(pods: Pods) -> None:
    container, volumes = config_volume("settings", "/config")
    pods.create("waiting", WAIT, container=container, **volumes)
    pods.wait(
        "waiting",
        lambda pod: "volume files: configmap 'settings' not found" in pod["status"].get("message", ""),
    )

    pods.apply("ConfigMap", "settings", data={"a": "1"})

    pods.wait_ready("waiting")
    assert "message" not in pods.get("waiting")["status"]


def test_the_downward_api_follows_the_pods_labels(pods: Pods) -> None:
    items = [
        {"path": "name", "fieldRef": {"fieldPath": "metadata.name"}},
        {"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}},
        {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}},
    ]
    container = {"volumeMounts": [{"name": "podinfo", "mountPath": "/etc/switchgear-podinfo"}]}
    pods.create(
        "down",
        WAIT,
        labels={"app": "a"},
        container=container,
        volumes=[{"name": "podinfo", "downwardAPI": {"items": items}}],
    )
    pods.printed("down", "up")
    folder = pods.folder("down") / "volumes" / "podinfo"
    assert [(folder / name).read_text() for name in ("name", "namespace", "labels")] == [
        "down",
        pods.namespace,
        'app="a"',
    ]

    pods.kubectl("label", "pod", "down", "-n", pods.namespace, "app=b", "--overwrite")

    eventually(lambda: (folder / "labels").read_text() == 'app="b"')


def test_a_pod_speaks_to_the_api_as_its_service_account(pods: Pods) -> None:
    pods.apply("ServiceAccount", "reader")
    program = """
import json, kubernetes
kubernetes.config.load_config()
review = kubernetes.client.AuthenticationV1Api().create_self_subject_review({})
print(json.dumps([review.status.user_info.username, review.status.user_info.extra]))
"""

    pods.create("account", program, restartPolicy="Never", serviceAccountName="reader")

    pods.wait_phase("account", "Succeeded")
    name, extra = json.loads(pods.log("account"))
    assert name == f"system:serviceaccount:{pods.namespace}:reader"
    assert extra["authentication.kubernetes.io/pod-name"] == ["account"]


def test_a_pod_that_wants_no_token_gets_none(pods: Pods) -> None:
    program = "import os; print('KUBECONFIG' in os.environ)"

    pods.create("none", program, restartPolicy="Never", automountServiceAccountToken=False)

    pods.wait_phase("none", "Succeeded")
    assert pods.log("none") == "False\n"
