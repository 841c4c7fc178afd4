"""Does one channel's peak slow the others down?

    python analysis/channel_isolation.py reports/<run>

The peak of a demand (the scenario's, or a channel's own) is the seconds with at least 90 % of its highest
rate. Quiet seconds are those in which every demand with a peak plans at most a third of it; if there are ten
before the peak, only those count, because a queue outlasts its peak. For the channels of the other demands,
both are compared: median and p95 of the response time, and the share of customers served.

A channel is slowed when its median or p95 certainly rose (the interval of the difference lies above 0) by at
least 100 ms and a quarter; it is not slowed when that can be ruled out for both. Differences below 0.1 s are
not noticeable (Nielsen, Usability Engineering, 1993). Channels that share a demand peak together, so their
influence on each other is unknown. On a platform with several merchants, the channels of each merchant
together are compared as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from doorbuster.records.batch import CustomerCount
from doorbuster.records.histogram import Histogram
from doorbuster.records.outcome import Outcome, RequestOutcome
from doorbuster.records.reader import Run
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
    bucket_s,
    not_applicable,
    present,
    ratio_metric,
    time_metric,
)
from doorbuster.scenario import DemandGroup, group_demands
from doorbuster.stats.difference import ValueWithInterval, difference, ratio
from doorbuster.stats.latency_quantiles import LatencyQuantile, TimeBlock, latency_quantiles
from doorbuster.stats.proportion import ProportionEstimate, clustered_proportion
from doorbuster.units import format_duration, format_ratio

QUESTION = "Does one {} peak slow the others down?"
OWN_RISE_RATIO = 1.25  # a channel whose own demand rises this much may have slowed itself
NOTICED_US, SLOWER_RATIO = 100_000.0, 0.25
FEWER_SERVED = 0.02
TIME = "time since the start (min:s)"

Judged = Literal["slowed", "not slowed", "inconclusive"]
Found = Mapping[tuple[tuple[str, str], int], Histogram]
_NOTHING = Histogram.empty()


@dataclass(frozen=True, slots=True)
class ChannelResults:
    """Response times and success of a channel's customers in some seconds."""

    median: LatencyQuantile
    p95: LatencyQuantile
    served: ProportionEstimate
    ordered: ProportionEstimate


@dataclass(frozen=True, slots=True)
class ChannelInPeak:
    """One channel in the peak of another demand; `why` gives the reason for the verdict."""

    channel: str
    peaking: str
    judged: Judged
    why: str
    calm: ChannelResults | None = None
    peak: ChannelResults | None = None

    @property
    def p95_ratio(self) -> ValueWithInterval | None:
        """p95 in the peak over p95 in quiet seconds."""
        if self.calm is None or self.peak is None:
            return None
        peak, calm = _bounded(self.peak.p95), _bounded(self.calm.p95)
        return None if peak is None or calm is None or self.calm.p95.at_least else ratio(peak, calm)


def analyse(context: RunContext) -> Section:
    """Every channel in the peaks of the others."""
    run = context.run
    clocks: tuple[DemandGroup, ...] = ()
    alone: tuple[str, ...] = ()
    scenario = context.curve_scenario
    if scenario is not None:
        clocks = group_demands(scenario, run.grain_s)
        alone = tuple(name for name, channel in scenario.channels.items() if not channel.is_open)
    peaking = _peaking(clocks)
    names = [name for clock in clocks for name in clock.channels] + list(alone)
    if len(names) < 2 or not peaking:
        why = (
            "there is only one channel" if len(names) == 1 else "no demand has both a peak and quiet seconds"
        )
        question = QUESTION.format("channel's")
        return not_applicable("channel_isolation", question, f"Not applicable: {why}.", _metrics(()))
    pairs = _pairs(run, clocks, {name: name for name in names})
    whose = (
        {name: one.merchant for name, one in scenario.channels.items() if one.merchant} if scenario else {}
    )
    between = _pairs(run, _of_merchants(clocks, whose), whose) if whose else ()
    return Section(
        name="channel_isolation",
        group="Performance",
        order=330,
        question=QUESTION.format("merchant's" if between else "channel's"),
        sentence=_sentence(between or pairs),
        findings=_findings(pairs),
        figures=present(_chart(run, pairs, peaking)),
        tables=present(*(_tables(between, "merchant") if between else ()), *_tables(pairs, "channel")),
        metrics={**_metrics((*pairs, *between)), **_metrics(pairs)},
    )


