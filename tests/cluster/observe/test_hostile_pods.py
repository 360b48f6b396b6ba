"""Pods that hang, vanish, fail or lie cost the fleet nothing but their own place in it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from tests.cluster.observe.fleet import Fleet
from tests.support.operator import OperatorProcess

Answer = Callable[[BaseHTTPRequestHandler], None]


@contextmanager
def server(answer: Answer) -> Iterator[int]:
    """A pod's process that answers as it likes, on a port of 127.0.0.1."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # the base class's spelling
            try:
                answer(self)
            except ConnectionError:
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    serving = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=serving.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield serving.server_address[1]
    finally:
        serving.shutdown()
        serving.server_close()
        thread.join()


def says(body: bytes, status: int = 200, **headers: str) -> Answer:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(body)

    return answer


def floods(request: BaseHTTPRequestHandler) -> None:
    request.send_response(200)
    request.end_headers()
    for _ in range(1000):
        request.wfile.write(b"#" * 100_000)


def hangs(request: BaseHTTPRequestHandler) -> None:
    request.send_response(200)
    request.end_headers()
    request.rfile.read(1)


def series(policy: str, count: int) -> bytes:
    """That many series, each of another breaker of the policy."""
    line = f'switchgear_breaker_state{{policy="{policy}",breaker="%d",state="open"}} 1\n'
    return "".join(line % number for number in range(count)).encode()


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        pytest.param(hangs, "no answer within 0.2s", id="hangs"),
        pytest.param(says(b"<html>", 200), "no metric of switchgear", id="garbage"),
        pytest.param(says(b"", 500), "status 500", id="500"),
        pytest.param(
            says(b"", 302, Location="http://127.0.0.1:1/"), "redirects are not followed", id="redirect"
        ),
        pytest.param(says(b"\x1f\x8b", 200, **{"Content-Encoding": "gzip"}), "ends too early", id="gzip"),
        pytest.param(floods, "larger than 4194304 bytes", id="100 MB"),
    ],
)
def test_a_pod_that_misbehaves_is_named_and_the_others_are_counted(
    fleet: Fleet, operator: OperatorProcess, answer: Answer, complaint: str
) -> None:
    fleet.create()
    document = fleet.await_document(1)
    good = [fleet.start_pod(f"good-{number}", document) for number in range(2)]
    with server(answer) as port:
        fleet.add_pod("bad", "127.0.0.1", port=port)

        status = fleet.await_status(expected=3, reporting=2, updated=2)
        good[0].registry.breaker("payments").trip()
        fleet.await_status(state="Open", open=1)

    reporting = next(each for each in status["conditions"] if each["type"] == "Reporting")
    assert (reporting["status"], reporting["reason"]) == ("False", "SomeSilent")
    assert "bad" in reporting["message"]
    assert complaint in reporting["message"]


def test_a_flood_of_series_about_the_policy_is_refused(fleet: Fleet, operator: OperatorProcess) -> None:
    fleet.create()
    fleet.await_document(1)
    with server(says(series(f"{fleet.namespace}/payments", 30_000))) as port:
        fleet.add_pod("bad", "127.0.0.1", port=port)
        status = fleet.await_status(expected=1, reporting=0, state="Unknown")

    reporting = next(each for each in status["conditions"] if each["type"] == "Reporting")
    assert "above the limit of 24000" in reporting["message"]


def test_a_flood_of_series_about_policies_that_do_not_exist_changes_nothing(
    fleet: Fleet, operator: OperatorProcess
) -> None:
    fleet.create()
    document = fleet.await_document(1)
    fleet.start_pod("good", document)
    with server(says(series("a/b", 50_000))) as port:
        fleet.add_pod("bad", "127.0.0.1", port=port)

        fleet.await_status(expected=2, reporting=2, updated=1, state="Closed", open=0)


def test_a_pod_that_vanishes_is_missed_and_one_that_is_deleted_is_not(
    fleet: Fleet, operator: OperatorProcess
) -> None:
    fleet.create()
    document = fleet.await_document(1)
    fleet.start_pod("stays", document)
    leaves = fleet.start_pod("leaves", document)
    fleet.await_status(reporting=2)

    leaves.vanish()
    status = fleet.await_status(expected=2, reporting=1)
    assert "leaves (port 9464 refuses connections)" in status["conditions"][2]["message"]

    fleet.delete_pod("leaves")
    fleet.await_status(expected=1, reporting=1)


def test_a_pod_cannot_speak_for_policies_of_another_namespace(
    fleet: Fleet, operator: OperatorProcess
) -> None:
    fleet.create()
    policy = fleet.policy()
    lie = (
        f'switchgear_policy_generation{{policy="elsewhere/payments",uid="{policy["metadata"]["uid"]}"}} 1\n'
        'switchgear_breaker_state{policy="elsewhere/payments",breaker="payments",state="open"} 1\n'
    )
    with server(says(lie.encode())) as port:
        fleet.add_pod("liar", "127.0.0.1", port=port)

        fleet.await_status(state="Closed", reporting=1, updated=0, open=0)
