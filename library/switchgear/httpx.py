"""Transports that put a breaker around each request of an httpx client.

    client = httpx.Client(transport=CircuitBreakerTransport())

The breaker is looked up for each request, by its URL: one permit per request that is sent, so each redirect and each
retry of the client is a call of its own. An answer counts by its status; a success counts only when its body has
been read to the end or closed, and becomes a failure if the body breaks off. An answer that is dropped gives its
permit back.

Only the target's time counts: whether a call was slow is decided by when the answer's headers came, and a
`call_timeout` runs only while the transport waits, not while the answer's reader is busy between two chunks.

Errors of this side say nothing about the target: `PoolTimeout`, `LocalProtocolError`, `UnsupportedProtocol` and
`StreamError` (a body that cannot be sent twice) count as ignored, unless `failure_exceptions` lists them.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from types import TracebackType
from typing import Self

from .breaker import CircuitBreaker
from .classify import Classifier, error_name
from .config import CircuitConfig, Mode
from .permit import Permit
from .registry import Registry
from .runtime import default_registry
from .states import Outcome

try:
    import httpx
except ImportError as error:
    raise ImportError("switchgear.httpx needs httpx: pip install 'switchgear[httpx]'") from error

__all__ = ["AsyncCircuitBreakerTransport", "CallTimeoutError", "CircuitBreakerTransport"]

_TIMEOUTS = ("connect", "read", "write", "pool")
_OWN_ERRORS = (httpx.PoolTimeout, httpx.LocalProtocolError, httpx.UnsupportedProtocol, httpx.StreamError)
_POOL_SHARE = (
    0.95  # of an async call's time: so that a wait for the pool ends as such, before the call is cut
)


class CallTimeoutError(httpx.TimeoutException, TimeoutError):
    """The call was cut because it took longer than the policy's `call_timeout`."""


