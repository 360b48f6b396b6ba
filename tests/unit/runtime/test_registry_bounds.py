"""How many breakers are kept, and which one makes room for a newcomer."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from switchgear.breaker import CircuitBreaker
from switchgear.config import CircuitConfig, Mode
from switchgear.policy import PolicyDocument
from switchgear.reading import BreakerReading
from switchgear.registry import LOOKED_AT, MOST_BREAKERS, Registry
from switchgear.states import CircuitState
from switchgear.targets import HostTarget
from tests.unit.runtime.support import document

STRICT = CircuitConfig(consecutive_failures=1, open_duration=60.0)
LENIENT = CircuitConfig(consecutive_failures=50)
FORCED = CircuitConfig(mode=Mode.FORCE_OPEN)


def policy(target: HostTarget, config: CircuitConfig = STRICT) -> PolicyDocument:
    return document(target=target, config=config)


def fail(breaker: CircuitBreaker) -> None:
    breaker.acquire().failure()


@pytest.fixture
def registry() -> Registry:
    return Registry()


class Looks:
    """Which breakers are asked for their state from now on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.at: set[str] = set()
        state, reading = CircuitBreaker.state.fget, CircuitBreaker.reading  # type: ignore[attr-defined]  # a property

        def noted_state(breaker: CircuitBreaker) -> CircuitState:
            self.at.add(breaker.name)
            return state(breaker)  # type: ignore[no-any-return]  # as above

        def noted_reading(breaker: CircuitBreaker) -> BreakerReading:
            self.at.add(breaker.name)
            return reading(breaker)

        monkeypatch.setattr(CircuitBreaker, "state", property(noted_state))
        monkeypatch.setattr(CircuitBreaker, "reading", noted_reading)


def test_a_wildcard_keeps_a_thousand_hosts_and_the_longest_unused_idle_closed_one_leaves() -> None:
    ticks = iter(range(10**9))
    registry = Registry(clock=lambda: float(next(ticks)))
    registry.apply([policy(HostTarget("*.example"))])

    def host(number: int) -> CircuitBreaker:
        return registry.breaker_for(f"http://h{number}.example")

    fail(host(0))
    permit = host(1).acquire()
    for number in range(2, MOST_BREAKERS):
        host(number)
    host(2)
    host(MOST_BREAKERS)

    names = {breaker.name for breaker in registry.breakers()}
    assert len(names) == MOST_BREAKERS
    assert {"h0.example", "h1.example", "h2.example", f"h{MOST_BREAKERS}.example"} <= names
    assert "h3.example" not in names
    permit.success()


def test_one_that_left_but_is_held_follows_its_policy_and_is_found_again(registry: Registry) -> None:
    registry.apply([policy(HostTarget("*.example"))])
    held = registry.breaker_for("http://held.example")
    for number in range(MOST_BREAKERS):
        registry.breaker_for(f"http://h{number}.example")
    assert held not in registry.breakers()

    registry.apply([policy(HostTarget("*.example"), config=FORCED)])
    assert held.state is CircuitState.FORCED_OPEN
    assert registry.breaker_for("http://held.example") is held


@pytest.mark.parametrize("state", list(CircuitState))
def test_a_newcomer_at_the_bound_looks_at_few_breakers(
    monkeypatch: pytest.MonkeyPatch, state: CircuitState
) -> None:
    modes = {CircuitState.FORCED_OPEN: Mode.FORCE_OPEN, CircuitState.DISABLED: Mode.DISABLED}
    now = [0.0]
    registry = Registry(clock=lambda: now[0])
    config = replace(STRICT, mode=modes.get(state, Mode.ENFORCE))
    registry.apply([policy(HostTarget("*.example"), config=config)])
    for number in range(MOST_BREAKERS):
        breaker = registry.breaker_for(f"http://h{number}.example")
        if state in {CircuitState.OPEN, CircuitState.HALF_OPEN}:
            breaker.trip()
    now[0] += 1000.0 if state is CircuitState.HALF_OPEN else 0.0
    looked = Looks(monkeypatch)

    registry.breaker_for("http://late.example")
    assert 0 < len(looked.at) <= LOOKED_AT
    assert len(registry.breakers()) == MOST_BREAKERS


def test_an_open_circuit_leaves_only_if_all_that_are_looked_at_are_open(registry: Registry) -> None:
    registry.apply([policy(HostTarget("*.example"))])
    permits = []
    for number in range(MOST_BREAKERS):
        breaker = registry.breaker_for(f"http://h{number}.example")
        if number % LOOKED_AT == LOOKED_AT // 2:
            permits.append(breaker.acquire())
        elif number >= 2 * LOOKED_AT:
            breaker.trip()
        elif number != LOOKED_AT - 1:
            fail(breaker)
    for number in range(2):
        registry.breaker_for(f"http://late{number}.example")

    names = {breaker.name for breaker in registry.breakers()}
    assert f"h{LOOKED_AT - 1}.example" not in names, "closed and idle"
    assert f"h{LOOKED_AT + LOOKED_AT // 2}.example" not in names, "in use, but not open"
    assert len(names) == MOST_BREAKERS
    for permit in permits:
        permit.success()


def test_a_newcomer_at_the_bound_leaves_the_others_cached(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.apply([policy(HostTarget("*.example"))])
    first, *others = [registry.breaker_for(f"http://h{number}.example") for number in range(MOST_BREAKERS)]
    registry.breaker_for("http://late.example")

    assert first not in registry.breakers()
    with monkeypatch.context() as patch:
        patch.setattr("switchgear.registry.parse_endpoint", lambda url: pytest.fail(f"{url} is not cached"))
        for number, breaker in enumerate(others, 1):
            assert registry.breaker_for(f"http://h{number}.example") is breaker
    assert registry.breaker_for("http://h0.example") is first
    assert first in registry.breakers()


def test_many_open_circuits_do_not_break_the_bound(registry: Registry) -> None:
    registry.apply([policy(HostTarget("*.example"), config=FORCED)])
    for number in range(MOST_BREAKERS + 50):
        registry.breaker_for(f"http://h{number}.example")

    assert len(registry.breakers()) == MOST_BREAKERS


@pytest.mark.parametrize(
    "ask",
    [
        lambda registry, n: registry.breaker(f"n{n}", LENIENT),
        lambda registry, n: registry.breaker_for(f"http://h{n}.example", LENIENT),
    ],
    ids=["names", "URLs"],
)
def test_names_and_urls_without_a_policy_are_bounded_too(
    registry: Registry, ask: Callable[[Registry, int], CircuitBreaker]
) -> None:
    for number in range(MOST_BREAKERS + 10):
        ask(registry, number)

    assert len(registry.breakers()) == MOST_BREAKERS
