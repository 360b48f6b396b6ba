"""The circuit breaker: one state machine for sync and async callers, threads, tasks, signals and forks.

How it stays right:

- The phase is one attribute; putting another object there is the whole transition.
- Calls under way are dict keys: weak references to their permits. When a permit goes, for whatever reason, the
  interpreter itself calls the dict's `pop`, with no instruction that a signal could strike at.
- What is due is decided from what is there (`_advance`), never from the event alone: an update that was cut short
  is made good by the next call.
- The lock is re-entrant, since a signal handler or a finalizer may call in at any instruction. It is held for
  bookkeeping only: functions, listeners and predicates run without it.
"""

import random as random_module
import time
from collections import deque
from collections.abc import Awaitable, Callable
from types import CoroutineType
from typing import Any, ParamSpec, Self, TypeVar
from weakref import ref

from .backoff import open_period
from .blocks import AsyncBlock, Block, Exit, begin_block
from .classify import Classifier, error_name
from .clocks import contained, timeout_scope
from .config import CircuitConfig, Mode, checked_config, checked_name
from .decorate import Guarded, guard, refuse_coroutine
from .errors import CircuitOpenError, ConcurrencyLimitError
from .forks import Stage, after_fork
from .locks import Lock
from .permit import Permit
from .phases import Closed, HalfOpen, Open, Phase, Verdict, window_counts
from .reading import BreakerReading
from .snapshots import Snapshot
from .states import CircuitState, Outcome
from .transitions import Listener, Transition, tell
from .windows import refilled

__all__ = ["CircuitBreaker"]

P = ParamSpec("P")
R = TypeVar("R")
F = TypeVar("F", bound=Callable[..., Any])

_MISSED = "noticed late: the change itself was interrupted"
_ENFORCE, _OBSERVE, _FORCE_OPEN, _DISABLED = Mode  # a global is found much quicker than a member of an enum
_SUCCESS, _FAILURE = Outcome.SUCCESS, Outcome.FAILURE
_STAY = Verdict.STAY
_JUDGING = (_ENFORCE, _OBSERVE)
_MODE_STATES = {_FORCE_OPEN: CircuitState.FORCED_OPEN, _DISABLED: CircuitState.DISABLED}
_History = tuple[CircuitState, dict[tuple[CircuitState, CircuitState], int]]
"""The state announced last, and how often each change was: one attribute, so that they cannot disagree."""
_Refusal = tuple[type[CircuitOpenError], CircuitState, float]


