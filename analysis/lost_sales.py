"""What did it cost: which orders were lost, against an unhurried shop, and what is each blamed on?

    python analysis/lost_sales.py reports/<run>

The same arrivals would have ordered in an unhurried shop: every customer who came to order, and of those who
left a journey in which only some order, the share that the served ones of that journey ordered. Assumed: who
left would have ordered like who stayed, nobody came back later, and stock would have sufficed. Customers we
dropped ourselves count for nothing.

Customers who reload and machines that try again add to the load: amplification = attempts / first attempts. A
part of a page that may fail (recommendations, reviews) costs no visit: the table shows if orders went on.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import NamedTuple

import numpy as np

from doorbuster.records.batch import CustomerCount
from doorbuster.records.outcome import Outcome
from doorbuster.records.reader import Run
from doorbuster.records.side_metrics import CounterKey
from doorbuster.report.run_context import RunContext
from doorbuster.report.script import main
from doorbuster.report.section import Chart, Column, Metric, Section, Series, Table
from doorbuster.stats.proportion import clopper_pearson
from doorbuster.units import format_count, format_money, format_ratio

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


def analyse(context: RunContext) -> Section:
    """The losses of a run."""
    run = context.run
    rows = [row for row in run.customers(run.grain_s) if row.outcome != Outcome.DROPPED]
    expected, worth = expect(rows), baskets(run)
    causes = blame(rows, worth)
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
        "revenue_lost_to_the_shop": _revenue((part for _, part in _lost(rows)), worth),
        **_again_metrics(attempts, degraded),
    }  # fmt: skip
    return Section(
        name="lost_sales",
        question="What did it cost, and what is to blame?",
        sentence=_sentence(expected, causes),
        findings=(*_again_finding(attempts), *map(_degraded_finding, degraded)),
        figures=_funnel_chart(rows),
        tables=(*_blame_table(causes), *_again_table(attempts), *_degraded_table(degraded)),
        metrics=metrics,
    )


def expect(rows: Sequence[CustomerCount]) -> Expected:
    """Orders of an unhurried shop: intentions that are known, and those of leavers as the served ones had."""
    known = sum(row.n for row in rows if row.order is not None)
    got = sum(row.n for row in rows if row.order == 1)
    served = _ordered(rows)
    left = Counter[tuple[str, str]]()
    for row in rows:
        if row.outcome != Outcome.SERVED and row.order is None:
            left[row.channel, row.journey] += row.n
    value = low = high = float(known)
    for lane, n in left.items():
        ordered, of = served.get(lane, (0, 0))
        if ordered:
            share = clopper_pearson(ordered, of)
            value, low, high = value + n * ordered / of, low + n * share.low, high + n * share.high
    return Expected(value, low, high, got)


@dataclass(frozen=True, slots=True)
class Basket:
    """The mean acknowledged order of a channel in pence, and its standard error (None: under ten orders)."""

    mean: float
    error: float | None


class Part(NamedTuple):
    """Orders lost in a channel, and by how much fewer or more it may be (95 %)."""

    channel: str
    orders: float
    less: float
    more: float


@dataclass(frozen=True, slots=True)
class Loss:
    """Orders, and pence, lost for one reason: customers who left at a step, for a cause, with an outcome."""

    step: str
    cause: str
    outcome: str
    orders: Metric
    revenue: Metric


def baskets(run: Run) -> dict[str, Basket]:
    """By channel; "" is the basket of all channels, for those in which nothing was ordered."""
    totals: dict[str, list[int]] = defaultdict(list)
    for order in run.orders():
        if order.answer == "acknowledged" and order.total_pence > 0:
            totals[order.channel].append(order.total_pence)
            totals[""].append(order.total_pence)
    return {
        channel: Basket(fmean(found), stdev(found) / math.sqrt(len(found)) if len(found) >= 10 else None)
        for channel, found in totals.items()
    }


def blame(rows: Sequence[CustomerCount], worth: Mapping[str, Basket]) -> list[Loss]:
    """What each lost order is blamed on, the dearest first."""
    lost: dict[tuple[str, str, str], list[Part]] = defaultdict(list)
    for row, part in _lost(rows):
        lost[row.step or "unknown", row.cause or "none given", row.outcome].append(part)
    found = [Loss(*why, _orders(parts), _revenue(parts, worth)) for why, parts in lost.items()]
    return sorted(found, key=lambda loss: (-(loss.revenue.value or 0), -(loss.orders.value or 0)))


def _lost(rows: Sequence[CustomerCount]) -> Iterator[tuple[CustomerCount, Part]]:
    """Who came to order and left is one; who left before that was known, as often as the served ordered."""
    shares = {lane: clopper_pearson(*counts) for lane, counts in _ordered(rows).items()}
    for row in rows:
        share = shares.get((row.channel, row.journey))
        if row.order == 0:
            yield row, Part(row.channel, row.n, 0.0, 0.0)
        elif row.order is None and row.outcome != Outcome.SERVED and share is not None and share.successes:
            ratio, n = share.successes / share.n, row.n
            yield row, Part(row.channel, n * ratio, n * (ratio - share.low), n * (share.high - ratio))


def _orders(parts: Sequence[Part]) -> Metric:
    value, below, above = (sum(part[end] for part in parts) for end in (1, 2, 3))
    return Metric(value, "count", value - below, value + above, round(value), "orders lost")


def _revenue(parts: Iterable[Part], worth: Mapping[str, Basket]) -> Metric:
    """Orders of each channel times its mean basket; shares and baskets err independently: squares add up."""
    meaning = "orders lost, at the average acknowledged basket of the same channel"
    orders: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0, 0.0])
    for channel, *more in parts:
        orders[channel] = [have + add for have, add in zip(orders[channel], more, strict=True)]
    n = round(sum(count[0] for count in orders.values()))
    value, below, above, certain = 0.0, 0.0, 0.0, True
    for channel, (count, less, more_of) in orders.items():
        basket = worth.get(channel) or worth.get("")
        if basket is None:
            return Metric(None, "pence", n=n, meaning=meaning)
        certain = certain and basket.error is not None
        half = 1.96 * count * (basket.error or 0.0)
        value += count * basket.mean
        below += (less * basket.mean) ** 2 + half**2
        above += (more_of * basket.mean) ** 2 + half**2
    ends = (max(0.0, value - math.sqrt(below)), value + math.sqrt(above)) if certain else (None, None)
    return Metric(value, "pence", *ends, n=n, meaning=meaning)


def _ordered(rows: Sequence[CustomerCount]) -> dict[tuple[str, str], list[int]]:
    """Of the served ones of each channel and journey: how many ordered, and how many there were."""
    served: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    for row in rows:
        if row.outcome == Outcome.SERVED:
            served[row.channel, row.journey][0] += row.n if row.order == 1 else 0
            served[row.channel, row.journey][1] += row.n
    return served


def _sentence(expected: Expected, causes: Sequence[Loss]) -> str:
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
    if not causes:
        return f"{text}."
    first = causes[0]
    share = format_ratio((first.orders.value or 0) / sum(loss.orders.value or 0 for loss in causes))
    worth = "" if first.revenue.value is None else f", worth about {format_money(first.revenue.value)}"
    return f"{text}; {share} are blamed on {first.cause.replace('_', ' ')} at {first.step}{worth}."


def _funnel_chart(rows: Sequence[CustomerCount]) -> tuple[Chart, ...]:
    """Asked against got: came, wanted to browse, wanted to order."""
    asked = (
        sum(row.n for row in rows),
        sum(row.n for row in rows if row.browse is not None),
        sum(row.n for row in rows if row.order is not None),
    )
    got = (
        sum(row.n for row in rows if row.outcome == Outcome.SERVED),
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
            ("all customers", "who came to browse", "who came to order"),
            (
                Series("got what they came for", tuple(map(float, got)), "served"),
                Series("did not", lost, "turned_away"),
            ),
            y_unit="count",
        ),
    )  # fmt: skip


def _blame_table(causes: Sequence[Loss]) -> tuple[Table, ...]:
    if not causes:
        return ()
    everything = sum(loss.orders.value or 0 for loss in causes)
    rows = tuple(
        (
            loss.step,
            loss.cause,
            loss.outcome,
            loss.orders,
            (loss.orders.value or 0) / everything,
            loss.revenue,
        )
        for loss in causes[:25]
    )
    columns = (
        Column("Step"), Column("Cause"), Column("How they left"), Column("Orders lost", "count"),
        Column("Share", "ratio"), Column("Revenue lost", "pence"),
    )  # fmt: skip
    note = (
        "Each customer who came to order and left without counts once, at the step where they left; who left "
        "before that was known, as the share of the served ones of the same journey who ordered. Revenue: at "
        "the average acknowledged basket of the same channel. 95 % intervals."
    )
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
    if not any(counted[key] for key in counters if key.name in (*AGAIN, "queue_polls", "offline_sales")):
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
        "retry_amplification": Metric(
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
