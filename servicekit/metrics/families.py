"""Writes what was gathered as metrics: values that are read when a page is made, and kept nowhere."""

from collections.abc import Iterable, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric


def gauge(name: str, text: str, value: float) -> Metric:
    """Returns a gauge without labels."""
    return GaugeMetricFamily(name, text, value=float(value))


def gauges(name: str, text: str, label: str, values: Mapping[str, float]) -> Metric:
    """Returns a gauge with one label, whose values are the names."""
    family = GaugeMetricFamily(name, text, labels=(label,))
    for told, value in values.items():
        family.add_metric((told,), float(value))
    return family


def counters(name: str, text: str, labels: tuple[str, ...], values: Mapping[tuple[str, ...], float]) -> Metric:
    """Returns a counter; `values` are by the values of the labels."""
    family = CounterMetricFamily(name, text, labels=labels)
    for told, value in values.items():
        family.add_metric(told, float(value))
    return family


def histograms(
    name: str, text: str, label: str, bounds: tuple[float, ...], values: Mapping[str, tuple[Iterable[int], float]]
) -> Metric:
    """Returns a histogram with one label; `values` are the counts between the bounds, the last one above all, and the sum."""
    family = HistogramMetricFamily(name, text, labels=(label,))
    for told, (counts, total) in values.items():
        buckets, below = list[tuple[str, float]](), 0
        for bound, count in zip((*map(str, bounds), "+Inf"), counts, strict=True):
            below += count
            buckets.append((bound, below))
        family.add_metric((told,), buckets, total)
    return family
