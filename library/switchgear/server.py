"""`/metrics` over HTTP, from daemon threads: small, bounded, and never the reason why a process fails."""

import contextlib
import errno
import logging
import socket
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler

from .exposition import CONTENT_TYPE
from .forks import Stage, after_fork

__all__ = ["MetricsServer"]

MOST_CONNECTIONS = 16
"""Connections served at a time. A new one waits for a place: the oldest makes room once it has had its fair time."""

FAIR_TIME = 1.0
"""Seconds that a connection may keep its place while others wait; a scrape takes a few milliseconds."""

IDLE_TIMEOUT = 5.0
"""Seconds that a connection may stay silent, or take to read the answer."""

_log = logging.getLogger("switchgear")


class MetricsServer:
    """Serves what `render` returns under `/metrics`.

    Args:
        render: Gives the body. It is called once for each request, on the request's thread.
        port: The port, 0 for any free one.
        address: The address to listen on; empty for all of them, IPv6 included where the machine has it.
    """

    def __init__(self, render: Callable[[], bytes], port: int, address: str = "") -> None:
        self._render = render
        self._wanted = (address, port)
        self._server: _Server | None = None
        after_fork(Stage.FILES, self._close_in_child)

    @property
    def port(self) -> int | None:
        """The port that it listens on; None if it does not."""
        return None if self._server is None else self._server.port

    def start(self) -> bool:
        """Listen. Returns whether that succeeded; if not, the log says why and what to do."""
        address, port = self._wanted
        try:
            self._server = _Server(_listen(address, port), self._render)
        except (OSError, OverflowError, UnicodeError) as error:
            _log.error(
                "metrics are not served: cannot listen on %s, port %d: %s. "
                "Free the port, or give another one to configure() or in SWITCHGEAR_METRICS_PORT",
                address or "any address",
                port,
                error,
            )
            return False
        threading.Thread(target=self._server.accept_all, name="switchgear metrics", daemon=True).start()
        return True

    def stop(self) -> None:
        """Stop listening and end the connections."""
        server, self._server = self._server, None
        if server is not None:
            server.close()

    def _close_in_child(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.abandon()


def _listen(address: str, port: int) -> socket.socket:
    if address:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        return socket.create_server((address, port), family=family, backlog=64)
    if socket.has_dualstack_ipv6():
        try:
            return socket.create_server(("::", port), family=socket.AF_INET6, backlog=64, dualstack_ipv6=True)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise
    return socket.create_server(("0.0.0.0", port), backlog=64)  # noqa: S104  # the scraper is elsewhere


class _Server:
    """Accepts connections and serves each on a thread of its own, a limited number at a time."""

    def __init__(self, listener: socket.socket, render: Callable[[], bytes]) -> None:
        self.render = render
        self.port: int = listener.getsockname()[1]
        self._listener = listener
        self._open: dict[socket.socket, float] = {}
        self._places = threading.Condition(threading.Lock())
        self._closed = False

    def accept_all(self) -> None:
        while not self._closed:
            try:
                connection, client = self._listener.accept()
                self._start(connection, client)
            except Exception:
                if not self._closed:
                    _log.debug("a connection could not be served", exc_info=True)
                    time.sleep(0.1)  # out of descriptors or threads: without a rest, this would spin
        self._listener.close()

    def close(self) -> None:
        self._closed = True
        _break(self._listener)  # wakes the thread that accepts, which then closes it
        with self._places:
            self._places.notify_all()
            for connection in self._open:
                _break(connection)

    def abandon(self) -> None:
        """In a forked child: close the copies of the parent's sockets, without a word to the other side."""
        self._listener.close()
        for connection in list(self._open):
            connection.close()

    def _start(self, connection: socket.socket, client: object) -> None:
        if not self._admit(connection):
            connection.close()
            return
        try:
            threading.Thread(
                target=self._serve, args=(connection, client), name="switchgear scrape", daemon=True
            ).start()
        except RuntimeError:  # no more threads can be had
            self._end(connection)
            raise

    def _admit(self, connection: socket.socket) -> bool:
        """Wait until there is a place for it; False if the server ends before."""
        with self._places:
            while len(self._open) >= MOST_CONNECTIONS and not self._closed:
                oldest = next(iter(self._open))
                wait = self._open[oldest] + FAIR_TIME - time.monotonic()
                if wait > 0:
                    self._places.wait(wait)
                else:
                    del self._open[oldest]
                    _break(oldest)
            if not self._closed:
                self._open[connection] = time.monotonic()
            return not self._closed

    def _serve(self, connection: socket.socket, client: object) -> None:
        try:
            connection.settimeout(IDLE_TIMEOUT)
            _Handler(connection, client, self)  # type: ignore[arg-type]  # it asks for no more than this server has
        except Exception:
            _log.debug("a scrape by %s ended early", client, exc_info=True)
        finally:
            self._end(connection)

    def _end(self, connection: socket.socket) -> None:
        with self._places:
            self._open.pop(connection, None)
            self._places.notify_all()
        _break(connection)
        connection.close()


def _break(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    server: _Server  # type: ignore[assignment]  # see _Server._serve

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def _refuse(self) -> None:
        self._send(HTTPStatus.METHOD_NOT_ALLOWED, b"only GET and HEAD\n", Allow="GET, HEAD")

    def __getattr__(self, name: str) -> Callable[[], None]:
        if name.startswith("do_"):
            return self._refuse
        raise AttributeError(name)

    def version_string(self) -> str:
        return "switchgear"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class's name
        _log.debug("metrics: %s", format % args)

    def _answer(self, *, with_body: bool) -> None:
        if self.path.partition("?")[0] != "/metrics":
            self._send(HTTPStatus.NOT_FOUND, b"metrics are at /metrics\n", with_body=with_body)
            return
        try:
            body = self.server.render()
        except Exception:
            _log.exception("metrics could not be collected")
            self._send(HTTPStatus.INTERNAL_SERVER_ERROR, b"see the log\n", with_body=with_body)
            return
        self._send(HTTPStatus.OK, body, with_body=with_body, content_type=CONTENT_TYPE)

    def _send(
        self,
        status: HTTPStatus,
        body: bytes,
        *,
        with_body: bool = True,
        content_type: str = "text/plain; charset=utf-8",
        **headers: str,
    ) -> None:
        self.send_response(status)
        for name, value in {
            "Content-Type": content_type,
            "Content-Length": str(len(body)),
            "Connection": "close",
            **headers,
        }.items():
            self.send_header(name, value)
        self.end_headers()
        if with_body:
            self.wfile.write(body)
