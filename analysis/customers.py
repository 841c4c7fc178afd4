"""Could customers browse and order, who left and why, and when did it break?

    python analysis/customers.py reports/<run>

Every customer counts at the second they were due to arrive. `dropped` customers are the generator's doing and
count for neither rate. "Broke" is a stretch of windows below 95 % orders whose pooled 95 % interval lies
wholly below 95 %: a handful of unlucky customers is not an outage.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from doorbuster.records.batch import CustomerCount
from doorbuster.records.outcome import Outcome
from doorbuster.records.reader import Run
from doorbuster.report import section as report
from doorbuster.report.run_context import RunContext
from doorbuster.report.script import main
from doorbuster.report.section import Chart, Column, Metric, Role, Section, Series, Table
from doorbuster.stats.outage import Outage, Share, find_outages
from doorbuster.stats.proportion import clopper_pearson, in_time_blocks, timed_proportion
from doorbuster.units import format_count, format_money, format_ratio

OUTCOMES: tuple[Role, ...] = ("served", "abandoned", "turned_away", "queued_out", "dropped")
WORDS: dict[str, str] = {outcome: outcome.label for outcome in Outcome}
WHY_LEFT = {
    Outcome.ABANDONED: "because it was too slow",
    Outcome.QUEUED_OUT: "because the queue was too long",
}
BROKEN_BELOW = 0.95
ORDERS_PER_WINDOW = 10
MIN_ORDERS = 20  # below this, a run cannot show an outage
TIME = "time of arrival since the start (min:s)"
Rows = Sequence[CustomerCount]
Pick = Callable[[CustomerCount], int | None]


@dataclass(frozen=True, slots=True)
class Missed:
    """Orders of one channel that customers wanted and did not get, and what such orders were worth."""

    channel: str
    wanted: int
    missed: int
    baskets: tuple[int, ...]  # pence, acknowledged orders of the channel, or of all channels if it has none


@dataclass(frozen=True, slots=True)
class Course:
    """The customers of a run in windows of time, and the stretches in which ordering was broken."""

    rows: Rows
    length_s: int
    window_s: int
    outages: tuple[Outage, ...]

    @property
    def starts_s(self) -> range:
        """Where each window starts."""
        return range(0, self.length_s, self.window_s)

    def shares(self, pick: Pick) -> list[Share]:
        """Per window, how many of those who tried could."""
        parts: list[list[CustomerCount]] = [[] for _ in self.starts_s]
        for row in self.rows:
            parts[row.second // self.window_s].append(row)
        return [tally(part, pick) for part in parts]

    def moments(self) -> tuple[report.Annotation, ...]:
        """When ordering broke first and came back last."""
        if not self.outages:
            return ()
        broke = report.Annotation(self.outages[0].first * self.window_s, "ordering broke")
        back = self.recovered_at_s
        return (broke,) if back is None else (broke, report.Annotation(back, "recovered"))

    @property
    def recovered_at_s(self) -> int | None:
        """When ordering worked again for good; None when it never broke, or nobody tried to afterwards."""
        if not self.outages:
            return None
        end_s = self.outages[-1].end * self.window_s
        tried = any(row.second >= end_s and could_order(row) is not None for row in self.rows)
        return end_s if tried else None


def analyse(context: RunContext) -> Section:
    """What became of the customers of a run."""
    run = context.run
    rows = run.customers(run.grain_s)
    course = follow(rows, run.grain_s)
    missed = _missed(run, rows)
    metrics = {
        "can_browse": _rate(rows, could_browse, "customers who saw what they came to see"),
        "can_order": _rate(rows, could_order, "customers wanting an order who got it acknowledged"),
        **_outcome_metrics(rows),
        **_break_metrics(course),
        **_missed_metrics(missed),
    }
    return Section(
        name="customers",
        question="Could customers browse and order?",
        sentence=_sentence(metrics),
        findings=_findings(missed, metrics),
        recommendations=_recommendations(rows),
        figures=(_outcomes_over_time(course), *_rates_over_time(course), _outcomes_by_channel(rows)),
        tables=(
            _outcome_table("Outcomes by channel", "Channel", rows, lambda row: row.channel),
            _outcome_table("Outcomes by journey", "Journey", rows, lambda row: row.journey),
            *_leaving_table(rows),
            *_missed_table(missed),
        ),
        metrics=metrics,
    )


def could_browse(row: CustomerCount) -> int | None:
    """1 could, 0 could not, None did not try."""
    return row.browse


def could_order(row: CustomerCount) -> int | None:
    """1 could, 0 could not, None did not want to."""
    return row.order


def follow(rows: Rows, grain_s: int) -> Course:
    """The course of a run, in windows of ten orders on average, so that one customer is no outage."""
    length_s = max((row.second for row in rows), default=0) + grain_s
    windows = max(4, tally(rows, could_order).n // ORDERS_PER_WINDOW)
    course = Course(rows, length_s, report.bucket_s(length_s, most=min(windows, 90)), ())
    outages = find_outages(course.shares(could_order), below=BROKEN_BELOW)
    return Course(rows, length_s, course.window_s, outages)


def tally(rows: Iterable[CustomerCount], pick: Pick) -> Share:
    """How many of those who tried could."""
    tried = [(could, row.n) for row in rows if (could := pick(row)) is not None]
    return Share(sum(could * n for could, n in tried), sum(n for _, n in tried))


def _rate(rows: Iterable[CustomerCount], pick: Pick, meaning: str = "") -> Metric:
    """The share of those who tried; its interval knows that neighbours in time fare alike."""
    tried = in_time_blocks(
        (row.second, could * row.n, row.n) for row in rows if (could := pick(row)) is not None
    )
    if not tried:
        return Metric(None, "ratio", n=0, meaning=meaning)
    found = timed_proportion(*zip(*tried, strict=True))
    return Metric(found.ratio, "ratio", found.low, found.high, found.n, meaning)


def _outcome_metrics(rows: Rows) -> dict[str, Metric]:
    counts = Counter[str]()
    for row in rows:
        counts[row.outcome] += row.n
    everyone = counts.total()
    metrics = {"customers": Metric(everyone, "count", n=everyone, meaning="customers with an outcome")}
    for outcome in OUTCOMES:
        metrics[f"customers_{outcome}"] = Metric(counts[outcome], "count", n=everyone, meaning=WORDS[outcome])
    return metrics


def _break_metrics(course: Course) -> dict[str, Metric]:
    wanted = tally(course.rows, could_order).n
    known = wanted >= MIN_ORDERS
    windows = sum(outage.end - outage.first for outage in course.outages)
    broken_s = min(windows * course.window_s, course.length_s) if known else None
    broke_at_s = course.outages[0].first * course.window_s if course.outages else None
    return {
        "outage_start": Metric(broke_at_s, "clock", n=wanted, meaning="first outage of ordering"),
        "outage_duration": Metric(broken_s, "s", n=wanted, meaning="time in which ordering was broken"),
        "outage_end": Metric(course.recovered_at_s, "clock", n=wanted, meaning="end of the last outage"),
    }


def _missed(run: Run, rows: Rows) -> list[Missed]:
    baskets: dict[str, list[int]] = {}
    for attempt in run.orders():
        if attempt.answer == "acknowledged" and attempt.total_pence > 0:
            baskets.setdefault(attempt.channel, []).append(attempt.total_pence)
    everywhere = [total for totals in baskets.values() for total in totals]
    found = []
    for channel in sorted({row.channel for row in rows}):
        share = tally((row for row in rows if row.channel == channel), could_order)
        totals = baskets.get(channel) or everywhere
        if share.n:
            found.append(Missed(channel, share.n, share.n - share.k, tuple(totals)))
    return found


def _missed_metrics(missed: Sequence[Missed]) -> dict[str, Metric]:
    wanted, count = sum(item.wanted for item in missed), sum(item.missed for item in missed)
    meaning = "customers who wanted to order and left without"
    return {
        "orders_wanted": Metric(wanted, "count", n=wanted, meaning="customers who wanted to order"),
        "missed_orders": Metric(count if wanted else None, "count", n=wanted, meaning=meaning),
        "lost_sales": _money([item for item in missed if item.missed]),
    }


def _money(missed: Sequence[Missed]) -> Metric:
    """Sum over channels of missed orders times mean basket; the interval is that of the mean baskets."""
    meaning = "orders not placed, at the average acknowledged basket of the same channel"
    n = sum(item.missed for item in missed)
    if not all(item.baskets for item in missed):
        return Metric(None, "pence", n=n, meaning=meaning)
    value = sum(item.missed * fmean(item.baskets) for item in missed)
    if not n or any(len(item.baskets) < 10 for item in missed):
        return Metric(value, "pence", n=n, meaning=meaning)
    variance = sum((item.missed * stdev(item.baskets)) ** 2 / len(item.baskets) for item in missed)
    half = 1.96 * math.sqrt(variance)
    return Metric(value, "pence", max(0.0, value - half), value + half, n, meaning)


def _sentence(metrics: dict[str, Metric]) -> str:
    parts = []
    for name, words in (("can_order", "customers who wanted to order"), ("can_browse", "customers")):
        metric = metrics[name]
        if metric.value is not None and metric.low is not None and metric.high is not None:
            interval = f"95 % interval {format_ratio(metric.low)} to {format_ratio(metric.high)}"
            could = "could" if name == "can_order" else "could browse"
            parts.append(
                f"{format_ratio(metric.value)} of the {words} {could} ({interval}, n = {metric.n or 0:,})"
            )
    return f"{'; '.join(parts) or 'Nobody came to browse or to order'}."


def _findings(missed: Sequence[Missed], metrics: dict[str, Metric]) -> tuple[str, ...]:
    found = []
    count, money = metrics["missed_orders"].value, metrics["lost_sales"].value
    if count:
        worth = f", worth about {format_money(round(money, -2))[:-3]} at the average basket" if money else ""
        most = max(missed, key=lambda item: item.missed)
        found.append(
            f"{format_count(count)} of {metrics['orders_wanted'].value:,} customers who wanted to order left "
            f"without{worth}; {format_count(most.missed)} of them came by the {most.channel} channel."
        )
    dropped = metrics["customers_dropped"].value
    if dropped:
        found.append(f"{format_count(dropped)} customers were dropped by us; neither rate counts them.")
    return tuple(found)


def _recommendations(rows: Rows) -> tuple[str, ...]:
    """Where most of those left who came to order and could not."""
    left = _leavers(rows, lambda row: row.order == 0)
    for (step, cause, outcome), n in left.most_common(1):
        why = WHY_LEFT.get(outcome, f"turned away: {cause.replace('_', ' ') or 'no cause given'}")
        return ((
            f"The step {step or 'unknown'}: {format_count(n)} of the {format_count(left.total())} customers "
            f"who left without their order did so there, {why}."
        ),)  # fmt: skip
    return ()


def _leavers(rows: Rows, chosen: Callable[[CustomerCount], bool]) -> Counter[tuple[str, str, str]]:
    counts = Counter[tuple[str, str, str]]()
    for row in rows:
        if row.outcome not in (Outcome.SERVED, Outcome.DROPPED) and chosen(row):
            counts[row.step, row.cause, row.outcome] += row.n
    return counts


def _outcomes_over_time(course: Course) -> Chart:
    width_s = report.bucket_s(course.length_s)
    counts = Counter[tuple[str, int]]()
    for row in course.rows:
        counts[row.outcome, row.second // width_s] += row.n
    buckets = range(math.ceil(course.length_s / width_s))
    series = []
    for outcome in OUTCOMES:
        per_second = tuple(counts[outcome, bucket] / width_s for bucket in buckets)
        if any(per_second):
            series.append(Series(WORDS[outcome], per_second, outcome))
    served = sum(counts[Outcome.SERVED, bucket] for bucket in buckets)
    share = format_ratio(served / counts.total()) if counts else "none"
    rest = "; the rest left as shown" if served < counts.total() else ""
    return Chart(
        "stacked", f"{share} of all customers were served{rest}", TIME, "customers per second",
        tuple(float(bucket * width_s) for bucket in buckets), tuple(series), moments=course.moments(),
    )  # fmt: skip


def _rates_over_time(course: Course) -> tuple[Chart, ...]:
    series = []
    for name, pick, role in (("can order", could_order, "strong"), ("can browse", could_browse, "served")):
        shares = course.shares(pick)
        if any(share.n for share in shares):
            series.append(_rate_series(name, shares, role))
    if not series:
        return ()
    if course.outages:
        often = "once" if len(course.outages) == 1 else f"{len(course.outages)} times"
        title = f"Ordering broke {often}"
    else:
        title = "Ordering never broke for longer than chance explains"
    return (
        Chart(
            "lines", f"{title} (windows of {course.window_s} s, bands: 95 % intervals)", TIME,
            "customers who could", tuple(start + course.window_s / 2 for start in course.starts_s),
            tuple(series), y_unit="ratio", bounds=(report.Annotation(BROKEN_BELOW, "95 %"),),
            moments=course.moments(), y_max=1.04,
        ),
    )  # fmt: skip


def _rate_series(name: str, shares: Sequence[Share], role: Role) -> Series:
    found = [clopper_pearson(share.k, share.n) if share.n else None for share in shares]
    return Series(
        name,
        tuple(None if interval is None else interval.ratio for interval in found),
        role,
        tuple(None if interval is None else interval.low for interval in found),
        tuple(None if interval is None else interval.high for interval in found),
        dashed=role == "served",
    )


def _outcomes_by_channel(rows: Rows) -> Chart:
    counts = Counter[tuple[str, str]]()
    for row in rows:
        counts[row.channel, row.outcome] += row.n
    channels = tuple(sorted({row.channel for row in rows}))
    totals = {channel: sum(counts[channel, outcome] for outcome in OUTCOMES) for channel in channels}
    series = []
    for outcome in OUTCOMES:
        shares = tuple(counts[channel, outcome] / totals[channel] for channel in channels)
        if any(shares):
            series.append(Series(WORDS[outcome], shares, outcome))
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


def _outcome_table(title: str, heading: str, rows: Rows, group: Callable[[CustomerCount], str]) -> Table:
    columns = (Column(heading), *(Column(WORDS[outcome], "count") for outcome in OUTCOMES))
    lines = []
    for name in sorted({group(row) for row in rows}):
        members = [row for row in rows if group(row) == name]
        counts = (sum(row.n for row in members if row.outcome == outcome) for outcome in OUTCOMES)
        rates = (_rate(members, pick) for pick in (could_browse, could_order))
        lines.append((name, *counts, *(rate if rate.value is not None else None for rate in rates)))
    return Table(title, (*columns, Column("could browse"), Column("could order")), tuple(lines))


def _leaving_table(rows: Rows) -> tuple[Table, ...]:
    counts = _leavers(rows, lambda _: True)
    if not counts:
        return ()
    everyone = sum(row.n for row in rows if row.outcome != Outcome.DROPPED)
    wanted = _leavers(rows, lambda row: row.order == 0)
    lines = []
    for (step, cause, outcome), n in counts.most_common(25):
        words = (step or "unknown", WORDS.get(outcome, outcome), cause or "none given")
        lines.append((*words, n, n / everyone, wanted[step, cause, outcome]))
    columns = (
        Column("Step"), Column("Outcome"), Column("Cause"), Column("Customers", "count"),
        Column("Share of all", "ratio"), Column("Wanted to order", "count"),
    )  # fmt: skip
    return (Table("Where and why customers left", columns, tuple(lines)),)


def _missed_table(missed: Sequence[Missed]) -> tuple[Table, ...]:
    if not missed:
        return ()
    lines = []
    for item in missed:
        basket = fmean(item.baskets) if item.baskets else None
        sales = None if basket is None else item.missed * basket
        lines.append((item.channel, item.wanted, item.wanted - item.missed, item.missed, basket, sales))
    columns = (
        Column("Channel"), Column("Wanted to order", "count"), Column("Could", "count"),
        Column("Could not", "count"), Column("Average basket", "pence"), Column("Sales not made", "pence"),
    )  # fmt: skip
    note = (
        "Sales not made assume that each of these customers would have spent the average acknowledged basket "
        "of the same channel (of all channels where it has none), and did not come back later."
    )
    return (Table("Orders not placed, by channel", columns, tuple(lines), note),)


if __name__ == "__main__":
    main(analyse)
