"""Pods of the local node find one another by Service, and use the same ports side by side."""

from tests.cluster.node.pods import Pods

SERVER = """
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = os.environ['HOSTNAME'].encode()
        self.send_response(200)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)
http.server.ThreadingHTTPServer(('0.0.0.0', 8080), Handler).serve_forever()
"""
CALLER = """
import httpx
print(sorted({httpx.get('http://backend/').text for _ in range(40)}))
print(httpx.get('http://alone.%s.svc.cluster.local:8080/').text)
"""


def test_pods_share_a_port_and_are_called_through_services(pods: Pods) -> None:
    probe = {"readinessProbe": {"httpGet": {"port": 8080}, "periodSeconds": 1}}
    for name in ("one", "two"):
        pods.create(name, SERVER, labels={"app": "backend", "name": name}, container=probe)
    pods.apply(
        "Service",
        "backend",
        spec={"selector": {"app": "backend"}, "ports": [{"port": 80, "targetPort": 8080}]},
    )
    pods.apply(
        "Service", "alone", spec={"selector": {"name": "two"}, "clusterIP": "None", "ports": [{"port": 8080}]}
    )
    pods.wait_ready("one")
    pods.wait_ready("two")

    pods.create("caller", CALLER % pods.namespace, restartPolicy="OnFailure")

    pods.wait_phase("caller", "Succeeded")
    assert pods.log("caller").splitlines()[-2:] == ["['one', 'two']", "two"]
