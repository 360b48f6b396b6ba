"""How long a circuit stays open: exponential in the consecutive re-openings, spread by jitter, bounded."""

from math import log

from .config import CircuitConfig

__all__ = ["open_period"]


def open_period(config: CircuitConfig, reopenings: int, spread: float) -> float:
    """Seconds of an open period.

    `open_duration * backoff_multiplier ** reopenings`, times `1 + jitter * (2 * spread - 1)`, and at most
    `max_open_duration`. No intermediate value overflows, whatever the number of re-openings.

    Args:
        config: The durations, the multiplier and the jitter.
        reopenings: How often in a row the circuit opened again without having closed; 0 for the first time.
        spread: A random number, 0..1; 0.5 leaves the period as it is.
    """
    factor = 1 + config.jitter * (2 * min(max(spread, 0.0), 1.0) - 1)
    return min(config.max_open_duration, factor * _nominal(config, reopenings))


def _nominal(config: CircuitConfig, reopenings: int) -> float:
    shortest, longest, multiplier = config.open_duration, config.max_open_duration, config.backoff_multiplier
    if multiplier == 1 or reopenings == 0:
        return shortest
    if reopenings * log(multiplier) >= log(longest) - log(shortest):
        return longest
    return min(longest, shortest * multiplier**reopenings)
