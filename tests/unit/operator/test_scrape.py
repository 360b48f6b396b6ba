"""A pod may do anything with the connection: the scraper answers with a reading or the reason why there is none."""

import asyncio
import gzip
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest

from switchgear_operator.objects import Pod
from switchgear_operator.readings import InstanceReading, PolicyReading, ScrapeError
from switchgear_operator.scrape import ScrapeLimits, Scraper

METRICS = b'switchgear_policy_generation{policy="shop/payments",uid="u1"} 7\n'
READ = InstanceReading({"shop/payments": PolicyReading(uid="u1", generation=7)})
KNOWN = frozenset({"shop/payments"})
PATIENT = ScrapeLimits(seconds=60, connect_seconds=30)
HASTY = ScrapeLimits(seconds=0.2)

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Serve = Callable[..., Awaitable[Pod]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Start a server for one pod: `await serve(handler, host=…)` gives the pod that stands for it."""
    async with AsyncExitStack() as stack:

        async def start(handler: Handler, host: str = "127.0.7.1", path: str = "/metrics") -> Pod:
            async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                try:
                    await handler(reader, writer)
                except ConnectionError:
                    pass  # the scraper hung up, which is its right
                finally:
                    writer.transport.abort()

            server = await stack.enter_async_context(await asyncio.start_server(handle, host, 0))
            stack.callback(server.close)
            return make_pod(ip=host, port=server.sockets[0].getsockname()[1], path=path)

        yield start


def make_pod(
    ip: str | None = "127.0.7.1", port: int = 9464, path: str = "/metrics", host_network: bool = False
) -> Pod:
    return Pod(
        namespace="shop",
        name="checkout-a",
        uid="p1",
        ip=ip,
        running=True,
        host_network=host_network,
        metrics_port=port,
        metrics_path=path,
    )


async def scrape(pod: Pod, limits: ScrapeLimits = PATIENT) -> InstanceReading | ScrapeError:
    async with Scraper(limits) as scraper:
        return await scraper.scrape(pod, KNOWN)


def reason(outcome: InstanceReading | ScrapeError) -> str:
    assert isinstance(outcome, ScrapeError)
    return outcome.reason


def answer(body: bytes = METRICS, status: str = "200 OK", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def answers(*parts: bytes) -> Handler:
    """Read the request, send the parts, and stay silent until the scraper hangs up."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for part in parts:
            writer.write(part)
            await writer.drain()
        await reader.read()

    return handler


def answers_and_leaves(*parts: bytes) -> Handler:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.writelines(parts)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    return handler


async def test_a_pod_that_answers_is_read(serve: Serve) -> None:
    assert await scrape(await serve(answers(answer()))) == READ


async def test_the_request_is_a_plain_get_of_the_pods_path_that_asks_for_no_encoding(serve: Serve) -> None:
    requests: list[bytes] = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(answer())
        await reader.read()

    await scrape(await serve(handler, path="/internal/metrics?name=a%20b"))

    request = requests[0].decode()
    assert request.startswith("GET /internal/metrics?name=a%20b HTTP/1.1\r\n")
    assert "Accept-Encoding: identity\r\n" in request
    assert "User-Agent: switchgear-operator/" in request


async def test_nothing_listens(serve: Serve) -> None:
    pod = await serve(answers(answer()), host="127.0.7.2")

    outcome = await scrape(make_pod(ip="127.0.7.3", port=pod.metrics_port))

    assert outcome == ScrapeError("refused", f"port {pod.metrics_port} refuses connections")


async def test_a_pod_that_vanishes_before_it_answers(serve: Serve) -> None:
    assert reason(await scrape(await serve(answers_and_leaves()))) == "disconnected"


async def test_a_pod_that_vanishes_in_the_middle_of_its_answer(serve: Serve) -> None:
    assert reason(await scrape(await serve(answers_and_leaves(answer()[:-20])))) == "disconnected"


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param([], id="before the headers"),
        pytest.param([b"HTTP/1.1 200 OK\r\nContent-Ty"], id="in the middle of the headers"),
        pytest.param([b"HTTP/1.1 100 Continue\r\n\r\n"], id="after promising more"),
        pytest.param([answer()[:-20]], id="in the middle of the body"),
    ],
)
async def test_a_pod_that_hangs_is_given_up_in_time(serve: Serve, parts: list[bytes]) -> None:
    outcome = await scrape(await serve(answers(*parts)), HASTY)

    assert outcome == ScrapeError("timeout", "no answer within 0.2s")


