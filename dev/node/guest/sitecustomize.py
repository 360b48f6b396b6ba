"""A pod's network, as far as a Python process can have one without a network namespace.

The local node puts this folder first on PYTHONPATH, so that every Python process of a pod imports it at start:

* a socket that would listen on all addresses listens on the pod's own address instead;
* a Service's name resolves (`payments`, `payments.shop`, `payments.shop.svc`, `payments.shop.svc.cluster.local`);
* a connection to a Service's cluster IP goes to one of its ready pods, and is refused when there is none.

It uses the standard library only, for it runs in other people's programs. Programs that resolve names or open sockets in
C (grpcio, uvloop) do not see it; they get the pod's address from `status.podIP`.
"""

import errno
import json
import os
import random
import socket
from pathlib import Path
from typing import Any

_POD_IP = os.environ.get("SWITCHGEAR_NODE_POD_IP", "")
_NAMESPACE = os.environ.get("SWITCHGEAR_NODE_NAMESPACE", "")
_TABLE = Path(os.environ.get("SWITCHGEAR_NODE_NAMES", ""))
_ANY = {"", "0.0.0.0"}  # noqa: S104 - the addresses that are replaced

_Address = tuple[Any, ...] | str | bytes

_getaddrinfo = socket.getaddrinfo
_bind = socket.socket.bind
_connect = socket.socket.connect
_connect_ex = socket.socket.connect_ex


class _Services:
    """The node's table, read again whenever its file was replaced."""

    def __init__(self) -> None:
        self._stamp: tuple[int, int] = (0, 0)
        self._names: dict[str, list[str]] = {}
        self._endpoints: dict[str, list[list[str | int]]] = {}

    def addresses(self, host: str) -> list[str] | None:
        """What a Service's name resolves to; None when it is no Service's name."""
        self._refresh()
        name = host.lower().rstrip(".").removesuffix(".cluster.local").removesuffix(".svc")
        return self._names.get(name if "." in name else f"{name}.{_NAMESPACE}")

    def route(self, address: _Address) -> _Address:
        """The address of a ready pod for a cluster IP and port; any other address as it is. Raises `ConnectionRefusedError`."""
        if not isinstance(address, tuple) or len(address) != 2:
            return address
        self._refresh()
        backends = self._endpoints.get(f"{address[0]}:{address[1]}")
        if backends is None:
            return address
        if not backends:
            raise ConnectionRefusedError(errno.ECONNREFUSED, f"no ready pod behind {address[0]}:{address[1]}")
        return tuple(random.choice(backends))  # noqa: S311 - spreads load

    def _refresh(self) -> None:
        try:
            found = _TABLE.stat()
            if (stamp := (found.st_mtime_ns, found.st_ino)) == self._stamp:
                return
            table = json.loads(_TABLE.read_text())
        except OSError:
            return
        self._names, self._endpoints, self._stamp = table["names"], table["endpoints"], stamp


_services = _Services()


def _resolve(  # noqa: PLR0917 - as socket.getaddrinfo
    host: bytes | str | None,
    port: bytes | str | int | None,
    family: int = 0,
    type: int = 0,  # noqa: A002 - socket.getaddrinfo calls it so
    proto: int = 0,
    flags: int = 0,
) -> list[tuple[Any, ...]]:
    name = host.decode() if isinstance(host, bytes) else host
    passive = name is None and flags & socket.AI_PASSIVE
    if (passive or name in _ANY) and family in {socket.AF_UNSPEC, socket.AF_INET}:
        return list(_getaddrinfo(_POD_IP, port, socket.AF_INET, type, proto, flags))
    addresses = _services.addresses(name) if name else None
    if addresses is None:
        return list(_getaddrinfo(host, port, family, type, proto, flags))
    if not addresses or family == socket.AF_INET6:
        raise socket.gaierror(socket.EAI_NONAME, f"no address for Service {name}")
    return [found for ip in addresses for found in _getaddrinfo(ip, port, socket.AF_INET, type, proto, flags)]


def _bind_to_pod(self: socket.socket, address: _Address) -> None:
    if isinstance(address, tuple):
        if self.family == socket.AF_INET and address[0] in _ANY:
            address = (_POD_IP, *address[1:])
        elif self.family == socket.AF_INET6 and address[0] in {"", "::"} and _takes_ipv4(self):
            address = (f"::ffff:{_POD_IP}", *address[1:])
    _bind(self, address)


def _takes_ipv4(self: socket.socket) -> bool:
    return not self.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)


def _connect_to_pod(self: socket.socket, address: _Address) -> None:
    _connect(self, _services.route(address) if self.family == socket.AF_INET else address)


def _connect_ex_to_pod(self: socket.socket, address: _Address) -> int:
    try:
        return _connect_ex(self, _services.route(address) if self.family == socket.AF_INET else address)
    except ConnectionRefusedError as error:
        return error.errno or errno.ECONNREFUSED


if _POD_IP:
    socket.getaddrinfo = _resolve
    socket.socket.bind = _bind_to_pod  # type: ignore[assignment, method-assign]  # the patch is the purpose
    socket.socket.connect = _connect_to_pod  # type: ignore[assignment, method-assign]  # this is the patch
    socket.socket.connect_ex = _connect_ex_to_pod  # type: ignore[assignment, method-assign]  # likewise
