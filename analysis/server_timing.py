"""What does the shop say of its own time: the header Server-Timing, step by step, and its cache.

    python analysis/server_timing.py reports/<run>

A sample of the answers is read, evenly spread over each second; the tables say how many, and how many each
stands for. What the shop does not account for is the network, connecting, waiting to be sent, and silence.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from doorbuster.records.histogram import Histogram
from doorbuster.records.reader import Run
from doorbuster.records.side_metrics import StepTimings, WeightedDurations
from doorbuster.report.run_context import RunContext
from doorbuster.report.script import main
from doorbuster.report.section import Cell, Chart, Column, Metric, Section, Series, Table, time_metric
from doorbuster.stats.proportion import clopper_pearson
from doorbuster.stats.quantile import minimum_n, quantile_estimate
from doorbuster.units import format_count, format_duration, format_ratio

WHOLE = frozenset({"total", "(more)"})  # entries that cover others and would count twice in a bar
MAX_BARS = 14
MAX_ENTRIES = 5
SHOWN = (0.5, 0.95)  # percentiles


@dataclass(frozen=True, slots=True)
class Step:
    """The n answered steps of one name, their mean response, and what the shop said of them.

    `said`: per entry of Server-Timing, ms a step on average, over all steps that said anything.
    """

    name: str
    n: int
    mean_ms: float
    said: Mapping[str, float]
    sampled: int


def analyse(context: RunContext) -> Section:
    """The shop's account of a run."""
    run = context.run
    parts = run.step_timings()
    steps = _steps(run, parts)
    hits = _cache(parts)
    return Section(
        name="server_timing",
        question="What does the shop say of its own time?",
        sentence=_sentence(steps),
        findings=_findings(hits),
        figures=_server_chart(steps),
        tables=(*_server_table(parts), *_cache_table(hits)),
        metrics=_metrics(steps, hits),
        not_applicable=not steps and not hits,
    )


def _steps(run: Run, parts: StepTimings) -> list[Step]:
    """Those of which the shop said anything, the slowest first."""
    answered = run.histograms_by(lambda series: series.step if series.succeeded else None)
    said, sampled = _said(parts)
    steps = [
        Step(name or "unnamed", found.n, (found.mean_us or 0.0) / 1e3, said[name], sampled[name])
        for name, found in answered.items()
        if said.get(name)
    ]
    return sorted(steps, key=lambda step: -step.mean_ms)


def _said(parts: StepTimings) -> tuple[dict[str, dict[str, float]], Counter[str]]:
    """Per step and entry, ms a step on average over answered steps that said anything; how many were read."""
    total_us: defaultdict[str, defaultdict[str, float]] = defaultdict(lambda: defaultdict(float))
    told: defaultdict[tuple[str, str, str], defaultdict[str, float]] = defaultdict(lambda: defaultdict(float))
    read: defaultdict[tuple[str, str, str], Counter[str]] = defaultdict(Counter)
    for (series, entry, _), times in parts.server.items():
        if series.succeeded:
            lane = (series.step, series.channel, series.journey)
            told[lane][entry] += times.steps
            read[lane][entry] += times.sampled
            total_us[series.step][entry] += times.total_us
    steps, sampled = defaultdict[str, float](float), Counter[str]()
    for lane, entries in told.items():
        steps[lane[0]] += max(entries.values())
        sampled[lane[0]] += max(read[lane].values())
    said = {
        step: {entry: us / steps[step] / 1e3 for entry, us in entries.items() if us and steps[step]}
        for step, entries in total_us.items()
    }
    return said, sampled


def _cache(parts: StepTimings) -> dict[str, Counter[str]]:
    """Per step, answers read that said HIT or MISS of a cache."""
    found: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for (series, _, description), times in parts.server.items():
        word = description.upper()
        kind = next((kind for kind in ("HIT", "MISS") if word.startswith(kind)), None)
        if kind is not None and series.succeeded:
            found[series.step][kind] += times.sampled
    return dict(found)


def _metrics(steps: Sequence[Step], hits: Mapping[str, Counter[str]]) -> dict[str, Metric]:
    total = Counter[str]()
    for counts in hits.values():
        total.update(counts)
    metrics = {"cache_hits": _hit_metric(total)}
    of = sum(step.n for step in steps)
    for entry in _entries(steps):
        value = sum(step.said.get(entry, 0.0) * step.n for step in steps) / of
        meaning = f"{entry} in Server-Timing, mean of the answered steps that said anything"
        metrics[f"server_{entry}"] = Metric(
            value, "ms", n=sum(step.sampled for step in steps), meaning=meaning
        )
    return metrics


def _hit_metric(hits: Counter[str]) -> Metric:
    share = clopper_pearson(hits["HIT"], hits.total())
    return Metric(share.ratio, "ratio", share.low, share.high, share.n, "answers from the shop's cache")


