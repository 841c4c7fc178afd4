"""How many customers can the shop take, what fails first, and is that enough for the planned peak?

    python analysis/capacity.py reports/<search>

Reads the result of `doorbuster capacity SCENARIO` (capacity.json, next to the runs of its load steps); any
run of the search will do. Headroom is capacity over demand, a ratio of two uncertain numbers. The demand is
the peak of the scenario; without a recorded interval it is taken as exact.
"""

from __future__ import annotations

import math

from doorbuster.capacity.capacity_result import MEANINGS
from doorbuster.capacity.headroom import Headroom
from doorbuster.capacity.result_file import (
    RecordedEstimate,
    RecordedLoadStep,
    SearchResult,
    find_search,
    is_whole_search,
)
from doorbuster.report.analysis_main import main
from doorbuster.report.run_context import RunContext
from doorbuster.report.section import (
    Annotation,
    Cell,
    Chart,
    Column,
    Metric,
    Section,
    Series,
    Table,
    Unit,
    not_applicable,
    present,
    table,
)
from doorbuster.units import format_duration, format_ratio

STATUS = {  # with no-break spaces: one line each
    "pass": "✓\N{NO-BREAK SPACE}passed", "fail": "✗\N{NO-BREAK SPACE}failed",
    "unsure": "?\N{NO-BREAK SPACE}unsure", "invalid": "!\N{NO-BREAK SPACE}not\N{NO-BREAK SPACE}delivered",
}  # fmt: skip
LOWEST, HIGHEST = 0.02, 50.0  # range of the chart, as multiples of what is allowed
QUESTION = "How many customers can the shop take, and is that enough?"


def analyse(context: RunContext) -> Section:
    """Capacity and headroom found by the search that this run belongs to."""
    run = context.run
    found = find_search(run.path)
    if found is None:
        why = (
            "This run is not part of a capacity search. `doorbuster capacity` finds the highest rate at "
            "which every threshold is met."
        )
        meaning = "capacity; this run is not part of a search"
        return not_applicable("capacity", QUESTION, why, {"rate": Metric(None, "per_s", meaning=meaning)})
    held = found.headroom
    return Section(
        name="capacity",
        question=QUESTION,
        group="Capacity",
        order=100,
        sentence=found.sentence,
        findings=(*_headroom_findings(found, held), *_findings(found)),
        figures=present(_level_chart(found), _goodput_chart(found)),
        tables=present(_answer_table(found), _load_step_table(found)),
        metrics={**_metrics(found), **_headroom_metrics(found, held)},
        headline=is_whole_search(run.path),
    )


def _metrics(found: SearchResult) -> dict[str, Metric]:
    n = len(found.load_steps)
    rate = Metric(
        found.rate_per_s, "per_s", found.low, found.high, n,
        "customers per second at which every threshold is met", found.at_least,
    )  # fmt: skip
    back = None if found.recovered is None else float(found.recovered)
    return {
        "rate": rate,
        "requests_rate": _times(rate, found.requests_per_customer, "requests per second at that rate"),
        "orders_rate": _times(rate, found.orders_per_customer, "orders per second at that rate"),
        "recovers": Metric(back, "", n=n, meaning="1: recovers from an overload, 0: metastable"),
    }


def _times(rate: Metric, factor: float | None, meaning: str, unit: Unit = "per_s") -> Metric:
    """A rate times a number that is known far better than the rate."""
    if factor is None:
        return Metric(None, unit, n=rate.n, meaning=meaning)
    value, low, high = (None if end is None else end * factor for end in (rate.value, rate.low, rate.high))
    return Metric(value, unit, low, high, rate.n, meaning, rate.at_least)


def _findings(found: SearchResult) -> tuple[str, ...]:
    lines = []
    if not found.finished:
        lines.append("The search was interrupted; the result is incomplete.")
    if found.breaks_at_step:
        lines.append(f"Above capacity, {found.breaks_at_step} is the slowest step.")
    if found.breaks_at_channel:
        lines.append(f"The {found.breaks_at_channel} channel loses customers first.")
    lines += [MEANINGS[flag] for flag in found.flags if flag in MEANINGS]
    if found.recovered:
        lines.append("After an overload the shop recovered at a rate it had sustained before.")
    return tuple(lines)