async def test_a_pod_that_sends_byte_by_byte_forever_is_given_up_in_time(serve: Serve) -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        hung_up = asyncio.ensure_future(reader.read())
        while not hung_up.done():
            writer.write(b"#")
            await writer.drain()
            await asyncio.wait([hung_up], timeout=0.01)

    assert reason(await scrape(await serve(drip), HASTY)) == "timeout"


async def test_a_pod_that_hangs_delays_no_other(serve: Serve) -> None:
    async with Scraper(PATIENT) as scraper:
        hanging = asyncio.ensure_future(scraper.scrape(await serve(answers()), KNOWN))

        assert await scraper.scrape(await serve(answers(answer()), host="127.0.7.2"), KNOWN) == READ
        assert not hanging.done()

        hanging.cancel()


async def test_pods_that_hang_hold_up_no_other_namespace(serve: Serve) -> None:
    connected = asyncio.Event()

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connected.set()
        await reader.read()

    hangs, healthy = await serve(hang), await serve(answers(answer()), host="127.0.7.2")
    async with Scraper(PATIENT) as scraper:
        crowd = [asyncio.ensure_future(scraper.scrape(hangs, KNOWN)) for _ in range(600)]
        await connected.wait()  # by now all of them have got a slot or wait for one

        async with asyncio.timeout(30):
            outcome = await scraper.scrape(replace(healthy, namespace="other"), frozenset({"other/payments"}))

        assert outcome == InstanceReading()
        assert not any(each.done() for each in crowd)
        for each in crowd:
            each.cancel()
        await asyncio.wait(crowd)


async def test_no_more_pods_than_allowed_are_scraped_at_the_same_time(serve: Serve) -> None:
    connected = 0
    most = 0

    async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connected, most
        connected += 1
        most = max(most, connected)
        await reader.readuntil(b"\r\n\r\n")
        connected -= 1
        writer.write(answer())
        await reader.read()

    pod = await serve(count)
    async with Scraper(ScrapeLimits(seconds=60, connect_seconds=30, concurrency=2)) as scraper:
        outcomes = await asyncio.gather(*(scraper.scrape(pod, KNOWN) for _ in range(20)))

    assert outcomes == [READ] * 20
    assert most <= 2


@pytest.mark.parametrize(
    "status", ["500 Internal Server Error", "404 Not Found", "204 No Content", "429 Slow"]
)
async def test_another_status_than_200_is_no_reading(serve: Serve, status: str) -> None:
    outcome = await scrape(await serve(answers(answer(b"", status))))

    assert outcome == ScrapeError("status", f"status {status[:3]}")


