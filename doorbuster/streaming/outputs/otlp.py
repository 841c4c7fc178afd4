"""OpenTelemetry: metrics by OTLP/HTTP in JSON, as `ExportMetricsServiceRequest`.

Rules of this module:
- Counters are cumulative sums since the start of the run; distributions are exponential histograms, into
  which the bins of the run file (0.1 % wide) fall by their middle.
- As OTLP's JSON encoding asks, 64-bit numbers are strings.

Source: OpenTelemetry specification, "OTLP", section on JSON Protobuf Encoding; "Metrics Data Model",
section on ExponentialHistogram.
"""

from __future__ import annotations

import math
from typing import Any
from urllib.parse import SplitResult

import numpy as np
import orjson

from doorbuster import __version__
from doorbuster.streaming.metric import MIDDLE_S, Distribution, Labels, MetricPoint, StreamedMetric, Update
from doorbuster.streaming.outputs.http_post import HttpPost, authorization

SCALE = 4  # buckets grow by 2 ** (2 ** -4) = 4.4 %
CUMULATIVE = 2  # AggregationTemporality
DEFAULT_PATH = "/v1/metrics"
with np.errstate(divide="ignore"):
    # Bucket i holds values above base ** i, up to base ** (i + 1).
    _INDEX = np.ceil(np.log2(MIDDLE_S) * 2**SCALE - 1e-9)
_INDEX = np.where(MIDDLE_S > 0, _INDEX - 1, -math.inf)
_FIRST, _LAST = int(_INDEX[MIDDLE_S > 0].min()), int(_INDEX.max())
_SLOT = np.where(MIDDLE_S > 0, _INDEX - _FIRST, 0).astype(np.int64)


class Otlp:
    """A collector that accepts OTLP over HTTP."""

    def __init__(self, url: SplitResult) -> None:
        path = url.path if url.path not in ("", "/") else DEFAULT_PATH
        self._post = HttpPost(
            url._replace(path=path), {"Content-Type": "application/json"} | authorization("otlp")
        )

    def open(self) -> None:
        """Nothing to prepare."""

    def send(self, update: Update) -> None:
        self._post.post(orjson.dumps(export_request(update)))

    def close(self) -> None:
        self._post.close()


def export_request(update: Update) -> dict[str, Any]:
    """The message for one update."""
    return {
        "resourceMetrics": [
            {
                "resource": {"attributes": _attributes((("service.name", "doorbuster"),))},
                "scopeMetrics": [
                    {
                        "scope": {"name": "doorbuster", "version": __version__},
                        "metrics": [_metric(metric, update) for metric in update.metrics if metric.points],
                    }
                ],
            }
        ]
    }


def _metric(metric: StreamedMetric, update: Update) -> dict[str, Any]:
    named = {"name": metric.name, "description": metric.meaning, "unit": _UNITS.get(metric.unit, "1")}
    points = [_point(point, update) for point in metric.points]
    if metric.kind == "gauge":
        return {**named, "gauge": {"dataPoints": points}}
    data: dict[str, Any] = {"aggregationTemporality": CUMULATIVE, "dataPoints": points}
    if metric.kind == "counter":
        return {**named, "sum": {**data, "isMonotonic": True}}
    return {**named, "exponentialHistogram": data}


_UNITS = {"seconds": "s", "bytes": "By"}


def _point(point: MetricPoint, update: Update) -> dict[str, Any]:
    found: dict[str, Any] = {
        "attributes": _attributes(point.labels),
        "startTimeUnixNano": str(update.started_at_unix_ns),
        "timeUnixNano": str(update.at_unix_ns),
    }
    if isinstance(point.value, Distribution):
        return {**found, **_exponential(point.value)}
    if isinstance(point.value, int):
        return {**found, "asInt": str(point.value)}
    return {**found, "asDouble": point.value}


def _exponential(found: Distribution) -> dict[str, Any]:
    """The buckets of a distribution; durations of 0 are counted apart."""
    bins, counted = found.histogram.bins, found.histogram.bin_counts
    above = MIDDLE_S[bins] > 0
    zeros = int(counted[~above].sum())
    counts = np.bincount(_SLOT[bins[above]], weights=counted[above]).astype(np.int64)
    used = np.flatnonzero(counts)
    positive: dict[str, Any] = {"offset": 0, "bucketCounts": []}
    if used.size:
        first, last = int(used[0]), int(used[-1])
        positive = {
            "offset": first + _FIRST,
            "bucketCounts": [str(n) for n in counts[first : last + 1].tolist()],
        }
    return {
        "count": str(found.n),
        "sum": found.sum_s,
        "scale": SCALE,
        "zeroCount": str(zeros),
        "positive": positive,
    }


def _attributes(labels: Labels) -> list[dict[str, Any]]:
    return [{"key": name, "value": {"stringValue": value}} for name, value in labels]