def _entries(steps: Sequence[Step]) -> list[str]:
    """Entries with a duration, those with most time first."""
    total = defaultdict[str, float](float)
    for step in steps:
        for entry, mean_ms in step.said.items():
            total[entry] += mean_ms * step.n
    return sorted(total, key=lambda entry: -total[entry])[:MAX_ENTRIES]


def _sentence(steps: Sequence[Step]) -> str:
    if not steps:
        return "No answer said how long the shop took (header Server-Timing)."
    step = steps[0]
    entry, mean_ms = max(step.said.items(), key=lambda item: item[1])
    share = format_ratio(min(1.0, mean_ms / step.mean_ms)) if step.mean_ms else "none"
    return (
        f"Of the time of {step.name}, the slowest step that says anything, the shop itself puts {share} down "
        f"to {entry} ({format_duration(mean_ms / 1e3)} of {format_duration(step.mean_ms / 1e3)}; "
        f"{format_count(step.sampled)} answers read)."
    )


def _findings(hits: Mapping[str, Counter[str]]) -> tuple[str, ...]:
    total = sum(counts.total() for counts in hits.values())
    if not total:
        return ()
    share = format_ratio(sum(counts["HIT"] for counts in hits.values()) / total)
    return (f"{share} of the answers read that went through the shop's cache came from it.",)


def _server_chart(steps: Sequence[Step]) -> tuple[Chart, ...]:
    shown = steps[:MAX_BARS]
    entries = [entry for entry in _entries(shown) if entry not in WHOLE]
    if not shown or not entries:
        return ()
    rest = tuple(max(0.0, step.mean_ms - sum(step.said.get(e, 0.0) for e in entries)) for step in shown)
    series = (
        *(Series(entry, tuple(step.said.get(entry, 0.0) for step in shown)) for entry in entries),
        Series("not accounted for", rest, "quiet"),
    )
    first = shown[0]
    entry = max(entries, key=lambda name: first.said.get(name, 0.0))
    took = format_duration(first.said.get(entry, 0.0) / 1e3)
    return (
        Chart(
            "bars", f"By the shop's own account, {first.name} spends {took} in {entry}", "step",
            "mean time of an answered step",
            tuple(f"{step.name} (n = {format_count(step.n)})" for step in shown), series, y_unit="ms",
            note="From the header Server-Timing of sampled answers; the rest is the network, connecting, and "
            "what the shop does not say.",
        ),
    )  # fmt: skip


def _server_table(parts: StepTimings) -> tuple[Table, ...]:
    merged: defaultdict[tuple[str, str], list[float]] = defaultdict(lambda: [0, 0.0, 0.0])
    times_of: defaultdict[tuple[str, str], tuple[tuple[Histogram, float], ...]] = defaultdict(tuple)
    for (series, entry, _), sample in parts.server_times.items():
        if series.succeeded:
            times_of[series.step, entry] += sample.minutes
    for (series, entry, description), times in parts.server.items():
        if series.succeeded and not description:
            sums = merged[series.step, entry]
            for place, value in enumerate(times):
                sums[place] += value
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (
            step, entry, total_us / steps / 1e3,
            *_server_percentiles(WeightedDurations(times_of[step, entry])), sampled, round(steps),
        )
        for (step, entry), (sampled, steps, total_us) in sorted(merged.items())
        if total_us
    )  # fmt: skip
    if not rows:
        return ()
    columns = (
        Column("Step"), Column("Entry"), Column("Mean", "ms"), *(Column(f"p{p * 100:g}") for p in SHOWN),
        Column("Answers read", "count"), Column("Standing for", "count"),
    )  # fmt: skip
    note = (
        "At most 8 answers a second of each series are read, evenly spread; mean and percentiles are "
        "weighted by how many answers each stands for; 95 % intervals, as if answers were independent. "
        "Answered steps only: what the shop did for customers who left is not in it."
    )
    return (Table("What the shop says of its own time (Server-Timing)", columns, rows, note),)


def _server_percentiles(times: WeightedDurations) -> tuple[Metric | None, ...]:
    """With intervals of as many values as the weighted ones are worth; None where those are too few."""
    whole, worth = times.times, times.effective_n
    return tuple(
        replace(time_metric(quantile_estimate(whole, p, worth=worth)), n=times.n)
        if worth >= minimum_n(p)
        else None
        for p in SHOWN
    )


def _cache_table(hits: Mapping[str, Counter[str]]) -> tuple[Table, ...]:
    if not hits:
        return ()
    rows = tuple(
        (step, _hit_metric(counts), counts["HIT"], counts["MISS"]) for step, counts in sorted(hits.items())
    )
    columns = (Column("Step"), Column("Hits"), Column("HIT", "count"), Column("MISS", "count"))
    return (Table("What came from the shop's cache, of the answers read", columns, rows),)


if __name__ == "__main__":
    main(analyse)
