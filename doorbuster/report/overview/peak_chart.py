"""The chart of the manager's screen: customers per second, as planned, served and lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from doorbuster.records.outcome import Outcome, RequestOutcome
from doorbuster.records.reader import Run
from doorbuster.report.run_context import RunContext
from doorbuster.report.section import Annotation, Chart, Metric, Series, Span, bucket_s
from doorbuster.scenario import arrival_rate_per_s

TIME = "time since the start (min:s)"
MAX_POINTS = 60


def peak_chart(context: RunContext, outage: Mapping[str, Metric]) -> Chart | None:
    """Customers per second by the time of arrival; requests per second for a run without customers.

    Args: outage: the metrics outage_start and outage_end of the section on customers.
    """
    if context.only_summary or (context.imported is not None and not context.imported.has_times):
        return None
    return _requests(context.run) if context.is_closed else _customers(context, outage)


def _customers(context: RunContext, outage: Mapping[str, Metric]) -> Chart | None:
    run = context.run
    arrivals = run.arrivals()
    planned = {channel for channel, series in arrivals.items() if series.planned.any()}
    rows = [row for row in run.customers() if not planned or row.channel in planned]
    if not rows:
        return None
    length_s = max(max(row.second for row in rows) + 1, round(run.meta.duration_s))
    width_s = max(bucket_s(length_s, most=MAX_POINTS), run.grain_s)
    counts = Counter[tuple[str, int]]()
    for row in rows:
        counts[row.outcome, row.second // width_s] += row.n
    buckets = range(-(-length_s // width_s))
    series = tuple(
        Series(outcome.label, values, outcome)
        for outcome in Outcome
        if any(values := tuple(counts[outcome, at] / width_s for at in buckets))
    )
    others = sorted({row.channel for row in run.customers()} - planned) if planned else []
    note = f"Without {', '.join(others)}, whose customers arrive without a plan." if others else ""
    return Chart(
        "stacked", "Customers per second, by the time of their arrival", TIME, "customers/s",
        tuple(float(at * width_s) for at in buckets), series, overlay=_planned(context, buckets, width_s),
        spans=tuple(Span(phase.from_s, phase.to_s, phase.name) for phase in context.phases),
        moments=_moments(outage), note=note,
    )  # fmt: skip


def _planned(context: RunContext, buckets: range, width_s: int) -> tuple[Series, ...]:
    """The planned rate at the middle of each bucket: of the curve, or as it was drawn."""
    scenario = context.curve_scenario
    if scenario is not None:
        middles_s = (np.arange(len(buckets)) + 0.5) * width_s
        rates = tuple(arrival_rate_per_s(scenario, middles_s).tolist())
    else:
        planned = [series.planned for series in context.run.arrivals().values()]
        total = np.sum(planned, axis=0) if planned else np.zeros(0, np.int64)
        rates = _per_second(total, len(buckets), width_s) if total.any() else ()
    return (Series("planned", rates, "planned"),) if any(rates) else ()


def _requests(run: Run) -> Chart | None:
    found = run.request_counts(lambda series: series.outcome)
    longest = max((counts.size for counts in found.values()), default=0)
    if not longest:
        return None
    width_s = max(bucket_s(longest, most=MAX_POINTS), run.grain_s)
    buckets = -(-longest // width_s)
    words = {RequestOutcome.OK: "answered", RequestOutcome.FAILED: "failed"}
    series = tuple(
        Series(words.get(outcome, str(outcome)), _per_second(found[outcome], buckets, width_s), outcome)
        for outcome in RequestOutcome
        if outcome in found and found[outcome].any()
    )
    return Chart(
        "stacked", "Requests per second", TIME, "requests/s",
        tuple(float(at * width_s) for at in range(buckets)), series,
    )  # fmt: skip


def _per_second(counts: NDArray[np.int64], buckets: int, width_s: int) -> tuple[float, ...]:
    whole = np.zeros(buckets * width_s)
    whole[: min(counts.size, whole.size)] = counts[: whole.size]
    means: Iterable[float] = (whole.reshape(buckets, width_s).sum(axis=1) / width_s).tolist()
    return tuple(means)


def _moments(outage: Mapping[str, Metric]) -> tuple[Annotation, ...]:
    marks = (("outage_start", "broke"), ("outage_end", "recovered"))
    return tuple(
        Annotation(at, word)
        for name, word in marks
        if name in outage and (at := outage[name].value) is not None
    )
