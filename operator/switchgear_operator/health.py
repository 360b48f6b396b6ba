"""The operator's own HTTP server: /healthz, /readyz and /metrics."""

from collections.abc import Callable

from aiohttp import web

from .metrics import Metrics

__all__ = ["serve_health"]


async def serve_health(
    address: str,
    port: int,
    *,
    metrics: Metrics,
    ailing: Callable[[], str],
    waiting_for: Callable[[], str],
) -> web.AppRunner:
    """Start to listen; `await runner.cleanup()` ends it.

    Args:
        address: IP address to listen on.
        port: Port to listen on.
        metrics: What /metrics shows.
        ailing: What is wrong so badly that only a restart helps, or nothing; /healthz fails by it.
        waiting_for: What is not there yet, or nothing; /readyz fails by it.

    Raises:
        OSError: The address is taken or not ours.
    """

    async def healthz(_: web.Request) -> web.Response:
        return _answer(ailing())

    async def readyz(_: web.Request) -> web.Response:
        return _answer(ailing() or waiting_for())

    async def show_metrics(_: web.Request) -> web.Response:
        return web.Response(
            body=metrics.render(), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}
        )

    app = web.Application()
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", show_metrics)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, address, port).start()
    return runner


def _answer(problem: str) -> web.Response:
    return web.Response(text=f"{problem or 'ok'}\n", status=503 if problem else 200)
