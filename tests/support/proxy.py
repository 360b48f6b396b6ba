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
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self.connections = 0
        self._sockets: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._is_up = True
        self._flows = threading.Event()
        self._flows.set()
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """End every connection; new ones are taken."""
        with self._lock:
            sockets, self._sockets = self._sockets, set()
        for each in sockets:
            _end(each)

    def go_down(self) -> None:
        """End every connection, and each new one at once."""
        self._is_up = False
        self.cut()

    def come_up(self) -> None:
        """Take connections again, and let bytes flow."""
        self._is_up = True
        self._flows.set()

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

    def close(self) -> None:
        """End it."""
        self._is_up = False
        self._flows.set()
        _end(self._server)
        self.cut()

    def _accept(self) -> None:
        with suppress(OSError):  # it was closed
            while True:
                client = self._server.accept()[0]
                self.connections += 1
                self._connect(client)

    def _connect(self, client: socket.socket) -> None:
        try:
            if not self._is_up:
                raise ConnectionRefusedError
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


@contextmanager
def network_to(url: str) -> Iterator[Network]:
    """A network to the loopback port of a URL."""
    network = Network(int(url.rpartition(":")[2]))
    try:
        yield network
    finally:
        network.close()


def _end(each: socket.socket) -> None:
    with suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)
    each.close()
