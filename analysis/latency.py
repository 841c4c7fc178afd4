"""How long did answers take, per step and channel, and when did it get slow?

    python analysis/latency.py reports/<run>

Response time counts from the moment a request was due, service time from when it was really sent: the
difference is waiting that the customer felt before anything was sent. Answered, failed and abandoned requests
never share a distribution; percentiles of response time look past abandoned requests (Kaplan and Meier) and
are marked ≥ where that is not possible. A percentile with too few requests is not shown: p99 needs 299.
Intervals allow for neighbouring requests that fare alike, but not for the planned ramp, which is no chance.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from doorbuster.records.batch import SeriesKey
from doorbuster.records.histogram import Histogram
from doorbuster.records.outcome import RequestOutcome
from doorbuster.records.reader import Run
from doorbuster.report.run_context import RunContext
from doorbuster.report.script import main
from doorbuster.report.section import (
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
    time_metric,
)
from doorbuster.stats.apdex import USUAL_T_MS, apdex
from doorbuster.stats.latency_quantiles import LatencyQuantile, TimeBlock, latency_quantiles, time_blocks_by
from doorbuster.stats.quantile import minimum_n
from doorbuster.stats.windows import Slow, find_slow, window_quantiles
from doorbuster.units import format_count, format_duration, format_ratio

PERCENTILES = (0.5, 0.9, 0.95, 0.99, 0.999)
DRAWN: dict[float, Role] = {0.5: "served", 0.95: "strong", 0.99: "turned_away"}  # over time, with its colour
ENDS = tuple(RequestOutcome)
EMPTY = Histogram.empty()


@dataclass(frozen=True, slots=True)
class Times:
    """The response times of one group: three kinds of ends, never mixed."""

    ok: Histogram
    failed: Histogram
    abandoned: Histogram


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """The requests of one group in stretches of time, and how many failed."""

    stretches: tuple[TimeBlock, ...]
    failed: int

    @property
    def answered(self) -> int:
        return sum(stretch.answered.n for stretch in self.stretches)

    @property
    def abandoned(self) -> int:
        return sum(stretch.abandoned.n for stretch in self.stretches)

    def metrics(self, shares: Sequence[float]) -> list[Metric]:
        """A percentile for each share, in ms."""
        return [_to_metric(found) for found in latency_quantiles(self.stretches, shares)]


def analyse(context: RunContext) -> Section:
    """The latency of a run."""
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
        question="How long did customers wait for an answer?",
        sentence=_sentence(metrics, whole),
        findings=_findings(slow, whole, metrics),
        figures=(*_percentile_chart(windows, width, slow), *_rate_chart(run, bucket_s(length_s))),
        tables=(
            _percentile_table("Response time by step", "Step", _groups(run, lambda series: series.step)),
            _percentile_table(
                "Response time by channel", "Channel", _groups(run, lambda series: series.channel)
            ),
            _percentile_table(
                "Response time by journey", "Journey", _groups(run, lambda series: series.journey)
            ),
            _both_times_table(run),
            *_ends_table(run),
        ),
        metrics=metrics,
    )


def _apdex_metrics(bound: float | None, whole: Times) -> dict[str, Metric]:
    t_ms = USUAL_T_MS if bound is None else bound
    found = apdex(whole.ok, others=whole.failed.n + whole.abandoned.n, t_ms=t_ms)
    source = "our usual T" if bound is None else "the tightest threshold"
    meaning = f"Apdex with T = {format_duration(t_ms / 1e3)} ({source}); failed and abandoned count 0"
    return {"apdex": Metric(found.score, "", n=found.n, meaning=meaning)}


def _windows(whole: Times) -> int:
    """How many windows leave each enough requests, on average twice what a p95 needs."""
    return min(60, max(4, (whole.ok.n + whole.abandoned.n) // (2 * minimum_n(0.95))))


def _groups(run: Run, by: Callable[[SeriesKey], str]) -> Iterator[tuple[str, Group]]:
    """Requests by group, each cut into stretches of time; one after the other, for they are large."""
    per_stretch = run.request_counts(lambda _: "all", run.grain_s).get("all", np.zeros(0))
    buckets = range(int(np.flatnonzero(per_stretch).max(initial=-1)) + 1)
    for name in sorted({by(series) for series in run.series}):
        found = _group(run, buckets, [series for series in run.series if by(series) == name])
        if found.stretches or found.failed:
            yield name, found


def _group(run: Run, buckets: range, members: Collection[SeriesKey]) -> Group:
    found = run.histograms_by(
        lambda series: ("", series.outcome) if series in members else None, "response", run.grain_s
    )
    failed = sum(times.n for ((_, outcome), _), times in found.items() if outcome == RequestOutcome.FAILED)
    return Group(tuple(time_blocks_by(found, buckets).get("", ())), failed)


def _over_time(run: Run, width_s: int, length_s: int) -> list[Times]:
    found = run.histograms_by(lambda series: series.outcome, "response", width_s)
    return [
        Times(*(found.get((end, bucket), EMPTY) for end in ENDS))
        for bucket in range(math.ceil(length_s / width_s))
    ]


def _in_window(times: Times) -> dict[float, Metric]:
    """Percentiles of one window of time; unknown where there are too few requests."""
    found = window_quantiles(TimeBlock(times.ok, times.abandoned), tuple(DRAWN))
    return {quantile.p: _to_metric(quantile) for quantile in found}


def _to_metric(found: LatencyQuantile) -> Metric:
    return time_metric(found, at_least=found.at_least)


def _ms(value_us: float | None) -> float | None:
    return None if value_us is None else value_us / 1e3


def _tightest_bound(context: RunContext) -> float | None:
    """The smallest upper bound, in ms, on http_req_duration as a whole, or else on any part of it."""
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
        meaning = f"{p * 100:g} of 100 answers came within this time"
        metrics[f"response_{name}"] = replace(found, meaning=meaning)
    total = whole.ok.n + whole.failed.n + whole.abandoned.n
    for name, part in (("ok", whole.ok), ("failed", whole.failed), ("abandoned", whole.abandoned)):
        metrics[f"requests_{name}"] = Metric(part.n, "count", n=total, meaning=f"requests that ended {name}")
    return metrics


def _sentence(metrics: Mapping[str, Metric], whole: Times) -> str:
    total = whole.ok.n + whole.failed.n + whole.abandoned.n
    if not total:
        return "No request was made, so nobody waited."
    parts = []
    for name, words in (
        ("response_p50", "Half of the answers came within"),
        ("response_p95", "95 of 100 within"),
    ):
        metric = metrics[name]
        if metric.value is not None:
            parts.append(
                f"{words} {'more than ' if metric.at_least else ''}{format_duration(metric.value / 1e3)}"
            )
    told = ", ".join(parts) or "Too few requests for a percentile"
    ends = []
    if whole.abandoned.n:
        ends.append(f"{format_ratio(whole.abandoned.n / total)} were given up")
    if whole.failed.n:
        ends.append(f"{format_ratio(whole.failed.n / total)} failed")
    return f"{told}; of {format_count(total)} requests {' and '.join(ends) or 'none failed or was given up'}."


def _slow_meaning(slow: Slow) -> str:
    if slow.limit_ms is None:
        return "no limit to measure against"
    return f"when the p95 first stayed over {format_duration(slow.limit_ms / 1e3)} ({slow.limit_name})"


def _findings(slow: Slow, whole: Times, metrics: Mapping[str, Metric]) -> tuple[str, ...]:
    found = []
    if slow.limit_ms is not None:
        limit = f"{format_duration(slow.limit_ms / 1e3)} ({slow.limit_name})"
        if slow.at_s is None:
            found.append(f"The p95 never stayed over {limit}.")
        else:
            minutes, seconds = divmod(int(slow.at_s), 60)
            found.append(
                f"It got slow at {minutes}:{seconds:02d}: from then on the p95 was over {limit} "
                f"for two windows or more."
            )
    if metrics["response_p99_9"].value is None and metrics["response_p99"].value is not None:
        needed = format_count(minimum_n(0.999))
        found.append(
            f"p99.9 is not shown: it needs {needed} requests, there were "
            f"{format_count(whole.ok.n + whole.abandoned.n)}."
        )
    if whole.failed.n:
        quick = whole.failed.quantile_us(0.5)
        assert quick is not None
        found.append(
            f"{format_count(whole.failed.n)} requests failed, half of them within "
            f"{format_duration(quick / 1e6)}; they are in none of these percentiles."
        )
    return tuple(found)


def _percentile_chart(
    windows: Sequence[Mapping[float, Metric]], width_s: int, slow: Slow
) -> tuple[Chart, ...]:
    if not any(metric.n for window in windows for metric in window.values()):
        return ()
    lines = []
    for p, role in DRAWN.items():
        cells = [window[p] for window in windows]
        if any(cell.value is not None for cell in cells):
            lines.append(_percentile_line(p, role, cells))
    if slow.limit_ms is None:
        title = "Too few requests to tell when answers got slow"
    elif slow.at_s is None:
        title = f"The p95 never stayed over {format_duration(slow.limit_ms / 1e3)}"
    else:
        title = f"The p95 went over {format_duration(slow.limit_ms / 1e3)} during the run"
    bounds = (
        ()
        if slow.limit_ms is None
        else (Annotation(slow.limit_ms, f"{slow.limit_name}: {format_duration(slow.limit_ms / 1e3)}"),)
    )
    return (
        Chart(
            "lines", f"{title} (windows of {width_s} s, band: 95 % interval of the p95)",
            "time the request was due, since the start (min:s)", "response time",
            tuple((index + 0.5) * width_s for index in range(len(windows))), tuple(lines),
            y_unit="ms", log_y=True,
            moments=() if slow.at_s is None else (Annotation(slow.at_s, "got slow"),), bounds=bounds,
            note="A percentile is left out in windows with too few requests for it.",
        ),
    )  # fmt: skip


def _percentile_line(p: float, role: Role, cells: Sequence[Metric]) -> Series:
    def column(name: str) -> tuple[float | None, ...]:
        return tuple(None if cell.value is None else getattr(cell, name) for cell in cells)

    banded = p == 0.95
    return Series(
        f"p{p * 100:g}",
        column("value"),
        role,
        column("low") if banded else (),
        column("high") if banded else (),
    )


def _rate_chart(run: Run, width_s: int) -> tuple[Chart, ...]:
    counts = run.request_counts(lambda series: series.outcome, width_s)
    if not counts:
        return ()
    roles = {"ok": "ok", "abandoned": "abandoned", "failed": "failed"}
    length = len(next(iter(counts.values())))
    series = tuple(
        Series(end, tuple((counts[end] / width_s).tolist()), role)
        for end, role in roles.items()
        if end in counts
    )
    total = sum(counts.values())
    title = f"Customers sent up to {float(total.max()) / width_s:.3g} requests per second"
    return (
        Chart(
            "stacked", title, "time the request was due, since the start (min:s)", "requests per second",
            tuple(float(index * width_s) for index in range(length)), series,
        ),
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
        f"– means too few requests ({needs})."
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
                cells.append(_ms(histograms[step].quantile_us(p)) if n >= minimum_n(p) else None)
        rows.append(tuple(cells))
    columns = [Column("Step"), Column("answered", "count")]
    for p in shown:
        columns += [Column(f"p{p * 100:g} response", "ms"), Column(f"p{p * 100:g} service", "ms")]
    note = (
        "Answered requests only. Response counts from the moment the request was due, service from when it "
        "was sent; where they differ, the request had to wait before it was sent."
    )
    return Table("Response time and service time side by side", tuple(columns), tuple(rows), note)


def _ends_table(run: Run) -> tuple[Table, ...]:
    found = run.histograms_by(
        lambda series: None if series.succeeded else (series.outcome, series.step, series.cause)
    )
    if not found:
        return ()
    rows = tuple(
        (
            outcome,
            step or "unnamed",
            cause or "none given",
            histogram.n,
            _ms(histogram.quantile_us(0.5)),
            _ms(histogram.quantile_us(0.95)) if histogram.n >= minimum_n(0.95) else None,
            _ms(histogram.max_us),
        )
        for (outcome, step, cause), histogram in sorted(found.items(), key=lambda item: -item[1].n)[:25]
    )
    columns = (
        Column("End"), Column("Step"), Column("Cause"), Column("Requests", "count"),
        Column("Half ended within", "ms"), Column("95 of 100 within", "ms"),
        Column("Longest", "ms"),
    )  # fmt: skip
    note = "Of abandoned requests these are the times at which customers gave up, not those of answers."
    return (Table("Requests that failed or were abandoned", columns, rows, note),)


if __name__ == "__main__":
    main(analyse)