def _peaking(clocks: Sequence[DemandGroup]) -> list[DemandGroup]:
    """Demands with both a peak and quiet seconds."""
    return [clock for clock in clocks if clock.peak.size and clock.calm.size]


def _of_merchants(clocks: Sequence[DemandGroup], whose: Mapping[str, str]) -> list[DemandGroup]:
    """The demands with the merchants of their channels in place of the channels."""
    return [
        replace(clock, channels=tuple(dict.fromkeys(whose[name] for name in clock.channels)))
        for clock in clocks
    ]


def _pairs(run: Run, clocks: Sequence[DemandGroup], whose: Mapping[str, str]) -> tuple[ChannelInPeak, ...]:
    """`whose`: maps each channel to what is compared, itself or its merchant."""
    found = run.histograms_by(
        lambda series: (whose.get(series.channel, series.channel), series.outcome), "response", run.grain_s
    )
    customers = run.customers(run.grain_s)
    pairs = []
    for clock in _peaking(clocks):
        others = [o for o in clocks if o is not clock and clock.rise(o.rates_per_s) >= OWN_RISE_RATIO]
        label = " and ".join((clock.name, *(other.name for other in others)))
        for name in dict.fromkeys(whose.values()):
            if name in clock.channels:
                if len(clock.channels) > 1:
                    mates = " and ".join(mate for mate in clock.channels if mate != name)
                    pairs.append(
                        ChannelInPeak(name, mates, "inconclusive", "they share one demand and peak together")
                    )
            elif any(name in other.channels for other in others):
                pairs.append(
                    ChannelInPeak(name, clock.name, "inconclusive", "its own customers rise at the same time")
                )
            else:
                mine = [row for row in customers if whose.get(row.channel) == name]
                calm, peak = (
                    _results(found, mine, name, seconds, run.grain_s) for seconds in (clock.calm, clock.peak)
                )
                pairs.append(ChannelInPeak(name, label, *judge(calm, peak), calm, peak))
    return tuple(pairs)