async def test_a_redirect_is_not_followed(serve: Serve) -> None:
    visited: list[str] = []

    async def elsewhere(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        visited.append("elsewhere")

    target = await serve(elsewhere, host="127.0.7.2")
    location = f"Location: http://{target.ip}:{target.metrics_port}/metrics"

    outcome = await scrape(await serve(answers(answer(METRICS, "302 Found", location))))

    assert reason(outcome) == "redirect"
    assert visited == []


@pytest.mark.parametrize(
    "junk",
    [
        pytest.param(b"SSH-2.0-OpenSSH_9.2\r\n", id="another protocol"),
        pytest.param(b"\x00" * 1000, id="zeros"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n", id="an endless header"),
        pytest.param(answer(b"<html>hello</html>"), id="a page"),
        pytest.param(answer(b""), id="nothing"),
        pytest.param(answer(b"switchgear_breaker_state{{{{\n"), id="nearly metrics"),
        pytest.param(answer(b'switchgear_breaker_state{breaker="\xff\xfe"} 1\n'), id="no text"),
        pytest.param(answer(b"switchgear_breaker_state" + b"a" * 5000 + b" 1\n"), id="an endless line"),
    ],
)
async def test_garbage_is_no_reading(serve: Serve, junk: bytes) -> None:
    assert reason(await scrape(await serve(answers_and_leaves(junk)))) == "garbage"


async def test_a_compressed_answer_is_read_though_it_was_not_asked_for(serve: Serve) -> None:
    packed = answer(gzip.compress(METRICS), "200 OK", "Content-Encoding: gzip")

    assert await scrape(await serve(answers(packed))) == READ


async def test_a_compressed_answer_that_ends_too_early_is_no_reading(serve: Serve) -> None:
    packed = answer(gzip.compress(METRICS)[:-12], "200 OK", "Content-Encoding: gzip")

    assert reason(await scrape(await serve(answers(packed)))) == "disconnected"


async def test_an_answer_that_only_claims_to_be_compressed_is_no_reading(serve: Serve) -> None:
    packed = answer(METRICS, "200 OK", "Content-Encoding: gzip")

    assert reason(await scrape(await serve(answers(packed)))) == "garbage"


async def test_another_encoding_is_refused(serve: Serve) -> None:
    packed = answer(METRICS, "200 OK", "Content-Encoding: br")

    assert reason(await scrape(await serve(answers(packed)))) == "encoding"


async def test_bytes_are_counted_after_decompression(serve: Serve) -> None:
    bomb = gzip.compress(b"\n" * 50_000_000)
    assert len(bomb) < 60_000

    packed = answer(bomb, "200 OK", "Content-Encoding: gzip")

    assert reason(await scrape(await serve(answers(packed)))) == "too_large"


async def test_a_compressed_answer_is_never_unpacked_beyond_the_limit(serve: Serve) -> None:
    pod = await serve(answers(answer(gzip.compress(b"\n" * 50_000_000), "200 OK", "Content-Encoding: gzip")))
    tracemalloc.start()
    try:
        await scrape(pod)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 20_000_000


@pytest.mark.parametrize("length", ["", "Content-Length: 100000000\r\n"])
async def test_a_pod_that_sends_100_mb_is_left_after_the_limit(serve: Serve, length: str) -> None:
    sent = 0

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 200 OK\r\n{length}\r\n".encode())
        while sent < 100_000_000:
            writer.write(b"#" * 100_000)
            await writer.drain()
            sent += 100_000

    assert reason(await scrape(await serve(flood))) == "too_large"
    assert sent < 50_000_000


async def test_100_000_series_of_switchgear_are_refused(serve: Serve) -> None:
    series = b"".join(
        b'switchgear_breaker_state{policy="shop/payments",breaker="%d",state="open"} 1\n' % number
        for number in range(100_000)
    )
    roomy = ScrapeLimits(seconds=60, connect_seconds=30, body_bytes=64_000_000)

    assert reason(await scrape(await serve(answers(answer(series))), roomy)) == "too_many_series"


async def test_100_000_series_of_somebody_else_do_no_harm(serve: Serve) -> None:
    series = b"".join(b'http_requests{path="%d"} 1\n' % number for number in range(100_000))

    assert await scrape(await serve(answers(answer(series + METRICS)))) == READ


@pytest.mark.parametrize(
    ("pod", "complaint"),
    [
        (make_pod(ip=None), "it has no IP address yet"),
        (make_pod(ip="payments.shop"), "its IP address is none"),
        (make_pod(ip="127.0.7.1/../x"), "its IP address is none"),
        (make_pod(ip="169.254.169.254"), "no pod's address"),
        (make_pod(ip="::ffff:169.254.169.254"), "no pod's address"),
        (make_pod(ip="0.0.0.0"), "no pod's address"),
        (make_pod(ip="224.0.0.1"), "no pod's address"),
        (make_pod(port=0), "metrics-port"),
        (make_pod(port=65536), "metrics-port"),
        (make_pod(path=""), "metrics-path"),
        (make_pod(path="metrics"), "metrics-path"),
        (make_pod(path="http://elsewhere/metrics"), "metrics-path"),
        (make_pod(path="/metrics\r\nX-Forged: yes"), "metrics-path"),
        (make_pod(path="/" + "a" * 300), "metrics-path"),
    ],
)
async def test_what_is_no_address_of_a_pod_is_not_connected_to(pod: Pod, complaint: str) -> None:
    outcome = await scrape(pod)

    assert reason(outcome) == "address"
    assert complaint in str(outcome)


@pytest.mark.parametrize("path", ["//elsewhere.example/metrics", "/@elsewhere.example", "/:80@elsewhere"])
async def test_no_path_leads_to_another_host(serve: Serve, path: str) -> None:
    assert await scrape(await serve(answers(answer()), path=path)) == READ


async def test_an_ipv6_pod_is_scraped(serve: Serve) -> None:
    assert await scrape(await serve(answers(answer()), host="::1")) == READ


async def test_the_environments_proxy_is_not_used(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    pod = await serve(answers(answer()))
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.7.9:1")

    assert await scrape(pod) == READ


def test_pods_on_the_hosts_network_are_skipped_unless_allowed() -> None:
    pod = make_pod(host_network=True)

    assert Scraper().skips(pod)
    assert not Scraper(ScrapeLimits(host_network=True)).skips(pod)
    assert not Scraper().skips(make_pod())
