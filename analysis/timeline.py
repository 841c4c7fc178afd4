"""What happened over time: how fast, how many, how full, what went wrong?

    python analysis/timeline.py reports/<run>

The heat map shows how the answers of each moment spread over latency bands; a column is all requests due in
that moment, answered or given up. Latency against throughput shows what the shop did under load: a shop that
holds has a flat cloud, a shop at its limit bends up, a collapsing one bends back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from doorbuster.records.histogram import Histogram, highest_us
from doorbuster.records.outcome import RequestOutcome
from doorbuster.records.reader import Run
from doorbuster.report.run_context import RunContext
from doorbuster.report.script import main
from doorbuster.report.section import Chart, Column, Metric, Section, Series, Table, bucket_s
from doorbuster.stats.quantile import minimum_n
from doorbuster.units import format_count, format_duration, format_ratio

DUE = "time the request was due, since the start (min:s)"
TIME = "time since the start (min:s)"
BANDS_MS = (
    0, 5, 10, 20, 35, 50, 75, 100, 150, 200, 350, 500, 750, 1000, 1500, 2000, 3500, 5000, 7500, 10_000,
    20_000, 60_000,
)  # fmt: skip
MAX_COLUMNS = 60
MAX_CAUSES = 6


def analyse(context: RunContext) -> Section:
    """The course of a run."""
    run = context.run
    length_s = max(1, run.recorded_s)
    width_s = bucket_s(length_s, most=MAX_COLUMNS)
    by_end = run.histograms_by(lambda series: series.outcome, "response", width_s)
    columns = range(-(-length_s // width_s))
    timed = [_merged(by_end, at) for at in columns]
    errors = _errors(run, width_s)
    planned, started = _arrivals(run)
    in_flight = context.customers_in_shop
    metrics = _metrics(errors, planned, started, in_flight)
    return Section(
        name="timeline",
        question="What happened over time?",
        sentence=_sentence(timed, width_s, metrics),
        figures=(
            *_heat(timed, width_s),
            *_arrivals_chart(planned, started, bucket_s(length_s)),
            *_in_flight_chart(in_flight),
            *_errors_chart(errors, width_s, len(columns)),
            *_scatter(run, length_s),
        ),
        tables=_errors_table(errors),
        metrics=metrics,
    )


def _merged(by_end: Mapping[tuple[str, int], Histogram], at: int) -> Histogram:
    parts = [by_end[end, at] for end in (RequestOutcome.OK, RequestOutcome.ABANDONED) if (end, at) in by_end]
    return Histogram.empty().merge(*parts)


def _errors(run: Run, width_s: int) -> dict[str, tuple[int, ...]]:
    """Requests that failed or were given up, by cause and window; the most frequent first."""
    counts = run.request_counts(
        lambda series: None if series.succeeded else series.cause or series.outcome,
        width_s,
    )
    return {
        cause: tuple(counts[cause].tolist())
        for cause in sorted(counts, key=lambda cause: (-int(counts[cause].sum()), cause))
        if counts[cause].any()
    }


def _arrivals(run: Run) -> tuple[np.ndarray, np.ndarray]:
    """Arrivals of open channels per second: planned, and started."""
    series = [series for series in run.arrivals().values() if series.planned.any()]
    if not series:
        return np.zeros(0), np.zeros(0)
    return sum(at.planned for at in series), sum(at.started for at in series)


def _metrics(
    errors: Mapping[str, Sequence[int]], planned: np.ndarray, started: np.ndarray, in_flight: np.ndarray
) -> dict[str, Metric]:
    delivered = float(started.sum() / planned.sum()) if planned.sum() else None
    most = float(in_flight.max()) if in_flight.size else None
    return {
        "errors": Metric(
            sum(map(sum, errors.values())), "count", meaning="requests that failed or were given up"
        ),
        "delivered": Metric(
            delivered, "ratio", n=int(planned.sum()), meaning="arrivals started of those planned"
        ),
        "in_flight_max": Metric(
            most, "count", n=in_flight.size, meaning="most customers in the shop at once"
        ),
    }


def _sentence(timed: Sequence[Histogram], width_s: int, metrics: Mapping[str, Metric]) -> str:
    p95 = [(found.quantile_us(0.95) or 0, at) for at, found in enumerate(timed) if found.n >= minimum_n(0.95)]
    if not p95:
        return "Too few requests in any moment to tell how it went."
    slowest, at = max(p95)
    moment = format_duration(at * width_s) if at else "the start"
    text = f"Answers were slowest {'at the start' if not at else f'{moment} after the start'}"
    text += f", when 95 of 100 took up to {format_duration(slowest / 1e6)}"
    most = metrics["in_flight_max"].value
    return f"{text}; up to {format_count(most)} customers were in the shop at once." if most else f"{text}."


def _heat(timed: Sequence[Histogram], width_s: int) -> tuple[Chart, ...]:
    if not any(found.n for found in timed):
        return ()
    edges_us = np.array(BANDS_MS[1:]) * 1000
    counts = np.zeros((len(timed), len(BANDS_MS)))
    for column, found in enumerate(timed):
        bands = np.searchsorted(edges_us, highest_us(found.bins))
        np.add.at(counts[column], bands, found.bin_counts)
    used = np.flatnonzero(counts.sum(axis=0))
    sums = counts.sum(axis=1)
    rows = []
    for band in range(used[0], used[-1] + 1):
        shares = tuple(
            float(n / total) if total else None for n, total in zip(counts[:, band], sums, strict=True)
        )
        rows.append(Series(_band_name(band), shares, "strong"))
    middle = [found.quantile_us(0.5) for found in timed if found.n]
    factor = max(middle) / min(middle)
    title = f"The median answer took up to {factor:.1f} times as long as at its best"
    return (
        Chart(
            "heatmap", f"{title} (windows of {width_s} s)", DUE, "response time",
            tuple(float(at * width_s) for at in range(len(timed))), tuple(rows), y_unit="ratio",
            note="Shade: share of the requests due in the window. Requests that customers gave up stand at "
            "the time of leaving.",
        ),
    )  # fmt: skip


def _band_name(band: int) -> str:
    if band == len(BANDS_MS) - 1:
        return f"over {format_duration(BANDS_MS[-1] / 1e3)}"
    return f"{format_duration(BANDS_MS[band] / 1e3)} to {format_duration(BANDS_MS[band + 1] / 1e3)}"


def _arrivals_chart(planned: np.ndarray, started: np.ndarray, width_s: int) -> tuple[Chart, ...]:
    if not planned.sum():
        return ()
    sums = [np.add.reduceat(row, range(0, len(row), width_s)) / width_s for row in (started, planned)]
    share = float(started.sum() / planned.sum())
    title = (
        "Every planned customer came"
        if share == 1
        else f"{format_ratio(share)} of the planned customers came"
    )
    return (
        Chart(
            "lines", f"{title}, whatever the shop did", TIME, "customers per second",
            tuple(float(at * width_s) for at in range(len(sums[0]))),
            (Series("delivered", tuple(sums[0].tolist()), "ok"),
             Series("planned", tuple(sums[1].tolist()), "planned", dashed=True)),
        ),
    )  # fmt: skip


def _in_flight_chart(in_flight: np.ndarray) -> tuple[Chart, ...]:
    if not in_flight.size or not in_flight.max():
        return ()
    width_s = bucket_s(in_flight.size)
    most = np.maximum.reduceat(in_flight, range(0, in_flight.size, width_s))
    peak_s = int(in_flight.argmax())
    most_n = format_count(float(in_flight.max()))
    title = f"The shop was fullest at {peak_s // 60}:{peak_s % 60:02d}, with {most_n}"
    return (
        Chart(
            "lines", f"{title} customers", TIME, "customers in the shop",
            tuple(float(at * width_s) for at in range(len(most))),
            (Series("in the shop", tuple(most.tolist()), "strong"),),
        ),
    )  # fmt: skip


def _errors_chart(errors: Mapping[str, Sequence[int]], width_s: int, columns: int) -> tuple[Chart, ...]:
    if not errors:
        return ()
    named = list(errors.items())[:MAX_CAUSES]
    rest = [sum(column) for column in zip(*list(errors.values())[MAX_CAUSES:], strict=True)]
    rows = [*named, *([("other causes", rest)] if rest else [])]
    first, most = named[0]
    share = sum(most) / sum(map(sum, errors.values()))
    title = f"{format_ratio(share)} of what went wrong was {first.replace('_', ' ')}"
    return (
        Chart(
            "stacked", title, DUE, "failed or given up, per second",
            tuple(float(at * width_s) for at in range(columns)),
            tuple(Series(cause, tuple(n / width_s for n in counts[:columns])) for cause, counts in rows),
        ),
    )  # fmt: skip


def _scatter(run: Run, length_s: int) -> tuple[Chart, ...]:
    """A point per window: answers per second against how long they took."""
    most = run.histogram().n // (2 * minimum_n(0.95))  # windows that leave each enough requests
    width_s = bucket_s(length_s, most=min(MAX_COLUMNS, max(4, most)))
    by_end = run.histograms_by(lambda series: series.outcome, "response", width_s)
    points = []
    for at in range(-(-length_s // width_s)):
        answered, timed = by_end.get((RequestOutcome.OK, at), Histogram.empty()), _merged(by_end, at)
        if timed.n >= minimum_n(0.95):
            points.append((answered.n / width_s, timed.quantile_us(0.5), timed.quantile_us(0.95)))
    if len(points) < 3:
        return ()
    busiest = max(points)
    slowest = max(points, key=lambda point: point[2] or 0)
    title = (
        "Answers were slowest when most were given"
        if slowest[0] >= 0.9 * busiest[0]
        else f"Answers were slowest at {slowest[0]:.3g} per second, though {busiest[0]:.3g} were possible"
    )
    return (
        Chart(
            "scatter", f"{title} (windows of {width_s} s)", "answers per second", "response time",
            tuple(point[0] for point in points),
            (Series("p50", tuple((point[1] or 0) / 1e3 for point in points), "served"),
             Series("p95", tuple((point[2] or 0) / 1e3 for point in points), "strong")),
            x_unit="per_s", y_unit="ms", log_y=True,
            note="Windows with at least 59 requests; those given up stand at the time of leaving.",
        ),
    )  # fmt: skip


def _errors_table(errors: Mapping[str, Sequence[int]]) -> tuple[Table, ...]:
    if not errors:
        return ()
    totals = Counter({cause: sum(counts) for cause, counts in errors.items()})
    rows = tuple((cause, n, n / totals.total()) for cause, n in totals.most_common(25))
    columns = (Column("Cause"), Column("Requests", "count"), Column("Share", "ratio"))
    return (Table("What went wrong, by cause", columns, rows),)


if __name__ == "__main__":
    main(analyse)
