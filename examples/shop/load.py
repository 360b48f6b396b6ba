"""Load: the customers. Sends orders to every checkout pod at a steady rate, and remembers how each one went.

It also calls payments itself, without a breaker and with checkout's timeout: the control measurement.

    GET /calls?after=N    {"next": M, "calls": [[at, target, outcome, ms, inside_ms], ...]}, those after the first N

`at` is Unix time, `target` the pod's address or "control", `outcome` one of charged, later and failed, `ms` the
caller's wait, and `inside_ms` what checkout spent around its guarded call (null where it did not say).
"""

import asyncio
import itertools
import os
import socket
import time
from collections import deque
from collections.abc import AsyncIterator

import httpx
from aiohttp import web

HOST = os.environ.get("HOST", "127.0.0.1")
CHECKOUT = os.environ.get("CHECKOUT_HOST", "checkout.shop")  # a headless service: the name of every ready pod
PAYMENTS = os.environ.get("PAYMENTS_URL", "http://payments.shop:8080")
ORDERS_PER_SECOND = float(os.environ.get("ORDERS_PER_SECOND", "10"))  # to each checkout pod
CONTROLS_PER_SECOND = 4.0

OUTCOMES = {200: "charged", 202: "later"}

Call = tuple[float, str, str, float, float | None]

routes = web.RouteTableDef()
calls: deque[Call] = deque(maxlen=50_000)
total = 0


async def call(client: httpx.AsyncClient, url: str, target: str) -> None:
    """Make one call and remember how it went."""
    global total  # noqa: PLW0603  # one process, one history: a class would only hide it
    at, started = time.time(), time.perf_counter()
    try:
        response = await client.post(url)
        outcome = OUTCOMES.get(response.status_code, "failed")
        inside = response.headers.get("Server-Timing", "").partition("dur=")[2]
    except httpx.HTTPError:
        outcome, inside = "failed", ""
    waited = (time.perf_counter() - started) * 1000
    calls.append((at, target, outcome, waited, float(inside) if inside else None))
    total += 1


async def addresses(host: str) -> list[str]:
    """Return the address of every pod behind a headless service; none while it has no ready pod."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, 8080, type=socket.SOCK_STREAM)
    except OSError:
        return []
    return sorted({str(address[0]) for *_, address in found})


async def order(client: httpx.AsyncClient) -> None:
    """Send orders to each checkout pod, without waiting for one answer before the next order."""
    async with asyncio.TaskGroup() as answers:
        for number in itertools.count(1):
            for pod in await addresses(CHECKOUT):
                answers.create_task(call(client, f"http://{pod}:8080/orders/{number}", pod))
            await asyncio.sleep(1 / ORDERS_PER_SECOND)


async def control(client: httpx.AsyncClient) -> None:
    """Have payments charge orders directly: what a caller without a breaker goes through."""
    async with asyncio.TaskGroup() as answers:
        for number in itertools.count(1):
            answers.create_task(call(client, f"{PAYMENTS}/charge/control-{number}", "control"))
            await asyncio.sleep(1 / CONTROLS_PER_SECOND)


async def keep_calling(_: web.Application) -> AsyncIterator[None]:
    """Call until the program ends."""
    async with httpx.AsyncClient(timeout=5.0) as patient, httpx.AsyncClient(timeout=1.0) as client:
        running = [asyncio.create_task(order(patient)), asyncio.create_task(control(client))]
        yield
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


@routes.get("/calls")
async def remembered(request: web.Request) -> web.Response:
    """Tell the calls that were answered since the last time somebody asked."""
    news = min(max(0, total - int(request.query.get("after", "0"))), len(calls))
    return web.json_response({"next": total, "calls": list(itertools.islice(calls, len(calls) - news, None))})


@routes.get("/healthz")
async def healthz(_: web.Request) -> web.Response:
    """Say that the process is up."""
    return web.Response(text="ok\n")


if __name__ == "__main__":
    app = web.Application()
    app.add_routes(routes)
    app.cleanup_ctx.append(keep_calling)
    web.run_app(app, host=HOST, port=8080, access_log=None, shutdown_timeout=1, print=None)
