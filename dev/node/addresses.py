"""Addresses for pods: one /24 of the loopback range per node, so that every pod can use the ports it likes."""

import errno
import random
import socket
from types import TracebackType
from typing import Self

__all__ = ["AddressBlock"]

_KUBELET_PORT = 10250


class AddressBlock:
    """The block 127.0.N.0/24 of one node: `host` is 127.0.N.1, pods get the rest.

    A listening socket on the host's kubelet port, held while the block is in use, keeps other nodes of this machine away.
    Raises `OSError` when no block is free, or when this machine cannot use more of the loopback range than 127.0.0.1.
    """

    def __init__(self) -> None:
        self.listener = _claim()
        self.host: str = self.listener.getsockname()[0]
        self._prefix = self.host.removesuffix("1")
        self._used: set[int] = set()
        self._last = 1

    @property
    def kubelet_port(self) -> int:
        """The port of `listener`."""
        return _KUBELET_PORT

    def allocate(self) -> str:
        """A pod address that was not used for as long as possible. Raises `RuntimeError` when all 253 are in use."""
        for step in range(253):
            candidate = 2 + (self._last - 1 + step) % 253
            if candidate not in self._used:
                self._used.add(candidate)
                self._last = candidate
                return f"{self._prefix}{candidate}"
        raise RuntimeError(f"all 253 pod addresses of {self._prefix}0/24 are in use; delete some pods")

    def release(self, address: str) -> None:
        """Give an address back."""
        self._used.discard(int(address.rpartition(".")[2]))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.listener.close()


def _claim() -> socket.socket:
    for block in random.sample(range(1, 255), 254):
        listener = socket.socket()
        try:
            listener.bind((f"127.0.{block}.1", _KUBELET_PORT))
            listener.listen()
        except OSError as error:
            listener.close()
            if error.errno != errno.EADDRINUSE:
                raise OSError(
                    error.errno,
                    f"the local node needs addresses of 127.0.0.0/8 beside 127.0.0.1, as Linux has them: {error.strerror}",
                ) from error
        else:
            return listener
    raise OSError(
        errno.EADDRINUSE, "all 254 blocks of loopback addresses are taken by other local nodes; stop some"
    )
