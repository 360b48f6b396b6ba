"""The breakers of a process: found by name or URL, and kept in step with the policies.

A breaker belongs to the name or the endpoint that it was first asked for (its home). Whenever the policies change,
each breaker follows the policy of its home, or else its code default, or else lets every call pass. So an object
that somebody holds comes alive when a policy arrives, and falls back when it is deleted.
"""

import logging
import random as random_module
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING

from .breaker import CircuitBreaker
from .config import CircuitConfig, Mode
from .forks import Stage, after_fork
from .matching import parse_endpoint
from .reading import BreakerReading
from .routes import Home, Routes
from .snapshots import Snapshot
from .states import CircuitState
from .transitions import Transition

if TYPE_CHECKING:  # the policy module brings json, which a program without policies need not import
    from .policy import PolicyDocument

__all__ = ["MOST_BREAKERS", "Registry"]

MOST_BREAKERS = 1000
"""Breakers kept per wildcard policy, and in all for names, and for URLs without a policy."""

MOST_CACHED = 4096
"""Spellings of URLs whose breaker is remembered."""

LOOKED_AT = 16
"""Breakers among which the one is chosen that makes room for a newcomer."""

_LONGEST_CACHED = 300
_CLOSED = frozenset({CircuitState.CLOSED, CircuitState.DISABLED})
_OPEN = frozenset({CircuitState.OPEN, CircuitState.FORCED_OPEN})
_STRAIGHT_THROUGH = CircuitConfig(mode=Mode.DISABLED)
_log = logging.getLogger("switchgear")


@dataclass(slots=True)
class _Record:
    """A breaker that is kept.

    `used` is when it was last asked for, on the registry's clock; `spellings` are those under which it is cached.
    """

    home: Home
    breaker: CircuitBreaker
    default: CircuitConfig | None
    used: float
    spellings: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Parked:
    """A breaker that is kept no longer, but held by somebody: it still follows the policies."""

    breaker: "weakref.ref[CircuitBreaker]"
    default: CircuitConfig | None
    listed: bool


