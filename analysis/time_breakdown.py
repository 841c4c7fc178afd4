"""Where does the time go: what a step's time is made of.

    python analysis/time_breakdown.py reports/<run>

A step that is due may first wait to be sent; then it connects (if no kept connection was free), waits for the
first byte, and receives the body. A step may make more requests after its first (redirects, the critical
requests of a page): they are a part of their own, and a table splits them in the same way. Means add up, so
the bars are means of answered steps; percentiles stand in a table. What the shop says about its own time is
in the section server, who left where in the section steps.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from doorbuster.records.batch import SeriesKey
from doorbuster.records.histogram import Histogram
from doorbuster.records.reader import Run
from doorbuster.records.side_metrics import ConnectTotals, StepTimings, SubsequentRequests
from doorbuster.report.run_context import RunContext
from doorbuster.report.script import main
from doorbuster.report.section import Cell, Chart, Column, Metric, Role, Section, Series, Table, time_metric
from doorbuster.stats.quantile import minimum_n, quantile_estimate
from doorbuster.units import format_count, format_duration, format_ratio

V = TypeVar("V")
EMPTY = Histogram.empty()
NONE = ConnectTotals(0, 0, 0)
ALONE = SubsequentRequests(0, 0, 0, 0, 0, EMPTY)
MAX_BARS = 14
PARTS: tuple[tuple[str, str, Role], ...] = (
    ("waiting to be sent", "late_ms", "dropped"),
    ("connecting", "connect_ms", "abandoned"),
    ("waiting for the first byte", "wait_ms", "strong"),
    ("the body", "body_ms", "queued_out"),
    ("later requests", "later_ms", "ok"),
)
SHOWN = (0.5, 0.95)  # percentiles


@dataclass(frozen=True, slots=True)
class Step:
    """Mean times, in ms, of the n answered steps of one name; connections opened, and what came later."""

    name: str
    n: int
    late_ms: float
    connect_ms: float
    wait_ms: float
    body_ms: float
    later_ms: float
    connect: ConnectTotals = NONE
    later: SubsequentRequests = ALONE

    @property
    def mean_ms(self) -> float:
        return self.late_ms + self.connect_ms + self.wait_ms + self.body_ms + self.later_ms


def analyse(context: RunContext) -> Section:
    """The parts of the time of a run's steps."""
    run = context.run
    parts = run.step_timings()
    steps = _steps(run, parts)
    return Section(
        name="time_breakdown",
        question="Where does the time go?",
        sentence=_sentence(steps),
        figures=_parts_chart(steps, parts),
        tables=(
            *_parts_table(steps),
            *_percentile_table(run, parts),
            *_later_table(steps),
        ),
        metrics=_metrics(steps, parts),
    )


def _steps(run: Run, parts: StepTimings) -> list[Step]:
    by_kind = {
        kind: run.histograms_by(lambda series: series.step if series.succeeded else None, kind)
        for kind in ("response", "service", "first_byte")
    }
    connects = _by_step(parts.connect)
    later = _by_step(parts.subsequent)
    found = []
    for name, answered in sorted(by_kind["response"].items()):
        connect, more = _together(connects[name]), _later_together(later[name])
        response, service, first = (_mean_ms(by_kind[kind].get(name, EMPTY)) for kind in by_kind)
        connect_ms = min(connect.total_us / answered.n / 1e3, first)
        rest_ms = max(0.0, service - first)
        later_ms = min((more.times.mean_us or 0.0) * more.n / answered.n / 1e3, rest_ms)
        found.append(
            Step(
                name or "unnamed", answered.n, max(0.0, response - service), connect_ms,
                max(0.0, min(first, service) - connect_ms), rest_ms - later_ms, later_ms, connect, more,
            )
        )  # fmt: skip
    return sorted(found, key=lambda step: -step.mean_ms)