class CircuitBreakerTransport(httpx.BaseTransport):
    """Guards what another transport sends.

    A `call_timeout` becomes the request's own timeouts where those are longer.

    Args:
        transport: What sends; `httpx.HTTPTransport()` unless told otherwise.
        registry: Where breakers are looked up; the module-level registry unless told otherwise.
        default: The config for URLs that no policy covers; without one they pass straight through.

    Raises:
        CircuitOpenError: (on a request) The breaker rejected it; nothing was sent.
    """

    def __init__(
        self,
        transport: httpx.BaseTransport | None = None,
        *,
        registry: Registry | None = None,
        default: CircuitConfig | None = None,
    ) -> None:
        self._transport = httpx.HTTPTransport() if transport is None else transport
        self._guard = _Guard(registry, default)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send `request` if its breaker lets it."""
        call = self._guard.begin(request)
        try:
            response = self._transport.handle_request(call.request)
        except BaseException as error:
            call.fail(error)
            raise
        if call.answered(response):
            assert isinstance(response.stream, httpx.SyncByteStream)
            response.stream = _Body(response.stream, call)
        return response

    def close(self) -> None:
        """Close the guarded transport."""
        self._transport.close()

    def __enter__(self) -> Self:
        self._transport.__enter__()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        self._transport.__exit__(exc_type, exc_value, traceback)


class AsyncCircuitBreakerTransport(httpx.AsyncBaseTransport):
    """As `CircuitBreakerTransport`, for async clients.

    A call that waits for its target longer than `call_timeout`, for all of its body together, is cut with
    `CallTimeoutError` (under asyncio; under another event loop the request's own timeouts must do).
    """

    def __init__(
        self,
        transport: httpx.AsyncBaseTransport | None = None,
        *,
        registry: Registry | None = None,
        default: CircuitConfig | None = None,
    ) -> None:
        self._transport = httpx.AsyncHTTPTransport() if transport is None else transport
        self._guard = _Guard(registry, default)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send `request` if its breaker lets it."""
        call = self._guard.begin(request)
        try:
            async with _Deadline(call):
                response = await self._transport.handle_async_request(call.request)
        except BaseException as error:
            call.fail(error)
            raise
        if call.answered(response):
            assert isinstance(response.stream, httpx.AsyncByteStream)
            response.stream = _AsyncBody(response.stream, call)
        return response

    async def aclose(self) -> None:
        """Close the guarded transport."""
        await self._transport.aclose()

    async def __aenter__(self) -> Self:
        await self._transport.__aenter__()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        await self._transport.__aexit__(exc_type, exc_value, traceback)


class _Guard:
    """Finds the breaker of a request and begins the call: what both transports share."""

    def __init__(self, registry: Registry | None, default: CircuitConfig | None) -> None:
        self._registry = registry
        self._default = default

    def begin(self, request: httpx.Request) -> "_Call":
        registry = default_registry() if self._registry is None else self._registry
        breaker = registry.breaker_for(_origin(request.url), self._default)
        return _Call(breaker, request)


class _Call:
    """One request under way, with its permit."""

    __slots__ = ("_config", "_permit", "request", "time_left")

    def __init__(self, breaker: CircuitBreaker, request: httpx.Request) -> None:
        self._config = config = breaker.config
        self._permit: Permit = breaker.acquire()
        self.time_left: float | None = None
        limit = None if config.mode is Mode.DISABLED else config.call_timeout
        if limit is None:
            self.request = request
        else:
            self.time_left = limit if _has_loop() else None
            self.request = _within(request, limit, limit if self.time_left is None else limit * _POOL_SHARE)

    def answered(self, response: httpx.Response) -> bool:
        """Judge the status; whether the body still decides."""
        self._permit.stop()
        outcome = Classifier(self._config).of_http_status(response.status_code)
        if outcome is Outcome.FAILURE:
            self._permit.settle(outcome, f"HTTP {response.status_code}")
        elif outcome is Outcome.IGNORED or response.is_closed:
            self._permit.settle(outcome)
        else:
            return True
        return False

    def finish(self) -> None:
        self._permit.success()

    def fail(self, error: BaseException) -> None:
        if isinstance(error, CallTimeoutError):
            self._permit.settle(Outcome.FAILURE, error_name(error))
        elif isinstance(error, _OWN_ERRORS) and not self._lists(error):
            self._permit.ignore()
        else:
            self._permit.failure(error)

    def _lists(self, error: BaseException) -> bool:
        if not self._config.failure_exceptions:
            return False
        # The breaker's own, so that a path that does not exist is told once.
        classifier = self._permit.breaker._classifier  # noqa: SLF001  # see above
        return classifier.of_exception(error) is Outcome.FAILURE


class _Body(httpx.SyncByteStream):
    def __init__(self, stream: httpx.SyncByteStream, call: _Call) -> None:
        self._stream = stream
        self._call = call

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._stream
        except GeneratorExit:
            raise
        except BaseException as error:
            self._call.fail(error)
            raise
        self._call.finish()

    def close(self) -> None:
        try:
            self._stream.close()
        finally:
            self._call.finish()


class _AsyncBody(httpx.AsyncByteStream):
    def __init__(self, stream: httpx.AsyncByteStream, call: _Call) -> None:
        self._stream = stream
        self._call = call

    async def __aiter__(self) -> AsyncIterator[bytes]:
        chunks = aiter(self._stream)
        try:
            while True:
                async with _Deadline(self._call):
                    chunk = await anext(chunks)
                yield chunk
        except StopAsyncIteration:
            self._call.finish()
        except GeneratorExit:
            raise
        except BaseException as error:
            self._call.fail(error)
            raise

    async def aclose(self) -> None:
        try:
            await self._stream.aclose()
        finally:
            self._call.finish()


class _Deadline:
    """Cuts what runs inside once the call's time is used up, and takes off what it used."""

    __slots__ = ("_call", "_scope", "_started")

    def __init__(self, call: _Call) -> None:
        self._call = call
        self._scope: asyncio.Timeout | None = None
        self._started = 0.0

    async def __aenter__(self) -> None:
        if self._call.time_left is not None:
            self._started = asyncio.get_running_loop().time()
            self._scope = asyncio.timeout_at(self._started + self._call.time_left)
            await self._scope.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._scope is None or self._call.time_left is None:
            return
        self._call.time_left -= asyncio.get_running_loop().time() - self._started
        try:
            await self._scope.__aexit__(kind, error, traceback)
        except TimeoutError as cut:
            raise CallTimeoutError("the call took longer than its call_timeout") from cut


def _origin(url: httpx.URL) -> str:
    return f"{url.scheme}://{url.netloc.decode('ascii')}"


def _within(request: httpx.Request, limit: float, pool: float) -> httpx.Request:
    """The same request with no timeout above `limit`, nor above `pool` for a place in the pool. The user's own stays as it is: a redirect reuses it."""
    given = request.extensions.get("timeout") or {}
    if not isinstance(given, dict):
        return request
    limits = {**dict.fromkeys(_TIMEOUTS, limit), "pool": pool}
    timeout = {
        name: most if given.get(name) is None else min(most, given[name]) for name, most in limits.items()
    }
    return httpx.Request(
        request.method,
        request.url,
        headers=request.headers,
        stream=request.stream,
        extensions={**request.extensions, "timeout": timeout},
    )


def _has_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:  # a thread without a loop, or the loop of another library
        return False
    return True
