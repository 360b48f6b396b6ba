"""`/metrics` over real HTTP on loopback: what it answers, and what cannot bring it down."""

import http.client
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest

from switchgear import server as server_module
from switchgear.server import MOST_CONNECTIONS, MetricsServer
from tests.unit.runtime.support import eventually


@pytest.fixture
def server() -> Iterator[MetricsServer]:
    server = MetricsServer(lambda: b"switchgear_up 1\n", 0, "127.0.0.1")
    assert server.start()
    yield server
    server.stop()


def ask(
    server: MetricsServer, method: str = "GET", path: str = "/metrics"
) -> tuple[int, bytes, dict[str, str]]:
    assert server.port
    with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)) as connection:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.read(), dict(answer.getheaders())


def connect(server: MetricsServer) -> socket.socket:
    assert server.port
    return socket.create_connection(("127.0.0.1", server.port), timeout=20)


def test_get_gives_the_metrics(server: MetricsServer) -> None:
    status, body, headers = ask(server)

    assert (status, body) == (200, b"switchgear_up 1\n")
    assert headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert headers["Server"] == "switchgear"
    assert ask(server, path="/metrics?name=x")[0] == 200


def test_head_gives_the_headers_alone(server: MetricsServer) -> None:
    status, body, headers = ask(server, "HEAD")

    assert (status, body, headers["Content-Length"]) == (200, b"", "16")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "BREW"])
def test_other_methods_are_refused(server: MetricsServer, method: str) -> None:
    status, _, headers = ask(server, method)

    assert (status, headers["Allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize("path", ["/", "/metricsx", "/metrics/", "/../etc/passwd"])
def test_other_paths_are_not_found(server: MetricsServer, path: str) -> None:
    assert ask(server, path=path)[0] == 404


def test_a_body_that_cannot_be_rendered_is_an_error_of_that_request_alone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    answers: Iterator[Exception | bytes] = iter([RuntimeError("no"), b"ok"])

    def render() -> bytes:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    server = MetricsServer(render, 0, "127.0.0.1")
    server.start()
    try:
        assert ask(server)[0] == 500
        assert ask(server)[:2] == (200, b"ok")
    finally:
        server.stop()
    assert "metrics could not be collected" in caplog.text


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"\x00\xff\x16\x03\x01\r\n\r\n",
        b"GET " + b"a" * 70_000 + b"\r\n\r\n",
    ],
)
def test_garbage_hurts_nobody(server: MetricsServer, request_bytes: bytes) -> None:
    with connect(server) as connection:
        connection.sendall(request_bytes)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65536):
            pass

    assert ask(server)[0] == 200


def test_silent_and_slow_clients_make_room_for_a_scrape(
    server: MetricsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "FAIR_TIME", 0.0)
    with ExitStack() as stack:
        silent = [stack.enter_context(connect(server)) for _ in range(3 * MOST_CONNECTIONS)]
        for connection in silent:
            connection.sendall(b"GET /metr")

        assert ask(server)[0] == 200
        running = [t for t in threading.enumerate() if t.name == "switchgear scrape"]
        assert len(running) <= MOST_CONNECTIONS + 1
        assert silent[0].recv(1) == b""


def test_a_newcomer_waits_for_a_place_while_all_are_freshly_taken(
    server: MetricsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "FAIR_TIME", 1e6)
    with ExitStack() as stack:
        idle = [stack.enter_context(connect(server)) for _ in range(MOST_CONNECTIONS)]
        eventually(lambda: server._server is not None and len(server._server._open) == MOST_CONNECTIONS)
        late = stack.enter_context(connect(server))
        late.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        late.settimeout(0.2)
        with pytest.raises(TimeoutError):
            late.recv(1)

        late.settimeout(20)
        idle[5].close()
        assert late.recv(15) == b"HTTP/1.0 200 OK"


def test_stopping_ends_the_wait_for_a_place(server: MetricsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "FAIR_TIME", 1e6)
    with ExitStack() as stack:
        for _ in range(MOST_CONNECTIONS + 1):
            stack.enter_context(connect(server))
        server.stop()
        eventually(lambda: not [t for t in threading.enumerate() if t.name == "switchgear metrics"])


def test_a_port_in_use_is_told_and_not_fatal(server: MetricsServer, caplog: pytest.LogCaptureFixture) -> None:
    assert server.port
    second = MetricsServer(lambda: b"", server.port, "127.0.0.1")

    assert second.start() is False
    assert second.port is None
    assert f"cannot listen on 127.0.0.1, port {server.port}" in caplog.text
    assert "SWITCHGEAR_METRICS_PORT" in caplog.text


def test_an_address_that_is_none_is_told_and_not_fatal(caplog: pytest.LogCaptureFixture) -> None:
    assert MetricsServer(lambda: b"", 0, "no such host").start() is False
    assert "no such host" in caplog.text


def test_without_an_address_it_listens_on_all_of_them() -> None:
    server = MetricsServer(lambda: b"x", 0)
    assert server.start()
    try:
        assert ask(server)[1] == b"x"
    finally:
        server.stop()


def test_stopping_frees_the_port_and_a_new_server_takes_it(server: MetricsServer) -> None:
    port = server.port
    assert port
    ask(server)
    server.stop()

    again = MetricsServer(lambda: b"again", port, "127.0.0.1")
    assert again.start()
    assert ask(again)[1] == b"again"
    again.stop()


def test_a_forked_child_lets_go_of_the_port(server: MetricsServer) -> None:
    assert server._server
    descriptor = server._server._listener.fileno()
    child = os.fork()
    if child == 0:
        try:
            os.fstat(descriptor)
        except OSError:
            os._exit(0 if server.port is None else 2)
        os._exit(1)

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert ask(server)[0] == 200


def test_no_thread_of_it_outlives_a_connection(server: MetricsServer) -> None:
    for _ in range(5):
        ask(server)

    eventually(lambda: not [t for t in threading.enumerate() if t.name == "switchgear scrape"])
