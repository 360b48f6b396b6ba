"""A circuit breaker without Kubernetes. Run it and watch: `pip install .` in the clone, `python examples/quickstart.py`."""

import logging
import random
import time

from switchgear import CircuitBreaker, CircuitConfig, CircuitOpenError, CountWindow

logging.basicConfig(level=logging.INFO, format="        %(message)s")  # the breaker logs each change of state
breaker = CircuitBreaker(
    "payments",
    CircuitConfig(
        window=CountWindow(10),
        minimum_calls=5,
        failure_rate_threshold=0.5,
        open_duration=1.0,
        half_open_calls=3,
    ),
)
started = time.monotonic()


def charge_later(error: CircuitOpenError, order: int) -> str:
    """The fallback: called in place of `charge` while the circuit is open."""
    return f"order {order}: charged later; the circuit is open for another {error.retry_after:.1f} s"


@breaker.protect(fallback=charge_later)
def charge(order: int) -> str:
    """Charge an order; for a while in between, payments is down."""
    if 0.5 < time.monotonic() - started < 1.5:
        raise ConnectionError("payments is down")
    return f"order {order}: charged {random.randint(5, 50)} euros"


for order in range(30):
    try:
        outcome = charge(order)
    except ConnectionError as error:
        outcome = f"order {order}: failed, {error}"
    print(f"{time.monotonic() - started:4.1f} s  {outcome}", flush=True)
    time.sleep(0.1)
