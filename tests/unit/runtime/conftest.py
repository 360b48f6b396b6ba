"""Fixtures of the tests of the httpx transports."""

import asyncio
import threading
from collections.abc import Iterator

import httpx
import pytest

from switchgear.config import CircuitConfig
from switchgear.httpx import AsyncCircuitBreakerTransport, CircuitBreakerTransport
from switchgear.registry import Registry
from tests.unit.runtime.web import CONFIG, Get, Handler, Server


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    Handler.hang.set()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def registry() -> Registry:
    return Registry()


@pytest.fixture(params=["sync", "async"])
def get(request: pytest.FixtureRequest, registry: Registry) -> Get:
    """One GET (or another method) by a client of its own, sync or async."""

    def get_sync(
        url: str, config: CircuitConfig = CONFIG, method: str = "GET", **more: object
    ) -> httpx.Response:
        transport = CircuitBreakerTransport(registry=registry, default=config)
        with httpx.Client(transport=transport, follow_redirects=True) as client:
            return client.request(method, url, **more)  # type: ignore[arg-type]  # as httpx takes them

    def get_async(
        url: str, config: CircuitConfig = CONFIG, method: str = "GET", **more: object
    ) -> httpx.Response:
        async def run() -> httpx.Response:
            transport = AsyncCircuitBreakerTransport(registry=registry, default=config)
            async with httpx.AsyncClient(transport=transport, follow_redirects=True) as client:
                return await client.request(method, url, **more)  # type: ignore[arg-type]  # as httpx takes them

        return asyncio.run(run())

    return get_sync if request.param == "sync" else get_async
