"""The metrics' names, labels and values, from a real registry to a real scrape."""

import subprocess
import sys
import textwrap

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from switchgear.config import CircuitConfig
from switchgear.exposition import render
from switchgear.metrics import LONGEST_LABEL, bounded
from switchgear.prometheus import Collector
from switchgear.registry import Registry
from switchgear.runtime import families
from switchgear.targets import NameTarget
from tests.unit.runtime.support import document

CONFIG = CircuitConfig(
    consecutive_failures=1, open_duration=60.0, jitter=0.0, slow_call_duration=5.0, minimum_calls=100
)

NAMES = {
    "switchgear_breaker_state",
    "switchgear_breaker_open_until_timestamp_seconds",
    "switchgear_breaker_calls_total",
    "switchgear_breaker_slow_calls_total",
    "switchgear_breaker_transitions_total",
    "switchgear_breaker_in_flight_calls",
    "switchgear_breaker_window_calls",
    "switchgear_breaker_window_failures",
    "switchgear_breaker_window_slow_calls",
    "switchgear_breaker_last_failure_info",
    "switchgear_policy_generation",
    "switchgear_policy_load_errors_total",
    "switchgear_library_info",
}


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def registry(clock: Clock) -> Registry:
    return Registry(clock=clock, wall_clock=lambda: clock.now + 1e9)


def scrape(registry: Registry) -> list[Sample]:
    text = render(families(registry)).decode()
    return [sample for family in text_string_to_metric_families(text) for sample in family.samples]


def values(registry: Registry, name: str, label: str) -> dict[str, float]:
    return {s.labels[label]: s.value for s in scrape(registry) if s.name == f"switchgear_{name}"}


def value(registry: Registry, name: str) -> float:
    (found,) = [s.value for s in scrape(registry) if s.name == f"switchgear_{name}"]
    return found


def test_the_names_are_exactly_the_designs(registry: Registry) -> None:
    registry.apply([document("x", config=CONFIG)])
    registry.breaker("x").acquire().failure(ValueError())
    registry.count_load_error("malformed")

    assert {sample.name for sample in scrape(registry)} == NAMES
    assert {family.name for family in families(registry)} == NAMES


def test_a_breaker_is_described_whole(registry: Registry, clock: Clock) -> None:
    registry.apply([document("x", config=CONFIG)])
    breaker = registry.breaker("x")
    slow = breaker.acquire()
    clock.now += 5.0
    slow.success()
    assert value(registry, "breaker_window_calls") == 1
    assert value(registry, "breaker_window_slow_calls") == 1
    under_way = breaker.acquire()
    breaker.acquire().ignore()
    breaker.acquire().cancel()
    breaker.acquire().failure(TimeoutError())

    assert {(s.labels["breaker"], s.labels["policy"]) for s in scrape(registry) if "breaker" in s.labels} == {
        ("x", "shop/x")
    }
    assert values(registry, "breaker_state", "state") == {
        "closed": 0,
        "open": 1,
        "half_open": 0,
        "forced_open": 0,
        "disabled": 0,
    }
    assert value(registry, "breaker_open_until_timestamp_seconds") == clock.now + 1e9 + 60
    assert values(registry, "breaker_calls_total", "outcome") == {
        "success": 1,
        "failure": 1,
        "ignored": 1,
        "rejected": 0,
        "cancelled": 1,
    }
    assert value(registry, "breaker_slow_calls_total") == 1
    assert value(registry, "breaker_in_flight_calls") == 1
    assert values(registry, "breaker_last_failure_info", "error") == {"TimeoutError": 1}
    (transition,) = [s for s in scrape(registry) if s.name == "switchgear_breaker_transitions_total"]
    assert (transition.labels["from_state"], transition.labels["to_state"]) == ("closed", "open")
    assert transition.value == 1
    under_way.cancel()


