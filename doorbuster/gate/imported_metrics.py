"""Metrics of an imported run that its requests cannot answer: summaries of other tools, hidden failures.

Rules:
- A percentile is taken as the tool reported it, or is unknown; it is never computed from others.
- A tool that lists successful requests only gives no failure rate.
"""

from __future__ import annotations

from doorbuster.gate.accumulate import Selector
from doorbuster.gate.threshold_result import CounterTotal, MetricData, NoData, RateCounts, SectionValue
from doorbuster.records.batch import SeriesKey
from doorbuster.records.import_info import ImportInfo, ReportedSummary
from doorbuster.records.outcome import RequestOutcome
from doorbuster.scenario.thresholds.language import Threshold
from doorbuster.scenario.thresholds.metrics import MetricDefinition, Requests, RequestTimes

ALL_REQUESTS = "all requests"
"""The name of a summary over all names."""


def imported_data(
    threshold: Threshold, metric: MetricDefinition, select: Selector, info: ImportInfo
) -> MetricData | None:
    """The data for this threshold; None when the imported requests answer it."""
    if isinstance(metric.counting, Requests) and metric.kind == "rate" and info.hides_failures:
        return NoData(f"{info.format} lists no failed requests, or not apart from the others")
    if info.precision != "summary":
        return None
    if "expected_response" in select.tags:
        return NoData(f"{info.format} does not tell the times of failed requests apart")
    rows = _matching(select, info)
    if not rows:
        names = ", ".join(sorted({row.step for row in info.summaries})[:20])
        return NoData(f"{info.format} has no summary for these requests; it has {names}")
    match metric.counting:
        case RequestTimes(time="first_byte"):
            return NoData(f"{info.format} reports no times to the first byte")
        case RequestTimes():
            return _time(threshold, rows, info)
        case Requests():
            return _count(metric, rows, info)
    return None


def _matching(select: Selector, info: ImportInfo) -> list[ReportedSummary]:
    """The summaries that are selected; the one over all names stands for all when no name is chosen."""
    chosen = [
        row
        for row in info.summaries
        if select.matches_series(SeriesKey(row.channel, row.journey, row.step, RequestOutcome.OK, ""))
    ]
    totals = [row for row in chosen if row.step == ALL_REQUESTS]
    return totals or chosen


def _count(metric: MetricDefinition, rows: list[ReportedSummary], info: ImportInfo) -> MetricData:
    n = sum(row.n for row in rows)
    if metric.kind == "counter":
        return CounterTotal(n, n, 0.0)
    failed = [row.failed for row in rows if row.failed is not None]
    if len(failed) < len(rows):
        return NoData(f"{info.format} does not report failures")
    return RateCounts(min(sum(failed), n), n)


def _time(threshold: Threshold, rows: list[ReportedSummary], info: ImportInfo) -> MetricData:
    n = sum(row.n for row in rows)
    match threshold.aggregation:
        case "min":
            value = min((row.min_ms for row in rows if row.min_ms is not None), default=None)
        case "max":
            value = max((row.max_ms for row in rows if row.max_ms is not None), default=None)
        case "avg":
            known = [(row.mean_ms, row.n) for row in rows if row.mean_ms is not None]
            value = sum(mean * k for mean, k in known) / n if n and len(known) == len(rows) else None
        case _:
            if len(rows) > 1:
                return NoData(
                    f"{info.format} reports {len(rows)} names, and their percentiles cannot be merged; "
                    "choose one with a tag such as {name:...}"
                )
            value = rows[0].percentiles_ms.get(f"{threshold.percentile:g}")
    if value is None:
        reported = ", ".join(f"p({p})" for row in rows[:1] for p in row.percentiles_ms) or "no percentile"
        return NoData(f"{info.format} does not report this value; it reports {reported}")
    basis = f"as {info.tool} reports it; no interval without the requests"
    return SectionValue(value, None, None, n, at_least=False, unit="ms", basis=basis)
