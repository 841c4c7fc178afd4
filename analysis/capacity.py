"""How many customers can the shop take, how sure is that, and what breaks first?

    python analysis/capacity.py reports/<search>

Reads what `doorbuster capacity SCENARIO` found (capacity.json, beside the runs of its load steps). Any run of
the search will do as RUN. An ordinary run did not search: it shows what one demand did, not the limit.
"""

from __future__ import annotations

import math

from doorbuster.capacity.answer import MEANINGS
from doorbuster.capacity.result_file import (
    RecordedEstimate,
    RecordedLoadStep,
    SearchResult,
    find_search,
    is_whole_search,
)
from doorbuster.report.run_context import RunContext
from doorbuster.report.script import main
from doorbuster.report.section import Annotation, Cell, Chart, Column, Metric, Section, Series, Table, Unit
from doorbuster.units import format_duration

STATUS = {  # with no-break spaces: one line each
    "pass": "✓\N{NO-BREAK SPACE}held", "fail": "✗\N{NO-BREAK SPACE}broke",
    "unsure": "?\N{NO-BREAK SPACE}unsure", "invalid": "!\N{NO-BREAK SPACE}not\N{NO-BREAK SPACE}delivered",
}  # fmt: skip
LOWEST, HIGHEST = 0.02, 50.0  # how much of what is allowed is still drawn


def analyse(context: RunContext) -> Section:
    """The capacity that the search of this run found."""
    run = context.run
    found = find_search(run.path)
    question = "How many customers can the shop take?"
    if found is None:
        sentence = (
            "This run did not search for the capacity; `doorbuster capacity` with its scenario does, and "
            "tells the highest rate at which every threshold still holds."
        )
        meaning = {"rate": Metric(None, "per_s", meaning="the capacity; this run did not search for it")}
        return Section(
            name="capacity", question=question, sentence=sentence, metrics=meaning, not_applicable=True
        )
    return Section(
        name="capacity",
        question=question,
        sentence=found.sentence,
        findings=_findings(found),
        figures=(*_level_chart(found), *_goodput_chart(found)),
        tables=(_answer_table(found), _load_step_table(found)),
        metrics=_metrics(found),
        headline=is_whole_search(run.path),
    )


def _metrics(found: SearchResult) -> dict[str, Metric]:
    n = len(found.load_steps)
    rate = Metric(
        found.rate_per_s, "per_s", found.low, found.high, n, "customers per second that keep all thresholds",
        found.at_least,
    )  # fmt: skip
    back = None if found.recovered is None else float(found.recovered)
    return {
        "rate": rate,
        "requests_rate": _times(rate, found.requests_per_customer, "requests per second at that rate"),
        "orders_rate": _times(rate, found.orders_per_customer, "orders per second at that rate"),
        "recovers": Metric(back, "", n=n, meaning="1: fine again after an overload, 0: metastable"),
    }


def _times(rate: Metric, factor: float | None, meaning: str, unit: Unit = "per_s") -> Metric:
    """A rate times a number known far better than the rate."""
    if factor is None:
        return Metric(None, unit, n=rate.n, meaning=meaning)
    value, low, high = (None if end is None else end * factor for end in (rate.value, rate.low, rate.high))
    return Metric(value, unit, low, high, rate.n, meaning, rate.at_least)


def _findings(found: SearchResult) -> tuple[str, ...]:
    told = []
    if not found.finished:
        told.append("The search was interrupted: this is what was known by then.")
    if found.breaks_at_step:
        told.append(f"Where it breaks, the step {found.breaks_at_step} is slowest.")
    if found.breaks_at_channel:
        told.append(f"The {found.breaks_at_channel} channel loses customers first.")
    told += [MEANINGS[flag] for flag in found.flags if flag in MEANINGS]
    if found.recovered:
        told.append("After an overload the shop came back to a rate it had held before.")
    return tuple(told)