def test_a_loaded_policy_shows_its_generation_before_any_breaker_exists(registry: Registry) -> None:
    registry.apply([document("x", generation=7, uid="u-1")])

    (sample,) = [s for s in scrape(registry) if s.name == "switchgear_policy_generation"]
    assert (sample.labels, sample.value) == ({"policy": "shop/x", "uid": "u-1"}, 7)


def test_load_errors_are_counted_by_reason(registry: Registry) -> None:
    for reason in ("schema", "malformed", "schema"):
        registry.count_load_error(reason)

    assert values(registry, "policy_load_errors_total", "reason") == {"schema": 2, "malformed": 1}


def test_the_library_says_which_it_is(registry: Registry) -> None:
    (sample,) = [s for s in scrape(registry) if s.name == "switchgear_library_info"]

    assert sample.labels["schema"] == "1"
    assert sample.labels["version"][0].isdigit()


def test_breakers_that_nothing_steers_make_no_series(registry: Registry) -> None:
    registry.breaker("x")
    registry.breaker_for("http://api.example")

    assert not [s for s in scrape(registry) if "breaker" in s.labels]


@pytest.mark.parametrize(
    "name",
    ["x" * 10_000, "a\nb", 'quo"te\\', "a\x00b", "ü\u2028", "\ud800", " ", "{}", "x" * LONGEST_LABEL],
)
def test_any_name_makes_a_bounded_label_that_can_be_read_back(registry: Registry, name: str) -> None:
    registry.breaker(name, CONFIG)

    (label,) = {s.labels["breaker"] for s in scrape(registry) if "breaker" in s.labels}
    assert len(label) <= LONGEST_LABEL
    assert label.isprintable()


def test_labels_that_are_cut_stay_different() -> None:
    assert bounded("x" * 500 + "a") != bounded("x" * 500 + "b")
    assert bounded("a\nb") != bounded("a\rb")
    assert bounded("plain") == "plain"


def test_an_error_types_name_is_bounded_too(registry: Registry) -> None:
    monster = type("E" * 5000 + "\n", (Exception,), {})
    registry.breaker("x", CONFIG).acquire().failure(monster())

    (error,) = values(registry, "breaker_last_failure_info", "error")
    assert len(error) <= LONGEST_LABEL


def test_no_two_series_are_the_same(registry: Registry) -> None:
    registry.breaker("api.example:80", CONFIG)
    registry.breaker_for("http://api.example", CONFIG)

    series = [(s.name, tuple(sorted(s.labels.items()))) for s in scrape(registry)]
    assert len(series) == len(set(series))
    assert set(values(registry, "breaker_in_flight_calls", "breaker")) == {
        "api.example:80",
        "api.example:80~2",
    }


class TestCollector:
    def test_a_prometheus_client_registry_shows_the_same_samples(self, registry: Registry) -> None:
        registry.apply([document("x", target=NameTarget("x"), config=CONFIG)])
        registry.breaker("x").acquire().failure(ValueError())
        registry.count_load_error("schema")
        theirs = CollectorRegistry()
        theirs.register(Collector(registry))
        text = generate_latest(theirs).decode()

        found = {
            (s.name, tuple(sorted(s.labels.items())), s.value)
            for family in text_string_to_metric_families(text)
            for s in family.samples
        }
        assert found == {(s.name, tuple(sorted(s.labels.items())), s.value) for s in scrape(registry)}

    def test_two_collectors_in_one_registry_are_noticed(self, registry: Registry) -> None:
        theirs = CollectorRegistry()
        theirs.register(Collector(registry))

        with pytest.raises(ValueError, match="Duplicated timeseries"):
            theirs.register(Collector())


@pytest.mark.parametrize(("module", "package"), [("prometheus", "prometheus_client"), ("httpx", "httpx")])
def test_a_missing_extra_is_told_with_its_remedy(module: str, package: str) -> None:
    program = textwrap.dedent(
        f"""
        import sys
        sys.modules[{package!r}] = None
        try:
            import switchgear.{module}
        except ImportError as error:
            print(error)
        """
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert run.stdout == f"switchgear.{module} needs {package}: pip install 'switchgear[{module}]'\n"
