"""Breakers around a real httpx client that talks to a real server on loopback."""

import asyncio
import gc
import socket
import threading
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from switchgear.config import CircuitConfig
from switchgear.errors import CircuitOpenError
from switchgear.httpx import AsyncCircuitBreakerTransport, CallTimeoutError, CircuitBreakerTransport
from switchgear.registry import Registry
from switchgear.states import CircuitState, Outcome
from switchgear.targets import HostTarget
from tests.unit.runtime.support import document, eventually, eventually_async
from tests.unit.runtime.web import CONFIG, Get, counted


def test_a_good_answer_is_a_success(server: str, registry: Registry, get: Get) -> None:
    assert get(f"{server}/status/200").text == "hello"
    assert get(f"{server}/status/404").status_code == 404

    breaker = registry.breaker_for(server)
    assert counted(breaker) == {"success": 2}
    assert breaker.reading().in_flight == 0


def test_a_body_that_is_sent_arrives(server: str, get: Get) -> None:
    config = CircuitConfig(call_timeout=30)

    assert get(f"{server}/status/200", config, "POST", content=b"abc").content == b"abc"
    assert get(f"{server}/status/200", config, "POST", json={"a": 1}).json() == {"a": 1}


def test_failure_statuses_open_the_circuit_and_the_error_reaches_the_caller_as_itself(
    server: str, registry: Registry, get: Get
) -> None:
    assert get(f"{server}/status/503").status_code == 503
    assert get(f"{server}/status/429").status_code == 429
    with pytest.raises(CircuitOpenError) as caught:
        get(f"{server}/status/200")

    assert caught.value.last_error == "HTTP 429"
    assert 0 < caught.value.retry_after <= 66
    assert counted(registry.breaker_for(server)) == {"failure": 2, "rejected": 1}


def test_ignored_statuses_count_as_neither(server: str, registry: Registry, get: Get) -> None:
    get(f"{server}/status/404", CircuitConfig(ignored_http_statuses=("404",)))

    assert counted(registry.breaker_for(server)) == {"ignored": 1}


def test_connection_errors_are_failures_and_reach_the_caller(registry: Registry, get: Get) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/"
        for _ in range(2):
            with pytest.raises(httpx.ConnectError):
                get(url)
        with pytest.raises(CircuitOpenError) as caught:
            get(url)

    assert caught.value.last_error == "httpx.ConnectError"


def test_an_answer_that_never_comes_is_a_failure(server: str, registry: Registry, get: Get) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        get(f"{server}/drop")

    assert counted(registry.breaker_for(server)) == {"failure": 1}


def test_a_body_that_breaks_off_is_a_failure(server: str, registry: Registry, get: Get) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        get(f"{server}/break")

    breaker = registry.breaker_for(server)
    assert counted(breaker) == {"failure": 1}
    assert breaker.reading().in_flight == 0


def test_the_users_own_timeout_is_a_failure(server: str, registry: Registry, get: Get) -> None:
    with pytest.raises(httpx.ReadTimeout):
        get(f"{server}/hang", timeout=0.05)

    assert counted(registry.breaker_for(server)) == {"failure": 1}


@pytest.mark.parametrize("path", ["hang", "stall"])
def test_call_timeout_ends_a_call_that_hangs_before_or_in_its_body(
    server: str, registry: Registry, get: Get, path: str
) -> None:
    with pytest.raises(httpx.TimeoutException):
        get(f"{server}/{path}", CircuitConfig(call_timeout=0.05), timeout=None)

    assert counted(registry.breaker_for(server)) == {"failure": 1}


def test_each_redirect_is_a_call_of_its_own(server: str, registry: Registry, get: Get) -> None:
    assert get(f"{server}/redirect/redirect/status/200").text == "hello"

    assert counted(registry.breaker_for(server)) == {"success": 3}


def test_a_policy_steers_the_client_and_its_absence_lets_everything_pass(
    server: str, registry: Registry
) -> None:
    with httpx.Client(transport=CircuitBreakerTransport(registry=registry)) as client:
        for _ in range(5):
            client.get(f"{server}/status/500")
        registry.apply([document(target=HostTarget("127.0.0.1"), config=CONFIG)])
        for _ in range(2):
            client.get(f"{server}/status/500")
        with pytest.raises(CircuitOpenError):
            client.get(f"{server}/status/500")
        registry.apply([])
        assert client.get(f"{server}/status/200").text == "hello"


