"""What a caller sees instead of a call that was not made."""

from .states import CircuitState

__all__ = ["CircuitOpenError", "ConcurrencyLimitError"]


class CircuitOpenError(Exception):
    """The call was rejected; the target was not called.

    Attributes:
        breaker: The breaker's name.
        state: Its state when it rejected.
        retry_after: Seconds after which a call may be admitted again; 0 where nobody can tell. Of a circuit that is
            forced open, which no time ends, the config's `open_duration`.
        last_error: The type name of the last failure, such as "httpx.ConnectTimeout", or None.
    """

    def __init__(
        self, breaker: str, state: CircuitState, retry_after: float = 0.0, last_error: str | None = None
    ) -> None:
        super().__init__(breaker, state, retry_after, last_error)
        self.breaker = breaker
        self.state = state
        self.retry_after = retry_after
        self.last_error = last_error

    def __str__(self) -> str:  # built when read, so that a rejection costs no formatting
        cause = f" (last failure: {self.last_error})" if self.last_error else ""
        return f"circuit {self.breaker!r} is {self.state.value}: retry in {round(self.retry_after, 3):.12g} s{cause}"


class ConcurrencyLimitError(CircuitOpenError):
    """The call was rejected because `max_concurrent_calls` others are in flight."""

    def __str__(self) -> str:
        return f"circuit {self.breaker!r} has as many calls in flight as max_concurrent_calls allows"
