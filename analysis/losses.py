"""What did it cost: which orders were lost, against an unhurried shop, and what is each blamed on?

    python analysis/losses.py reports/<run>

The same arrivals would have ordered in an unhurried shop: every customer who came to order, and of those who
left a journey in which only some order, the share that the served ones of that journey ordered. Assumed: who
left would have ordered like who stayed, nobody came back later, and stock would have sufficed. Customers we
dropped ourselves count for nothing.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from doorbuster.records.batch import CustomerCount
from doorbuster.records.run import Run
from doorbuster.report.section import Chart, Column, Metric, Section, Series, Table, main
from doorbuster.stats.proportion import clopper_pearson
from doorbuster.units import format_count, format_ratio


@dataclass(frozen=True, slots=True)
class Expected:
    """Orders of an unhurried shop with their 95 % interval, and those that came about."""

    value: float
    low: float
    high: float
    got: int


def analyse(run: Run) -> Section:
    """The losses of a run."""
    rows = [row for row in run.customers(run.grain_s) if row.outcome != "dropped"]
    expected, blame = expect(rows), _blame(rows)
    lost = expected.value - expected.got
    metrics = {
        "orders_expected": Metric(
            expected.value, "count", expected.low, expected.high, sum(row.n for row in rows),
            "orders the same arrivals would have placed in an unhurried shop",
        ),
        "orders_lost_to_the_shop": Metric(
            lost, "count", expected.low - expected.got, expected.high - expected.got, round(expected.value),
            "of these, not placed",
        ),
    }  # fmt: skip
    return Section(
        name="losses",
        question="What did it cost, and what is to blame?",
        sentence=_sentence(expected, blame),
        figures=_funnel_chart(rows),
        tables=_blame_table(blame),
        metrics=metrics,
    )


def expect(rows: Sequence[CustomerCount]) -> Expected:
    """Orders of an unhurried shop: intentions that are known, and those of leavers as the served ones had."""
    known = sum(row.n for row in rows if row.order is not None)
    got = sum(row.n for row in rows if row.order == 1)
    served: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    left = Counter[tuple[str, str]]()
    for row in rows:
        if row.outcome == "served":
            served[row.channel, row.journey][0] += row.n if row.order == 1 else 0
            served[row.channel, row.journey][1] += row.n
        elif row.order is None:
            left[row.channel, row.journey] += row.n
    value = low = high = float(known)
    for lane, n in left.items():
        ordered, of = served[lane]
        if ordered:
            share = clopper_pearson(ordered, of)
            value, low, high = value + n * ordered / of, low + n * share.low, high + n * share.high
    return Expected(value, low, high, got)


def _blame(rows: Sequence[CustomerCount]) -> Counter[tuple[str, str, str]]:
    """Known lost orders by step, cause and how the customer left."""
    counts = Counter[tuple[str, str, str]]()
    for row in rows:
        if row.order == 0:
            counts[row.step or "unknown", row.cause or "none given", row.outcome] += row.n
    return counts


def _sentence(expected: Expected, blame: Counter[tuple[str, str, str]]) -> str:
    if expected.value < 0.5:
        return "Nobody came to order, so no order was lost."
    lost = expected.value - expected.got
    if lost < 0.5:
        return (
            f"No order was lost: all {format_count(expected.got)} that an unhurried shop had got came about."
        )
    ends = "each of them came to order"  # then there is nothing to estimate, and no interval
    if expected.low < expected.high:
        ends = f"95 % interval {expected.low - expected.got:,.0f} to {expected.high - expected.got:,.0f}"
    text = f"Of {expected.value:,.0f} orders in an unhurried shop {lost:,.0f} were lost ({ends})"
    if not blame:
        return f"{text}."
    ((step, cause, _), n), of = blame.most_common(1)[0], blame.total()
    return f"{text}; {format_ratio(n / of)} are blamed on {cause.replace('_', ' ')} at {step}."


def _funnel_chart(rows: Sequence[CustomerCount]) -> tuple[Chart, ...]:
    """Asked against got: came, wanted to browse, wanted to order."""
    asked = (
        sum(row.n for row in rows),
        sum(row.n for row in rows if row.browse is not None),
        sum(row.n for row in rows if row.order is not None),
    )
    got = (
        sum(row.n for row in rows if row.outcome == "served"),
        sum(row.n for row in rows if row.browse == 1),
        sum(row.n for row in rows if row.order == 1),
    )
    if not asked[0]:
        return ()
    share = format_ratio(got[2] / asked[2]) if asked[2] else "None"
    lost = tuple(float(a - g) for a, g in zip(asked, got, strict=True))
    return (
        Chart(
            "bars", f"{share} of the orders asked for came about", "what they came for", "customers",
            ("anything: served", "to browse: could", "to order: could"),
            (Series("got it", tuple(map(float, got)), "served"), Series("did not", lost, "turned_away")),
            y_unit="count",
        ),
    )  # fmt: skip


def _blame_table(blame: Counter[tuple[str, str, str]]) -> tuple[Table, ...]:
    if not blame:
        return ()
    rows = tuple((*why, n, n / blame.total()) for why, n in blame.most_common(25))
    columns = (
        Column("Step"), Column("Cause"), Column("How they left"), Column("Orders lost", "count"),
        Column("Share", "ratio"),
    )  # fmt: skip
    note = "Each customer who came to order and left without counts once, at the step where they left."
    return (Table("What each lost order is blamed on", columns, rows, note),)


if __name__ == "__main__":
    main(analyse)
