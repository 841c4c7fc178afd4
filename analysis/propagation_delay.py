"""How long does a change of price, stock or basket take to be seen in each channel?

    python analysis/propagation_delay.py reports/<run>

With `freshness` in the scenario, staff change the price of a product few want, or take all of it from stock,
and a customer with an account puts one into the basket in one channel; every channel is asked until it shows
it. A time runs from the shop's word that the change is done to the end of the first answer that shows it, so
a slow page adds to it. A channel that does not show it by the timeout counts as "later than that", in
percentiles too. A look that the end of the run cut short counts for nothing.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from doorbuster.records.batch import FreshnessReading
from doorbuster.report.run_context import RunContext
from doorbuster.report.script import main
from doorbuster.report.section import Chart, Column, Metric, Section, Series, Table
from doorbuster.scenario import FRESHNESS_KINDS, Freshness
from doorbuster.stats.quantile import minimum_n, order_statistic_ranks
from doorbuster.units import format_count, format_duration

QUESTION = "How long does a change of price, stock or basket take to be seen?"


@dataclass(frozen=True, slots=True)
class Seen:
    """What one channel showed of one kind of change. `took_s` ascends; `late` were not seen by the timeout.

    `still_old_s`: the longest after a change that somebody who asked then was still shown what was before.
    """

    what: str
    channel: str
    took_s: tuple[float, ...]
    late: int
    unread: int
    cut_short: int
    still_old_s: float | None

    @property
    def n(self) -> int:
        return len(self.took_s) + self.late

    @property
    def where(self) -> str:
        return f"{self.what} in {self.channel}"

    def quantile(self, p: float, timeout_s: float) -> Metric:
        """The p-quantile with the order statistics that enclose it; "at least" where it was never seen."""
        meaning = f"{p * 100:g} of 100 changes of {self.what} were visible in {self.channel} by then"
        if self.n < minimum_n(p):
            return Metric(None, "s", n=self.n, meaning=meaning)
        times = (*self.took_s, *([math.inf] * self.late))
        ranks = order_statistic_ranks(p, self.n)
        value = times[math.ceil(p * self.n) - 1]
        low, high = (None if rank is None else times[rank - 1] for rank in (ranks.low, ranks.high))
        if value == math.inf:
            return Metric(timeout_s, "s", n=self.n, meaning=meaning, at_least=True)
        return Metric(value, "s", low, None if high == math.inf else high, self.n, meaning)

    def longest(self, timeout_s: float) -> Metric:
        """The longest time; the timeout, and more, if one was never seen."""
        meaning = f"longest until a change of {self.what} was visible in {self.channel}"
        if self.late:
            return Metric(timeout_s, "s", n=self.n, meaning=meaning, at_least=True)
        return Metric(self.took_s[-1] if self.took_s else None, "s", n=self.n, meaning=meaning)


def analyse(context: RunContext) -> Section:
    """The age of what each channel showed."""
    readings, scenario = context.run.freshness(), context.scenario
    timeout_s = ((scenario.freshness if scenario else None) or Freshness()).timeout_s
    refused = Counter(reading.what for reading in readings if reading.outcome == "refused")
    found = _by_kind_and_channel(readings)
    return Section(
        name="propagation_delay",
        group="Performance",
        order=340,
        question=QUESTION,
        sentence=_sentence(found, refused.total(), timeout_s),
        findings=_findings(found, refused, timeout_s),
        figures=_charts(readings, timeout_s),
        tables=_table(found, timeout_s),
        metrics=_metrics(found, refused.total(), timeout_s),
        not_applicable=not readings,
    )


def _by_kind_and_channel(readings: Sequence[FreshnessReading]) -> tuple[Seen, ...]:
    by_row: defaultdict[tuple[str, str], list[FreshnessReading]] = defaultdict(list)
    for reading in readings:
        if reading.outcome != "refused":
            by_row[reading.what, reading.channel].append(reading)
    found = []
    for (what, channel), mine in by_row.items():
        ends = Counter(reading.outcome for reading in mine)
        took_s = tuple(sorted(reading.delay_s for reading in mine if reading.delay_s is not None))
        old_s = [reading.last_stale_s for reading in mine if reading.last_stale_s is not None]
        longest_s = max(old_s, default=None)
        found.append(
            Seen(what, channel, took_s, ends["stale"], ends["not_seen"], ends["cut_short"], longest_s)
        )
    return tuple(sorted(found, key=lambda seen: (FRESHNESS_KINDS.index(seen.what), seen.channel)))


def _sentence(found: Sequence[Seen], refused: int, timeout_s: float) -> str:
    told = [seen for seen in found if seen.n]
    if not told:
        if refused:
            return f"Nobody can tell: the shop did not take any of {format_count(refused)} changes."
        return "Nobody can tell: no change was looked for until it could be seen."
    late = [seen for seen in told if seen.late]
    if late:
        worst = max(late, key=lambda seen: seen.late)
        share = f"{format_count(worst.late)} of {format_count(worst.n)}"
        return (
            f"Too long to say: {share} changes of {worst.where} were not visible within "
            f"{format_duration(timeout_s)}."
        )
    slowest = max(told, key=lambda seen: seen.took_s[-1])
    middle = slowest.quantile(0.5, timeout_s).value
    half = f", half of them within {format_duration(middle)}" if middle is not None else ""
    text = f"At most {format_duration(slowest.took_s[-1])} ({slowest.where}{half})"
    return f"{text}; {format_count(sum(seen.n for seen in told))} times a change was looked for."


def _findings(found: Sequence[Seen], refused: Counter[str], timeout_s: float) -> tuple[str, ...]:
    lines = [
        f"{format_count(seen.late)} changes of {seen.where} were never visible within "
        f"{format_duration(timeout_s)}."
        for seen in found
        if seen.late
    ]
    lines += [
        f"{format_count(seen.unread)} times nothing could be read of a change of {seen.where}, which says "
        "nothing about its age."
        for seen in found
        if seen.unread
    ]
    lines += [
        f"The shop did not take {format_count(times)} of the changes of {what}."
        for what, times in sorted(refused.items())
    ]
    return tuple(lines)


def _metrics(found: Sequence[Seen], refused: int, timeout_s: float) -> dict[str, Metric]:
    told = [seen for seen in found if seen.n]
    n = sum(seen.n for seen in told)
    metrics = {
        "propagation_max": _longest_of(told, timeout_s, "a change was visible, of all kinds and channels"),
        "never_visible": Metric(
            sum(seen.late for seen in told) if told else None, "count", n=n,
            meaning="looks in which a change had not come by the timeout",
        ),
        "not_seen": Metric(
            sum(seen.unread for seen in found), "count", n=n,
            meaning="looks in which nothing could be read of a change",
        ),
        "refused": Metric(refused, "count", n=n, meaning="changes that the shop did not take"),
    }  # fmt: skip
    for what in dict.fromkeys(seen.what for seen in told):
        mine = [seen for seen in told if seen.what == what]
        metrics[f"{what}_propagation_max"] = _longest_of(
            mine, timeout_s, f"a change of {what} was visible, of all channels"
        )
    for seen in told:
        metrics[f"{seen.what}_propagation_p50_{seen.channel}"] = seen.quantile(0.5, timeout_s)
        metrics[f"{seen.what}_propagation_p95_{seen.channel}"] = seen.quantile(0.95, timeout_s)
        metrics[f"{seen.what}_propagation_max_{seen.channel}"] = seen.longest(timeout_s)
    return metrics


def _longest_of(told: Sequence[Seen], timeout_s: float, until: str) -> Metric:
    longest = [seen.longest(timeout_s).value or 0.0 for seen in told]
    late, n = any(seen.late for seen in told), sum(seen.n for seen in told)
    return Metric(max(longest, default=None), "s", n=n, at_least=late, meaning=f"longest until {until}")


def _table(found: Sequence[Seen], timeout_s: float) -> tuple[Table, ...]:
    if not found:
        return ()
    columns = (
        Column("Change of"), Column("Seen in"), Column("Changes", "count"), Column("Median"), Column("p95"),
        Column("Longest"), Column("Still as before after", "s"),
        Column(f"Never within {format_duration(timeout_s)}", "count"), Column("Not to be read", "count"),
        Column("Cut short", "count"),
    )  # fmt: skip
    rows = tuple(
        (
            seen.what, seen.channel, seen.n, seen.quantile(0.5, timeout_s), seen.quantile(0.95, timeout_s),
            seen.longest(timeout_s), seen.still_old_s, seen.late, seen.unread, seen.cut_short,
        )
        for seen in found
    )  # fmt: skip
    note = (
        "From the shop's word that the change is done to the end of the first answer that shows it: the new "
        "price, that it is sold out, the line that another channel put into the basket. Between two looks "
        "lies a tenth of the time since the change, at least 50 ms. – means too few: a median needs "
        f"{minimum_n(0.5)}, a p95 {minimum_n(0.95)}."
    )
    return (Table("How long until a change was visible", columns, rows, note),)


def _charts(readings: Sequence[FreshnessReading], timeout_s: float) -> tuple[Chart, ...]:
    """One for each kind of change."""
    shown = [reading for reading in readings if reading.outcome in ("seen", "stale")]
    kinds = [what for what in FRESHNESS_KINDS if any(reading.what == what for reading in shown)]
    return tuple(_chart(what, [r for r in shown if r.what == what], timeout_s) for what in kinds)


def _chart(what: str, shown: Sequence[FreshnessReading], timeout_s: float) -> Chart:
    moments = sorted({reading.at_s for reading in shown})
    series = []
    for channel in sorted({reading.channel for reading in shown}):
        took = {r.at_s: timeout_s if r.delay_s is None else r.delay_s for r in shown if r.channel == channel}
        series.append(Series(channel, tuple(took.get(at_s) for at_s in moments)))
    late = sum(reading.outcome == "stale" for reading in shown)
    longest = max((reading.delay_s for reading in shown if reading.delay_s is not None), default=timeout_s)
    title = f"A change of {what} was visible after {format_duration(longest)} at most"
    if late:
        title = (
            f"{format_count(late)} times a change of {what} was not visible for {format_duration(timeout_s)}"
        )
    return Chart(
        "scatter", title, "time of the change (min:s)", "time until it was visible", tuple(moments),
        tuple(series), y_unit="s",
        note="A change that was never seen is drawn at the timeout." if late else "",
    )  # fmt: skip


if __name__ == "__main__":
    main(analyse)
