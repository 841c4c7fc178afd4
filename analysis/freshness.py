"""How long does a change of price take to be seen in each channel?

    python analysis/freshness.py reports/<run>

With `freshness` in the scenario, staff change the price of a product few want again and again, and every
channel is asked until it shows the new one. A time runs from the shop's word that it is done to the end of
the first answer with the new price, so a slow page adds to it. A channel that still shows the old price at
the timeout counts as "later than that", in percentiles too. A look that the end of the run cut short counts
for nothing.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from doorbuster.errors import ScenarioError
from doorbuster.records.batch import FreshnessReading
from doorbuster.records.run import Run
from doorbuster.report.section import Chart, Column, Metric, Section, Series, Table, main
from doorbuster.scenario import Freshness, read_scenario
from doorbuster.stats.quantile import minimum_n, order_statistic_ranks
from doorbuster.units import format_count, format_duration

QUESTION = "How long does a change of price take to be seen?"


@dataclass(frozen=True, slots=True)
class Seen:
    """What one channel showed. `took_s` ascends; `late` changes were not seen until the timeout.

    `still_old_s`: the longest after a change that the old price was still shown to somebody who asked then.
    """

    channel: str
    took_s: tuple[float, ...]
    late: int
    unread: int
    cut_short: int
    still_old_s: float | None

    @property
    def n(self) -> int:
        return len(self.took_s) + self.late

    def quantile(self, p: float, timeout_s: float) -> Metric:
        """The p-quantile with the order statistics that enclose it; "at least" where it was never seen."""
        meaning = f"{p * 100:g} of 100 changes of price were visible in {self.channel} by then"
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
        meaning = f"longest until a changed price was visible in {self.channel}"
        if self.late:
            return Metric(timeout_s, "s", n=self.n, meaning=meaning, at_least=True)
        return Metric(self.took_s[-1] if self.took_s else None, "s", n=self.n, meaning=meaning)


def analyse(run: Run) -> Section:
    """The age of what each channel showed."""
    readings, timeout_s = run.freshness(), _timeout_s(run)
    refused = sum(reading.outcome == "refused" for reading in readings)
    channels = _by_channel(readings)
    return Section(
        name="freshness",
        question=QUESTION,
        sentence=_sentence(channels, refused, timeout_s),
        findings=_findings(channels, refused, timeout_s),
        figures=_chart(readings, timeout_s),
        tables=_table(channels, timeout_s),
        metrics=_metrics(channels, refused, timeout_s),
        silent=not readings,
    )


def _timeout_s(run: Run) -> float:
    try:
        freshness = read_scenario(run.meta.scenario_text).freshness
    except ScenarioError:  # an imported run has a scenario of another tool, or none
        freshness = None
    return (freshness or Freshness()).timeout_s


def _by_channel(readings: Sequence[FreshnessReading]) -> tuple[Seen, ...]:
    by_channel: defaultdict[str, list[FreshnessReading]] = defaultdict(list)
    for reading in readings:
        if reading.outcome != "refused":
            by_channel[reading.channel].append(reading)
    found = []
    for channel, mine in sorted(by_channel.items()):
        ends = Counter(reading.outcome for reading in mine)
        took_s = sorted(reading.took_s for reading in mine if reading.took_s is not None)
        old_s = [reading.old_until_s for reading in mine if reading.old_until_s is not None]
        longest_s = max(old_s, default=None)
        found.append(
            Seen(channel, tuple(took_s), ends["stale"], ends["unread"], ends["cut_short"], longest_s)
        )
    return tuple(found)


def _sentence(channels: Sequence[Seen], refused: int, timeout_s: float) -> str:
    told = [seen for seen in channels if seen.n]
    if not told:
        if refused:
            return f"Nobody can tell: the shop did not take any of {format_count(refused)} changes."
        return "Nobody can tell: no change of price was looked for until it could be seen."
    late = [seen for seen in told if seen.late]
    if late:
        worst = max(late, key=lambda seen: seen.late)
        share = f"{format_count(worst.late)} of {format_count(worst.n)}"
        return (
            f"Too long to say: in {worst.channel}, {share} changes were not visible within "
            f"{format_duration(timeout_s)}."
        )
    slowest = max(told, key=lambda seen: seen.took_s[-1])
    middle = slowest.quantile(0.5, timeout_s).value
    half = f", half of them within {format_duration(middle)}" if middle is not None else ""
    changes = max(seen.n for seen in told)
    text = f"At most {format_duration(slowest.took_s[-1])} ({slowest.channel}{half})"
    return f"{text}; {format_count(changes)} changes were looked for."


def _findings(channels: Sequence[Seen], refused: int, timeout_s: float) -> tuple[str, ...]:
    found = [
        f"In {seen.channel}, {format_count(seen.late)} times the new price never came within "
        f"{format_duration(timeout_s)}."
        for seen in channels
        if seen.late
    ]
    found += [
        f"In {seen.channel}, {format_count(seen.unread)} times no price could be read at all, which says "
        "nothing about its age."
        for seen in channels
        if seen.unread
    ]
    if refused:
        found.append(f"The shop did not take {format_count(refused)} of the changes.")
    return tuple(found)


def _metrics(channels: Sequence[Seen], refused: int, timeout_s: float) -> dict[str, Metric]:
    told = [seen for seen in channels if seen.n]
    n = sum(seen.n for seen in told)
    late = sum(seen.late for seen in told)
    longest = [seen.longest(timeout_s).value or 0.0 for seen in told]
    metrics = {
        "visible_max": Metric(
            max(longest, default=None), "s", n=n, at_least=bool(late),
            meaning="longest until a changed price was visible, of all channels",
        ),
        "never_visible": Metric(
            late if told else None, "count", n=n,
            meaning="looks in which the new price had not come by the timeout",
        ),
        "unread": Metric(
            sum(seen.unread for seen in channels), "count", n=n,
            meaning="looks in which no price could be read",
        ),
        "refused": Metric(refused, "count", n=n, meaning="changes that the shop did not take"),
    }  # fmt: skip
    for seen in told:
        metrics[f"visible_p50_{seen.channel}"] = seen.quantile(0.5, timeout_s)
        metrics[f"visible_p95_{seen.channel}"] = seen.quantile(0.95, timeout_s)
        metrics[f"visible_max_{seen.channel}"] = seen.longest(timeout_s)
    return metrics


def _table(channels: Sequence[Seen], timeout_s: float) -> tuple[Table, ...]:
    if not channels:
        return ()
    columns = (
        Column("Channel"), Column("Changes", "count"), Column("Median"), Column("p95"), Column("Longest"),
        Column("Still old after", "s"), Column(f"Never within {format_duration(timeout_s)}", "count"),
        Column("No price to read", "count"), Column("Cut short", "count"),
    )  # fmt: skip
    rows = tuple(
        (
            seen.channel, seen.n, seen.quantile(0.5, timeout_s), seen.quantile(0.95, timeout_s),
            seen.longest(timeout_s), seen.still_old_s, seen.late, seen.unread, seen.cut_short,
        )
        for seen in channels
    )  # fmt: skip
    note = (
        "From the shop's word that the price is changed to the end of the first answer that shows it. "
        "Between two looks lies a tenth of the time since the change, at least 50 ms. – means too few: a "
        f"median needs {minimum_n(0.5)}, a p95 {minimum_n(0.95)}."
    )
    return (Table("How long until a changed price was visible", columns, rows, note),)


def _chart(readings: Sequence[FreshnessReading], timeout_s: float) -> tuple[Chart, ...]:
    shown = [reading for reading in readings if reading.outcome in ("seen", "stale")]
    if not shown:
        return ()
    moments = sorted({reading.at_s for reading in shown})
    series = []
    for channel in sorted({reading.channel for reading in shown}):
        took = {r.at_s: timeout_s if r.took_s is None else r.took_s for r in shown if r.channel == channel}
        series.append(Series(channel, tuple(took.get(at_s) for at_s in moments)))
    late = sum(reading.outcome == "stale" for reading in shown)
    longest = max((reading.took_s for reading in shown if reading.took_s is not None), default=timeout_s)
    title = f"A changed price was visible after {format_duration(longest)} at most"
    if late:
        title = f"{format_count(late)} times a channel kept its old price for {format_duration(timeout_s)}"
    return (
        Chart(
            "scatter", title, "time of the change (min:s)", "time until it was visible", tuple(moments),
            tuple(series), y_unit="s",
            note="A price that was never seen is drawn at the timeout." if late else "",
        ),
    )  # fmt: skip


if __name__ == "__main__":
    main(analyse)
