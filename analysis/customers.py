"""Could customers browse and order, how many orders were lost, and why?

    python analysis/customers.py reports/<run>

- A customer counts at the second of the planned arrival. Customers whom the generator dropped count in no
  rate.
- An outage is a series of time windows in which fewer than 95 % of the customers who want to order can, and
  whose pooled 95 % interval lies below 95 %: a few unlucky customers are not an outage.
- Expected and lost orders: doorbuster/stats/lost_orders.py.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from doorbuster.gate import EVERYONE, customer_rate
from doorbuster.records.batch import CustomerCount
from doorbuster.records.outcome import Outcome
from doorbuster.records.reader import Run
from doorbuster.report.analysis_main import main
from doorbuster.report.run_context import RunContext
from doorbuster.report.section import (
    Annotation,
    CauseEvidence,
    Cell,
    Chart,
    Column,
    Metric,
    Role,
    Section,
    Series,
    Table,
    bucket_s,
    metric_series,
    present,
    ratio_metric,
    table,
    without_customers,
)
from doorbuster.stats.lost_orders import (
    Baskets,
    ExpectedOrders,
    LostOrders,
    expected_orders,
    lost_by_row,
    lost_sales,
    mean_baskets,
    total_orders,
)
from doorbuster.stats.outage import Outage, SuccessCount, find_outages
from doorbuster.stats.proportion import clopper_pearson
from doorbuster.units import CURRENCIES, WHOLE_AMOUNTS, Currency, format_count, format_money, format_ratio

OUTAGE_BELOW = 0.95
ORDERS_PER_WINDOW = 10
MIN_ORDERS = 20  # fewer cannot show an outage
MAX_ROWS, MAX_BARS = 25, 12
WHY_LEFT: dict[str, str] = {
    Outcome.ABANDONED: "because it was too slow",
    Outcome.QUEUED_OUT: "because the queue was too long",
}
SLOW: dict[str, str] = {
    Outcome.ABANDONED: "answers took longer than customers wait",
    Outcome.QUEUED_OUT: "the queue was longer than customers wait",
}
TIME = "time of arrival since the start (min:s)"
Rows = Sequence[CustomerCount]
Pick = Callable[[CustomerCount], int | None]
QUESTION = "Could customers browse and order, and what was lost?"


def could_browse(row: CustomerCount) -> int | None:
    """1 could, 0 could not, None did not want to."""
    return row.browse


def could_order(row: CustomerCount) -> int | None:
    """1 could, 0 could not, None did not want to or it is unknown."""
    return row.order


@dataclass(frozen=True, slots=True)
class LeavingReason:
    """Customers who left at a step, for a cause, with an outcome; the orders and sales lost with them."""

    step: str
    cause: str
    outcome: str
    customers: int
    orders: Metric
    sales: Metric


@dataclass(frozen=True, slots=True)
class CustomersOverTime:
    """The customers of a run in time windows, and the outages of ordering."""

    rows: Rows
    length_s: int
    window_s: int
    outages: tuple[Outage, ...]

    @classmethod
    def of(cls, rows: Rows, grain_s: int) -> CustomersOverTime:
        """Windows hold ten orders on average, so that one customer is not an outage."""
        length_s = max((row.second for row in rows), default=0) + grain_s
        windows = max(4, count(rows, could_order).n // ORDERS_PER_WINDOW)
        found = cls(rows, length_s, bucket_s(length_s, most=min(windows, 90)), ())
        outages = find_outages(found.shares(could_order), below=OUTAGE_BELOW)
        return cls(rows, length_s, found.window_s, outages)

    @property
    def starts_s(self) -> range:
        return range(0, self.length_s, self.window_s)

    def shares(self, pick: Pick) -> list[SuccessCount]:
        """Per window, how many of those who wanted to could."""
        windows: list[list[CustomerCount]] = [[] for _ in self.starts_s]
        for row in self.rows:
            windows[row.second // self.window_s].append(row)
        return [count(window, pick) for window in windows]

    @property
    def outage_end_s(self) -> int | None:
        """End of the last outage; None without one, or when no customer wanted to order afterwards."""
        if not self.outages:
            return None
        end_s = self.outages[-1].end * self.window_s
        tried = any(row.second >= end_s and could_order(row) is not None for row in self.rows)
        return end_s if tried else None

    def annotations(self) -> tuple[Annotation, ...]:
        """Start of the first and end of the last outage."""
        if not self.outages:
            return ()
        start = Annotation(self.outages[0].first * self.window_s, "ordering failed")
        end_s = self.outage_end_s
        return (start,) if end_s is None else (start, Annotation(end_s, "recovered"))


def analyse(context: RunContext) -> Section:
    """Outcomes of customers, outages of ordering, and lost orders."""
    if context.is_closed:
        return without_customers("customers", QUESTION)
    run = context.run
    rows = run.customers(run.grain_s)
    over_time = CustomersOverTime.of(rows, run.grain_s)
    expected, baskets = expected_orders(rows), mean_baskets(run.orders(), context.currency)
    reasons = leaving_reasons(rows, baskets)
    metrics = {
        "can_browse": _rate(run, "can_browse", "customers who saw the pages they came for"),
        "can_order": _rate(run, "can_order", "customers wanting an order who got it acknowledged"),
        **_outcome_metrics(rows),
        **_outage_metrics(over_time),
        "orders_expected": Metric(
            expected.orders.value, "count", expected.orders.low, expected.orders.high, _came(rows),
            "orders of the same arrivals without delays",
        ),
        "missed_orders": _missed(expected),
        "lost_sales": _sales([lost for _, lost in lost_by_row(rows)], baskets),
        **_leaving_metrics(run, rows),
        "in_shop_max": _in_shop_max(context.customers_in_shop),
    }  # fmt: skip
    visits = context.is_plain  # of a plain Locust file, which does not say what its users want
    return Section(
        name="customers",
        question="How did the visits end?" if visits else QUESTION,
        group="Customers and orders",
        order=200,
        sentence=_visits_sentence(rows) if visits else _sentence(metrics),
        findings=_findings(metrics, rows, reasons),
        causes=_causes(reasons),
        figures=present(
            _outcomes_over_time(over_time),
            _rates_over_time(over_time),
            _outcomes_by_channel(rows),
            _leaving_chart(rows),
            _in_shop_chart(context.customers_in_shop),
        ),
        tables=present(
            _channel_table(run, rows, baskets),
            _outcome_table(run, "Outcomes by journey", "journey", rows),
            _reason_table(reasons, rows, context.currency),
        ),
        metrics=metrics,
    )


# Counting


def count(rows: Iterable[CustomerCount], pick: Pick) -> SuccessCount:
    """How many of those who wanted to could."""
    wanted = [(could, row.n) for row in rows if (could := pick(row)) is not None]
    return SuccessCount(sum(could * n for could, n in wanted), sum(n for _, n in wanted))


def _left(row: CustomerCount) -> bool:
    return row.outcome not in (Outcome.SERVED, Outcome.DROPPED)


def _came(rows: Rows) -> int:
    return sum(row.n for row in rows if row.outcome != Outcome.DROPPED)


def _rate(run: Run, metric: str, meaning: str = "", tags: Mapping[str, str] = EVERYONE) -> Metric:
    """The share of those who could, as thresholds count it."""
    return ratio_metric(customer_rate(run.customers(), metric, tags), meaning)


def _outcome_metrics(rows: Rows) -> dict[str, Metric]:
    counts = _ends(rows)
    everyone = counts.total()
    metrics = {"customers": Metric(everyone, "count", n=everyone, meaning="customers with an outcome")}
    for outcome in Outcome:
        metrics[f"customers_{outcome}"] = Metric(counts[outcome], "count", n=everyone, meaning=outcome.label)
    return metrics


def _outage_metrics(over_time: CustomersOverTime) -> dict[str, Metric]:
    wanted, outages = count(over_time.rows, could_order).n, over_time.outages
    windows = sum(outage.end - outage.first for outage in outages)
    lasted_s = min(windows * over_time.window_s, over_time.length_s) if wanted >= MIN_ORDERS else None
    start_s = outages[0].first * over_time.window_s if outages else None
    return {
        "outage_start": Metric(start_s, "clock", n=wanted, meaning="start of the first outage of ordering"),
        "outage_duration": Metric(lasted_s, "s", n=wanted, meaning="total duration of outages of ordering"),
        "outage_end": Metric(over_time.outage_end_s, "clock", n=wanted, meaning="end of the last outage"),
    }


def _leaving_metrics(run: Run, rows: Rows) -> dict[str, Metric]:
    left = Counter[str]()
    for row in rows:
        left[row.step] += row.n if _left(row) else 0
    metrics = {"left": Metric(left.total(), "count", n=_came(rows), meaning="customers who left early")}
    for step in sorted({*(series.step for series in run.series if series.succeeded), *+left}):
        meaning = f"customers who left at step {step or 'unnamed'}"
        metrics[f"left_at_{step or 'unnamed'}"] = Metric(left[step], "count", meaning=meaning)
    return metrics


def _in_shop_max(in_shop: np.ndarray) -> Metric:
    most = float(in_shop.max()) if in_shop.size else None
    return Metric(most, "count", n=in_shop.size, meaning="most customers in the shop at once")


# Lost orders


def leaving_reasons(rows: Rows, baskets: Baskets) -> list[LeavingReason]:
    """Why customers left, the most expensive reason first."""
    left, lost = Counter[tuple[str, str, str]](), defaultdict[tuple[str, str, str], list[LostOrders]](list)
    for row in rows:
        if _left(row):
            left[_reason(row)] += row.n
    for row, part in lost_by_row(rows):
        lost[_reason(row)].append(part)
    found = [
        LeavingReason(*why, left[why], _orders(lost[why]), _sales(lost[why], baskets))
        for why in {**left, **lost}
    ]
    return sorted(found, key=lambda one: (-(one.sales.value or 0), -(one.orders.value or 0), -one.customers))


def _reason(row: CustomerCount) -> tuple[str, str, str]:
    return row.step or "unknown", row.cause or "none given", row.outcome


def _missed(expected: ExpectedOrders) -> Metric:
    orders, placed = expected.orders, expected.placed
    low, high = (orders.low or 0.0) - placed, (orders.high or 0.0) - placed
    meaning = "expected orders that were not placed"
    return Metric(orders.value - placed, "count", low, high, round(orders.value), meaning)


def _orders(parts: Sequence[LostOrders]) -> Metric:
    found = total_orders(parts)
    return Metric(found.value, "count", found.low, found.high, round(found.value), "missed orders")


def _sales(parts: Sequence[LostOrders], baskets: Baskets) -> Metric:
    meaning = "missed orders at the average acknowledged basket of their channel"
    found, n, unit = (
        lost_sales(parts, baskets),
        round(sum(part.orders for part in parts)),
        baskets.currency.code,
    )
    if found is None:
        return Metric(None, unit, n=n, meaning=meaning)
    return Metric(found.value, unit, found.low, found.high, n, meaning)


# Sentences


def _interval(metric: Metric) -> str:
    assert metric.low is not None
    assert metric.high is not None
    return f"95 % interval {format_ratio(metric.low)} to {format_ratio(metric.high)}"


def _about(money: Metric) -> str:
    """ " (about £3,090)", or nothing when the value is unknown or 0."""
    if not money.value:
        return ""
    currency = CURRENCIES[money.unit]
    if money.value < WHOLE_AMOUNTS:
        return f" (about {currency.text(money.value, rounded=True)})"
    return f" (about {format_money(money.value, currency)})"


def _sentence(metrics: Mapping[str, Metric]) -> str:
    parts = []
    for name, who in (
        ("can_order", "customers who wanted to order could"),
        ("can_browse", "customers could browse"),
    ):
        metric = metrics[name]
        if metric.value is not None:
            share, n = format_ratio(metric.value), metric.n or 0
            parts.append(f"{share} of the {who} ({_interval(metric)}, n = {n:,})")
    if not parts:
        return "No customer wanted to browse or to order."
    expected, missed = metrics["orders_expected"].value or 0.0, metrics["missed_orders"].value or 0.0
    if expected >= 0.5:
        text = f"{missed:,.0f} were missed" if missed >= 0.5 else "none was missed"
        parts.append(f"of {expected:,.0f} expected orders {text}{_about(metrics['lost_sales'])}")
    return f"{'; '.join(parts)}."


def _ends(rows: Rows) -> Counter[str]:
    ends: Counter[str] = Counter()
    for row in rows:
        ends[row.outcome] += row.n
    return ends


def _visits_sentence(rows: Rows) -> str:
    ends = _ends(rows)
    if not ends.total():
        return "No visit was planned."
    texts = [f"{format_count(ends[end])} {end.label}" for end in Outcome if ends[end]]
    return f"Of {format_count(ends.total())} visits {', '.join(texts)}."


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def _findings(metrics: Mapping[str, Metric], rows: Rows, reasons: Sequence[LeavingReason]) -> tuple[str, ...]:
    found = []
    by_channel = defaultdict[str, float](float)
    for _, part in lost_by_row(rows):
        by_channel[part.channel] += part.orders
    total = sum(by_channel.values())
    if total >= 0.5 and len({row.channel for row in rows}) > 1:
        channel = max(by_channel, key=lambda name: by_channel[name])
        share = "All" if len(by_channel) == 1 else f"{format_ratio(by_channel[channel] / total)} of the"
        found.append(f"{share} missed orders are those of the {channel} channel.")
    if total >= 0.5:
        first = reasons[0]
        share = format_ratio((first.orders.value or 0.0) / total)
        found.append(
            f"Most expensive reason: {first.cause.replace('_', ' ')} at {first.step}, {share} of the "
            f"missed orders{_about(first.sales)}."
        )
    dropped = metrics["customers_dropped"].value
    if dropped:
        found.append(f"The generator dropped {format_count(dropped)} customers; they count in neither rate.")
    return tuple(found)


def _causes(reasons: Sequence[LeavingReason]) -> tuple[CauseEvidence, ...]:
    """The error, and the slow step, with which most orders were lost."""
    total = sum(reason.orders.value or 0.0 for reason in reasons)
    if total < 0.5:
        return ()
    found = []
    failed = [reason for reason in reasons if reason.outcome not in WHY_LEFT]
    slow = [reason for reason in reasons if reason.outcome in WHY_LEFT]
    if failed:
        share = sum(reason.orders.value or 0.0 for reason in failed) / total
        worst, orders = _worst(failed, total)
        cause = worst.cause.replace("_", " ")
        because = f"{worst.step} ended with {cause}"
        evidence = f"{orders} ended with {cause} at {worst.step}."
        advice = f"Fix {cause} at step {worst.step}."
        found.append(CauseEvidence("failed", f"{cause} at {worst.step}", because, evidence, advice, share))
    if slow:
        worst, orders = _worst(slow, total)
        why = WHY_LEFT[worst.outcome]
        because = f"{SLOW[worst.outcome]}, most often at {worst.step}"
        evidence = f"{orders} are due to customers who left at {worst.step} {why}."
        found.append(CauseEvidence("slow", worst.step, because, evidence, f"Make step {worst.step} faster."))
    return tuple(found)


def _worst(reasons: Sequence[LeavingReason], total: float) -> tuple[LeavingReason, str]:
    """The reason with the most missed orders, and how many these are."""
    worst = max(reasons, key=lambda reason: reason.orders.value or 0.0)
    return worst, f"{worst.orders.value or 0.0:,.0f} of the {total:,.0f} missed orders"


# Figures


def _outcomes_over_time(over_time: CustomersOverTime) -> Chart:
    width_s = bucket_s(over_time.length_s)
    counts = Counter[tuple[str, int]]()
    for row in over_time.rows:
        counts[row.outcome, row.second // width_s] += row.n
    buckets = range(math.ceil(over_time.length_s / width_s))
    series = []
    for outcome in Outcome:
        per_second = tuple(counts[outcome, bucket] / width_s for bucket in buckets)
        if any(per_second):
            series.append(Series(outcome.label, per_second, outcome))
    served = sum(counts[Outcome.SERVED, bucket] for bucket in buckets)
    share = format_ratio(served / counts.total()) if counts else "None"
    return Chart(
        "stacked", f"{share} of all customers were served", TIME, "customers per second",
        tuple(float(bucket * width_s) for bucket in buckets), tuple(series),
        moments=over_time.annotations(),
    )  # fmt: skip


def _rates_over_time(over_time: CustomersOverTime) -> Chart | None:
    series = []
    curves: tuple[tuple[str, Pick, Role], ...] = (
        ("can order", could_order, "strong"),
        ("can browse", could_browse, Outcome.SERVED),
    )
    for name, pick, role in curves:
        shares = over_time.shares(pick)
        if any(share.n for share in shares):
            rates = [ratio_metric(clopper_pearson(share.k, share.n)) for share in shares]
            series.append(metric_series(name, rates, role, dashed=role == Outcome.SERVED))
    if not series:
        return None
    n = len(over_time.outages)
    title = "No outage of ordering"
    if n:
        title = f"Ordering failed {'once' if n == 1 else f'{n} times'}"
    return Chart(
        "lines", f"{title} (windows of {over_time.window_s} s, bands: 95 % intervals)", TIME,
        "customers who could", tuple(start + over_time.window_s / 2 for start in over_time.starts_s),
        tuple(series), y_unit="ratio", bounds=(Annotation(OUTAGE_BELOW, "95 %"),),
        moments=over_time.annotations(), y_max=1.04,
    )  # fmt: skip


def _outcomes_by_channel(rows: Rows) -> Chart:
    counts = Counter[tuple[str, str]]()
    for row in rows:
        counts[row.channel, row.outcome] += row.n
    channels = tuple(sorted({row.channel for row in rows}))
    totals = {channel: sum(counts[channel, outcome] for outcome in Outcome) for channel in channels}
    series = []
    for outcome in Outcome:
        shares = tuple(counts[channel, outcome] / totals[channel] for channel in channels)
        if any(shares):
            series.append(Series(outcome.label, shares, outcome))
    title = "Outcomes by channel"
    if len(channels) > 1:
        served = {channel: counts[channel, Outcome.SERVED] / totals[channel] for channel in channels}
        worst = min(channels, key=lambda channel: served[channel])
        title = f"The {worst} channel served the smallest share of its customers"
        if len(set(served.values())) == 1:
            title = "All channels served the same share of their customers"
    return Chart(
        "bars", title, "channel", "share of the channel's customers", channels, tuple(series),
        y_unit="ratio", y_max=1.0,
    )  # fmt: skip


def _leaving_chart(rows: Rows) -> Chart | None:
    left, wanted = Counter[str](), Counter[str]()
    for row in rows:
        if _left(row):
            left[row.step or "unknown"] += row.n
            wanted[row.step or "unknown"] += row.n if row.order == 0 else 0
    if not left:
        return None
    steps = left.most_common(MAX_BARS)
    first, most = steps[0]
    return Chart(
        "bars", f"{format_ratio(most / left.total())} of the customers who left did so at {first}",
        "step", "customers who left", tuple(step for step, _ in steps),
        (Series("wanted to order", tuple(float(wanted[step]) for step, _ in steps), "bad"),
         Series("other visits", tuple(float(n - wanted[step]) for step, n in steps), "quiet")),
        y_unit="count",
    )  # fmt: skip


def _in_shop_chart(in_shop: np.ndarray) -> Chart | None:
    if not in_shop.size or not in_shop.max():
        return None
    width_s = bucket_s(in_shop.size)
    most = np.maximum.reduceat(in_shop, range(0, in_shop.size, width_s))
    peak, at = format_count(float(in_shop.max())), _clock(float(in_shop.argmax()))
    return Chart(
        "lines", f"Up to {peak} customers were in the shop at once, at {at}",
        "time since the start (min:s)", "customers in the shop",
        tuple(float(at * width_s) for at in range(len(most))),
        (Series("in the shop", tuple(most.tolist()), "strong"),),
    )  # fmt: skip


# Tables


def _outcome_table(run: Run, title: str, tag: Literal["channel", "journey"], rows: Rows) -> Table:
    columns = (Column(tag.capitalize()), *(Column(outcome.replace("_", " "), "count") for outcome in Outcome))
    lines = []
    for name in sorted({getattr(row, tag) for row in rows}):
        members = [row for row in rows if getattr(row, tag) == name]
        counts = (sum(row.n for row in members if row.outcome == outcome) for outcome in Outcome)
        rates = (_rate(run, metric, tags={tag: name}) for metric in ("can_browse", "can_order"))
        lines.append((name, *counts, *(rate if rate.value is not None else None for rate in rates)))
    return Table(title, (*columns, Column("could browse"), Column("could order")), tuple(lines))


def _channel_table(run: Run, rows: Rows, baskets: Baskets) -> Table:
    """Outcomes by channel, with the orders and sales lost in each."""
    table = _outcome_table(run, "Outcomes by channel", "channel", rows)
    lost = defaultdict[str, list[LostOrders]](list)
    for _, part in lost_by_row(rows):
        lost[part.channel].append(part)
    lines: list[tuple[Cell, ...]] = []
    for row in table.rows:
        parts = lost[str(row[0])]
        orders, sales = (_orders(parts), _sales(parts, baskets)) if parts else (0, 0)
        lines.append((*row, orders, sales))
    note = (
        "Lost sales assume that each of these customers would have spent the average acknowledged basket of "
        "the same channel (of all channels where it has none), and did not come back later."
    )
    columns = (*table.columns, Column("Missed orders", "count"), Column("Lost sales", baskets.currency.code))
    return Table(table.title, columns, tuple(lines), note)


def _reason_table(reasons: Sequence[LeavingReason], rows: Rows, currency: Currency) -> Table | None:
    came = _came(rows)
    columns = {
        "Step": lambda one: one.step,
        "Outcome": lambda one: one.outcome.replace("_", " "),
        "Cause": lambda one: one.cause,
        Column("Customers", "count"): lambda one: one.customers,
        Column("Share of all", "ratio"): lambda one: one.customers / came if came else None,
        Column("Missed orders", "count"): lambda one: one.orders,
        Column("Lost sales", currency.code): lambda one: one.sales,
    }
    note = (
        "A customer who wanted to order is one missed order; any other who left counts as the share of "
        "served customers of the same journey who ordered. 95 % intervals."
    )
    return table("Where and why customers left, and what it cost", reasons[:MAX_ROWS], columns, note)


if __name__ == "__main__":
    main(analyse)
