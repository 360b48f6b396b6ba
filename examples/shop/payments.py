"""Payments: the service that everybody depends on. It behaves as it is told to.

POST /charge/{order}    charge an order
PUT  /behaviour         what charging does from now on; the body is one of well, hang, fail
"""

import asyncio
import os
import random

from aiohttp import web

HOST = os.environ.get("HOST", "127.0.0.1")
BEHAVIOURS = ("well", "hang", "fail")

routes = web.RouteTableDef()
behaviour = "well"


@routes.post("/charge/{order}")
async def charge(request: web.Request) -> web.Response:
    """Charge an order, as well as payments can at the moment."""
    if behaviour == "fail":
        raise web.HTTPServiceUnavailable(text="the ledger is down\n")
    await asyncio.sleep(10 if behaviour == "hang" else random.uniform(0.010, 0.020))
    return web.json_response({"order": request.match_info["order"], "charged": True})


@routes.put("/behaviour")
async def behave(request: web.Request) -> web.Response:
    """Turn payments well, hanging or failing."""
    global behaviour  # noqa: PLW0603  # one process, one behaviour: a class would only hide it
    wanted = (await request.text()).strip()
    if wanted not in BEHAVIOURS:
        raise web.HTTPBadRequest(text=f"behaviour is {wanted!r}: give one of {', '.join(BEHAVIOURS)}\n")
    behaviour = wanted
    return web.Response(text=f"{behaviour}\n")


@routes.get("/healthz")
async def healthz(_: web.Request) -> web.Response:
    """Say that the process is up, whatever charging does."""
    return web.Response(text="ok\n")


if __name__ == "__main__":
    app = web.Application()
    app.add_routes(routes)
    web.run_app(app, host=HOST, port=8080, access_log=None, shutdown_timeout=1, print=None)
