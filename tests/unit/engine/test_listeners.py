"""Transitions: each is told once, without the lock, and no listener can harm a caller."""

import logging

import pytest

from switchgear import CircuitState, Mode, Transition

from .support import CONFIG, BrokenError, Clock, fail, half_open, make, succeed

CLOSED, OPEN, HALF_OPEN = CircuitState.CLOSED, CircuitState.OPEN, CircuitState.HALF_OPEN


def test_each_transition_is_told_once_in_order_with_its_reason() -> None:
    clock = Clock()
    breaker = make(clock)
    breaker._wall_clock = Clock(1_700_000_000.0)
    seen: list[Transition] = []
    assert breaker.on_transition(seen.append) == seen.append
    fail(breaker, 4)
    clock.advance(5.0)
    succeed(breaker, 3)
    breaker.trip()
    breaker.reset()
    assert [(event.from_state, event.to_state) for event in seen] == [
        (CLOSED, OPEN),
        (OPEN, HALF_OPEN),
        (HALF_OPEN, CLOSED),
        (CLOSED, OPEN),
        (OPEN, CLOSED),
    ]
    assert [event.reason for event in seen] == [
        "4 of 4 calls failed; open for 5 s",
        "the open period is over",
        "3 half-open calls succeeded",
        "tripped by hand; open for 5 s",
        "reset by hand",
    ]
    assert {(event.breaker, event.at) for event in seen} == {("target", 1_700_000_000.0)}
    assert breaker.reading().transitions == {
        (CLOSED, OPEN): 2,
        (OPEN, HALF_OPEN): 1,
        (HALF_OPEN, CLOSED): 1,
        (OPEN, CLOSED): 1,
    }


def test_a_transition_names_the_policy_it_happened_under() -> None:
    breaker = make()
    breaker.apply(CONFIG, "shop/payments")
    seen: list[Transition] = []
    breaker.on_transition(seen.append)
    breaker.trip()
    assert seen[0].policy == "shop/payments"


def test_what_the_mode_hides_is_not_told() -> None:
    clock = Clock()
    breaker = half_open(clock)
    probe = breaker.acquire()
    seen: list[Transition] = []
    breaker.on_transition(seen.append)
    breaker.apply(make(mode=Mode.FORCE_OPEN).config)
    clock.advance(100.0)
    probe.failure()
    breaker.trip()
    breaker.reset()
    breaker.apply(make(mode=Mode.DISABLED).config)
    breaker.apply(CONFIG)
    assert [(event.from_state.value, event.to_state.value) for event in seen] == [
        ("half_open", "forced_open"),
        ("forced_open", "disabled"),
        ("disabled", "closed"),
    ]


def test_a_raising_listener_harms_neither_callers_nor_other_listeners(
    caplog: pytest.LogCaptureFixture,
) -> None:
    breaker = make()
    seen: list[Transition] = []

    @breaker.on_transition
    def broken(transition: Transition) -> None:
        raise BrokenError("listener")

    breaker.on_transition(seen.append)
    fail(breaker, 4)
    assert len(seen) == 1
    assert breaker.state is OPEN
    assert "listener of circuit 'target' raised" in caplog.text


def test_listeners_run_without_the_lock() -> None:
    breaker = make()
    held: list[bool] = []
    breaker.on_transition(lambda transition: held.append(breaker._lock.is_held()))
    fail(breaker, 4)
    breaker.reset()
    breaker.apply(make(mode=Mode.DISABLED).config)
    assert held == [False] * 3


def test_a_listener_may_steer_the_breaker_and_add_listeners() -> None:
    breaker = make()
    seen: list[CircuitState] = []

    @breaker.on_transition
    def close_again(transition: Transition) -> None:
        seen.append(transition.to_state)
        if transition.to_state is OPEN:
            breaker.on_transition(lambda other: None)
            breaker.reset()

    fail(breaker, 4)
    assert breaker.state is CLOSED
    assert seen == [OPEN, CLOSED]


def test_each_transition_is_one_log_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "switchgear")
    breaker = make()
    fail(breaker, 4)
    breaker.reset()
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("WARNING", "circuit 'target': closed -> open (4 of 4 calls failed; open for 5 s)"),
        ("INFO", "circuit 'target': open -> closed (reset by hand)"),
    ]
