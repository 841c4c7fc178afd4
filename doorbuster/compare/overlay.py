"""Charts of both builds over the time of a run, one above the other: response times, failures, load, orders.

With several runs of a build, its line is their median and the band reaches from the lowest to the highest.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from statistics import median

import numpy as np

from doorbuster.compare.build_comparison import BuildComparison
from doorbuster.compare.metric_comparison import MetricComparison
from doorbuster.compare.run_metric import threshold_key
from doorbuster.compare.wording import change_text, short_decision
from doorbuster.records.outcome import RequestOutcome
from doorbuster.records.reader import Run
from doorbuster.report.section import Annotation, Chart, Role, Series, Unit, bucket_s
from doorbuster.scenario.recorded import recorded_thresholds
from doorbuster.scenario.thresholds.language import Threshold
from doorbuster.stats.latency_quantiles import time_blocks_by
from doorbuster.stats.windows import window_quantiles

Values = list[float | None]
_ROLES: tuple[Role, Role] = ("planned", RequestOutcome.OK)
_NAMES = ("baseline", "candidate")
_MOST_BUCKETS = 60
_ALL = "all"


def overlay_charts(
    comparison: BuildComparison, baseline: Sequence[Path], candidate: Sequence[Path]
) -> tuple[Chart, ...]:
    """The charts that both builds have data for."""
    arms: list[list[dict[str, Values]]] = []
    facts = (*comparison.baseline, *comparison.candidate)
    width_s = bucket_s(max(run.meta.duration_s for run in facts), most=_MOST_BUCKETS)
    for paths in (baseline, candidate):
        arms.append([])
        for path in paths:
            with Run.open(path) as run:
                arms[-1].append(_over_time(run, width_s))
    bounds = _bounds(recorded_thresholds(comparison.candidate[-1].meta.scenario_text))
    charts = []
    for name, (key, title, unit) in _CHARTS.items():
        arm_values = [[run[name] for run in arm if name in run] for arm in arms]
        if not all(any(value is not None for run in arm for value in run) for arm in arm_values):
            continue
        length = max(len(run) for arm in arm_values for run in arm)
        change = next((_change(found) for found in comparison.metrics if found.metric.key == key), "")
        charts.append(
            Chart(
                "lines",
                f"{title}{change}",
                "time since the start",
                title[:1].lower() + title[1:],
                tuple(float(at * width_s) for at in range(length)),
                tuple(_series(_NAMES[at], _ROLES[at], arm, length) for at, arm in enumerate(arm_values)),
                y_unit=unit,
                bounds=tuple(bounds.get(key, ())),
            )
        )
    return tuple(charts)


_CHARTS: dict[str, tuple[str, str, Unit]] = {
    "p95": ("http_req_duration p(95)", "p95 response time", "ms"),
    "p50": ("http_req_duration p(50)", "Median response time", "ms"),
    "failed": ("http_req_failed rate", "Failed and abandoned requests", "ratio"),
    "can_order": ("can_order rate", "Customers who could order", "ratio"),
    "requests": ("http_reqs rate", "Requests sent", "per_s"),
}


def _change(found: MetricComparison) -> str:
    """ ": +14.4 %, worse", of the whole run."""
    return f": {change_text(found)}, {short_decision(found)}" if found.effect is not None else ""


def _bounds(thresholds: Iterable[Threshold]) -> dict[str, list[Annotation]]:
    found: defaultdict[str, list[Annotation]] = defaultdict(list)
    for one in thresholds:
        if one.relative is None:  # a relative bound is not known here
            found[threshold_key(one)].append(Annotation(one.bound, f"threshold {one.expression}"))
    return found


def _over_time(run: Run, width_s: int) -> dict[str, Values]:
    """The values of each chart in one run, by bucket."""
    buckets = range(-(-run.recorded_s // width_s))
    times = time_blocks_by(
        run.histograms_by(lambda of: (_ALL, of.outcome) if of.has_latency else None, "response", width_s),
        buckets,
    ).get(_ALL, [])
    quantiles = [window_quantiles(window, (0.5, 0.95)) for window in times]
    found: dict[str, Values] = {
        "p50": [None if one[0].value_us is None else one[0].value_us / 1e3 for one in quantiles],
        "p95": [None if one[1].value_us is None else one[1].value_us / 1e3 for one in quantiles],
    }
    counts = run.request_counts(lambda of: of.succeeded, width_s)
    empty = np.zeros(len(buckets), np.int64)
    answered, failed = (counts.get(outcome, empty)[: len(buckets)] for outcome in (True, False))
    found["requests"] = [float(n) / width_s for n in answered + failed]
    found["failed"] = _shares(failed, answered + failed)
    wanted, could = np.zeros((2, len(buckets)), np.int64)
    for row in run.customers():
        if row.order is not None and row.second // width_s < len(buckets):
            wanted[row.second // width_s] += row.n
            could[row.second // width_s] += row.n if row.order else 0
    if wanted.any():
        found["can_order"] = _shares(could, wanted)
    return found


def _shares(part: np.ndarray, whole: np.ndarray) -> Values:
    return [float(k) / float(n) if n else None for k, n in zip(part, whole, strict=True)]


def _series(name: str, role: Role, runs: Sequence[Values], length: int) -> Series:
    """The median of all runs in each bucket, with their range."""
    columns = [
        [value for run in runs for value in run[at : at + 1] if value is not None] for at in range(length)
    ]

    def each(of: Callable[[list[float]], float]) -> tuple[float | None, ...]:
        return tuple(of(column) if column else None for column in columns)

    if len(runs) == 1:
        return Series(name, each(max), role)
    return Series(f"{name} (median of {len(runs)} runs)", each(median), role, each(min), each(max))
