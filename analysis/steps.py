"""Where does the time go, and which step loses most customers?

    python analysis/steps.py reports/<run>

A request waits for the first byte, while the shop works, and then for the body, while data travel. Means add
up, so the table shows means; the bars show where an answered request spent its time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from doorbuster.records.batch import CustomerCount
from doorbuster.records.histogram import Histogram
from doorbuster.records.run import Run
from doorbuster.report.section import Chart, Column, Metric, Section, Series, Table, main
from doorbuster.units import format_count, format_duration, format_ratio

EMPTY = Histogram.empty()


@dataclass(frozen=True, slots=True)
class Step:
    """One step: mean times of its answered requests in ms, and the customers it lost."""

    name: str
    n: int
    queue_ms: float  # due, but not sent yet
    first_byte_ms: float
    body_ms: float
    lost: int
    lost_orders: int

    @property
    def mean_ms(self) -> float:
        return self.queue_ms + self.first_byte_ms + self.body_ms


def analyse(run: Run) -> Section:
    """The steps of a run."""
    customers = run.customers(run.grain_s)
    steps = _steps(run, customers)
    total = sum(step.lost for step in steps)
    metrics = {"lost": Metric(total, "count", meaning="customers who left"), **_metrics(steps)}
    return Section(
        name="steps",
        question="Where does the time go, and which step loses most customers?",
        sentence=_sentence(steps),
        figures=(*_time_chart(steps), *_lost_chart(steps)),
        tables=_table(steps, customers),
        metrics=metrics,
    )


def _steps(run: Run, customers: Sequence[CustomerCount]) -> list[Step]:
    by_kind: dict[str, Mapping[str, Histogram]] = {
        kind: run.histograms_by(lambda series: series.step if series.outcome == "ok" else None, kind)
        for kind in ("response", "service", "first_byte")
    }
    lost, orders = Counter[str](), Counter[str]()
    for row in customers:
        if row.outcome not in ("served", "dropped"):
            lost[row.step] += row.n
            orders[row.step] += row.n if row.order == 0 else 0
    found = []
    for name in sorted({*by_kind["response"], *lost}):
        response, service, first = (_mean_ms(by_kind[kind].get(name, EMPTY)) for kind in by_kind)
        n = by_kind["response"].get(name, EMPTY).n
        found.append(
            Step(
                name, n, max(0.0, response - service), min(first, service), max(0.0, service - first),
                lost[name], orders[name],
            )
        )  # fmt: skip
    return found


def _mean_ms(histogram: Histogram) -> float:
    return (histogram.mean_us or 0.0) / 1e3


def _metrics(steps: Sequence[Step]) -> dict[str, Metric]:
    metrics = {}
    for step in steps:
        name = step.name or "unnamed"
        metrics[f"lost_at_{name}"] = Metric(step.lost, "count", meaning=f"customers who left at step {name}")
        if step.n:
            meaning = f"share of the mean time of {name} spent waiting for the first byte"
            share = step.first_byte_ms / step.mean_ms if step.mean_ms else None
            metrics[f"first_byte_share_{name}"] = Metric(share, "ratio", n=step.n, meaning=meaning)
    return metrics


def _sentence(steps: Sequence[Step]) -> str:
    answered = [step for step in steps if step.n]
    if not answered:
        return "No request was answered, so no time was spent on one."
    slowest = max(answered, key=lambda step: step.mean_ms)
    total = sum(step.mean_ms * step.n for step in answered)
    first = sum(step.first_byte_ms * step.n for step in answered)
    took = format_duration(slowest.mean_ms / 1e3)
    share = format_ratio(first / total) if total else "None"
    text = (
        f"{share} of all time was spent waiting for the first byte; "
        f"the slowest step is {slowest.name or 'unnamed'}, {took} on average"
    )
    most = max(steps, key=lambda step: step.lost)
    if not most.lost:
        return f"{text}. No step lost a customer."
    of = sum(step.lost for step in steps)
    lost = f"{format_count(most.lost)} of {format_count(of)}"
    return f"{text}. Most customers were lost at {most.name or 'unknown'}: {lost}."


def _time_chart(steps: Sequence[Step]) -> tuple[Chart, ...]:
    shown = sorted((step for step in steps if step.n), key=lambda step: -step.mean_ms)
    if not shown:
        return ()
    parts = (
        ("waiting to be sent", "queue_ms", "dropped"),
        ("to the first byte", "first_byte_ms", "strong"),
        ("body", "body_ms", "queued_out"),
    )
    series = tuple(
        Series(name, tuple(getattr(step, field) for step in shown), role)  # type: ignore[arg-type]
        for name, field, role in parts
        if any(getattr(step, field) > 0 for step in shown)
    )
    took = format_duration(shown[0].mean_ms / 1e3)
    title = f"The step {shown[0].name or 'unnamed'} takes longest, {took} on average"
    return (
        Chart(
            "bars", title, "step", "mean time of an answered request",
            tuple(step.name or "unnamed" for step in shown), series, y_unit="ms",
        ),
    )  # fmt: skip


def _lost_chart(steps: Sequence[Step]) -> tuple[Chart, ...]:
    shown = sorted((step for step in steps if step.lost), key=lambda step: -step.lost)[:12]
    if not shown:
        return ()
    of = sum(step.lost for step in steps)
    title = (
        f"{format_ratio(shown[0].lost / of)} of the customers who left did so at {shown[0].name or 'unknown'}"
    )
    series = (
        Series("wanted to order", tuple(float(step.lost_orders) for step in shown), "turned_away"),
        Series("only looked", tuple(float(step.lost - step.lost_orders) for step in shown), "quiet"),
    )
    return (
        Chart(
            "bars", title, "step", "customers who left", tuple(step.name or "unknown" for step in shown),
            series, y_unit="count",
        ),
    )  # fmt: skip


def _table(steps: Sequence[Step], customers: Sequence[CustomerCount]) -> tuple[Table, ...]:
    if not steps:
        return ()
    everyone = sum(row.n for row in customers if row.outcome != "dropped")
    rows = tuple(
        (
            step.name or "unnamed", step.n, *(
                (step.mean_ms, step.queue_ms, step.first_byte_ms, step.body_ms) if step.n else (None,) * 4
            ),
            step.lost, step.lost / everyone if everyone else None, step.lost_orders,
        )
        for step in steps
    )  # fmt: skip
    columns = (
        Column("Step"), Column("Answered", "count"), Column("Mean response", "ms"),
        Column("Waiting to be sent", "ms"), Column("To the first byte", "ms"), Column("Body", "ms"),
        Column("Customers lost", "count"), Column("Share of all", "ratio"),
        Column("Wanted to order", "count"),
    )  # fmt: skip
    note = (
        "Answered requests only; the three parts add up to the mean response. Connecting is part of the time "
        "to the first byte: connections are kept open from page to page."
    )
    return (Table("Where the time goes and where customers leave", columns, rows, note),)


if __name__ == "__main__":
    main(analyse)