def _by_step(found: Mapping[SeriesKey, V]) -> defaultdict[str, list[V]]:
    """What answered requests have, by step."""
    grouped: defaultdict[str, list[V]] = defaultdict(list)
    for series, value in found.items():
        if series.succeeded:
            grouped[series.step].append(value)
    return grouped


def _together(parts: Sequence[ConnectTotals]) -> ConnectTotals:
    return ConnectTotals(
        sum(part.n for part in parts),
        sum(part.total_us for part in parts),
        max((part.longest_us for part in parts), default=0),
    )


def _later_together(parts: Sequence[SubsequentRequests]) -> SubsequentRequests:
    times = EMPTY.merge(*(part.times for part in parts))
    n, requests, connect_us, wait_us, body_us = (sum(part[at] for part in parts) for at in range(5))
    return SubsequentRequests(n, requests, connect_us, wait_us, body_us, times)


def _mean_ms(histogram: Histogram) -> float:
    return (histogram.mean_us or 0.0) / 1e3


def _share(steps: Sequence[Step], part: str) -> float | None:
    total = sum(step.mean_ms * step.n for step in steps)
    return sum(getattr(step, part) * step.n for step in steps) / total if total else None


def _metrics(steps: Sequence[Step], parts: StepTimings) -> dict[str, Metric]:
    n = sum(step.n for step in steps)
    metrics = {
        f"{name}_share": Metric(
            _share(steps, part) if known else None, "ratio", n=n, meaning=f"share of all time {words}"
        )
        for name, part, words, known in (
            ("late", "late_ms", "spent waiting to be sent", True),
            ("connect", "connect_ms", "spent connecting", bool(parts.connect)),
            ("first_byte", "wait_ms", "spent waiting for the first byte", True),
            ("body", "body_ms", "spent receiving bodies", True),
            ("later", "later_ms", "spent on requests after the first", True),
        )
    }
    connect = _together([step.connect for step in steps])
    mean = None if connect.mean_us is None else connect.mean_us / 1e3
    metrics["connect_mean"] = Metric(mean, "ms", n=connect.n, meaning="time to open a connection, mean")
    opened = EMPTY.merge(*(found for of in _by_step(parts.connect_times).values() for found in of))
    for p in SHOWN:
        words = f"{p * 100:g} of 100 connections were open within this time"
        found = _percentile(opened, p)
        metrics[f"connect_p{p * 100:g}"] = replace(found or Metric(None, "ms", n=opened.n), meaning=words)
    for step in steps:
        share = step.wait_ms / step.mean_ms if step.mean_ms else None
        meaning = f"share of the mean time of {step.name} spent waiting for the first byte"
        metrics[f"first_byte_share_{step.name}"] = Metric(share, "ratio", n=step.n, meaning=meaning)
    return metrics


def _sentence(steps: Sequence[Step]) -> str:
    if not steps:
        return "No request was answered, so no time was spent on one."
    slowest = steps[0]
    shares = {words: _share(steps, part) or 0.0 for words, part, _ in PARTS}
    most = max(shares, key=lambda words: shares[words])
    took = format_duration(slowest.mean_ms / 1e3)
    doing = {"the body": "receiving bodies", "later requests": "on requests after a step's first"}
    return (
        f"{format_ratio(shares[most])} of all time was spent {doing.get(most, most)}; the slowest step is "
        f"{slowest.name}, {took} on average."
    )


def _labels(steps: Sequence[Step]) -> tuple[str, ...]:
    return tuple(f"{step.name} (n = {format_count(step.n)})" for step in steps)