def _level_chart(found: SearchResult) -> tuple[Chart, ...]:
    """Each load step's thresholds as a share of what is allowed, over the rate."""
    shown = sorted(
        (p for p in found.load_steps if p.status != "invalid" and p.kind != "overload-recovery"),
        key=lambda step: step.rate_per_s,
    )
    names = list(dict.fromkeys(estimate.name for step in shown for estimate in step.estimates))
    series = []
    for name in names:
        levels = [next((r.level for r in step.estimates if r.name == name), None) for step in shown]
        y = tuple(None if level is None else min(HIGHEST, max(LOWEST, math.exp(level))) for level in levels)
        if any(value is not None for value in y):
            series.append(Series(name, y))
    unseen = tuple(_at_most(step.estimates) for step in shown)
    if any(value is not None for value in unseen):
        series.append(Series("nothing bad seen: at most", unseen, "quiet"))
    if not series:
        return ()
    rate = found.rate_per_s
    title = "No rate kept every threshold"
    if rate is not None:
        title = f"The first promise breaks at {rate:.3g} customers per second"
    if found.at_least:
        title = f"No promise broke up to {rate:.3g} customers per second"
    return (
        Chart(
            "scatter", title, "customers per second", "observed, as a multiple of what is allowed",
            tuple(step.rate_per_s for step in shown), tuple(series), x_unit="per_s", log_y=True,
            bounds=(Annotation(1.0, "allowed"),),
            moments=_ends(found),
            note="A point is one load step; short ones scatter. A percentile is read as its share: p(95)<3s "
            f"allows 5 % above 3 s. Pale: nothing bad was seen, at most this much was missed. Drawn from "
            f"{LOWEST:g} to {HIGHEST:g} times.",
        ),
    )  # fmt: skip


def _at_most(estimates: tuple[RecordedEstimate, ...]) -> float | None:
    """What may have been missed at a load step where a threshold saw nothing bad: the worst of them."""
    highest = [found.high for found in estimates if found.level is None and found.high is not None]
    return min(HIGHEST, max(LOWEST, math.exp(max(highest)))) if highest else None


def _ends(found: SearchResult) -> tuple[Annotation, ...]:
    """The answer and the ends of its interval, from left to right."""
    if found.rate_per_s is None:
        return ()
    if found.at_least:
        return (Annotation(found.rate_per_s, "capacity: at least"),)
    marks = ((found.low, "95 % interval from"), (found.rate_per_s, "capacity"), (found.high, "to"))
    return tuple(Annotation(at, label) for at, label in marks if at is not None)


def _goodput_chart(found: SearchResult) -> tuple[Chart, ...]:
    shown = sorted(
        (p for p in found.load_steps if p.status != "invalid" and p.kind != "overload-recovery"),
        key=lambda step: step.rate_per_s,
    )
    if len(shown) < 2:
        return ()
    most = max(shown, key=lambda step: step.completed_per_s)
    return (
        Chart(
            "scatter", f"The shop finished at most {most.completed_per_s:.3g} customers per second",
            "customers per second who came", "customers per second who left, served or not",
            tuple(step.rate_per_s for step in shown),
            (Series("left the shop", tuple(p.completed_per_s for p in shown), "strong"),
             Series("as many as came", tuple(p.rate_per_s for p in shown), "planned")),
            x_unit="per_s", y_unit="per_s",
        ),
    )  # fmt: skip


def _answer_table(found: SearchResult) -> Table:
    metrics = _metrics(found)
    rows: list[tuple[Cell, ...]] = []
    for label, factor in (("per second", 1.0), ("per minute", 60.0), ("per hour", 3600.0)):
        cells = [
            _times(metrics[name], factor, "", "count" if factor > 1 else "")
            for name in ("rate", "requests_rate", "orders_rate")
        ]
        rows.append((label, *cells))
    columns = (Column("Capacity"), Column("Customers"), Column("Requests"), Column("Orders"))
    note = (
        "95 % intervals. Requests and orders are those of the customers of open channels, at the scenario's "
        f"mix and as measured near the answer. {found.binding or 'Nothing'} breaks first."
    )
    return Table("Capacity in customers, requests and orders", columns, tuple(rows), note)


def _load_step_table(found: SearchResult) -> Table:
    rows = tuple(_row(number, step) for number, step in enumerate(found.load_steps, start=1))
    columns = (
        Column("No.", "count"), Column("Why"), Column("Customers", "per_s"), Column("Judged for", "s"),
        Column("Result"), Column("Because"),
    )  # fmt: skip
    took = format_duration(found.elapsed_s)
    note = f"The search took {took}. Each load step is a run of its own in the folder of the search."
    return Table("The load steps of the search, in order", columns, rows, note)


def _row(number: int, step: RecordedLoadStep) -> tuple[int, str, float, int, str, str]:
    return (number, step.kind, step.rate_per_s, step.seconds, STATUS[step.status], step.why)


if __name__ == "__main__":
    main(analyse)
