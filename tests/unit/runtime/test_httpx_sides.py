"""What of an httpx call is the target's, and what is this side's own: errors, and time."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from switchgear.config import CircuitConfig
from switchgear.httpx import AsyncCircuitBreakerTransport, CallTimeoutError, CircuitBreakerTransport
from switchgear.registry import Registry
from tests.unit.runtime.web import CONFIG, Get, counted

LISTED = CircuitConfig(failure_exceptions=("httpx.TransportError",))
OTHERS_LISTED = CircuitConfig(failure_exceptions=("httpx.ConnectError",))
URL = "http://api.example/"


@pytest.mark.parametrize(
    ("config", "outcome"), [(CONFIG, "ignored"), (LISTED, "failure"), (OTHERS_LISTED, "ignored")]
)
def test_an_unsupported_scheme_counts_as_neither_unless_it_is_listed(
    registry: Registry, get: Get, config: CircuitConfig, outcome: str
) -> None:
    with pytest.raises(httpx.UnsupportedProtocol):
        get("ftp://api.example/", config)

    assert counted(registry.breaker_for("ftp://api.example/")) == {outcome: 1}


def test_a_header_that_cannot_be_sent_counts_as_neither(server: str, registry: Registry, get: Get) -> None:
    with pytest.raises(httpx.LocalProtocolError):
        get(f"{server}/status/200", headers={"X-Bad": "a\r\nb"})

    assert counted(registry.breaker_for(server)) == {"ignored": 1}


def test_a_body_that_cannot_be_sent_twice_counts_as_neither(server: str, registry: Registry) -> None:
    def body() -> Iterator[bytes]:
        yield b"a"

    with httpx.Client(transport=CircuitBreakerTransport(registry=registry, default=CONFIG)) as client:
        request = client.build_request("POST", f"{server}/status/200", content=body())
        client.send(request)
        with pytest.raises(httpx.StreamConsumed):
            client.send(request)

    assert counted(registry.breaker_for(server)) == {"success": 1, "ignored": 1}


@pytest.mark.parametrize("config", [CONFIG, CircuitConfig(call_timeout=0.1)])
def test_a_full_pool_counts_as_neither(server: str, registry: Registry, config: CircuitConfig) -> None:
    breaker = registry.breaker_for(server, config)
    inner = httpx.HTTPTransport(limits=httpx.Limits(max_connections=1))
    transport = CircuitBreakerTransport(inner, registry=registry)
    with (
        httpx.Client(transport=transport, timeout=0.1) as client,
        client.stream("GET", f"{server}/status/200"),
        pytest.raises(httpx.PoolTimeout),
    ):
        client.get(f"{server}/status/200")

    assert counted(breaker) == {"success": 1, "ignored": 1}


async def test_a_full_async_pool_counts_as_neither_even_if_only_call_timeout_ends_the_wait(
    server: str, registry: Registry
) -> None:
    breaker = registry.breaker_for(server, CircuitConfig(call_timeout=0.5))
    inner = httpx.AsyncHTTPTransport(limits=httpx.Limits(max_connections=1))
    transport = AsyncCircuitBreakerTransport(inner, registry=registry)
    async with (
        httpx.AsyncClient(transport=transport, timeout=None) as client,
        client.stream("GET", f"{server}/status/200"),
    ):
        with pytest.raises(httpx.PoolTimeout):
            await client.get(f"{server}/status/200")

    assert counted(breaker) == {"success": 1, "ignored": 1}


def test_the_readers_own_time_makes_no_call_slow(server: str) -> None:
    now = [0.0]
    registry = Registry(clock=lambda: now[0])
    breaker = registry.breaker_for(server, CircuitConfig(slow_call_duration=5.0))
    with (
        httpx.Client(transport=CircuitBreakerTransport(registry=registry)) as client,
        client.stream("GET", f"{server}/status/200") as response,
    ):
        now[0] += 60.0
        response.read()

    assert (counted(breaker), breaker.reading().slow_calls) == ({"success": 1}, 0)


@pytest.mark.parametrize("status", [200, 500])
def test_the_time_to_the_headers_makes_a_call_slow(status: int) -> None:
    now = [0.0]
    registry = Registry(clock=lambda: now[0])

    def answer(_: httpx.Request) -> httpx.Response:
        now[0] += 60.0
        return httpx.Response(status)

    config = CircuitConfig(slow_call_duration=5.0)
    transport = CircuitBreakerTransport(httpx.MockTransport(answer), registry=registry, default=config)
    with httpx.Client(transport=transport) as client:
        client.get(URL)

    assert registry.breaker_for(URL).reading().slow_calls == 1


class LoopClock:
    """The event loop's clock, moved on by hand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.loop = asyncio.get_running_loop()
        self._passed = 0.0
        real_time = self.loop.time
        monkeypatch.setattr(self.loop, "time", lambda: real_time() + self._passed)

    def advance(self, seconds: float) -> None:
        self._passed += seconds

    async def wait(self, seconds: float) -> None:
        """Let `seconds` pass while the caller waits, so that timeouts which are due fire."""
        turn = self.loop.create_future()
        self.advance(seconds)
        self.loop.call_soon(self.loop.call_soon, turn.set_result, None)
        await turn


@pytest.mark.parametrize(("call_timeout", "read"), [(130.0, 3), (110.0, 2)])
async def test_call_timeout_runs_while_chunks_are_waited_for_and_not_while_they_are_used(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, call_timeout: float, read: int
) -> None:
    clock = LoopClock(monkeypatch)

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(3):
            await clock.wait(40.0)
            yield b"x"

    seen = []

    async def use_all(response: httpx.Response) -> None:
        async for chunk in response.aiter_raw():
            seen.append(chunk)
            clock.advance(1000.0)

    inner = httpx.MockTransport(lambda request: httpx.Response(200, content=chunks()))
    transport = AsyncCircuitBreakerTransport(
        inner, registry=registry, default=CircuitConfig(call_timeout=call_timeout)
    )
    async with httpx.AsyncClient(transport=transport) as client, client.stream("GET", URL) as response:
        if read == 3:
            await use_all(response)
        else:
            with pytest.raises(CallTimeoutError):
                await use_all(response)

    assert len(seen) == read
    assert counted(registry.breaker_for(URL)) == {"success" if read == 3 else "failure": 1}
