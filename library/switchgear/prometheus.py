"""The library's metrics in an application's own Prometheus registry.

from prometheus_client import REGISTRY
from switchgear.prometheus import Collector

REGISTRY.register(Collector())
"""

from collections.abc import Iterator

from .exposition import Family
from .registry import Registry
from .runtime import families

try:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
    from prometheus_client.metrics_core import Metric
    from prometheus_client.registry import Collector as _Collector
except ImportError as error:
    raise ImportError(
        "switchgear.prometheus needs prometheus_client: pip install 'switchgear[prometheus]'"
    ) from error

__all__ = ["Collector"]


class Collector(_Collector):
    """Collects, at each scrape, what the breakers of a registry tell.

    Args:
        registry: The registry; the module-level one unless told otherwise.
    """

    def __init__(self, registry: Registry | None = None) -> None:
        self._registry = registry

    def collect(self) -> Iterator[Metric]:
        """Every metric, as it is now."""
        for family in families(self._registry):
            yield _metric(family)

    def describe(self) -> Iterator[Metric]:
        """The metrics' names, so that a registry notices two collectors of the same kind."""
        for family in families(Registry()):
            yield _metric(family)


def _metric(family: Family) -> Metric:
    kind = CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily
    metric: Metric = kind(family.name, family.help)
    for sample in family.samples:
        metric.add_sample(family.name, sample.labels, sample.value)
    return metric
