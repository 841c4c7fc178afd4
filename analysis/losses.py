"""What did it cost: which orders were lost, against an unhurried shop, and what is each blamed on?

    python analysis/losses.py reports/<run>

The same arrivals would have ordered in an unhurried shop: every customer who came to order, and of those who
left a journey in which only some order, the share that the served ones of that journey ordered. Assumed: who
left would have ordered like who stayed, nobody came back later, and stock would have sufficed. Customers we
dropped ourselves count for nothing.

Customers who reload and machines that try again add to the load: amplification = attempts / first attempts. A
part of a page that may fail (recommendations, reviews) costs no visit: the table shows if orders went on.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from doorbuster.records.asides import CounterKey
from doorbuster.records.batch import CustomerCount
from doorbuster.records.run import Run
from doorbuster.report.section import Chart, Column, Metric, Section, Series, Table, main
from doorbuster.stats.proportion import clopper_pearson
from doorbuster.units import format_count, format_ratio

AGAIN = ("retries", "reloads")
DEGRADED = "degraded:"
STRETCH_S = 5
WAITING_ROOM = "waiting_room"  # the step of those who ask whether it is their turn: no attempt at anything
Counters = Mapping[CounterKey, np.ndarray]


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
    counters = run.counters()
    attempts, degraded = _attempts(run, counters), _degraded(run, counters)
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
        **_again_metrics(attempts, degraded),
    }  # fmt: skip
    return Section(
        name="losses",
        question="What did it cost, and what is to blame?",
        sentence=_sentence(expected, blame),
        findings=(*_again_finding(attempts), *map(_degraded_finding, degraded)),
        figures=_funnel_chart(rows),
        tables=(*_blame_table(blame), *_again_table(attempts), *_degraded_table(degraded)),
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


@dataclass(frozen=True, slots=True)
class Attempts:
    """What was asked of the shop in one channel: first attempts, and what was tried again."""

    channel: str
    first: int
    retries: int
    reloads: int
    polls: int

    @property
    def amplification(self) -> float | None:
        return (self.first + self.retries + self.reloads) / self.first if self.first else None


@dataclass(frozen=True, slots=True)
class Degraded:
    """A part that failed without ending visits; orders tried meanwhile, and acknowledged of these."""

    step: str
    failures: int
    asked: int
    tried: int
    acknowledged: int


def _attempts(run: Run, counters: Counters) -> list[Attempts]:
    """Every attempt is a request of its own in the records; those that were tried again are counted, too."""
    counted = {key: int(n.sum()) for key, n in counters.items()}
    if not any(counted.get(CounterKey(of, name)) for of, name in counters if not name.startswith(DEGRADED)):
        return []
    asked = run.request_counts(
        lambda series: None if series.step == WAITING_ROOM else series.channel, run.grain_s
    )
    found = []
    for channel, n in sorted(asked.items()):
        retries, reloads, polls = (
            counted.get(CounterKey(channel, name), 0) for name in (*AGAIN, "queue_polls")
        )
        found.append(Attempts(channel, int(n.sum()) - retries - reloads, retries, reloads, polls))
    return found


def _degraded(run: Run, counters: Counters) -> list[Degraded]:
    """Orders count that were due in the stretches of time in which the part failed, in any channel."""
    failed: dict[str, np.ndarray] = {}
    for (_, name), n in counters.items():
        if name.startswith(DEGRADED):
            step = name.removeprefix(DEGRADED)
            failed[step] = failed.get(step, 0) + n
    if not failed:
        return []
    asked = run.request_counts(lambda series: series.step if series.step in failed else None, run.grain_s)
    orders = [(int(order.intended_s) // STRETCH_S, order.answer == "acknowledged") for order in run.orders()]
    found = []
    for step, n in sorted(failed.items()):
        stretches = set((np.flatnonzero(n) // STRETCH_S).tolist())
        meanwhile = [acknowledged for at, acknowledged in orders if at in stretches]
        asked_for = int(asked[step].sum()) if step in asked else int(n.sum())
        found.append(Degraded(step, int(n.sum()), asked_for, len(meanwhile), sum(meanwhile)))
    return found


def _again_metrics(attempts: Sequence[Attempts], degraded: Sequence[Degraded]) -> dict[str, Metric]:
    first = sum(one.first for one in attempts)
    again = sum(one.retries + one.reloads for one in attempts)
    return {
        "amplification": Metric(
            (first + again) / first if first else 1.0, n=first,
            meaning="attempts / first attempts: what reloads and retries add",
        ),
        "degraded": Metric(
            sum(one.failures for one in degraded), "count", meaning="parts that failed without ending a visit"
        ),
    }  # fmt: skip


def _again_finding(attempts: Sequence[Attempts]) -> tuple[str, ...]:
    worst = max(attempts, key=lambda one: one.amplification or 0.0, default=None)
    if worst is None or (worst.amplification or 1.0) < 1.01:
        return ()
    return (
        f"In {worst.channel}, reloads and retries made {worst.amplification:.2f} requests of each first one.",
    )


def _degraded_finding(part: Degraded) -> str:
    text = f"The part {part.step} failed {format_count(part.failures)} times without ending a visit"
    if not part.tried:
        return f"{text}; no order was tried meanwhile."
    return (
        f"{text}; of {format_count(part.tried)} orders tried meanwhile "
        f"{format_ratio(part.acknowledged / part.tried)} were acknowledged."
    )


def _again_table(attempts: Sequence[Attempts]) -> tuple[Table, ...]:
    if not attempts:
        return ()
    rows = tuple(
        (one.channel, one.first, one.retries, one.reloads, one.amplification, one.polls) for one in attempts
    )
    columns = (
        Column("Channel"), Column("First attempts", "count"), Column("Retries of machines", "count"),
        Column("Reloads of people", "count"), Column("Amplification"), Column("Asked in a queue", "count"),
    )  # fmt: skip
    note = "Amplification: attempts / first attempts. Asking in a waiting room is not an attempt."
    return (Table("What was tried again", columns, rows, note),)


def _degraded_table(degraded: Sequence[Degraded]) -> tuple[Table, ...]:
    if not degraded:
        return ()
    rows = []
    for part in degraded:
        share = clopper_pearson(part.acknowledged, part.tried)
        went_on = Metric(share.ratio, "ratio", share.low, share.high, share.n, "acknowledged meanwhile")
        rows.append((part.step, part.asked, part.failures, part.tried, went_on))
    columns = (
        Column("Part"), Column("Asked for", "count"), Column("Failed", "count"),
        Column("Orders tried meanwhile", "count"), Column("Acknowledged"),
    )  # fmt: skip
    note = (
        f"Parts of a page that may fail. Meanwhile: the stretches of {STRETCH_S} s in which the part failed."
    )
    return (Table("Parts that failed without ending a visit", columns, tuple(rows), note),)


if __name__ == "__main__":
    main(analyse)
