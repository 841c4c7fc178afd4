"""Will the peak be held: how many times the demand is the capacity, and how likely is it enough?

    python analysis/headroom.py reports/<search>

Headroom is capacity over demand, a ratio of two uncertain numbers. The capacity comes from a search
(`doorbuster capacity`), the demand is the peak of its scenario; an interval of the demand is used when the
search recorded one, else the demand is taken as it was stated, which the section says.
"""

from __future__ import annotations

from doorbuster.capacity.headroom import Headroom, Uncertain, headroom
from doorbuster.capacity.result_file import SearchResult, find_search, is_whole_search
from doorbuster.report.run_context import RunContext
from doorbuster.report.script import main
from doorbuster.report.section import Chart, Column, Metric, Section, Series, Table
from doorbuster.units import format_ratio


def analyse(context: RunContext) -> Section:
    """The headroom of the search that this run belongs to."""
    run = context.run
    found = find_search(run.path)
    if found is None or found.rate_per_s is None or found.demand_per_s <= 0:
        return _unknown(found)
    capacity = Uncertain(found.rate_per_s, found.low or None, found.high, found.at_least)
    demand = Uncertain(found.demand_per_s, found.demand_low_per_s, found.demand_high_per_s)
    certain = found.demand_low_per_s is None and found.demand_high_per_s is None
    if certain:
        demand = Uncertain(found.demand_per_s, found.demand_per_s, found.demand_per_s)
    held = headroom(capacity, demand)
    return Section(
        name="headroom",
        question="Will the peak be held?",
        sentence=_sentence(held),
        findings=_findings(found, certain=certain),
        figures=(_chart(found, held),),
        tables=(_table(found, held),),
        metrics=_metrics(found, held),
        headline=is_whole_search(run.path),
    )


def _unknown(found: SearchResult | None) -> Section:
    why = "no capacity was searched for" if found is None else "the search found no capacity"
    meaning = {"ratio": Metric(None, "", meaning="capacity over demand")}
    return Section(
        name="headroom",
        question="Will the peak be held?",
        sentence=f"Nobody knows: {why}. `doorbuster capacity` with the scenario searches for it.",
        metrics=meaning,
        not_applicable=found is None,
    )


def _sentence(held: Headroom) -> str:
    least = "at least " if held.at_least else ""
    ends = " to ".join("unknown" if end is None else f"{end:.3g}" for end in (held.low, held.high))
    text = f"The shop can take {least}{held.ratio:.3g} times the peak (95 % interval {ends})"
    if held.held_probability is None:
        return f"{text}; how likely the peak is held cannot be told."
    return f"{text}; the peak is held with a probability of {format_ratio(held.held_probability)}."


def _findings(found: SearchResult, *, certain: bool) -> tuple[str, ...]:
    told = []
    if certain:
        told.append(
            f"The demand, {found.demand_per_s:.4g} customers per second, is taken as the scenario states it, "
            "without an interval: the probability speaks of the capacity alone."
        )
    if found.recovered is False:
        told.append("The shop does not recover from an overload by itself: a short burst is enough.")
    return tuple(told)


def _metrics(found: SearchResult, held: Headroom) -> dict[str, Metric]:
    n = len(found.load_steps)
    return {
        "ratio": Metric(
            held.ratio, "", held.low, held.high, n, "capacity over demand", held.at_least,
        ),
        "held": Metric(held.held_probability, "ratio", n=n, meaning="probability that it is enough"),
        "demand": Metric(
            found.demand_per_s, "per_s", found.demand_low_per_s, found.demand_high_per_s, None,
            "customers per second at the peak",
        ),
    }  # fmt: skip


def _chart(found: SearchResult, held: Headroom) -> Chart:
    least = "at least " if held.at_least else ""
    return Chart(
        "bars", f"The capacity is {least}{held.ratio:.3g} times the demand", "", "customers per second",
        ("demand at the peak", "capacity"),
        (Series("customers per second", (found.demand_per_s, found.rate_per_s), "strong"),), y_unit="per_s",
    )  # fmt: skip


def _table(found: SearchResult, held: Headroom) -> Table:
    capacity = Metric(found.rate_per_s, "per_s", found.low, found.high, at_least=found.at_least)
    demand = Metric(found.demand_per_s, "per_s", found.demand_low_per_s, found.demand_high_per_s)
    ratio = Metric(held.ratio, "", held.low, held.high, at_least=held.at_least)
    rows = (("capacity", capacity), ("demand at the peak", demand), ("headroom", ratio))
    return Table("Headroom", (Column("What"), Column("Value")), rows)


if __name__ == "__main__":
    main(analyse)
