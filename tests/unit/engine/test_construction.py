"""What a breaker is made of, and how it shows itself."""

from typing import Any

import pytest

from switchgear import CircuitBreaker, CircuitConfig


@pytest.mark.parametrize("name", ["", None, 5, b"payments"])
def test_a_breaker_has_a_name(name: Any) -> None:
    with pytest.raises(TypeError, match=r"^name is .*: give a text that is not empty$"):
        CircuitBreaker(name)


@pytest.mark.parametrize("config", [0, "", {}, False, CircuitConfig])
def test_a_breaker_has_a_config_or_the_defaults(config: Any) -> None:
    with pytest.raises(TypeError, match=r"^config is .*: give a CircuitConfig, or None for the defaults$"):
        CircuitBreaker("payments", config)
    assert CircuitBreaker("payments", None).config == CircuitConfig()


def test_a_breaker_shows_its_name_its_state_and_its_policy() -> None:
    breaker = CircuitBreaker("payments", policy="shop/payments")
    breaker.trip()
    assert repr(breaker) == "CircuitBreaker('payments', state='open', policy='shop/payments')"