def _level_chart(found: SearchResult) -> Chart | None:
    """Each load step's thresholds as a share of what is allowed, over the rate."""
    shown = _shown(found)
    names = list(dict.fromkeys(estimate.name for step in shown for estimate in step.estimates))
    series = []
    for name in names:
        levels = [next((r.level for r in step.estimates if r.name == name), None) for step in shown]
        y = tuple(None if level is None else min(HIGHEST, max(LOWEST, math.exp(level))) for level in levels)
        if any(value is not None for value in y):
            series.append(Series(name, y))
    unseen = tuple(_at_most(step.estimates) for step in shown)
    if any(value is not None for value in unseen):
        series.append(Series("no violation seen: at most", unseen, "quiet"))
    if not series:
        return None
    rate = found.rate_per_s
    title = "The rate at which the first threshold fails is unknown"
    if "below-range" in found.flags:
        title = "No rate met every threshold"
    if rate is not None:
        title = f"The first threshold fails at {rate:.3g} customers per second"
    if found.at_least:
        title = f"Every threshold held up to {rate:.3g} customers per second"
    return Chart(
        "scatter", title, "customers per second", "observed, as a multiple of what is allowed",
        tuple(step.rate_per_s for step in shown), tuple(series), x_unit="per_s", log_y=True,
        bounds=(Annotation(1.0, "allowed"),),
        moments=_ends(found),
        note="Each point is one load step; short ones scatter. A percentile counts as its share: "
        "p(95)<3s allows 5 % above 3 s. Pale: no violation was seen, so this is an upper bound. Values "
        f"are cut at {LOWEST:g} and {HIGHEST:g}.",
    )  # fmt: skip


def _shown(found: SearchResult) -> list[RecordedLoadStep]:
    """The load steps of the charts, by rate."""
    steps = (one for one in found.load_steps if one.status != "invalid" and one.kind != "overload-recovery")
    return sorted(steps, key=lambda step: step.rate_per_s)


def _at_most(estimates: tuple[RecordedEstimate, ...]) -> float | None:
    """The largest upper bound of a load step's thresholds that saw no violation."""
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


def _goodput_chart(found: SearchResult) -> Chart | None:
    shown = _shown(found)
    if len(shown) < 2:
        return None
    most = max(shown, key=lambda step: step.completed_per_s)
    return Chart(
        "scatter", f"The shop finished at most {most.completed_per_s:.3g} customers per second",
        "arrivals per second", "customers per second who left, served or not",
        tuple(step.rate_per_s for step in shown),
        (Series("left the shop", tuple(p.completed_per_s for p in shown), "strong"),
         Series("as many as arrived", tuple(p.rate_per_s for p in shown), "planned")),
        x_unit="per_s", y_unit="per_s",
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
        "95 % intervals. Requests and orders are those of open channels at the scenario's mix, as measured "
        f"near the capacity. Fails first: {found.binding or 'nothing'}."
    )
    return Table("Capacity in customers, requests and orders", columns, tuple(rows), note)


def _load_step_table(found: SearchResult) -> Table | None:
    columns = {
        Column("No.", "count"): lambda numbered: numbered[0],
        "Kind": lambda numbered: numbered[1].kind,
        Column("Customers", "per_s"): lambda numbered: numbered[1].rate_per_s,
        Column("Measured for", "s"): lambda numbered: numbered[1].seconds,
        "Result": lambda numbered: STATUS[numbered[1].status],
        "Reason": lambda numbered: numbered[1].why,
    }
    took = format_duration(found.elapsed_s)
    note = f"The search took {took}. Each load step is a run of its own in the folder of the search."
    return table("The load steps of the search, in order", enumerate(found.load_steps, 1), columns, note)


# Headroom


def _headroom_findings(found: SearchResult, held: Headroom | None) -> tuple[str, ...]:
    if held is None:
        return ()
    at_least = "at least " if held.at_least else ""
    ends = " to ".join("unknown" if end is None else f"{end:.3g}" for end in (held.low, held.high))
    text = f"The capacity is {at_least}{held.ratio:.3g} times the peak demand (95 % interval {ends})"
    if held.held_probability is not None:
        text = f"{text}; with a probability of {format_ratio(held.held_probability)} it is enough"
    lines = [f"{text}."]
    if found.demand_low_per_s is None and found.demand_high_per_s is None:
        lines.append(
            f"The peak demand of {found.demand_per_s:.4g} customers per second is taken as exact; the "
            "probability covers the capacity only."
        )
    return tuple(lines)


def _headroom_metrics(found: SearchResult, held: Headroom | None) -> dict[str, Metric]:
    n = len(found.load_steps)
    ratio = Metric(None, n=n, meaning="capacity over peak demand")
    if held is not None:
        ratio = Metric(held.ratio, "", held.low, held.high, n, ratio.meaning, held.at_least)
    enough = None if held is None else held.held_probability
    return {
        "headroom": ratio,
        "sufficient_probability": Metric(
            enough, "ratio", n=n, meaning="probability that the capacity is enough"
        ),
        "demand": Metric(
            found.demand_per_s or None, "per_s", found.demand_low_per_s, found.demand_high_per_s, None,
            "customers per second at the peak of the scenario",
        ),
    }  # fmt: skip


if __name__ == "__main__":
    main(analyse)
