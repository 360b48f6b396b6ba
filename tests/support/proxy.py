"""A network that a test can take away: TCP connections through it are cut, refused, or silent."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["Network", "network_to"]


class Network:
    """Passes bytes between its own loopback port and another one, as long as it is up.

    Attributes:
        port: Where it listens.
        connections: How many connections it has taken.
    """

    def __init__(self, to_port: int) -> None:
        self._to_port = to_port
        self._sockets: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._flows = threading.Event()
        self.port = 0
        self.connections = 0
        self.come_up()

    @property
    def is_idle(self) -> bool:
        """Whether no connection is open, at either end."""
        return not self._sockets

    def cut(self) -> None:
        """End every connection; new ones are taken."""
        with self._lock:
            sockets, self._sockets = self._sockets, set()
        for each in sockets:
            _end(each)

    def go_down(self) -> None:
        """End every connection, and refuse new ones."""
        self._flows.set()
        _end(self._server)
        self.cut()

    def come_up(self) -> None:
        """Take connections, at the same port as before, and let bytes flow."""
        self._flows.set()
        self._server = socket.create_server(("127.0.0.1", self.port))
        self.port = self._server.getsockname()[1]
        threading.Thread(target=self._accept, args=(self._server,), daemon=True).start()

    def stall(self) -> None:
        """Keep the connections, and pass nothing on."""
        self._flows.clear()

    def kubeconfig(self, original: Path, path: Path) -> Path:
        """Write a kubeconfig that leads through this network; returns its path."""
        document = json.loads(original.read_text())
        document["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{self.port}"
        path.touch(mode=0o600)
        path.write_text(json.dumps(document))
        return path

    def flow(self) -> None:
        """Pass everything on again."""
        self._flows.set()

    def _accept(self, server: socket.socket) -> None:
        with suppress(OSError):  # it went down
            while True:
                client = server.accept()[0]
                self.connections += 1
                self._connect(client)

    def _connect(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(("127.0.0.1", self._to_port))
        except OSError:
            _end(client)
            return
        with self._lock:
            self._sockets |= {client, server}
        for source, sink in ((client, server), (server, client)):
            threading.Thread(target=self._pass_on, args=(source, sink), daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                self._flows.wait()
                sink.sendall(data)
        _end(source)
        _end(sink)
        with self._lock:
            self._sockets -= {source, sink}


@contextmanager
def network_to(url: str) -> Iterator[Network]:
    """A network to the loopback port of a URL."""
    network = Network(int(url.rpartition(":")[2]))
    try:
        yield network
    finally:
        network.go_down()


def _end(each: socket.socket) -> None:
    with suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)
    each.close()