def test_an_answer_that_came_whole_is_settled_at_once(registry: Registry) -> None:
    inner = httpx.MockTransport(lambda request: httpx.Response(200, text="x"))
    with httpx.Client(transport=CircuitBreakerTransport(inner, registry=registry, default=CONFIG)) as client:
        client.get("http://api.example/")

    assert counted(registry.breaker_for("http://api.example/")) == {"success": 1}


class TestStreaming:
    def test_a_stream_counts_when_it_was_read(self, server: str, registry: Registry) -> None:
        breaker = registry.breaker_for(server, CONFIG)
        with (
            httpx.Client(transport=CircuitBreakerTransport(registry=registry)) as client,
            client.stream("GET", f"{server}/status/200") as response,
        ):
            assert breaker.reading().in_flight == 1
            response.read()
            assert (counted(breaker), breaker.reading().in_flight) == ({"success": 1}, 0)

    def test_a_body_that_was_read_to_its_end_counts_even_if_nobody_closes_it(
        self, registry: Registry
    ) -> None:
        def chunks() -> Iterator[bytes]:
            yield b"a"
            yield b"b"

        breaker = registry.breaker_for("http://api.example", CONFIG)
        inner = httpx.MockTransport(lambda request: httpx.Response(200, content=chunks()))
        transport = CircuitBreakerTransport(inner, registry=registry)
        response = transport.handle_request(httpx.Request("GET", "http://api.example"))
        assert isinstance(response.stream, httpx.SyncByteStream)

        assert list(response.stream) == [b"a", b"b"]
        assert counted(breaker) == {"success": 1}

    def test_a_stream_that_is_closed_early_is_a_success(self, server: str, registry: Registry) -> None:
        breaker = registry.breaker_for(server, CONFIG)
        with httpx.Client(transport=CircuitBreakerTransport(registry=registry)) as client:
            with client.stream("GET", f"{server}/stall") as response:
                assert next(response.iter_raw(5)) == b"12345"
            assert (counted(breaker), breaker.reading().in_flight) == ({"success": 1}, 0)

    def test_an_answer_that_is_dropped_gives_its_permit_back(self, server: str, registry: Registry) -> None:
        breaker = registry.breaker_for(server, CONFIG)
        with httpx.Client(transport=CircuitBreakerTransport(registry=registry)) as client:
            response = client.send(client.build_request("GET", f"{server}/stall"), stream=True)
            assert breaker.reading().in_flight == 1
            del response
            gc.collect()
            assert (counted(breaker), breaker.reading().in_flight) == ({"cancelled": 1}, 0)

    async def test_an_async_stream_is_cut_while_its_reader_waits(self, registry: Registry) -> None:
        async def stall() -> AsyncIterator[bytes]:
            yield b"12345"
            await asyncio.Event().wait()

        inner = httpx.MockTransport(lambda request: httpx.Response(200, content=stall()))
        breaker = registry.breaker_for("http://api.example", CircuitConfig(call_timeout=0.05))
        async with httpx.AsyncClient(
            transport=AsyncCircuitBreakerTransport(inner, registry=registry)
        ) as client:
            with pytest.raises(CallTimeoutError) as caught:
                await client.get("http://api.example")

        assert isinstance(caught.value, httpx.TimeoutException)
        assert isinstance(caught.value, TimeoutError)
        assert breaker.reading().last_error == "switchgear.httpx.CallTimeoutError"

    async def test_an_async_stream_that_is_closed_early_is_a_success(
        self, server: str, registry: Registry
    ) -> None:
        breaker = registry.breaker_for(server, CONFIG)
        async with httpx.AsyncClient(transport=AsyncCircuitBreakerTransport(registry=registry)) as client:
            async with client.stream("GET", f"{server}/stall"):
                assert breaker.reading().in_flight == 1
            assert (counted(breaker), breaker.reading().in_flight) == ({"success": 1}, 0)


