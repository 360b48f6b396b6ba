"""How a pod is scraped: one bounded GET of its metrics, whatever the pod does with it.

The address comes from the pod's status and annotations, never from a policy. Redirects, proxies and cookies are
not followed, time and bytes are bounded, and the outcome is a value: a reading or the reason why there is none.
"""

import asyncio
import re
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from ipaddress import ip_address
from types import TracebackType
from typing import Self
from weakref import WeakValueDictionary

import aiohttp
from yarl import URL

from .objects import Pod
from .readings import InstanceReading, ScrapeError, UnreadableMetricsError, read_metrics

__all__ = ["ScrapeLimits", "Scraper"]

_PATH = re.compile(r"/[!-~]{0,255}")
_SMALL = 64 * 1024
"""Bytes up to which an answer is parsed where it is, not in a thread."""
_CHUNK = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class ScrapeLimits:
    """What one pod may cost.

    Args:
        seconds: The whole scrape, from connecting to the last byte.
        connect_seconds: Connecting alone.
        body_bytes: The answer, after decompression.
        concurrency: Pods scraped at the same time; of one namespace at most a quarter of it, so that pods that
            hang hold up those of their own namespace only.
        host_network: Whether pods on the host's network are scraped: their address is their node's.
    """

    seconds: float = 3.0
    connect_seconds: float = 1.0
    body_bytes: int = 4 * 1024 * 1024
    concurrency: int = 32
    host_network: bool = False


class Scraper:
    """Scrapes pods, a bounded number at a time. An async context manager: it owns the client session."""

    def __init__(self, limits: ScrapeLimits | None = None) -> None:
        self.limits = limits or ScrapeLimits()
        self._slots = asyncio.Semaphore(self.limits.concurrency)
        self._shares: WeakValueDictionary[str, asyncio.Semaphore] = (
            WeakValueDictionary()
        )  # by namespace, while in use
        self._session: aiohttp.ClientSession | None = None
        self._parser = ThreadPoolExecutor(1, "parser")  # one: parsing is all computing, and costs memory

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, force_close=True),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(total=None, connect=self.limits.connect_seconds),
            headers={
                "Accept": "text/plain;version=0.0.4",
                "Accept-Encoding": "identity",
                "User-Agent": f"switchgear-operator/{version('switchgear')}",
            },
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()
        self._parser.shutdown(wait=False, cancel_futures=True)

    def skips(self, pod: Pod) -> bool:
        """Whether this pod is never scraped, and so not expected to report."""
        return pod.host_network and not self.limits.host_network

    async def scrape(self, pod: Pod, policies: frozenset[str]) -> InstanceReading | ScrapeError:
        """Ask one pod about these policies, when its turn has come. Never raises for what the pod does.

        `policies` are those of the pod's namespace, each as it stands in the label `policy`.
        """
        url = _address(pod)
        if isinstance(url, ScrapeError):
            return url
        share = self._shares.setdefault(
            pod.namespace, asyncio.Semaphore(max(1, self.limits.concurrency // 4))
        )
        async with share, self._slots:
            body = await self._get(url)
            # The slot is held until the body is parsed: so many bodies are in memory, and no more.
            return body if isinstance(body, ScrapeError) else await self._read(body, policies)

    async def _get(self, url: URL) -> bytes | ScrapeError:
        assert self._session is not None, "enter the scraper before scraping"
        try:
            async with (
                asyncio.timeout(self.limits.seconds),
                self._session.get(url, allow_redirects=False) as response,
            ):
                return await self._body(response)
        except TimeoutError:
            return ScrapeError("timeout", f"no answer within {self.limits.seconds:g}s")
        except aiohttp.ClientConnectorError as error:
            refused = isinstance(error.os_error, ConnectionRefusedError)
            return (
                ScrapeError("refused", f"port {url.port} refuses connections")
                if refused
                else ScrapeError("unreachable", f"port {url.port} cannot be reached")
            )
        except (aiohttp.ServerConnectionError, aiohttp.ClientOSError, aiohttp.ClientPayloadError):
            return ScrapeError("disconnected", "the connection was closed before the answer was whole")
        except (aiohttp.ClientError, ValueError, zlib.error):
            return ScrapeError("garbage", "the answer is not HTTP")

    async def _body(self, response: aiohttp.ClientResponse) -> bytes | ScrapeError:
        if 300 <= response.status < 400:
            return ScrapeError("redirect", f"status {response.status}: redirects are not followed")
        if response.status != 200:
            return ScrapeError("status", f"status {response.status}")
        encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
        if encoding not in {"identity", "gzip"}:
            return ScrapeError("encoding", "the answer is encoded, which was not asked for")
        most = self.limits.body_bytes
        unpack = zlib.decompressobj(wbits=31) if encoding == "gzip" else None  # 31: gzip with its header
        body = bytearray()
        async for chunk in response.content.iter_chunked(_CHUNK):
            body += chunk if unpack is None else unpack.decompress(chunk, most - len(body) + 1)
            if len(body) > most:
                return ScrapeError("too_large", f"the answer is larger than {most} bytes")
            if unpack is not None and unpack.eof:
                break  # what follows would only be kept
        if unpack is not None and not unpack.eof:
            return ScrapeError("disconnected", "the compressed answer ends too early")
        return bytes(body)

    async def _read(self, body: bytes, policies: frozenset[str]) -> InstanceReading | ScrapeError:
        try:
            if len(body) <= _SMALL:
                return read_metrics(body, policies=policies)
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._parser, partial(read_metrics, body, policies=policies))
        except UnreadableMetricsError as error:
            return ScrapeError(error.reason, str(error))


def _address(pod: Pod) -> URL | ScrapeError:
    if pod.ip is None:
        return ScrapeError("address", "it has no IP address yet")
    try:
        ip = ip_address(pod.ip)
    except ValueError:
        return ScrapeError("address", "its IP address is none")
    if ip.version == 6 and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    if ip.is_link_local or ip.is_multicast or ip.is_unspecified:
        return ScrapeError("address", f"{ip} is no pod's address")
    if not 1 <= pod.metrics_port <= 65535:
        return ScrapeError("address", "switchgear.dev/metrics-port is not a port from 1 to 65535")
    if not _PATH.fullmatch(pod.metrics_path):
        return ScrapeError(
            "address",
            "switchgear.dev/metrics-path is not a path: give one like /metrics, up to 256 characters",
        )
    host = f"[{ip}]" if ip.version == 6 else str(ip)
    return URL(f"http://{host}:{pod.metrics_port}{pod.metrics_path}", encoded=True)
