"""A real HTTP server on loopback that answers as its paths say, for the tests of the httpx transports."""

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx

from switchgear.breaker import CircuitBreaker
from switchgear.config import CircuitConfig

CONFIG = CircuitConfig(consecutive_failures=2, open_duration=60.0)

Get = Callable[..., httpx.Response]
"""One GET (or another method) by a client of its own: `get(url, config, method, ...)`."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hang = threading.Event()

    def do_GET(self) -> None:
        kind, _, rest = self.path.strip("/").partition("/")
        getattr(self, f"answer_{kind}")(rest)

    do_POST = do_GET  # noqa: N815  # the base class asks for this name

    def answer_status(self, status: str) -> None:
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length) or b"hello"
        self.send_response(int(status))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def answer_redirect(self, rest: str) -> None:
        self.send_response(302)
        self.send_header("Location", f"/{rest}")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def answer_break(self, _: str) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "1000000")
        self.end_headers()
        self.wfile.write(b"only this")
        self.close_connection = True

    def answer_drop(self, _: str) -> None:
        self.close_connection = True

    def answer_hang(self, _: str) -> None:
        self.hang.wait(30)
        self.close_connection = True

    def answer_stall(self, _: str) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "10")
        self.end_headers()
        self.wfile.write(b"12345")
        self.wfile.flush()
        self.hang.wait(30)
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        pass


def counted(breaker: CircuitBreaker) -> dict[str, int]:
    return {outcome.value: total for outcome, total in breaker.reading().calls.items() if total}
