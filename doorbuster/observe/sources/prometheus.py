"""Asks a Prometheus server for PromQL range queries through its HTTP API.

The server dates its values by its own clock; the difference to ours is measured with the query `time()`, and
recorded as `clock_ahead_seconds`.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

from doorbuster.observe.sample import Labels, SourceError, TargetSample, gauge, sorted_labels
from doorbuster.observe.sources.http_reader import HttpReader

STEP_S = 1.0
REMEASURE_S = 60.0
MAX_RANGE_S = 600.0  # asked for at once after a failure


class PrometheusSource:
    """Queries by name; each result's labels are kept, its metric name is ours."""

    def __init__(
        self,
        *,
        url: str,
        queries: dict[str, str],
        headers: dict[str, str],
        networks: list[str],
        started_at: float,
        **_: Any,
    ) -> None:
        self._http = HttpReader(url, headers, networks)
        self._base = self._http.path.rstrip("/")
        self._queries = queries
        self._clock = time.time() - time.perf_counter()  # Unix time by our counter
        self._ahead_s = 0.0
        self._measured_at: float | None = None
        # On our counter, by query: the middles of seconds, so that rounding leaves each value in its own.
        self._next_at = dict.fromkeys(queries, started_at + STEP_S / 2)

    def read(self) -> Iterator[TargetSample]:
        now = time.perf_counter()
        if self._measured_at is None or now - self._measured_at > REMEASURE_S:
            self._measure_clock()
            yield gauge("clock_ahead_seconds", self._ahead_s)
        for name, query in self._queries.items():
            first = max(self._next_at[name], now - MAX_RANGE_S)
            if now - first < STEP_S:
                continue
            last = first + int((now - first) / STEP_S) * STEP_S
            yield from self._range(name, query, first, last)
            self._next_at[name] = last + STEP_S

    def close(self) -> None:
        self._http.close()

    @property
    def ahead_s(self) -> float:
        """The server's clock minus ours."""
        return self._ahead_s

    def _measure_clock(self) -> None:
        sent_at = time.perf_counter()
        data = self._ask("query", {"query": "time()"})
        middle = (sent_at + time.perf_counter()) / 2
        try:
            theirs = float(data["result"][1])
        except (KeyError, TypeError, ValueError, IndexError):
            theirs = math.nan
        if not math.isfinite(theirs):
            raise SourceError("the answer to the query time() is not that of a Prometheus server")
        self._ahead_s = theirs - (middle + self._clock)
        self._measured_at = middle

    def _range(self, name: str, query: str, first: float, last: float) -> Iterator[TargetSample]:
        shift = self._clock + self._ahead_s
        times = {"start": f"{first + shift:.3f}", "end": f"{last + shift:.3f}", "step": f"{STEP_S:g}"}
        data = self._ask("query_range", {"query": query, **times})
        for series in _matrix(data):
            labels = _labels(series.get("metric"))
            for stamp, value in series["values"]:
                yield TargetSample(name, labels, float(value), at=float(stamp) - shift)

    def _ask(self, what: str, parameters: Mapping[str, str]) -> Any:
        text = self._http.get(f"{self._base}/api/v1/{what}?{urlencode(parameters)}").text
        try:
            answer = json.loads(text)
            if answer["status"] != "success":
                raise SourceError(f"the query failed: {answer.get('error', answer['status'])}")
            return answer["data"]
        except (ValueError, KeyError, TypeError):
            raise SourceError("the answer is not that of a Prometheus server") from None


def _matrix(data: Any) -> list[Any]:
    if not isinstance(data, dict) or data.get("resultType") != "matrix":
        raise SourceError("a query must return numbers over time; it returned " + str(data)[:60])
    return list(data["result"])


def _labels(metric: Any) -> Labels:
    kept = {key: value for key, value in (metric or {}).items() if key != "__name__"}
    return sorted_labels(kept)
