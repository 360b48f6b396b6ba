"""The library's metrics, made of what breakers and policies are read to be. Pure; label values are bounded."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING
from zlib import crc32

from .exposition import Family
from .reading import BreakerReading
from .states import CircuitState, Outcome

if TYPE_CHECKING:
    from .policy import PolicyDocument

__all__ = ["LONGEST_LABEL", "bounded", "breaker_families", "policy_families", "state_families"]

LONGEST_LABEL = 200
"""Characters of a label's value; a longer one is cut and told apart by a checksum."""


def breaker_families(readings: Iterable[BreakerReading]) -> list[Family]:
    """Everything there is to know about breakers, each told apart by its name and policy."""
    families = _Families()
    taken: set[tuple[str, str]] = set()
    for reading in readings:
        families.add(reading, _labels(reading, taken))
    return families.all()


def policy_families(
    policies: "Iterable[PolicyDocument]", load_errors: Mapping[str, int], version: str, schema: int
) -> list[Family]:
    """What policies are loaded, what went wrong with others, and which library says so."""
    generation = Family("switchgear_policy_generation", "gauge", "Generation of each policy in force.")
    for document in policies:
        generation.add(document.generation, policy=bounded(document.policy), uid=bounded(document.uid))
    errors = Family(
        "switchgear_policy_load_errors_total", "counter", "Problems with policies; the last good ones stay."
    )
    for reason, total in sorted(load_errors.items()):
        errors.add(total, reason=bounded(reason))
    info = Family("switchgear_library_info", "gauge", "The library, and the policy schema that it reads.")
    info.add(1, version=version, schema=str(schema))
    return [generation, errors, info]


def state_families(errors: Mapping[str, int]) -> list[Family]:
    """What went wrong with the file that keeps the state across a restart."""
    family = Family(
        "switchgear_state_file_errors_total", "counter", "Trouble with the file that outlives a restart."
    )
    for reason, total in sorted(errors.items()):
        family.add(total, reason=bounded(reason))
    return [family]


def bounded(value: str) -> str:
    """`value` as a label: printable, and not longer than LONGEST_LABEL; still unlike any other value."""
    clean = "".join(c if c.isprintable() else "_" for c in value[:LONGEST_LABEL])
    if clean == value:
        return clean
    return f"{clean[: LONGEST_LABEL - 9]}~{crc32(value.encode('utf-8', errors='surrogatepass')):08x}"


def _labels(reading: BreakerReading, taken: set[tuple[str, str]]) -> dict[str, str]:
    """The breaker's labels; of breakers with equal name and policy, the second is called `name~2`."""
    name, policy = bounded(reading.name), bounded(reading.policy)
    labels, number = (name, policy), 2
    while labels in taken:
        labels, number = (f"{name}~{number}", policy), number + 1
    taken.add(labels)
    return {"breaker": labels[0], "policy": labels[1]}


class _Families:
    """One family for each metric of a breaker."""

    def __init__(self) -> None:
        def gauge(name: str, text: str) -> Family:
            return Family(f"switchgear_breaker_{name}", "gauge", text)

        def counter(name: str, text: str) -> Family:
            return Family(f"switchgear_breaker_{name}", "counter", text)

        self.state = gauge("state", "1 for the state that the breaker is in, 0 for the others.")
        self.open_until = gauge(
            "open_until_timestamp_seconds", "When an open circuit lets the next call try; absent unless open."
        )
        self.calls = counter("calls_total", "Calls by outcome.")
        self.slow_calls = counter("slow_calls_total", "Calls that took as long as the policy calls slow.")
        self.transitions = counter("transitions_total", "Changes of state.")
        self.in_flight = gauge("in_flight_calls", "Calls under way.")
        self.window_calls = gauge("window_calls", "Calls in the window that the rates are judged by.")
        self.window_failures = gauge("window_failures", "Failed calls in the window.")
        self.window_slow_calls = gauge("window_slow_calls", "Slow calls in the window.")
        self.last_failure = gauge("last_failure_info", "The type of the last failure.")

    def add(self, reading: BreakerReading, labels: dict[str, str]) -> None:
        for state in CircuitState:
            self.state.add(state is reading.state, **labels, state=state.value)
        if reading.open_until is not None:
            self.open_until.add(reading.open_until, **labels)
        for outcome in Outcome:
            self.calls.add(reading.calls.get(outcome, 0), **labels, outcome=outcome.value)
        self.slow_calls.add(reading.slow_calls, **labels)
        for (source, destination), total in reading.transitions.items():
            self.transitions.add(total, **labels, from_state=source.value, to_state=destination.value)
        self.in_flight.add(reading.in_flight, **labels)
        self.window_calls.add(reading.window_calls, **labels)
        self.window_failures.add(reading.window_failures, **labels)
        self.window_slow_calls.add(reading.window_slow_calls, **labels)
        if reading.last_error is not None:
            self.last_failure.add(1, **labels, error=bounded(reading.last_error))

    def all(self) -> list[Family]:
        return list(vars(self).values())