@pytest.mark.parametrize("path", ["hang", "stall"])
async def test_a_cancelled_call_gives_its_permit_back(server: str, registry: Registry, path: str) -> None:
    breaker = registry.breaker_for(server, CircuitConfig(call_timeout=60))
    async with httpx.AsyncClient(transport=AsyncCircuitBreakerTransport(registry=registry)) as client:
        task = asyncio.create_task(client.get(f"{server}/{path}"))
        await eventually_async(lambda: breaker.reading().in_flight == 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    assert (counted(breaker), breaker.reading().in_flight) == ({"cancelled": 1}, 0)


class TestTimeouts:
    @pytest.mark.parametrize(
        ("users", "sent"),
        [
            (None, {"connect": 3.0, "read": 3.0, "write": 3.0, "pool": 3.0}),
            (1.0, {"connect": 1.0, "read": 1.0, "write": 1.0, "pool": 1.0}),
            (httpx.Timeout(9.0, connect=2.0), {"connect": 2.0, "read": 3.0, "write": 3.0, "pool": 3.0}),
        ],
    )
    def test_the_shorter_of_the_policys_and_the_users_is_sent(
        self, registry: Registry, users: float | httpx.Timeout | None, sent: dict[str, float]
    ) -> None:
        seen: list[httpx.Request] = []

        def answer(request: httpx.Request) -> httpx.Response:
            seen.append(request)
            return httpx.Response(302, headers={"Location": "http://other.example/"})

        registry.apply(
            [
                document(
                    target=HostTarget("api.example"), config=CircuitConfig(call_timeout=3.0, mode=CONFIG.mode)
                )
            ]
        )
        transport = CircuitBreakerTransport(httpx.MockTransport(answer), registry=registry)
        with (
            httpx.Client(
                transport=transport, timeout=users, follow_redirects=True, max_redirects=1
            ) as client,
            pytest.raises(httpx.TooManyRedirects),
        ):
            client.get("http://api.example/")

        assert seen[0].extensions["timeout"] == sent
        assert seen[1].extensions["timeout"] == httpx.Timeout(users).as_dict(), "another host's policy"

    async def test_without_an_asyncio_loop_the_requests_own_timeouts_do(self, registry: Registry) -> None:
        async def answer(request: httpx.Request) -> httpx.Response:
            assert request.extensions["timeout"]["read"] == 3.0
            return httpx.Response(200, content=chunks())

        async def chunks() -> AsyncIterator[bytes]:
            yield b"a"
            yield b"b"

        transport = AsyncCircuitBreakerTransport(
            httpx.MockTransport(answer), registry=registry, default=CircuitConfig(call_timeout=3.0)
        )
        coroutine = transport.handle_async_request(httpx.Request("GET", "http://api.example/"))
        assert drive_without_a_loop(coroutine.__await__()).status_code == 200


def drive_without_a_loop(steps: Iterator[object]) -> httpx.Response:
    found: list[httpx.Response] = []

    def run() -> None:
        try:
            next(steps)
        except StopIteration as done:
            found.append(done.value)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(20)
    return found[0]


def test_closing_the_client_closes_the_guarded_transport() -> None:
    closed: list[bool] = []

    class Inner(httpx.MockTransport):
        def close(self) -> None:
            closed.append(True)

    with httpx.Client(transport=CircuitBreakerTransport(Inner(lambda request: httpx.Response(200)))):
        pass

    assert closed


def test_a_half_open_probe_whose_body_hangs_holds_its_place_until_it_is_read(
    server: str, registry: Registry
) -> None:
    now = [0.0]
    registry = Registry(clock=lambda: now[0])
    config = CircuitConfig(consecutive_failures=1, open_duration=1.0, jitter=0.0, half_open_calls=1)
    breaker = registry.breaker_for(server, config)
    with httpx.Client(transport=CircuitBreakerTransport(registry=registry)) as client:
        client.get(f"{server}/status/500")
        now[0] = 2.0
        with client.stream("GET", f"{server}/status/200") as response:
            assert breaker.state is CircuitState.HALF_OPEN
            with pytest.raises(CircuitOpenError):
                client.get(f"{server}/status/200")
            response.read()
        eventually(lambda: breaker.state is CircuitState.CLOSED)
    assert breaker.reading().calls[Outcome.REJECTED] == 1