class Registry:
    """Gives out breakers and steers them by policies. Safe to use from any thread and across a fork.

    Args:
        clock: Monotonic seconds, for the breakers too.
        wall_clock: Seconds since the epoch, for the breakers.
        random: Numbers in 0..1, for the breakers.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
        random: Callable[[], float] = random_module.random,
    ) -> None:
        self._clock = clock
        self._wall_clock = wall_clock
        self._random = random
        self._routes = Routes()
        self._groups: dict[str, dict[Home, _Record]] = {}
        self._parked: dict[Home, _Parked] = {}
        self._by_name: dict[str, _Record] = {}
        self._by_url: dict[str, _Record] = {}
        self._listeners: tuple[Callable[[Transition], object], ...] = ()
        self._saved: dict[str, Snapshot] = {}
        self._load_errors: dict[str, int] = {}
        self._unknown_exceptions: set[str] = set()
        self._nowhere = CircuitBreaker("nowhere", _STRAIGHT_THROUGH)
        self._renew_locks()
        after_fork(Stage.LOCKS, self._renew_locks)

    # ── finding ──

    def breaker(self, name: str, default: CircuitConfig | None = None) -> CircuitBreaker:
        """The breaker of this name: the same object at every call.

        A policy whose target is this name steers it. Without one it follows `default` (the first that is given
        for the name), and without that it lets every call pass, until a policy arrives.

        Raises:
            TypeError: `name` is not a text, or `default` not a CircuitConfig.
        """
        record = self._by_name.get(name)
        if record is None:
            _check_name(name)
            record = self._find(name, default, self._by_name, name)
        return self._use(record, default)

    def breaker_for(self, url: object, default: CircuitConfig | None = None) -> CircuitBreaker:
        """The breaker for calls of `url`: a URL, or `host`, or `host:port`; an object whose `str()` is a URL will do.

        The policy that covers the URL steers it: one breaker per policy, or per host where the policy's host is a
        wildcard. Without a policy there is one per host and port, which follows `default` (the first that is
        given), or lets every call pass. What is not a URL has a breaker that always lets calls pass.

        Raises:
            TypeError: `default` is not a CircuitConfig.
        """
        spelling = _spelling(url)
        record = self._by_url.get(spelling)
        if record is None:
            endpoint = parse_endpoint(url)
            if endpoint is None:
                return self._nowhere
            record = self._find(endpoint, default, self._by_url, spelling)
        return self._use(record, default)

    def breakers(self) -> list[CircuitBreaker]:
        """Every breaker that is kept."""
        return [breaker for breaker, _ in self._listed()]

    # ── steering ──

    @property
    def policies(self) -> "tuple[PolicyDocument, ...]":
        """The policies in force, each as its document, sorted by `namespace/name`."""
        return self._routes.documents

    def apply(self, documents: "Iterable[PolicyDocument]") -> None:
        """Make `documents` the policies in force, all of them and no others."""
        routes = Routes(documents)
        with self._steering:
            with self._lock:
                self._routes = routes
                self._settle_in(routes)
            for home, breaker, default in self._followers():
                self._steer(home, breaker, default)

    def on_transition(self, listener: Callable[[Transition], object]) -> None:
        """Call `listener(transition)` after each change of state of any breaker, of those to come too."""
        with self._lock:
            self._listeners = (*self._listeners, listener)
            breakers = [breaker for _, breaker, _ in self._followers()]
        for breaker in breakers:
            breaker.on_transition(listener)

    # ── reporting ──

    def readings(self) -> list[BreakerReading]:
        """State and counters of every breaker that a policy or a code default steers."""
        readings = [b.reading() for b, default in self._listed() if b.policy or default is not None]
        for reading in readings:
            for path in reading.unknown_exceptions:
                if path not in self._unknown_exceptions:
                    self._unknown_exceptions.add(path)
                    self.count_load_error("exception")
        return readings

    @property
    def load_errors(self) -> dict[str, int]:
        """How many problems with policies there were, by reason."""
        with self._lock:
            return dict(self._load_errors)

    def count_load_error(self, reason: str) -> None:
        """Count a problem with a policy; `reason` is one of a few words."""
        with self._lock:
            self._load_errors[reason] = self._load_errors.get(reason, 0) + 1

    # ── memory across a restart ──

    def snapshots(self) -> list[Snapshot]:
        """What the breakers remember, and what was remembered for breakers that nobody asked for yet."""
        live = {b.name: b.snapshot() for b, default in self._listed() if b.policy or default is not None}
        return list({**self._saved, **live}.values())

    def remember(self, snapshots: Iterable[Snapshot]) -> None:
        """Restore breakers that were not used yet, and others as soon as they are asked for."""
        with self._lock:
            self._saved = {snapshot.breaker: snapshot for snapshot in snapshots}
            breakers = [breaker for _, breaker, _ in self._followers()]
        for breaker in breakers:
            reading = breaker.reading()
            if not any(reading.calls.values()) and not reading.transitions and not reading.in_flight:
                self._restore(breaker)

    # ── below: how it is kept ──

    def _renew_locks(self) -> None:
        self._lock = threading.RLock()  # re-entrant: a signal handler or a finalizer may ask for a breaker
        self._steering = threading.RLock()  # held while breakers are given a config, and their listeners run

    def _find(
        self, home: Home, default: CircuitConfig | None, cache: dict[str, _Record], spelling: str
    ) -> _Record:
        _check_default(default)
        with self._lock:
            route = self._routes.route_of(home)
            group = self._groups.setdefault(route.group, {})
            record = group.get(route.key)
            if record is None:
                record = group[route.key] = self._unpark(home) or self._create(home, default)
            if cache is self._by_name or cache is self._by_url:
                self._cache(cache, spelling, record)
        if len(group) > MOST_BREAKERS:
            self._make_room(route.group, record)
        return record

    def _cache(self, cache: dict[str, _Record], spelling: str, record: _Record) -> None:
        if len(cache) >= MOST_CACHED:
            for cached in cache.values():
                cached.spellings.clear()
            cache.clear()
        if len(spelling) <= _LONGEST_CACHED:
            cache[spelling] = record
            record.spellings.append(spelling)

    def _use(self, record: _Record, default: CircuitConfig | None) -> CircuitBreaker:
        record.used = self._clock()
        if default is not None and record.default is None:
            self._give_default(record, default)
        return record.breaker

    def _give_default(self, record: _Record, default: CircuitConfig) -> None:
        _check_default(default)
        with self._steering:
            if record.default is None:
                record.default = default
                self._steer(record.home, record.breaker, default)

    def _create(self, home: Home, default: CircuitConfig | None) -> _Record:
        document = self._routes.policy_of(home)
        breaker = CircuitBreaker(
            self._routes.name_of(home),
            document.config if document is not None else default or _STRAIGHT_THROUGH,
            policy="" if document is None else document.policy,
            clock=self._clock,
            wall_clock=self._wall_clock,
            random=self._random,
        )
        self._restore(breaker)
        for listener in self._listeners:
            breaker.on_transition(listener)
        return _Record(home, breaker, default, self._clock())

    def _restore(self, breaker: CircuitBreaker) -> None:
        snapshot = self._saved.pop(breaker.name, None)
        if snapshot is not None:
            try:
                breaker.restore(snapshot)
            except Exception:
                _log.exception("breaker %r could not be restored; it starts afresh", breaker.name)

    def _steer(self, home: Home, breaker: CircuitBreaker, default: CircuitConfig | None) -> None:
        document = self._routes.policy_of(home)
        # Without policy and default only the mode changes, so that a policy that comes back finds all counts.
        code = default if default is not None else replace(breaker.config, mode=Mode.DISABLED)
        config, policy = (code, "") if document is None else (document.config, document.policy)
        if config == breaker.config and policy == breaker.policy:
            return
        try:
            breaker.apply(config, policy)
        except Exception:
            _log.exception("breaker %r keeps its config: the new one could not be applied", breaker.name)

    def _settle_in(self, routes: Routes) -> None:
        """Sort every breaker under its new route; where two share one, the first stays and the other is parked."""
        groups: dict[str, dict[Home, _Record]] = {}
        crowded_out = []
        for record in [record for group in self._groups.values() for record in group.values()]:
            record.spellings.clear()
            route = routes.route_of(record.home)
            group = groups.setdefault(route.group, {})
            if route.key in group or len(group) >= MOST_BREAKERS:
                crowded_out.append(record)
            else:
                group[route.key] = record
        self._groups = groups
        self._by_name, self._by_url = {}, {}
        for record in crowded_out:
            self._park(record, listed=True)

    def _make_room(self, group: str, newcomer: _Record) -> None:
        """Let one go, of the few whose turn it is to be looked at: see `_dispensable`."""
        with self._lock:
            kept = self._groups.get(group, {})
            if len(kept) <= MOST_BREAKERS:
                return
            candidates = [item for item in islice(kept.items(), LOOKED_AT) if item[1] is not newcomer]
            for key, record in candidates:  # to the end, so that each comes to its turn
                del kept[key]
                kept[key] = record
        # Looked at without the lock: looking can bring a due change of state, and with it a listener.
        key, record = _dispensable(candidates)
        with self._lock:
            kept = self._groups.get(group, {})
            if kept.get(key) is record:
                del kept[key]
                cache = self._by_name if isinstance(record.home, str) else self._by_url
                for spelling in record.spellings:
                    cache.pop(spelling, None)
                self._park(record, listed=False)

    def _park(self, record: _Record, *, listed: bool) -> None:
        parked, home = self._parked, record.home

        def forget(reference: "weakref.ref[CircuitBreaker]") -> None:
            entry = parked.get(home)
            if entry is not None and entry.breaker is reference:
                del parked[home]

        parked[home] = _Parked(weakref.ref(record.breaker, forget), record.default, listed)

    def _unpark(self, home: Home) -> _Record | None:
        entry = self._parked.pop(home, None)
        breaker = None if entry is None else entry.breaker()
        if entry is None or breaker is None:
            return None
        return _Record(home, breaker, entry.default, self._clock())

    def _followers(self) -> Iterator[tuple[Home, CircuitBreaker, CircuitConfig | None]]:
        with self._lock:
            records = [record for group in self._groups.values() for record in group.values()]
            parked = list(self._parked.items())
        for record in records:
            yield record.home, record.breaker, record.default
        for home, entry in parked:
            breaker = entry.breaker()
            if breaker is not None:
                yield home, breaker, entry.default

    def _listed(self) -> list[tuple[CircuitBreaker, CircuitConfig | None]]:
        with self._lock:
            listed = [(r.breaker, r.default) for group in self._groups.values() for r in group.values()]
            for entry in list(self._parked.values()):
                breaker = entry.breaker()
                if entry.listed and breaker is not None:
                    listed.append((breaker, entry.default))
        return listed


def _spelling(url: object) -> str:
    """The part of a URL that its endpoint depends on, found without taking the URL apart."""
    try:
        text = url if isinstance(url, str) else str(url)
    except Exception:  # as in parse_endpoint
        return ""
    start = text.find("://")
    end = text.find("/", start + 3) if start >= 0 else -1
    return text if end < 0 else text[:end]


def _dispensable(candidates: "list[tuple[Home, _Record]]") -> "tuple[Home, _Record]":
    """The longest unused that is closed and idle; else that is not open; else of all."""
    by_use = sorted(candidates, key=lambda item: item[1].used)
    not_open = []
    for item in by_use:
        state = item[1].breaker.state
        if state in _CLOSED and not item[1].breaker.reading().in_flight:
            return item
        if state not in _OPEN:
            not_open.append(item)
    return not_open[0] if not_open else by_use[0]


def _check_name(name: object) -> None:
    if not isinstance(name, str) or not name:
        raise TypeError(f"name is {name!r}: give the breaker's name as a non-empty text")


def _check_default(default: object) -> None:
    if default is not None and not isinstance(default, CircuitConfig):
        raise TypeError(f"default is {default!r}: give a CircuitConfig, or None")