def _results(
    found: Found, customers: Sequence[CustomerCount], name: str, buckets: NDArray[np.intp], width_s: int
) -> ChannelResults:
    stretches = [
        TimeBlock(
            found.get(((name, RequestOutcome.OK), at), _NOTHING),
            found.get(((name, RequestOutcome.ABANDONED), at), _NOTHING),
        )
        for at in buckets.tolist()
    ]
    place = {at: index for index, at in enumerate(buckets.tolist())}
    served, came, ordered, wanted = np.zeros((4, buckets.size), np.int64)
    for row in customers:
        at = place.get(row.second // width_s)
        if at is None or row.outcome == Outcome.DROPPED:
            continue
        came[at] += row.n
        served[at] += row.n if row.outcome == Outcome.SERVED else 0
        wanted[at] += row.n if row.order is not None else 0
        ordered[at] += row.n if row.order else 0
    median, p95 = latency_quantiles(stretches, (0.5, 0.95))
    return ChannelResults(
        median, p95, clustered_proportion(served, came), clustered_proportion(ordered, wanted)
    )


def judge(calm: ChannelResults, peak: ChannelResults) -> tuple[Judged, str]:
    """The verdict on a channel with data in both, and its reason."""
    names = {"p95": (calm.p95, peak.p95), "median": (calm.median, peak.median)}
    slower = {name: _slower(*both) for name, both in names.items()}
    for name, both in names.items():
        if slower[name] is True:
            return "slowed", f"{name} from {_text(both[0])} to {_text(both[1])}"
    fall = _fall(calm.served, peak.served)
    if fall is not None and fall.value >= FEWER_SERVED:
        before, then = (format_ratio(results.served.ratio or 0.0) for results in (calm, peak))
        text = f"served from {before} to {then}"
        return ("slowed" if fall.low is not None and fall.low > 0 else "inconclusive"), text
    if slower["p95"] is False and slower["median"] is False:
        return "not slowed", f"p95 {_text(calm.p95)} in quiet seconds, {_text(peak.p95)} in the peak"
    if calm.median.value_us is None or peak.median.value_us is None:
        return "inconclusive", "too few requests"
    doubt = "p95" if slower["p95"] is None else "median"
    first, second = names[doubt]
    if first.value_us is None or second.value_us is None:
        return "inconclusive", f"too few requests for a p95 ({min(first.n, second.n)})"
    return "inconclusive", f"{doubt} from {_text(first)} to {_text(second)}, too few requests for certainty"


def _slower(calm: LatencyQuantile, peak: LatencyQuantile) -> bool | None:
    """Whether it certainly rose noticeably; None if undecided."""
    before, then = _bounded(calm), _bounded(peak)
    if before is None or then is None or calm.at_least:
        return None
    rise = difference(then, before)
    noticed_us = max(NOTICED_US, SLOWER_RATIO * before.value)
    if rise.low is not None and rise.low > 0 and rise.value >= noticed_us:
        return True
    return False if rise.high is not None and rise.high < noticed_us else None


def _fall(calm: ProportionEstimate, peak: ProportionEstimate) -> ValueWithInterval | None:
    """How much smaller the share was in the peak."""
    if calm.ratio is None or peak.ratio is None:
        return None
    return difference(
        ValueWithInterval(calm.ratio, calm.low, calm.high), ValueWithInterval(peak.ratio, peak.low, peak.high)
    )


def _bounded(found: LatencyQuantile) -> ValueWithInterval | None:
    if found.value_us is None:
        return None
    return ValueWithInterval(found.value_us, found.low_us, None if found.at_least else found.high_us)


def _text(found: LatencyQuantile) -> str:
    assert found.value_us is not None, "the verdict rests on a value"
    return f"{'at least ' if found.at_least else ''}{format_duration(found.value_us / 1e6)}"


def _sentence(pairs: Sequence[ChannelInPeak]) -> str:
    slowed = [pair for pair in pairs if pair.judged == "slowed"]
    fine = [pair for pair in pairs if pair.judged == "not slowed"]
    if slowed:
        worst = max(slowed, key=_slowdown_ratio)
        more = f"; {len(slowed) - 1} more were slowed" if len(slowed) > 1 else ""
        return f"Yes: while {worst.peaking} peaked, {worst.channel} was slowed ({worst.why}){more}."
    if fine:
        names = " and ".join(dict.fromkeys(pair.channel for pair in fine))
        were = "was" if len({pair.channel for pair in fine}) == 1 else "were"
        others = len(pairs) - len(fine)
        rest = f"; {others} inconclusive" if others else ""
        first = max(fine, key=_slowdown_ratio)
        return f"No: while {first.peaking} peaked, {names} {were} not slowed ({first.why}){rest}."
    return f"Inconclusive: for {pairs[0].channel} while {pairs[0].peaking} peaks, {pairs[0].why}."


def _slowdown_ratio(pair: ChannelInPeak) -> float:
    found = pair.p95_ratio
    return found.value if found is not None else 0.0


def _findings(pairs: Sequence[ChannelInPeak]) -> tuple[str, ...]:
    lines = [
        f"While {pair.peaking} peaked, {pair.channel} was slowed: {pair.why}."
        for pair in pairs
        if pair.judged == "slowed"
    ]
    together = [pair for pair in pairs if pair.calm is None]
    if together:
        names = " and ".join(dict.fromkeys(pair.channel for pair in together))
        lines.append(
            f"{names}: no separate result, because they share a demand with the channels that peak. Give a "
            "channel the key demand, e.g. a steady one, instead of a share."
        )
    return tuple(lines)


def _metrics(pairs: Sequence[ChannelInPeak]) -> dict[str, Metric]:
    ratios: dict[str, tuple[ValueWithInterval, int, bool]] = {}
    for pair in pairs:
        found = pair.p95_ratio
        if found is not None and pair.peak is not None:
            known = ratios.get(pair.channel)
            if known is None or found.value > known[0].value:
                ratios[pair.channel] = (found, pair.peak.p95.n, pair.peak.p95.at_least)
    worst = max(ratios.values(), key=lambda entry: entry[0].value, default=None)
    metrics = {"worst_ratio": _ratio_metric(worst, "the most affected channel")}
    for judged in ("slowed", "not slowed", "inconclusive"):
        n = sum(pair.judged == judged for pair in pairs)
        meaning = f"pairs of a channel and another's peak: {judged}"
        metrics[judged.replace(" ", "_")] = Metric(
            n if pairs else None, "count", n=len(pairs), meaning=meaning
        )
    for channel, entry in ratios.items():
        metrics[f"p95_ratio_{channel}"] = _ratio_metric(entry, channel)
    return metrics


def _ratio_metric(entry: tuple[ValueWithInterval, int, bool] | None, whose: str) -> Metric:
    meaning = f"p95 in the peak of others over p95 in quiet seconds, of {whose}"
    if entry is None:
        return Metric(None, "", n=0, meaning=meaning)
    found, n, at_least = entry
    return Metric(found.value, "", found.low, found.high, n, meaning, at_least)


def _tables(pairs: Sequence[ChannelInPeak], what: str) -> tuple[Table, ...]:
    head = Column(what.capitalize())
    compared = [(pair, pair.calm, pair.peak) for pair in pairs if pair.calm is not None]
    both = [(pair, (calm, peak)) for pair, calm, peak in compared if calm is not None and peak is not None]
    verdicts: list[tuple[Cell, ...]] = []
    for pair in pairs:
        found = pair.p95_ratio
        times = Metric(found.value, "", found.low, found.high) if found is not None else None
        verdicts.append((pair.channel, f"{pair.peaking} peaks", pair.judged, pair.why, times))
    tables = [
        Table(
            f"Each {what} while others peak",
            (head, Column("While"), Column("Verdict"), Column("Because"), Column("p95, times")),
            tuple(verdicts), "Last column: p95 in the others' peak over p95 in quiet seconds.",
        ),
    ]  # fmt: skip
    for title, names, of in (
        ("Response times by {}, in quiet seconds and while others peak", ("Median", "p95"), _times),
        ("Success by {}, in quiet seconds and while others peak", ("Served", "Could order"), _shares),
    ):
        heads = [Column(f"{name}, {when}") for name in names for when in ("quiet", "peak")]
        rows = tuple(
            (pair.channel, f"{pair.peaking} peaks", *(of(results)[i] for i in (0, 1) for results in either))
            for pair, either in both
        )
        if rows:
            note = "95 % intervals that allow for neighbouring requests being alike. – means too few."
            tables.append(Table(title.format(what), (head, Column("While"), *heads), rows, note))
    return tuple(tables)


def _times(results: ChannelResults) -> tuple[Cell, Cell]:
    return time_metric(results.median), time_metric(results.p95)


def _shares(results: ChannelResults) -> tuple[Cell, Cell]:
    return ratio_metric(results.served), ratio_metric(results.ordered)


def _chart(run: Run, pairs: Sequence[ChannelInPeak], peaking: Sequence[DemandGroup]) -> Chart | None:
    """Median response time of the compared channels over time, with the peaks of the others."""
    names = list(dict.fromkeys(pair.channel for pair in pairs if pair.calm is not None))
    if not names:
        return None
    width_s = bucket_s(run.recorded_s, most=60)
    found = run.histograms_by(
        lambda series: series.channel if series.succeeded and series.channel in names else None,
        "response", width_s,
    )  # fmt: skip
    windows = range(max((at for _, at in found), default=-1) + 1)
    if not windows:
        return None
    series = []
    for name in names:
        medians = (found[name, at].quantile_us(0.5) if (name, at) in found else None for at in windows)
        series.append(Series(name, tuple(None if us is None else us / 1e3 for us in medians)))
    marks = [
        Annotation(float(at) * run.grain_s, f"{clock.name}: peak {word}")
        for clock in peaking
        for at, word in ((clock.peak[0], "begins"), (clock.peak[-1] + 1, "ends"))
    ]
    return Chart(
        "lines", _sentence(pairs).rstrip("."), TIME, "median response time",
        tuple((at + 0.5) * width_s for at in windows), tuple(series), y_unit="ms", moments=tuple(marks),
        note=f"Answered requests by the time they were due, in windows of {width_s} s.",
    )  # fmt: skip


if __name__ == "__main__":
    main(analyse)
