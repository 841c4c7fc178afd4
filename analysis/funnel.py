"""Which step loses most customers?

    python analysis/funnel.py reports/<run>

Everyone who left early counts once, at the step where they left. What a step's time is made of is in the
section parts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from doorbuster.records.batch import CustomerCount
from doorbuster.records.outcome import Outcome
from doorbuster.records.reader import Run
from doorbuster.report.run_context import RunContext
from doorbuster.report.script import main
from doorbuster.report.section import Chart, Column, Metric, Section, Series, Table
from doorbuster.units import format_count, format_ratio


@dataclass(frozen=True, slots=True)
class Step:
    """One step: its answered requests, and the customers it lost."""

    name: str
    n: int
    lost: int
    lost_orders: int


def analyse(context: RunContext) -> Section:
    """The steps of a run."""
    run = context.run
    customers = run.customers(run.grain_s)
    steps = _steps(run, customers)
    total = sum(step.lost for step in steps)
    metrics = {"lost": Metric(total, "count", meaning="customers who left"), **_metrics(steps)}
    return Section(
        name="funnel",
        question="Which step loses most customers?",
        sentence=_sentence(steps),
        figures=_lost_chart(steps),
        tables=_table(steps, customers),
        metrics=metrics,
    )


def _steps(run: Run, customers: Sequence[CustomerCount]) -> list[Step]:
    answered = run.request_counts(lambda series: series.step if series.succeeded else None, run.grain_s)
    lost, orders = Counter[str](), Counter[str]()
    for row in customers:
        if row.outcome not in (Outcome.SERVED, Outcome.DROPPED):
            lost[row.step] += row.n
            orders[row.step] += row.n if row.order == 0 else 0
    return [
        Step(name, int(answered[name].sum()) if name in answered else 0, lost[name], orders[name])
        for name in sorted({*answered, *lost})
    ]


def _metrics(steps: Sequence[Step]) -> dict[str, Metric]:
    return {
        f"lost_at_{step.name or 'unnamed'}": Metric(
            step.lost, "count", meaning=f"customers who left at step {step.name or 'unnamed'}"
        )
        for step in steps
    }


def _sentence(steps: Sequence[Step]) -> str:
    if not steps:
        return "No step was taken, so none lost a customer."
    most = max(steps, key=lambda step: step.lost)
    if not most.lost:
        return "No step lost a customer."
    of = sum(step.lost for step in steps)
    lost = f"{format_count(most.lost)} of {format_count(of)}"
    return f"Most customers were lost at {most.name or 'unknown'}: {lost}."


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
    everyone = sum(row.n for row in customers if row.outcome != Outcome.DROPPED)
    rows = tuple(
        (
            step.name or "unnamed", step.n, step.lost, step.lost / everyone if everyone else None,
            step.lost_orders,
        )
        for step in steps
    )  # fmt: skip
    columns = (
        Column("Step"), Column("Answered", "count"), Column("Customers lost", "count"),
        Column("Share of all", "ratio"), Column("Wanted to order", "count"),
    )  # fmt: skip
    return (Table("Where customers leave", columns, rows),)


if __name__ == "__main__":
    main(analyse)