class CircuitBreaker:
    """Guards the calls of one target.

    Args:
        name: What metrics, logs and errors call it.
        config: When it opens and how it recovers; replaced as a whole by `apply`.
        policy: `namespace/name` of the policy the config comes from, or empty.
        clock: Monotonic seconds. While one of these three raises, a default takes its place.
        wall_clock: Seconds since the epoch; only for what leaves the process (metrics, snapshots, transitions).
        random: Numbers in 0..1, for the jitter.

    Raises:
        TypeError: The name is no text or empty, or the config is something else.
    """

    __slots__ = (
        "__weakref__",
        "_admitted",
        "_classifier",
        "_clock",
        "_config",
        "_history",
        "_in_flight",
        "_last_error",
        "_listeners",
        "_lock",
        "_outcomes",
        "_pending",
        "_phase",
        "_policy",
        "_random",
        "_slow_calls",
        "_wall_clock",
        "name",
    )

    def __init__(
        self,
        name: str,
        config: CircuitConfig | None = None,
        *,
        policy: str = "",
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
        random: Callable[[], float] = random_module.random,
    ) -> None:
        self.name = checked_name(name)
        self._config = checked_config(config)
        self._policy = policy
        self._clock = contained(clock, time.monotonic)
        self._wall_clock = contained(wall_clock, time.time)
        self._random = contained(random, lambda: 0.5)
        self._classifier = Classifier(self._config)
        self._phase: Phase = Closed.fresh(self._config)
        self._history: _History = (self._visible_state(), {})
        self._lock = Lock()
        self._in_flight: dict[ref[Permit], float] = {}
        self._admitted = 0
        self._outcomes = dict.fromkeys((outcome.value for outcome in Outcome), 0)
        self._slow_calls = 0
        self._last_error: str | None = None
        self._pending: deque[Transition] = deque()
        self._listeners: list[Listener] = []
        after_fork(Stage.LOCKS, self._after_fork)

    def __repr__(self) -> str:
        state = self._visible_state().value
        return f"CircuitBreaker({self.name!r}, state={state!r}, policy={self._policy!r})"

    # ── calling ──

    def call(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call `function` if the circuit lets it, and judge how it went.

        Raises:
            CircuitOpenError: The call was not made.
            TypeError: It returned a coroutine, which `call_async` is for.
        """
        if self._config.mode is _DISABLED:
            return function(*args, **kwargs)
        permit = self.acquire()
        try:
            result = function(*args, **kwargs)
        except BaseException as error:
            permit.failure(error)
            raise
        if type(result) is CoroutineType:
            refuse_coroutine(function, permit, result)
        permit.success(result)
        return result

    async def call_async(
        self, function: Callable[P, Awaitable[R]], /, *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Like `call`, for a function that returns an awaitable; cut after `call_timeout`.

        Nothing else is cut: neither an `async with` block nor a guarded async generator, whose body is the caller's.

        Raises:
            CircuitOpenError: The call was not made.
            TimeoutError: The call was cut; it counts as a failure.
        """
        config = self._config
        if config.mode is _DISABLED:
            return await function(*args, **kwargs)
        permit = self.acquire()
        scope = None if config.call_timeout is None else timeout_scope(config.call_timeout)
        try:
            if scope is None:
                result = await function(*args, **kwargs)
            else:
                async with scope:
                    result = await function(*args, **kwargs)
        except BaseException as error:
            if scope is not None and scope.expired() and isinstance(error, TimeoutError):
                permit.settle(Outcome.FAILURE, error_name(error))
            else:
                permit.failure(error)
            raise
        finally:
            del scope  # it knows the task, which knows the exception, which knows this frame
        permit.success(result)
        return result

    def __call__(self, function: F) -> F:
        """Decorate a function, method, generator, coroutine function or any other callable."""
        return guard(self, function, None)

    def protect(self, *, fallback: Callable[..., Any] | None = None) -> Guarded:
        """Decorate likewise, with a fallback.

        Where CircuitOpenError comes out of the call, this breaker's or that of one inside, the answer is
        `fallback(error, *args, **kwargs)`.
        """
        return Guarded(self, fallback)

    def __enter__(self) -> Self:
        begin_block(self)
        return self

    __exit__ = Exit(Block)

    async def __aenter__(self) -> Self:
        begin_block(self)
        return self

    __aexit__ = Exit(AsyncBlock)

    def acquire(self) -> Permit:
        """A permit for one call, for integrations that make the call themselves.

        Raises:
            CircuitOpenError: The call must not be made.
        """
        mode = self._config.mode
        now = self._clock()
        permit = Permit(self, now)
        if mode is _DISABLED:
            return permit
        lock = self._lock
        nested = lock.is_held()
        try:
            with lock.inner:
                refusal = self._admit(permit, now)
        except BaseException:
            lock.let_go(nested)
            raise
        if self._pending:
            tell(self._pending, self._listeners)
        if refusal is not None:
            kind, state, retry_after = refusal
            raise kind(self.name, state, retry_after, self._last_error)
        return permit

    # ── looking and steering ──

    @property
    def config(self) -> CircuitConfig:
        """The config in force."""
        return self._config

    @property
    def policy(self) -> str:
        """`namespace/name` of the policy that the config comes from, or empty."""
        return self._policy

    @property
    def state(self) -> CircuitState:
        """The state now: an open period that is over, or a probe overdue, has its effect by being looked at."""
        self._catch_up()
        return self._visible_state()

    def reading(self) -> BreakerReading:
        """State and counters, for metrics."""
        return self._lock.run(self._reading, self._catch_up())

    def snapshot(self) -> Snapshot:
        """What the breaker remembers, for another process to `restore`."""
        return self._lock.run(self._snapshot, self._catch_up())

    def restore(self, snapshot: Snapshot) -> None:
        """Take over another process's memory.

        The wall clock may have been set in between: an open circuit stays open no longer than it had left when the
        snapshot was taken, nor than `max_open_duration`.

        Raises:
            ValueError: The snapshot is another breaker's.
        """
        if snapshot.breaker != self.name:
            raise ValueError(f"the snapshot is of breaker {snapshot.breaker!r}, not of {self.name!r}")
        now = self._clock()
        elapsed = max(0.0, self._wall_clock() - snapshot.taken_at)
        self._lock.run(self._restore, snapshot, now, elapsed)
        tell(self._pending, self._listeners)

    def trip(self) -> None:
        """Open the circuit now, for an open period."""
        self._lock.run(self._trip, self._clock())
        tell(self._pending, self._listeners)

    def reset(self) -> None:
        """Close the circuit now, and forget what the window held."""
        self._lock.run(self._reset)
        tell(self._pending, self._listeners)

    def on_transition(self, listener: Callable[[Transition], R]) -> Callable[[Transition], R]:
        """Call `listener(transition)` after each change of state; usable as a decorator.

        It runs on the thread whose call caused the change, without the lock. What it raises is logged.
        """
        self._listeners.append(listener)
        return listener

    def apply(self, config: CircuitConfig, policy: str = "") -> None:
        """Replace the config as a whole, for the next call on.

        Counts that still apply are kept, an open circuit stays open (at most for the new `max_open_duration`),
        and probes under way stay probes.
        """
        self._lock.run(self._apply, config, policy, self._clock())
        tell(self._pending, self._listeners)

    # ── the machine: these need the lock ──

    def _admit(self, permit: Permit, now: float) -> _Refusal | None:
        config = self._config
        if config.mode is _FORCE_OPEN:
            return self._refuse(CircuitOpenError, CircuitState.FORCED_OPEN, config.open_duration)
        if type(self._phase) is not Closed:
            self._advance(now)
        phase = self._phase
        enforced = config.mode is _ENFORCE
        admitted = type(phase) is Closed or (type(phase) is HalfOpen and phase.admits(config))
        if enforced:
            if not admitted:
                return self._refuse(
                    CircuitOpenError, phase.state, phase.until - now if type(phase) is Open else 0.0
                )
            limit = config.max_concurrent_calls
            if limit is not None and len(self._in_flight) >= limit:
                return self._refuse(ConcurrencyLimitError, phase.state, 0.0)
        self._admitted += 1
        self._in_flight[ref(permit, self._in_flight.pop)] = now
        if admitted:
            permit._phase = phase
            if type(phase) is HalfOpen:
                phase.probes[ref(permit, phase.probes.pop)] = [now]
        return None

    def _refuse(self, kind: type[CircuitOpenError], state: CircuitState, retry_after: float) -> _Refusal:
        self._outcomes["rejected"] += 1
        return kind, state, max(0.0, retry_after)

    def _advance(self, now: float) -> None:
        """Do what is due in a phase that is not closed."""
        phase = self._phase
        if type(phase) is Open:
            if phase.is_over(now, self._config):
                self._move(HalfOpen(phase.reopenings, phase.counts), "the open period is over")
        elif type(phase) is HalfOpen:
            verdict, reason = phase.verdict(now, self._config)
            if verdict is Verdict.OPEN:
                self._open(now, phase.reopenings + 1, reason)
            elif verdict is Verdict.CLOSE:
                self._move(Closed.fresh(self._config), reason)
        self._announce(_MISSED)

    def _do_due(self, now: float) -> None:
        if self._config.mode in _JUDGING:
            self._advance(now)
        self._announce(_MISSED)

    def _open(self, now: float, reopenings: int, reason: str) -> None:
        period = open_period(self._config, reopenings, self._random())
        self._move(
            Open(now + period, reopenings, window_counts(self._phase, now)),
            f"{reason}; open for {round(period, 3):.12g} s",
        )

    def _move(self, phase: Phase, reason: str) -> None:
        self._phase = phase
        self._announce(reason)

    def _announce(self, reason: str) -> None:
        """Count and tell the change from the state announced last, if there is one."""
        (before, counts), after = self._history, self._visible_state()
        if after is not before:
            transition = Transition(self.name, self._policy, before, after, reason, self._wall_clock())
            self._history = after, {**counts, (before, after): counts.get((before, after), 0) + 1}
            self._pending.append(transition)

    def _trip(self, now: float) -> None:
        phase = self._phase
        self._open(now, 0 if isinstance(phase, Closed) else phase.reopenings, "tripped by hand")

    def _reset(self) -> None:
        self._move(Closed.fresh(self._config), "reset by hand")

    def _apply(self, config: CircuitConfig, policy: str, now: float) -> None:
        phase = self._phase
        if isinstance(phase, Closed) and config.window != self._config.window:
            phase.window = refilled(config.window, now, phase.window.contents(now))
        elif isinstance(phase, Open):
            phase.until = min(phase.until, now + config.max_open_duration)
        self._classifier = Classifier(config)
        self._config = config
        self._policy = policy
        self._announce(f"mode is {config.mode.value}")

    def _reading(self, now: float) -> BreakerReading:
        phase, state = self._phase, self._visible_state()
        calls, failures, slow = window_counts(phase, now)
        is_open = isinstance(phase, Open) and state is CircuitState.OPEN
        return BreakerReading(
            name=self.name,
            policy=self._policy,
            state=state,
            open_until=self._wall_clock() + phase.until - now
            if is_open and isinstance(phase, Open)
            else None,
            calls=self._calls(),
            slow_calls=self._slow_calls,
            transitions=dict(self._history[1]),
            in_flight=len(self._in_flight),
            window_calls=calls,
            window_failures=failures,
            window_slow_calls=slow,
            last_error=self._last_error,
            unknown_exceptions=self._classifier.unknown,
        )

    def _calls(self) -> dict[Outcome, int]:
        """Totals by outcome. A call that was admitted, is over and was not settled was dropped: cancelled."""
        calls = {Outcome(value): total for value, total in self._outcomes.items()}
        settled = sum(calls.values()) - calls[Outcome.REJECTED]
        calls[Outcome.CANCELLED] += self._admitted - len(self._in_flight) - settled
        return calls

    def _snapshot(self, now: float) -> Snapshot:
        return Snapshot.of(self.name, self._phase, now, self._wall_clock())

    def _visible_state(self) -> CircuitState:
        return _MODE_STATES.get(self._config.mode) or self._phase.state

    def _count(self, permit: Permit, outcome: Outcome, error: str | None, now: float) -> None:
        key, phase, config = ref(permit), permit._phase, self._config
        judging = config.mode in _JUDGING
        if type(phase) is HalfOpen:
            if judging:
                self._advance(now)  # it may be overdue
            phase.probes.pop(key, None)
        if self._in_flight.pop(key, None) is None:
            return
        counts = outcome is _SUCCESS or outcome is _FAILURE
        limit = config.slow_call_duration
        slow = counts and limit is not None and min(now, permit._ended) - permit._started >= limit
        self._outcomes[outcome._value_] += 1
        self._slow_calls += slow
        if outcome is _FAILURE:
            self._last_error = error or self._last_error
        if counts and judging and phase is self._phase:
            self._record(phase, outcome, now, slow, error)

    def _record(self, phase: Phase, outcome: Outcome, now: float, slow: bool, error: str | None) -> None:
        """Count a call for the phase that it started in, which is still there, and do what follows from it."""
        failed = outcome is _FAILURE
        if type(phase) is Closed:
            phase.record(now, failed, slow)
            verdict, reason = phase.verdict(self._config)
            if verdict is not _STAY:
                self._open(now, 0, reason)
        elif type(phase) is HalfOpen:
            phase.record(f"a half-open call failed ({error or 'reported'})" if failed else "", slow)
            self._advance(now)

    def _restore(self, snapshot: Snapshot, now: float, elapsed: float) -> None:
        self._move(snapshot.phase(self._config, now, elapsed), "restored from a snapshot")

    # ── the machine: these take the lock themselves ──

    def _settle(self, permit: Permit, outcome: Outcome, error: str | None) -> None:
        if ref(permit) in self._in_flight:
            now, lock = self._clock(), self._lock
            nested = lock.is_held()
            try:
                with lock.inner:
                    self._count(permit, outcome, error, now)
            except BaseException:
                lock.let_go(nested)
                raise
            if self._pending:
                tell(self._pending, self._listeners)

    def _catch_up(self) -> float:
        """Do what time alone has made due; what the clock said then."""
        now = self._clock()
        waiting = type(self._phase) is not Closed
        if waiting or self._history[0] is not self._visible_state():
            self._lock.run(self._do_due, now)
        if self._pending:
            tell(self._pending, self._listeners)
        return now

    def _after_fork(self) -> None:
        """In a forked child the other threads, and their calls, are gone; the lock may be one of theirs."""
        self._lock = Lock()
        self._admitted -= len(self._in_flight)
        self._in_flight.clear()
        self._pending.clear()
        if isinstance(self._phase, HalfOpen):
            self._phase.probes.clear()