def _parts_chart(steps: Sequence[Step], parts: StepTimings) -> tuple[Chart, ...]:
    shown = steps[:MAX_BARS]
    if not shown or not shown[0].mean_ms:
        return ()
    series = tuple(
        Series(words, tuple(getattr(step, part) for step in shown), role)
        for words, part, role in PARTS
        if any(getattr(step, part) > 0 for step in shown)
    )
    first = shown[0]
    words, part, _ = max(PARTS, key=lambda item: getattr(first, item[1]))
    share = format_ratio(getattr(first, part) / first.mean_ms)
    return (
        Chart(
            "bars", f"{first.name} takes longest: {share} of its time goes to {words}", "step",
            "mean time of an answered step", _labels(shown), series, y_unit="ms",
            note=" ".join(_not_apart(parts)),
        ),
    )  # fmt: skip


def _not_apart(parts: StepTimings) -> list[str]:
    found = []
    if not parts.connect:
        found.append("Connecting was not recorded apart: it is part of the first byte.")
    return found


def _parts_table(steps: Sequence[Step]) -> tuple[Table, ...]:
    if not steps:
        return ()
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (
            step.name, step.n, step.mean_ms, step.late_ms, step.connect_ms, step.wait_ms, step.body_ms,
            step.later_ms,
        )
        for step in steps
    )  # fmt: skip
    columns = (
        Column("Step"), Column("Answered", "count"), Column("Mean response", "ms"),
        Column("Waiting to be sent", "ms"), Column("Connecting", "ms"), Column("First byte", "ms"),
        Column("Body", "ms"), Column("Later requests", "ms"),
    )  # fmt: skip
    note = (
        "Answered steps only; the parts add up to the mean response. Connecting and later requests are "
        "spread over all steps of the name, also those that had none."
    )
    return (Table("What a step's time is made of", columns, rows, note),)


def _percentile(
    times: Histogram, p: float, worth: float | None = None, n: int | None = None
) -> Metric | None:
    """A percentile with its interval; None where there are too few times."""
    if (times.n if worth is None else worth) < minimum_n(p):
        return None
    found = time_metric(quantile_estimate(times, p, worth=worth))
    return found if n is None else replace(found, n=n)


def _percentile_table(run: Run, parts: StepTimings) -> tuple[Table, ...]:
    """Parts whose times were recorded one by one; of the others there are only means."""
    opened, later = _by_step(parts.connect_times), _by_step(parts.subsequent)
    first = run.histograms_by(lambda series: series.step if series.succeeded else None, "first_byte")
    rows: list[tuple[Cell, ...]] = []
    for step, waited in sorted(first.items()):
        for part, times in (
            ("connecting", EMPTY.merge(*opened[step])),
            ("first byte, with connecting", waited),
            ("later requests", _later_together(later[step]).times),
        ):
            if times.n:
                longest = None if times.max_us is None else times.max_us / 1e3
                rows.append(
                    (step, part, times.n, _mean_ms(times), *(_percentile(times, p) for p in SHOWN), longest)
                )
    columns = (
        Column("Step"), Column("Part"), Column("Steps that had it", "count"), Column("Mean", "ms"),
        *(Column(f"p{p * 100:g}") for p in SHOWN), Column("Longest", "ms"),
    )  # fmt: skip
    note = (
        f"Answered steps; 95 % intervals, as if steps were independent. – means too few: p95 needs "
        f"{minimum_n(0.95)}."
    )
    return (Table("How long the parts took where they occurred", columns, tuple(rows), note),) if rows else ()


def _later_table(steps: Sequence[Step]) -> tuple[Table, ...]:
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (
            step.name, step.later.n, step.later.requests / step.later.n,
            *(us / step.later.requests / 1e3 for us in step.later[2:5]),
        )
        for step in steps
        if step.later.n
    )  # fmt: skip
    columns = (
        Column("Step"), Column("Steps with several requests", "count"), Column("Later requests each"),
        Column("Connecting", "ms"), Column("First byte", "ms"), Column("Body", "ms"),
    )  # fmt: skip
    note = "Means of one later request. Those that are sent side by side take less time together."
    return (Table("What the later requests of a step are made of", columns, rows, note),) if rows else ()


if __name__ == "__main__":
    main(analyse)
