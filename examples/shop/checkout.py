"""Checkout: takes an order, has payments charge it, and answers quickly whatever payments does.

This is the program that switchgear protects. All it takes is marked (1), (2) and (3).

    POST /orders/{order}    check an order out
"""

import os
import time
from collections.abc import AsyncIterator

import httpx
from aiohttp import web

import switchgear
from switchgear.httpx import AsyncCircuitBreakerTransport

HOST = os.environ.get("HOST", "127.0.0.1")
PAYMENTS = os.environ.get("PAYMENTS_URL", "http://payments.shop:8080")

routes = web.RouteTableDef()
payments = web.AppKey("payments", httpx.AsyncClient)


async def open_client(app: web.Application) -> AsyncIterator[None]:
    """One client for the life of the process; (2) its transport guards every call that it makes."""
    async with httpx.AsyncClient(
        base_url=PAYMENTS, timeout=1.0, transport=AsyncCircuitBreakerTransport()
    ) as client:
        app[payments] = client
        yield


async def charge(client: httpx.AsyncClient, order: str) -> tuple[int, str]:
    """Have payments charge an order; return the HTTP status and the outcome to answer with."""
    try:
        response = await client.post(f"/charge/{order}")
        response.raise_for_status()
    except switchgear.CircuitOpenError:  # (3) the fallback: keep the order, charge it when payments is back
        return 202, "charged later"
    except httpx.HTTPError:
        return 502, "payments failed"
    return 200, "charged"


@routes.post("/orders/{order}")
async def check_out(request: web.Request) -> web.Response:
    """Check an order out, and tell what the guarded call took, as the header that is made for it."""
    started = time.perf_counter()
    status, outcome = await charge(request.app[payments], request.match_info["order"])
    milliseconds = (time.perf_counter() - started) * 1000
    headers = {"Server-Timing": f"payments;dur={milliseconds:.3f}"}
    return web.json_response({"outcome": outcome}, status=status, headers=headers)


@routes.get("/healthz")
async def healthz(_: web.Request) -> web.Response:
    """Say that checkout takes orders. It does not ask payments: that is what the breaker is for."""
    return web.Response(text="ok\n")


if __name__ == "__main__":
    switchgear.configure(metrics_port=9464)  # (1) finds the mounted policies, and serves /metrics
    app = web.Application()
    app.add_routes(routes)
    app.cleanup_ctx.append(open_client)
    web.run_app(app, host=HOST, port=8080, access_log=None, shutdown_timeout=1, print=None)
