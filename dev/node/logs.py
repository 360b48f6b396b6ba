"""The kubelet's endpoint behind `kubectl logs`: what containers printed, over HTTPS."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from socket import socket

from aiohttp import web

__all__ = ["serve_logs"]

_UNKNOWN = {"previous", "sinceSeconds", "sinceTime", "timestamps", "limitBytes"}
_CHUNK = 65536


@asynccontextmanager
async def serve_logs(
    listener: socket, certificate: Path, folder: Path, running: Callable[[str, str], bool]
) -> AsyncIterator[None]:
    """Answer `/containerLogs/NAMESPACE/POD/CONTAINER` on a listening socket.

    `certificate` is a PEM file with its key beside it as `.key`; `folder` holds NAMESPACE/POD/CONTAINER.log; a log is
    followed for as long as `running(namespace, pod)`.
    """

    async def answer(request: web.Request) -> web.StreamResponse:
        parts = request.match_info
        if unknown := _UNKNOWN & request.query.keys():
            raise web.HTTPNotImplemented(text=f"the local node cannot do {', '.join(sorted(unknown))}")
        path = folder / parts["namespace"] / parts["pod"] / f"{parts['container']}.log"
        if not path.is_file():
            raise web.HTTPNotFound(text=f"{parts['container']} has not been started")
        response = web.StreamResponse(headers={"Content-Type": "text/plain"})
        await response.prepare(request)
        with path.open("rb") as log:
            if lines := request.query.get("tailLines"):
                _skip_to_tail(log.seek, path.read_bytes(), int(lines))
            while True:
                last = not running(parts["namespace"], parts["pod"])
                while chunk := log.read(_CHUNK):
                    await response.write(chunk)
                if last or request.query.get("follow") != "true":
                    return response
                await asyncio.sleep(0.2)

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, certificate.with_suffix(".key"))
    app = web.Application()
    app.router.add_get("/containerLogs/{namespace}/{pod}/{container}", answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    try:
        await web.SockSite(runner, listener, ssl_context=context).start()
        yield
    finally:
        await runner.cleanup()


def _skip_to_tail(seek: Callable[[int], int], content: bytes, lines: int) -> None:
    ends = [index for index, byte in enumerate(content) if byte == ord("\n")]
    if lines == 0:
        seek(len(content))
    elif len(ends) > lines:
        seek(ends[-lines - 1] + 1)
