"""How long did customers wait for an answer, per step and channel, and when was the shop slow?

    python analysis/latency.py reports/<run>

- Response time starts when a request was due, service time when it was sent. The difference is waiting before
  anything was sent.
- Answered, failed and abandoned requests are separate distributions. Percentiles of response time look past
  abandoned requests (Kaplan and Meier) and are marked ≥ where that is impossible.
- A percentile with too few requests is not shown: p99 needs 299.
- Intervals allow for neighbouring requests that fare alike, but not for the planned ramp.
- Heat map: how the requests due in each window spread over latency bands.
- Latency over throughput: a shop that keeps up shows a flat cloud, one at its limit bends up, a
  collapsing one bends back.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from doorbuster.records.batch import SeriesKey
from doorbuster.records.histogram import Histogram, highest_us
from doorbuster.records.outcome import RequestOutcome
from doorbuster.records.reader import Run
from doorbuster.report.analysis_main import main
from doorbuster.report.run_context import RunContext
from doorbuster.report.section import (
    ONLY_SUMMARY,
    Annotation,
    Cell,
    Chart,
    Column,
    Metric,
    Role,
    Section,
    Series,
    Table,
    bucket_s,
    metric_series,
    ms,
    not_applicable,
    present,
    time_metric,
)
from doorbuster.stats.apdex import USUAL_T_MS, apdex
from doorbuster.stats.latency_quantiles import TimeBlock, latency_quantiles, time_blocks_by
from doorbuster.stats.quantile import minimum_n
from doorbuster.stats.windows import SlowPeriod, find_slow, window_quantiles
from doorbuster.units import format_count, format_duration

PERCENTILES = (0.5, 0.9, 0.95, 0.99, 0.999)
DRAWN: dict[float, Role] = {0.5: "good", 0.95: "strong", 0.99: "bad"}  # over time
ENDS = tuple(RequestOutcome)
EMPTY = Histogram.empty()
MAX_COLUMNS = 60
DUE = "time the request was due, since the start (min:s)"
BANDS_MS = (
    0, 5, 10, 20, 35, 50, 75, 100, 150, 200, 350, 500, 750, 1000, 1500, 2000, 3500, 5000, 7500, 10_000,
    20_000, 60_000,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Times:
    """Response times by how the request ended, never mixed."""

    ok: Histogram
    failed: Histogram
    abandoned: Histogram

    @property
    def timed(self) -> Histogram:
        """Answered and abandoned requests; an abandoned one counts with the time until the customer left."""
        return self.ok.merge(self.abandoned)


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """The requests of one group in time blocks, and how many failed."""

    blocks: tuple[TimeBlock, ...]
    failed: int

    @property
    def answered(self) -> int:
        return sum(block.answered.n for block in self.blocks)

    @property
    def abandoned(self) -> int:
        return sum(block.abandoned.n for block in self.blocks)

    def metrics(self, shares: Sequence[float]) -> list[Metric]:
        """A percentile for each share, in ms."""
        return [time_metric(found) for found in latency_quantiles(self.blocks, shares)]


def analyse(context: RunContext) -> Section:
    """Percentiles, heat map and latency over throughput."""
    question = f"How long did {'users' if context.is_closed else 'customers'} wait for an answer?"
    if context.only_summary:
        return not_applicable("latency", question, ONLY_SUMMARY)
    run = context.run
    length_s = max(1, run.recorded_s)
    ended = run.histograms_by(lambda series: series.outcome)
    whole = Times(*(ended.get(end, EMPTY) for end in ENDS))
    width = bucket_s(length_s, most=_windows(whole))
    over_time = _over_time(run, width, length_s)
    windows = [_in_window(times) for times in over_time]
    p95_ms = [window[0.95].value for window in windows]
    bound_ms = _tightest_bound(context)
    slow = find_slow(p95_ms, width, bound_ms=bound_ms)
    metrics = {
        **_metrics(dict(_groups(run, lambda _: "all")).get("all", Group((), 0)), whole),
        **_apdex_metrics(bound_ms, whole),
        "slo_breach_at": Metric(slow.at_s, "clock", n=whole.ok.n, meaning=_slow_meaning(slow)),
    }
    return Section(
        name="latency",
        group="Performance",
        order=310,
        question=question,
        sentence=_sentence(metrics, whole),
        findings=(*_findings(slow, whole, metrics), *_asset_finding(context)),
        figures=_for_workload(
            present(
                _percentile_chart(windows, width, slow),
                _heatmap(run, length_s),
                _rate_chart(run, bucket_s(length_s)),
                _throughput_chart(over_time, width),
            ),
            closed=context.is_closed,
        ),
        tables=_tables(context),
        metrics=metrics,
    )


def _for_workload(charts: tuple[Chart, ...], *, closed: bool) -> tuple[Chart, ...]:
    """The charts in the words of the workload: users send requests, which have no time they are due."""
    if not closed:
        return charts
    return tuple(
        replace(
            chart,
            title=chart.title.replace("Customers sent", "Users sent"),
            x_label=chart.x_label.replace("was due", "was sent"),
            note=chart.note.replace("due in the window", "sent in the window"),
        )
        for chart in charts
    )


def _tables(context: RunContext) -> tuple[Table, ...]:
    run, closed = context.run, context.is_closed
    names = ("Request", "User class", "Type") if closed else ("Step", "Channel", "Journey")
    fields: tuple[Callable[[SeriesKey], str], ...] = (
        lambda series: series.step,
        lambda series: series.channel,
        lambda series: series.journey,
    )
    tables = tuple(
        _percentile_table(f"Response time by {name.lower()}", name, _groups(run, field))
        for name, field in zip(names, fields, strict=True)
    )
    return tables if closed else (*tables, _both_times_table(run), *present(_asset_table(run)))


def _asset_table(run: Run) -> Table | None:
    """Static assets of pages, which no other figure of the report includes; None if none was fetched."""
    table = _percentile_table(
        "Static assets of pages", "Kind", _groups(run, lambda series: series.step, assets=True)
    )
    note = (
        "Files that customers fetched with a page (target.assets), each once per visit. Files that scripts "
        "and style sheets name, and images loaded on scrolling, are not fetched. No other figure has them."
    )
    return replace(table, note=f"{table.note} {note}".strip()) if table.rows else None


def _apdex_metrics(bound: float | None, whole: Times) -> dict[str, Metric]:
    t_ms = USUAL_T_MS if bound is None else bound
    found = apdex(whole.ok, others=whole.failed.n + whole.abandoned.n, t_ms=t_ms)
    source = "default T" if bound is None else "the tightest threshold"
    meaning = f"Apdex with T = {format_duration(t_ms / 1e3)} ({source}); failed and abandoned count 0"
    return {"apdex": Metric(found.score, "", n=found.n, meaning=meaning)}


def _windows(whole: Times) -> int:
    """The number of windows at which each has, on average, twice the requests that a p95 needs."""
    return min(60, max(4, (whole.ok.n + whole.abandoned.n) // (2 * minimum_n(0.95))))


def _groups(run: Run, by: Callable[[SeriesKey], str], *, assets: bool = False) -> Iterator[tuple[str, Group]]:
    """Requests by group in time blocks; a generator, because a group is large."""
    per_block = run.request_counts(lambda _: "all", run.grain_s, assets=assets).get("all", np.zeros(0))
    buckets = range(int(np.flatnonzero(per_block).max(initial=-1)) + 1)
    every = run.asset_series if assets else run.series
    for name in sorted({by(series) for series in every}):
        found = _group(run, buckets, [series for series in every if by(series) == name], assets=assets)
        if found.blocks or found.failed:
            yield name, found


def _group(run: Run, buckets: range, members: Collection[SeriesKey], *, assets: bool) -> Group:
    found = run.histograms_by(
        lambda series: ("", series.outcome) if series in members else None, "response", run.grain_s,
        assets=assets,
    )  # fmt: skip
    failed = sum(times.n for ((_, outcome), _), times in found.items() if outcome == RequestOutcome.FAILED)
    return Group(tuple(time_blocks_by(found, buckets).get("", ())), failed)


def _over_time(run: Run, width_s: int, length_s: int) -> list[Times]:
    found = run.histograms_by(lambda series: series.outcome, "response", width_s)
    return [
        Times(*(found.get((end, bucket), EMPTY) for end in ENDS))
        for bucket in range(math.ceil(length_s / width_s))
    ]


def _in_window(times: Times) -> dict[float, Metric]:
    """Percentiles of one window; unknown where it has too few requests."""
    found = window_quantiles(TimeBlock(times.ok, times.abandoned), tuple(DRAWN))
    return {quantile.p: time_metric(quantile) for quantile in found}


def _tightest_bound(context: RunContext) -> float | None:
    """The smallest upper bound on http_req_duration, in ms: an untagged one if there is one, else any."""
    bounds = [
        (bool(threshold.tags), threshold.bound)
        for threshold in context.thresholds
        if threshold.metric == "http_req_duration" and threshold.operator in ("<", "<=")
    ]
    return min(bounds)[1] if bounds else None


def _metrics(everything: Group, whole: Times) -> dict[str, Metric]:
    metrics = {}
    for p, found in zip(PERCENTILES, everything.metrics(PERCENTILES), strict=True):
        name = f"p{p * 100:g}".replace(".", "_")
        meaning = f"p{p * 100:g} of the response time, looking past abandoned requests"
        metrics[f"response_{name}"] = replace(found, meaning=meaning)
    total = whole.ok.n + whole.failed.n + whole.abandoned.n
    for name, part in (("ok", whole.ok), ("failed", whole.failed), ("abandoned", whole.abandoned)):
        metrics[f"requests_{name}"] = Metric(part.n, "count", n=total, meaning=f"requests that ended {name}")
    return metrics


def _sentence(metrics: Mapping[str, Metric], whole: Times) -> str:
    total = whole.ok.n + whole.failed.n + whole.abandoned.n
    if not total:
        return "No request was made."
    parts = []
    for name, words in (("response_p50", "The median response time was"), ("response_p95", "p95")):
        metric = metrics[name]
        if metric.value is not None:
            parts.append(
                f"{words} {'at least ' if metric.at_least else ''}{format_duration(metric.value / 1e3)}"
            )
    return f"{', '.join(parts) or 'Too few requests for a percentile'}."


def _slow_meaning(slow: SlowPeriod) -> str:
    if slow.limit_ms is None:
        return "no limit to compare with"
    return f"when the p95 first stayed above {format_duration(slow.limit_ms / 1e3)} ({slow.limit_name})"


def _findings(slow: SlowPeriod, whole: Times, metrics: Mapping[str, Metric]) -> tuple[str, ...]:
    found = []
    if slow.limit_ms is not None:
        limit = f"{format_duration(slow.limit_ms / 1e3)} ({slow.limit_name})"
        if slow.at_s is None:
            found.append(f"The p95 never stayed above {limit}.")
        else:
            minutes, seconds = divmod(int(slow.at_s), 60)
            found.append(
                f"From {minutes}:{seconds:02d} on, the p95 was above {limit} for at least two windows."
            )
    if metrics["response_p99_9"].value is None and metrics["response_p99"].value is not None:
        needed = format_count(minimum_n(0.999))
        found.append(
            f"p99.9 is not shown: it needs {needed} requests; there were "
            f"{format_count(whole.ok.n + whole.abandoned.n)}."
        )
    if whole.failed.n:
        quick = whole.failed.quantile_us(0.5)
        assert quick is not None
        found.append(
            f"{format_count(whole.failed.n)} requests failed, with a median of "
            f"{format_duration(quick / 1e6)}; no percentile here includes them."
        )
    return tuple(found)


def _asset_finding(context: RunContext) -> Iterator[str]:
    wanted = context.scenario.target.assets if context.scenario else "none"
    if wanted != "none" and not context.run.asset_series:
        yield (
            "No static asset was fetched, although target.assets asks for them: no page names one on a host "
            "that may be loaded."
        )


def _percentile_chart(
    windows: Sequence[Mapping[float, Metric]], width_s: int, slow: SlowPeriod
) -> Chart | None:
    if not any(metric.n for window in windows for metric in window.values()):
        return None
    lines = []
    for p, role in DRAWN.items():
        cells = [window[p] for window in windows]
        if any(cell.value is not None for cell in cells):
            lines.append(metric_series(f"p{p * 100:g}", cells, role, band=p == 0.95))
    if slow.limit_ms is None:
        title = "Too few requests to tell when the shop was slow"
    elif slow.at_s is None:
        title = f"The p95 never stayed above {format_duration(slow.limit_ms / 1e3)}"
    else:
        title = f"The p95 exceeded {format_duration(slow.limit_ms / 1e3)} during the run"
    bounds = (
        ()
        if slow.limit_ms is None
        else (Annotation(slow.limit_ms, f"{slow.limit_name}: {format_duration(slow.limit_ms / 1e3)}"),)
    )
    return Chart(
        "lines", f"{title} (windows of {width_s} s, band: 95 % interval of the p95)",
        DUE, "response time",
        tuple((index + 0.5) * width_s for index in range(len(windows))), tuple(lines),
        y_unit="ms", log_y=True,
        moments=() if slow.at_s is None else (Annotation(slow.at_s, "slow from here"),), bounds=bounds,
        note="A percentile is missing in windows with too few requests for it.",
    )  # fmt: skip


def _rate_chart(run: Run, width_s: int) -> Chart | None:
    counts = run.request_counts(lambda series: series.outcome, width_s)
    if not counts:
        return None
    length = len(next(iter(counts.values())))
    series = tuple(
        Series(end, tuple((counts[end] / width_s).tolist()), end)
        for end in (RequestOutcome.OK, RequestOutcome.ABANDONED, RequestOutcome.FAILED)
        if end in counts
    )
    total = sum(counts.values())
    title = f"Customers sent up to {float(total.max()) / width_s:.3g} requests per second"
    return Chart(
        "stacked", title, DUE, "requests per second",
        tuple(float(index * width_s) for index in range(length)), series,
    )  # fmt: skip


def _heatmap(run: Run, length_s: int) -> Chart | None:
    width_s = bucket_s(length_s, most=MAX_COLUMNS)
    timed = [times.timed for times in _over_time(run, width_s, length_s)]
    if not any(found.n for found in timed):
        return None
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
    fastest, slowest = min(middle), max(middle)
    title = f"The median was between {format_duration(fastest / 1e6)} and {format_duration(slowest / 1e6)}"
    if fastest:  # it is 0 where most events have no time, such as messages that a server pushes
        title = f"The slowest median is {slowest / fastest:.1f} times the fastest"
    return Chart(
        "heatmap", f"{title} (windows of {width_s} s)", DUE, "response time",
        tuple(float(at * width_s) for at in range(len(timed))), tuple(rows), y_unit="ratio",
        note="Shade: share of the requests due in the window. Abandoned requests count at the time the "
        "customer left.",
    )  # fmt: skip


def _band_name(band: int) -> str:
    if band == len(BANDS_MS) - 1:
        return f"over {format_duration(BANDS_MS[-1] / 1e3)}"
    return f"{format_duration(BANDS_MS[band] / 1e3)} to {format_duration(BANDS_MS[band + 1] / 1e3)}"


def _throughput_chart(over_time: Sequence[Times], width_s: int) -> Chart | None:
    """A point per window: answers per second and how long they took."""
    points = [
        (times.ok.n / width_s, times.timed.quantile_us(0.5), times.timed.quantile_us(0.95))
        for times in over_time
        if times.timed.n >= minimum_n(0.95)
    ]
    if len(points) < 3:
        return None
    busiest, slowest = max(points), max(points, key=lambda point: point[2] or 0)
    title = "Answers were slowest at the highest throughput"
    if slowest[0] < 0.9 * busiest[0]:
        title = f"Answers were slowest at {slowest[0]:.3g} per second; {busiest[0]:.3g} were possible"
    return Chart(
        "scatter", f"{title} (windows of {width_s} s)", "answers per second", "response time",
        tuple(point[0] for point in points),
        (Series("p50", tuple((point[1] or 0) / 1e3 for point in points), "good"),
         Series("p95", tuple((point[2] or 0) / 1e3 for point in points), "strong")),
        x_unit="per_s", y_unit="ms", log_y=True,
        note=f"Windows with at least {minimum_n(0.95)} requests; abandoned ones count at the time the "
        "customer left.",
    )  # fmt: skip


def _percentile_table(title: str, heading: str, groups: Iterable[tuple[str, Group]]) -> Table:
    rows = []
    for name, group in groups:
        cells: list[Cell] = [name or "unnamed", group.answered, group.abandoned, group.failed]
        cells += [metric if metric.value is not None else None for metric in group.metrics(PERCENTILES)]
        rows.append(tuple(cells))
    columns = (
        Column(heading), Column("answered", "count"), Column("abandoned", "count"), Column("failed", "count"),
        *(Column(f"p{p * 100:g}") for p in PERCENTILES),
    )  # fmt: skip
    needs = ", ".join(f"p{p * 100:g} {minimum_n(p):,}" for p in PERCENTILES[1:])
    note = (
        f"Answered and abandoned requests; 95 % intervals, widened where neighbouring requests fared alike. "
        f"– means too few requests (minimum: {needs})."
    )
    return Table(title, columns, tuple(rows), note)


def _both_times_table(run: Run) -> Table:
    response = run.histograms_by(lambda series: series.step if series.succeeded else None, "response")
    service = run.histograms_by(lambda series: series.step if series.succeeded else None, "service")
    shown = (0.5, 0.95, 0.99)
    rows = []
    for step in sorted(response):
        cells: list[Cell] = [step or "unnamed", response[step].n]
        for p in shown:
            for histograms in (response, service):
                n = histograms[step].n if step in histograms else 0
                cells.append(ms(histograms[step].quantile_us(p)) if n >= minimum_n(p) else None)
        rows.append(tuple(cells))
    columns = [Column("Step"), Column("answered", "count")]
    for p in shown:
        columns += [Column(f"p{p * 100:g} response", "ms"), Column(f"p{p * 100:g} service", "ms")]
    note = (
        "Answered requests only. Response time starts when the request was due, service time when it was "
        "sent; where they differ, the request waited before it was sent."
    )
    return Table("Response time and service time", tuple(columns), tuple(rows), note)


if __name__ == "__main__":
    main(analyse)
