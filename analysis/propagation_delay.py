"""How long until a change of price, stock or basket is visible in each channel?

    python analysis/propagation_delay.py reports/<run>

With `freshness` in the scenario, staff change the price or stock of an unpopular product, and a customer with
an account adds it to the basket in one channel. Every channel is polled until it shows the change. The delay
runs from the shop's confirmation of the change to the end of the first answer that shows it, so a slow page
adds to it. A channel that does not show the change by the timeout counts as "later than that", in percentiles
too. Observations cut short by the end of the run are ignored.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from doorbuster.records.batch import FreshnessReading
from doorbuster.report.analysis_main import main
from doorbuster.report.run_context import RunContext
from doorbuster.report.section import Chart, Column, Metric, Section, Series, Table, present, table
from doorbuster.scenario import FRESHNESS_KINDS, Freshness
from doorbuster.stats.quantile import minimum_n, order_statistic_ranks
from doorbuster.units import format_count, format_duration

QUESTION = "How long until a change of price, stock or basket is visible?"


@dataclass(frozen=True, slots=True)
class ChannelDelay:
    """Delays of one kind of change in one channel, ascending; `late` were not visible by the timeout.

    `still_old_s`: the longest time after a change at which the channel still showed the old value.
    """

    what: str
    channel: str
    delays_s: tuple[float, ...]
    late: int
    unread: int
    cut_short: int
    still_old_s: float | None

    @property
    def n(self) -> int:
        return len(self.delays_s) + self.late

    @property
    def where(self) -> str:
        return f"{self.what} in {self.channel}"

    def quantile(self, p: float, timeout_s: float) -> Metric:
        """The p-quantile with its interval; a lower bound where the change was never visible."""
        meaning = f"p{p * 100:g} of the delay until a change of {self.what} was visible in {self.channel}"
        if self.n < minimum_n(p):
            return Metric(None, "s", n=self.n, meaning=meaning)
        times = (*self.delays_s, *([math.inf] * self.late))
        ranks = order_statistic_ranks(p, self.n)
        value = times[math.ceil(p * self.n) - 1]
        low, high = (None if rank is None else times[rank - 1] for rank in (ranks.low, ranks.high))
        if value == math.inf:
            return Metric(timeout_s, "s", n=self.n, meaning=meaning, at_least=True)
        return Metric(value, "s", low, None if high == math.inf else high, self.n, meaning)

    def longest(self, timeout_s: float) -> Metric:
        """The longest delay; at least the timeout if a change was never visible."""
        meaning = f"longest until a change of {self.what} was visible in {self.channel}"
        if self.late:
            return Metric(timeout_s, "s", n=self.n, meaning=meaning, at_least=True)
        return Metric(self.delays_s[-1] if self.delays_s else None, "s", n=self.n, meaning=meaning)


def analyse(context: RunContext) -> Section:
    """Delay of every kind of change in every channel."""
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
        tables=present(_table(found, timeout_s)),
        metrics=_metrics(found, refused.total(), timeout_s),
        not_applicable=not readings,
    )


def _by_kind_and_channel(readings: Sequence[FreshnessReading]) -> tuple[ChannelDelay, ...]:
    by_row: defaultdict[tuple[str, str], list[FreshnessReading]] = defaultdict(list)
    for reading in readings:
        if reading.outcome != "refused":
            by_row[reading.what, reading.channel].append(reading)
    found = []
    for (what, channel), mine in by_row.items():
        ends = Counter(reading.outcome for reading in mine)
        delays_s = tuple(sorted(reading.delay_s for reading in mine if reading.delay_s is not None))
        old_s = [reading.last_stale_s for reading in mine if reading.last_stale_s is not None]
        longest_s = max(old_s, default=None)
        found.append(
            ChannelDelay(
                what, channel, delays_s, ends["stale"], ends["not_seen"], ends["cut_short"], longest_s
            )
        )
    return tuple(sorted(found, key=lambda seen: (FRESHNESS_KINDS.index(seen.what), seen.channel)))


def _sentence(found: Sequence[ChannelDelay], refused: int, timeout_s: float) -> str:
    observed = [seen for seen in found if seen.n]
    if not observed:
        if refused:
            return f"Unknown: the shop refused all {format_count(refused)} changes."
        return "Unknown: no observation of a change was completed."
    late = [seen for seen in observed if seen.late]
    if late:
        worst = max(late, key=lambda seen: seen.late)
        share = f"{format_count(worst.late)} of {format_count(worst.n)}"
        return (
            f"More than the timeout: {share} changes of {worst.where} were not visible within "
            f"{format_duration(timeout_s)}."
        )
    slowest = max(observed, key=lambda seen: seen.delays_s[-1])
    middle = slowest.quantile(0.5, timeout_s).value
    half = f", half of them within {format_duration(middle)}" if middle is not None else ""
    text = f"At most {format_duration(slowest.delays_s[-1])} ({slowest.where}{half})"
    return f"{text}; {format_count(sum(seen.n for seen in observed))} changes observed."


def _findings(found: Sequence[ChannelDelay], refused: Counter[str], timeout_s: float) -> tuple[str, ...]:
    lines = [
        f"{format_count(seen.late)} changes of {seen.where} were not visible within "
        f"{format_duration(timeout_s)}."
        for seen in found
        if seen.late
    ]
    lines += [
        f"{format_count(seen.unread)} observations of {seen.where} could not be read and are ignored."
        for seen in found
        if seen.unread
    ]
    lines += [
        f"The shop refused {format_count(times)} changes of {what}."
        for what, times in sorted(refused.items())
    ]
    return tuple(lines)


def _metrics(found: Sequence[ChannelDelay], refused: int, timeout_s: float) -> dict[str, Metric]:
    observed = [seen for seen in found if seen.n]
    n = sum(seen.n for seen in observed)
    metrics = {
        "propagation_max": _longest_delay(observed, timeout_s, "a change was visible, of all kinds"),
        "never_visible": Metric(
            sum(seen.late for seen in observed) if observed else None, "count", n=n,
            meaning="changes that were not visible by the timeout",
        ),
        "not_seen": Metric(
            sum(seen.unread for seen in found), "count", n=n,
            meaning="changes that could not be read",
        ),
        "refused": Metric(refused, "count", n=n, meaning="changes that the shop refused"),
    }  # fmt: skip
    for what in dict.fromkeys(seen.what for seen in observed):
        mine = [seen for seen in observed if seen.what == what]
        metrics[f"{what}_propagation_max"] = _longest_delay(
            mine, timeout_s, f"a change of {what} was visible, of all channels"
        )
    for seen in observed:
        metrics[f"{seen.what}_propagation_p50_{seen.channel}"] = seen.quantile(0.5, timeout_s)
        metrics[f"{seen.what}_propagation_p95_{seen.channel}"] = seen.quantile(0.95, timeout_s)
        metrics[f"{seen.what}_propagation_max_{seen.channel}"] = seen.longest(timeout_s)
    return metrics


def _longest_delay(observed: Sequence[ChannelDelay], timeout_s: float, until: str) -> Metric:
    longest = [seen.longest(timeout_s).value or 0.0 for seen in observed]
    late, n = any(seen.late for seen in observed), sum(seen.n for seen in observed)
    return Metric(max(longest, default=None), "s", n=n, at_least=late, meaning=f"longest until {until}")


def _table(found: Sequence[ChannelDelay], timeout_s: float) -> Table | None:
    columns = {
        "Change of": lambda seen: seen.what,
        "Channel": lambda seen: seen.channel,
        Column("Changes", "count"): lambda seen: seen.n,
        "Median": lambda seen: seen.quantile(0.5, timeout_s),
        "p95": lambda seen: seen.quantile(0.95, timeout_s),
        "Longest": lambda seen: seen.longest(timeout_s),
        Column("Still old after", "s"): lambda seen: seen.still_old_s,
        Column(f"Not within {format_duration(timeout_s)}", "count"): lambda seen: seen.late,
        Column("Unreadable", "count"): lambda seen: seen.unread,
        Column("Cut short", "count"): lambda seen: seen.cut_short,
    }
    note = (
        "From the shop's confirmation to the end of the first answer that shows the change: the new price, "
        "sold out, or the basket line added in another channel. The polling interval is a tenth of the time "
        f"since the change, at least 50 ms. – means too few (median: {minimum_n(0.5)}, p95: "
        f"{minimum_n(0.95)})."
    )
    return table("Delay until a change was visible", found, columns, note)


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
    title = f"Changes of {what} were visible within {format_duration(longest)}"
    if late:
        title = f"{format_count(late)} changes of {what} were not visible within {format_duration(timeout_s)}"
    return Chart(
        "scatter", title, "time of the change (min:s)", "delay until it was visible", tuple(moments),
        tuple(series), y_unit="s",
        note="A change that was never visible is drawn at the timeout." if late else "",
    )  # fmt: skip


if __name__ == "__main__":
    main(analyse)
