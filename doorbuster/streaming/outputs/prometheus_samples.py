"""Metrics as Prometheus knows them: samples of one number each; a distribution is a classic histogram."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from doorbuster.streaming.metric import BUCKET_EDGES_S, Distribution, Labels, StreamedMetric

EDGE_TEXTS = tuple(f"{edge:g}" for edge in BUCKET_EDGES_S)


def samples(metric: StreamedMetric) -> Iterator[tuple[str, Labels, float]]:
    """(name, labels, value) of every sample; `le` is the upper edge of a bucket in seconds."""
    for point in metric.points:
        if isinstance(point.value, Distribution):
            found = point.value
            for edge, n in zip((*EDGE_TEXTS, "+Inf"), (*found.cumulative_buckets, found.n), strict=True):
                yield f"{metric.name}_bucket", _with(point.labels, "le", edge), n
            yield f"{metric.name}_sum", point.labels, found.sum_s
            yield f"{metric.name}_count", point.labels, found.n
        else:
            yield metric.name, point.labels, point.value


def _with(labels: Labels, name: str, value: str) -> Labels:
    return tuple(sorted((*labels, (name, value))))


def families(metrics: Iterable[StreamedMetric]) -> Iterator[tuple[StreamedMetric, str]]:
    """Each metric with points, and its type in Prometheus."""
    for metric in metrics:
        if metric.points:
            yield metric, "histogram" if metric.kind == "distribution" else metric.kind
