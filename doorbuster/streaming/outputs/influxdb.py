"""InfluxDB's line protocol over HTTP, for versions 1 (`/write?db=`) and 2 (`/api/v2/write?org=&bucket=`).

Rules of this module:
- A metric is a measurement, a label is a tag, its number is the field `value`.
- A distribution gives the fields `count`, `sum`, `p50`, `p95`, `p99` and `max`, in seconds and of the run so
  far, and one line for each bucket with the tag `le` and the field `value`, as Flux's histogramQuantile
  expects it. Quantiles of several series cannot be averaged, so the lines tagged `channel=all,step=all` state
  those of all requests together.

Source: InfluxDB documentation, "Line protocol reference".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from urllib.parse import SplitResult

from doorbuster.streaming.metric import Distribution, Labels, MetricPoint, StreamedMetric, Update
from doorbuster.streaming.outputs.http_post import HttpPost, authorization
from doorbuster.streaming.outputs.prometheus_samples import EDGE_TEXTS

QUANTILES = (("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("max", 1.0))
ALL = "all"
_IN_TAGS = str.maketrans({",": r"\,", "=": r"\=", " ": r"\ ", "\n": r"\ ", "\r": r"\ ", "\\": "/"})


class InfluxDb:
    """A server of InfluxDB, or one that takes its line protocol."""

    def __init__(self, url: SplitResult) -> None:
        headers = {"Content-Type": "text/plain; charset=utf-8"}
        self._post = HttpPost(url, headers | authorization("influxdb", scheme="Token"))

    def open(self) -> None:
        """Nothing to prepare."""

    def send(self, update: Update) -> None:
        self._post.post("".join(lines(update)).encode("utf-8", "replace"))

    def close(self) -> None:
        self._post.close()


def lines(update: Update) -> Iterator[str]:
    """The lines of one update, each with its line feed."""
    for metric in update.metrics:
        for point in (*metric.points, *merged_points(metric)):
            for tags, fields in _rows(point):
                yield f"{metric.name}{_tags(tags)} {fields} {update.at_unix_ns}\n"


def merged_points(metric: StreamedMetric) -> Iterable[MetricPoint]:
    """A distribution with several series also as one series of all of them."""
    found = [point.value for point in metric.points if isinstance(point.value, Distribution)]
    if len(found) > 1:
        kept = {name: value for name, value in metric.points[0].labels if name == "run_id"}
        merged = Distribution.of(*(one.histogram for one in found))
        yield MetricPoint(tuple(sorted({**kept, "channel": ALL, "step": ALL}.items())), merged)


def _rows(point: MetricPoint) -> Iterator[tuple[Labels, str]]:
    value = point.value
    if not isinstance(value, Distribution):
        yield point.labels, f"value={float(value)!r}"
        return
    quantiles = ((name, value.quantile_s(p)) for name, p in QUANTILES)
    stated = "".join(f",{name}={seconds!r}" for name, seconds in quantiles if seconds is not None)
    yield point.labels, f"count={value.n}i,sum={value.sum_s!r}{stated}"
    for edge, n in zip((*EDGE_TEXTS, "+Inf"), (*value.cumulative_buckets, value.n), strict=True):
        yield tuple(sorted((*point.labels, ("le", edge)))), f"value={float(n)!r}"


def _tags(labels: Labels) -> str:
    return "".join(f",{name}={value.translate(_IN_TAGS)}" for name, value in labels)
