"""The network that the local node gives to unmodified Python programs, tried in real processes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

GUEST = Path(__file__).parents[3] / "dev" / "node" / "guest"
POD_IP = "127.0.253.7"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "names.json"
    path.write_text(json.dumps({"names": {}, "endpoints": {}}))
    return path


def run(program: str, table: Path, **environment: str) -> str:
    """What a Python program prints inside a pod."""
    inside = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(GUEST),
        "SWITCHGEAR_NODE_POD_IP": POD_IP,
        "SWITCHGEAR_NODE_NAMESPACE": "shop",
        "SWITCHGEAR_NODE_NAMES": str(table),
    }
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=inside | environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("host", ["", "0.0.0.0"])
def test_a_socket_on_all_addresses_listens_on_the_pods(table: Path, host: str) -> None:
    program = f"import socket; s = socket.create_server(({host!r}, 0)); print(s.getsockname()[0])"

    assert run(program, table) == POD_IP


@pytest.mark.parametrize("host", ["", "::"])
def test_a_socket_for_ipv6_and_ipv4_listens_on_the_pods(table: Path, host: str) -> None:
    program = (
        "import socket; s = socket.create_server"
        f"(({host!r}, 0), family=socket.AF_INET6, dualstack_ipv6=True); print(s.getsockname()[0])"
    )

    assert run(program, table) == f"::ffff:{POD_IP}"


@pytest.mark.parametrize("host", [None, "", "0.0.0.0"])
def test_an_asyncio_server_on_all_addresses_listens_on_the_pods_only(table: Path, host: str | None) -> None:
    program = f"""
import asyncio
async def main():
    server = await asyncio.start_server(lambda r, w: None, {host!r}, 0)
    print([s.getsockname()[0] for s in server.sockets])
asyncio.run(main())
"""

    assert run(program, table) == f"['{POD_IP}']"


def test_an_explicit_address_is_kept(table: Path) -> None:
    assert (
        run("import socket; s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[0])", table)
        == "127.0.0.1"
    )


@pytest.mark.parametrize(
    "name",
    [
        "payments",
        "payments.shop",
        "payments.shop.svc",
        "payments.shop.svc.cluster.local",
        "PAYMENTS.Shop.",
        b"payments",
    ],
)
def test_each_form_of_a_services_name_resolves(table: Path, name: str | bytes) -> None:
    table.write_text(json.dumps({"names": {"payments.shop": ["10.96.0.5"]}, "endpoints": {}}))

    found = run(
        f"import socket; print(socket.getaddrinfo({name!r}, 8080, type=socket.SOCK_STREAM)[0][4])", table
    )

    assert found == "('10.96.0.5', 8080)"


def test_a_short_name_means_the_pods_own_namespace(table: Path) -> None:
    table.write_text(
        json.dumps(
            {"names": {"payments.shop": ["10.96.0.5"], "payments.other": ["10.96.0.6"]}, "endpoints": {}}
        )
    )
    program = "import socket; print(socket.getaddrinfo('payments', 80)[0][4][0])"

    assert run(program, table, SWITCHGEAR_NODE_NAMESPACE="other") == "10.96.0.6"


def test_a_headless_service_without_pods_does_not_resolve(table: Path) -> None:
    table.write_text(json.dumps({"names": {"payments.shop": []}, "endpoints": {}}))
    program = """
import socket
try:
    socket.getaddrinfo('payments', 80)
except socket.gaierror as error:
    print(error.errno == socket.EAI_NONAME)
"""

    assert run(program, table) == "True"


CALLERS = {
    "http.client": "import urllib.request; print(urllib.request.urlopen('http://payments.shop/').read().decode())",
    "httpx": "import httpx; print(httpx.get('http://payments.shop/').text)",
    "httpx async": """
import asyncio, httpx
async def main():
    async with httpx.AsyncClient() as client:
        print((await client.get('http://payments.shop/')).text)
asyncio.run(main())
""",
    "aiohttp": """
import aiohttp, asyncio
async def main():
    async with aiohttp.ClientSession() as session, session.get('http://payments.shop/') as answer:
        print(await answer.text())
asyncio.run(main())
""",
    "connect_ex": """
import socket
s = socket.socket()
print(s.connect_ex(('10.96.0.5', 80)) or s.sendall(b'GET / HTTP/1.0\\r\\n\\r\\n') or s.makefile().read().split('\\n')[-1])
""",
}

SERVER = """
import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header('Content-Length', '5')
        self.end_headers()
        self.wfile.write(b'hello')
server = http.server.ThreadingHTTPServer(('0.0.0.0', 0), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
"""


@pytest.mark.parametrize("caller", CALLERS)
def test_a_call_to_a_service_reaches_a_ready_pod_at_its_target_port(table: Path, caller: str) -> None:
    environment = {"PYTHONPATH": str(GUEST), "SWITCHGEAR_NODE_POD_IP": POD_IP}
    with subprocess.Popen(
        [sys.executable, "-c", SERVER], env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as server:
        try:
            assert server.stdout is not None
            port = int(server.stdout.readline())
            endpoints = {"10.96.0.5:80": [[POD_IP, port]]}
            table.write_text(json.dumps({"names": {"payments.shop": ["10.96.0.5"]}, "endpoints": endpoints}))

            assert run(CALLERS[caller], table) == "hello"
        finally:
            server.kill()


def test_a_service_without_ready_pods_refuses_the_connection(table: Path) -> None:
    table.write_text(
        json.dumps({"names": {"payments.shop": ["10.96.0.5"]}, "endpoints": {"10.96.0.5:80": []}})
    )
    program = """
import errno, socket
try:
    socket.create_connection(('payments.shop', 80))
except ConnectionRefusedError as error:
    print(error)
print(socket.socket().connect_ex(('10.96.0.5', 80)) == errno.ECONNREFUSED)
"""

    assert run(program, table) == "[Errno 111] no ready pod behind 10.96.0.5:80\nTrue"


def test_a_running_process_follows_a_changed_table(table: Path) -> None:
    program = f"""
import json, os, pathlib, socket
print(socket.getaddrinfo('localhost', 80)[0][4][1])
fresh = pathlib.Path({str(table)!r} + '.tmp')
fresh.write_text(json.dumps({{'names': {{'late.shop': ['10.96.0.9']}}, 'endpoints': {{}}}}))
fresh.rename({str(table)!r})
print(socket.getaddrinfo('late', 80)[0][4][0])
"""

    assert run(program, table) == "80\n10.96.0.9"


def test_outside_a_pod_nothing_is_patched(table: Path) -> None:
    program = "import socket; print(socket.getaddrinfo.__module__, 'bind' in vars(socket.socket))"

    assert run(program, table, SWITCHGEAR_NODE_POD_IP="") == "socket False"
