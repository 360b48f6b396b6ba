"""Probes of the local node decide on readiness and restarts."""

from tests.cluster.node.pods import Pods

HTTP = """
import http.server, os, pathlib
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        broken = pathlib.Path(os.environ['SWITCH'], self.path[1:]).exists()
        self.send_response(503 if broken else 200)
        self.send_header('Content-Length', '0')
        self.end_headers()
    def log_message(self, *_): pass
print('up', flush=True)
http.server.ThreadingHTTPServer(('0.0.0.0', 8080), Handler).serve_forever()
"""


def http_pod(pods: Pods, name: str, **probes: object) -> None:
    """A pod whose path /x answers 503 while the file x exists in its volume."""
    container = {
        "ports": [{"name": "web", "containerPort": 8080}],
        "env": [{"name": "SWITCH", "value": "/switch"}],
        "volumeMounts": [{"name": "switch", "mountPath": "/switch"}],
        **probes,
    }
    pods.create(name, HTTP, container=container, volumes=[{"name": "switch", "emptyDir": {}}])


def http(path: str, **rest: object) -> dict[str, object]:
    return {"httpGet": {"path": path, "port": "web"}, "periodSeconds": 1, **rest}


def test_readiness_follows_its_probe_without_a_restart(pods: Pods) -> None:
    http_pod(pods, "ready", readinessProbe=http("/ready", failureThreshold=1))
    pods.wait_ready("ready")
    switch = pods.folder("ready") / "volumes" / "switch" / "ready"

    switch.touch()
    pods.wait_ready("ready", ready=False)
    switch.unlink()
    pods.wait_ready("ready")

    assert pods.status("ready")["restartCount"] == 0


def test_a_failed_liveness_probe_restarts_the_container_and_says_so(pods: Pods) -> None:
    http_pod(pods, "alive", livenessProbe=http("/alive", failureThreshold=2))
    pods.wait_ready("alive")
    switch = pods.folder("alive") / "volumes" / "switch" / "alive"

    switch.touch()
    pods.wait("alive", lambda _: pods.status("alive")["restartCount"] == 1)
    switch.unlink()

    ended = pods.status("alive")["lastState"]["terminated"]
    assert "liveness probe failed: GET http://127.0." in ended["message"]
    assert "answered 503" in ended["message"]


def test_the_startup_probe_holds_the_others_back(pods: Pods) -> None:
    probes = {
        "startupProbe": {
            "exec": {"command": ["test", "-e", "/switch/started"]},
            "periodSeconds": 1,
            "failureThreshold": 60,
        },
        "livenessProbe": {
            "exec": {"command": ["test", "-e", "/switch/started"]},
            "periodSeconds": 1,
            "failureThreshold": 1,
        },
    }
    http_pod(pods, "slow", **probes)
    pods.printed("slow", "up")
    assert (pods.status("slow")["started"], pods.status("slow")["ready"]) == (False, False)

    (pods.folder("slow") / "volumes" / "switch" / "started").touch()

    pods.wait_ready("slow")
    assert pods.status("slow")["restartCount"] == 0


def test_a_startup_probe_that_never_succeeds_restarts_the_container(pods: Pods) -> None:
    probe = {"tcpSocket": {"port": 9}, "periodSeconds": 1, "failureThreshold": 1}
    http_pod(pods, "never", startupProbe=probe)

    pods.wait("never", lambda _: pods.status("never")["restartCount"] >= 1)

    assert "startup probe failed" in pods.status("never")["lastState"]["terminated"]["message"]


def test_a_probe_that_gets_no_answer_in_time_has_failed(pods: Pods) -> None:
    probe = {"exec": {"command": ["sleep", "30"]}, "periodSeconds": 1, "failureThreshold": 1}
    http_pod(pods, "hanging", readinessProbe=probe)

    pods.printed("hanging", "up")
    pods.wait("hanging", lambda pod: pod["status"]["phase"] == "Running")

    pods.wait_ready("hanging", ready=False)


def test_pre_stop_runs_before_the_container_is_told_to_end(pods: Pods) -> None:
    program = "import signal, sys; signal.signal(15, lambda *_: sys.exit(print('term', flush=True))); print('up', flush=True); signal.pause()"
    hook = {"exec": {"command": ["sh", "-c", "echo hook >> $LOG"]}}
    container = {
        "lifecycle": {"preStop": hook},
        "env": [{"name": "LOG", "value": str(pods.node.log(pods.namespace, "hooked", "main"))}],
    }
    pods.create("hooked", program, container=container)
    pods.printed("hooked", "up")

    pods.kubectl("delete", "pod", "hooked", "-n", pods.namespace, "--timeout=20s")

    assert pods.log("hooked") == "up\nhook\nterm\n"
