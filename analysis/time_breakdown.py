"""Where does the time of a step go, on the network and in the shop?

    python analysis/time_breakdown.py reports/<run>

- A step may wait to be sent, connects if it has no open connection, waits for the first byte and receives the
  body. It may send more requests after its first (redirects, critical requests of a page), which are a
  part of their own. Means add up, so the bars are means of answered steps.
- What the shop itself reports comes from the Server-Timing header of a sample of the answers, evenly spread
  over each second and weighted by the number of answers each represents.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from doorbuster.output import one_line
from doorbuster.records.batch import SeriesKey
from doorbuster.records.histogram import Histogram
from doorbuster.records.outcome import Outcome, RequestOutcome
from doorbuster.records.reader import Run
from doorbuster.records.secondary_metrics import (
    ConnectTotals,
    StepTimings,
    SubsequentRequests,
    WeightedDurations,
)
from doorbuster.report.analysis_main import main
from doorbuster.report.run_context import RunContext
from doorbuster.report.section import (
    CauseEvidence,
    Cell,
    Chart,
    Column,
    Metric,
    Role,
    Section,
    Series,
    Table,
    not_applicable,
    present,
    ratio_metric,
    table,
    time_metric,
)
from doorbuster.stats.proportion import clopper_pearson
from doorbuster.stats.quantile import minimum_n, quantile_estimate
from doorbuster.units import format_count, format_duration, format_ratio

V = TypeVar("V")
EMPTY = Histogram.empty()
NO_CONNECT = ConnectTotals(0, 0, 0)
NO_LATER = SubsequentRequests(0, 0, 0, 0, 0, EMPTY)
MAX_BARS, MAX_ENTRIES, MAX_NAME = 14, 5, 40
WHOLE = frozenset({"total", "(more)"})  # entries that include others and would count twice in a bar
MAIN_SHARE = 0.5  # of the shop's own time, and of the whole: less does not explain slow answers
ENTRY_NAMES = {
    "db": "the database", "sql": "the database", "database": "the database",
    "queue": "the queue", "cache": "the cache", "app": "the application",
}  # fmt: skip
WAITING = re.compile(r"queue|wait|pool|backlog", re.IGNORECASE)  # names of entries that wait for a resource
PARTS: tuple[tuple[str, str, Role], ...] = (
    ("waiting to be sent", "late_ms", Outcome.DROPPED),
    ("connecting", "connect_ms", "warning"),
    ("waiting for the first byte", "wait_ms", "strong"),
    ("body", "body_ms", Outcome.QUEUED_OUT),
    ("later requests", "later_ms", RequestOutcome.OK),
)
SHOWN = (0.5, 0.95)  # percentiles

QUESTION = "Where does the time of a step go?"


@dataclass(frozen=True, slots=True)
class StepTimes:
    """Mean times in ms of the n answered steps of one name; its connections and later requests."""

    name: str
    n: int
    late_ms: float
    connect_ms: float
    wait_ms: float
    body_ms: float
    later_ms: float
    connect: ConnectTotals = NO_CONNECT
    later: SubsequentRequests = NO_LATER

    @property
    def mean_ms(self) -> float:
        return self.late_ms + self.connect_ms + self.wait_ms + self.body_ms + self.later_ms


@dataclass(frozen=True, slots=True)
class ServerTimes:
    """The n answered steps of one name with their mean response, and what Server-Timing reports of them.

    reported: mean ms per entry, over the steps that reported anything.
    """

    name: str
    n: int
    mean_ms: float
    reported: Mapping[str, float]
    sampled: int


def analyse(context: RunContext) -> Section:
    """Parts of the time of each step, measured and reported by the shop."""
    run = context.run
    if context.is_plain:
        why = (
            "Not applicable: the events of a plain Locust file have response times, but no parts of them. "
            "doorbuster's HTTP client records them."
        )
        return not_applicable("time_breakdown", QUESTION, why)
    timings = run.step_timings()
    steps, server_steps, hits = _steps(run, timings), _server_steps(run, timings), _cache(timings)
    return Section(
        name="time_breakdown",
        question=QUESTION,
        group="Performance",
        order=350,
        sentence=_sentence(steps),
        findings=_server_findings(server_steps, hits),
        causes=_causes(server_steps),
        figures=present(_parts_chart(steps, timings), _server_chart(server_steps)),
        tables=present(
            _parts_table(steps),
            _percentile_table(run, timings),
            _later_table(steps),
            _server_table(timings),
            _cache_table(hits),
        ),
        metrics={**_metrics(steps, timings), **_server_metrics(server_steps, hits)},
    )


def _steps(run: Run, parts: StepTimings) -> list[StepTimes]:
    by_kind = {
        kind: run.histograms_by(lambda series: series.step if series.succeeded else None, kind)
        for kind in ("response", "service", "first_byte")
    }
    connects = _by_step(parts.connect)
    later = _by_step(parts.subsequent)
    found = []
    for name, answered in sorted(by_kind["response"].items()):
        connect, more = _together(connects[name]), _later_together(later[name])
        response, service, first = (_mean_ms(by_kind[kind].get(name, EMPTY)) for kind in by_kind)
        connect_ms = min(connect.total_us / answered.n / 1e3, first)
        rest_ms = max(0.0, service - first)
        later_ms = min((more.times.mean_us or 0.0) * more.n / answered.n / 1e3, rest_ms)
        found.append(
            StepTimes(
                name or "unnamed", answered.n, max(0.0, response - service), connect_ms,
                max(0.0, min(first, service) - connect_ms), rest_ms - later_ms, later_ms, connect, more,
            )
        )  # fmt: skip
    return sorted(found, key=lambda step: -step.mean_ms)


def _by_step(found: Mapping[SeriesKey, V]) -> defaultdict[str, list[V]]:
    """Values of answered requests by step."""
    grouped: defaultdict[str, list[V]] = defaultdict(list)
    for series, value in found.items():
        if series.succeeded:
            grouped[series.step].append(value)
    return grouped


def _together(parts: Sequence[ConnectTotals]) -> ConnectTotals:
    return ConnectTotals(
        sum(part.n for part in parts),
        sum(part.total_us for part in parts),
        max((part.longest_us for part in parts), default=0),
    )


def _later_together(parts: Sequence[SubsequentRequests]) -> SubsequentRequests:
    times = EMPTY.merge(*(part.times for part in parts))
    n, requests, connect_us, wait_us, body_us = (sum(part[at] for part in parts) for at in range(5))
    return SubsequentRequests(n, requests, connect_us, wait_us, body_us, times)


def _mean_ms(histogram: Histogram) -> float:
    return (histogram.mean_us or 0.0) / 1e3


def _share(steps: Sequence[StepTimes], part: str) -> float | None:
    total = sum(step.mean_ms * step.n for step in steps)
    return sum(getattr(step, part) * step.n for step in steps) / total if total else None


def _metrics(steps: Sequence[StepTimes], parts: StepTimings) -> dict[str, Metric]:
    n = sum(step.n for step in steps)
    metrics = {
        f"{name}_share": Metric(
            _share(steps, part) if known else None, "ratio", n=n, meaning=f"share of all time {words}"
        )
        for name, part, words, known in (
            ("late", "late_ms", "spent waiting to be sent", True),
            ("connect", "connect_ms", "spent connecting", bool(parts.connect)),
            ("first_byte", "wait_ms", "spent waiting for the first byte", True),
            ("body", "body_ms", "spent receiving bodies", True),
            ("later", "later_ms", "spent on requests after the first", True),
        )
    }
    connect = _together([step.connect for step in steps])
    mean = None if connect.mean_us is None else connect.mean_us / 1e3
    metrics["connect_mean"] = Metric(mean, "ms", n=connect.n, meaning="time to open a connection, mean")
    opened = EMPTY.merge(*(found for of in _by_step(parts.connect_times).values() for found in of))
    for p in SHOWN:
        words = f"p{p * 100:g} of the time to open a connection"
        found = _percentile(opened, p)
        metrics[f"connect_p{p * 100:g}"] = replace(found or Metric(None, "ms", n=opened.n), meaning=words)
    for step in steps:
        share = step.wait_ms / step.mean_ms if step.mean_ms else None
        meaning = f"share of the mean time of {step.name} spent waiting for the first byte"
        metrics[f"first_byte_share_{step.name}"] = Metric(share, "ratio", n=step.n, meaning=meaning)
    return metrics


def _sentence(steps: Sequence[StepTimes]) -> str:
    if not steps:
        return "No request was answered."
    slowest = steps[0]
    shares = {words: _share(steps, part) or 0.0 for words, part, _ in PARTS}
    most = max(shares, key=lambda words: shares[words])
    took = format_duration(slowest.mean_ms / 1e3)
    doing = {"body": "receiving bodies", "later requests": "on requests after a step's first"}
    return (
        f"{format_ratio(shares[most])} of all time was spent {doing.get(most, most)}; the slowest step is "
        f"{slowest.name}, {took} on average."
    )


def _labels(steps: Sequence[StepTimes | ServerTimes]) -> tuple[str, ...]:
    return tuple(f"{step.name} (n = {format_count(step.n)})" for step in steps)


def _parts_chart(steps: Sequence[StepTimes], parts: StepTimings) -> Chart | None:
    shown = steps[:MAX_BARS]
    if not shown or not shown[0].mean_ms:
        return None
    series = tuple(
        Series(words, tuple(getattr(step, part) for step in shown), role)
        for words, part, role in PARTS
        if any(getattr(step, part) > 0 for step in shown)
    )
    first = shown[0]
    words, part, _ = max(PARTS, key=lambda item: getattr(first, item[1]))
    share = format_ratio(getattr(first, part) / first.mean_ms)
    return Chart(
        "bars", f"{first.name} takes longest: {share} of its time is {words}", "step",
        "mean time of an answered step", _labels(shown), series, y_unit="ms",
        note="" if parts.connect else "Connecting was not recorded; it is part of the first byte.",
    )  # fmt: skip


def _parts_table(steps: Sequence[StepTimes]) -> Table | None:
    columns = {
        "Step": lambda step: step.name,
        Column("Answered", "count"): lambda step: step.n,
        Column("Mean response", "ms"): lambda step: step.mean_ms,
        Column("Waiting to be sent", "ms"): lambda step: step.late_ms,
        Column("Connecting", "ms"): lambda step: step.connect_ms,
        Column("First byte", "ms"): lambda step: step.wait_ms,
        Column("Body", "ms"): lambda step: step.body_ms,
        Column("Later requests", "ms"): lambda step: step.later_ms,
    }
    note = (
        "Answered steps only; the parts add up to the mean response. Connecting and later requests are "
        "averaged over all steps of the name, including those without any."
    )
    return table("Parts of a step's time", steps, columns, note)


def _percentile(times: Histogram, p: float, worth: float | None = None) -> Metric | None:
    """A percentile of times worth that many independent ones; None where there are too few."""
    if (times.n if worth is None else worth) < minimum_n(p):
        return None
    return replace(time_metric(quantile_estimate(times, p, worth=worth)), n=times.n)


def _percentile_table(run: Run, parts: StepTimings) -> Table | None:
    """Parts with individually recorded times; the others have only means."""
    opened, later = _by_step(parts.connect_times), _by_step(parts.subsequent)
    first = run.histograms_by(lambda series: series.step if series.succeeded else None, "first_byte")
    rows: list[tuple[Cell, ...]] = []
    for step, waited in sorted(first.items()):
        for part, times in (
            ("connecting", EMPTY.merge(*opened[step])),
            ("first byte, with connecting", waited),
            ("later requests", _later_together(later[step]).times),
        ):
            if times.n:
                longest = None if times.max_us is None else times.max_us / 1e3
                rows.append(
                    (step, part, times.n, _mean_ms(times), *(_percentile(times, p) for p in SHOWN), longest)
                )
    columns = (
        Column("Step"), Column("Part"), Column("Steps with it", "count"), Column("Mean", "ms"),
        *(Column(f"p{p * 100:g}") for p in SHOWN), Column("Longest", "ms"),
    )  # fmt: skip
    note = (
        f"Answered steps; 95 % intervals, as if steps were independent. – means too few (p95 needs "
        f"{minimum_n(0.95)})."
    )
    return Table("Duration of the parts where they occurred", columns, tuple(rows), note) if rows else None


def _later_table(steps: Sequence[StepTimes]) -> Table | None:
    columns = {
        "Step": lambda step: step.name,
        Column("Steps with several requests", "count"): lambda step: step.later.n,
        "Later requests each": lambda step: step.later.requests / step.later.n,
        Column("Connecting", "ms"): lambda step: step.later.connect_us / step.later.requests / 1e3,
        Column("First byte", "ms"): lambda step: step.later.wait_us / step.later.requests / 1e3,
        Column("Body", "ms"): lambda step: step.later.body_us / step.later.requests / 1e3,
    }
    note = "Means per later request. Requests sent in parallel take less time together."
    return table("Parts of a later request", [step for step in steps if step.later.n], columns, note)


# Server-Timing


def _server_steps(run: Run, parts: StepTimings) -> list[ServerTimes]:
    """Steps with Server-Timing, the slowest first."""
    answered = run.histograms_by(lambda series: series.step if series.succeeded else None)
    reported, sampled = _reported(parts)
    steps = [
        ServerTimes(name or "unnamed", found.n, (found.mean_us or 0.0) / 1e3, reported[name], sampled[name])
        for name, found in answered.items()
        if reported.get(name)
    ]
    return sorted(steps, key=lambda step: -step.mean_ms)


def _reported(parts: StepTimings) -> tuple[dict[str, dict[str, float]], Counter[str]]:
    """Per step and entry, mean ms over answered steps that report it; and how many were sampled."""
    total_us: defaultdict[str, defaultdict[str, float]] = defaultdict(lambda: defaultdict(float))
    weight: defaultdict[tuple[str, str, str], defaultdict[str, float]] = defaultdict(
        lambda: defaultdict(float)
    )
    read: defaultdict[tuple[str, str, str], Counter[str]] = defaultdict(Counter)
    for (series, entry, _), times in parts.server.items():
        if series.succeeded:
            key = (series.step, series.channel, series.journey)
            weight[key][entry] += times.steps
            read[key][entry] += times.sampled
            total_us[series.step][entry] += times.total_us
    steps, sampled = defaultdict[str, float](float), Counter[str]()
    for key, entries in weight.items():
        steps[key[0]] += max(entries.values())
        sampled[key[0]] += max(read[key].values())
    reported = {
        step: {entry: us / steps[step] / 1e3 for entry, us in entries.items() if us and steps[step]}
        for step, entries in total_us.items()
    }
    return reported, sampled


def _cache(parts: StepTimings) -> dict[str, Counter[str]]:
    """Per step, sampled answers that report HIT or MISS of a cache."""
    found: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for (series, _, description), times in parts.server.items():
        word = description.upper()
        kind = next((kind for kind in ("HIT", "MISS") if word.startswith(kind)), None)
        if kind is not None and series.succeeded:
            found[series.step][kind] += times.sampled
    return dict(found)


def _server_metrics(steps: Sequence[ServerTimes], hits: Mapping[str, Counter[str]]) -> dict[str, Metric]:
    total = Counter[str]()
    for counts in hits.values():
        total.update(counts)
    metrics = {"cache_hits": _hit_metric(total)}
    of = sum(step.n for step in steps)
    for entry in _entries(steps):
        value = sum(step.reported.get(entry, 0.0) * step.n for step in steps) / of
        meaning = f"{entry} in Server-Timing, mean of the answered steps that report it"
        metrics[f"server_{entry}"] = Metric(
            value, "ms", n=sum(step.sampled for step in steps), meaning=meaning
        )
    return metrics


def _hit_metric(hits: Counter[str]) -> Metric:
    return ratio_metric(clopper_pearson(hits["HIT"], hits.total()), "sampled answers from the shop's cache")


def _entries(steps: Sequence[ServerTimes]) -> list[str]:
    """Entries with a duration, the longest total first."""
    total = defaultdict[str, float](float)
    for step in steps:
        for entry, mean_ms in step.reported.items():
            total[entry] += mean_ms * step.n
    return sorted(total, key=lambda entry: -total[entry])[:MAX_ENTRIES]


def _causes(steps: Sequence[ServerTimes]) -> tuple[CauseEvidence, ...]:
    """The entry that takes most of the shop's own time, if that is most of the whole."""
    n = sum(step.n for step in steps)
    entries = [entry for entry in _entries(steps) if entry not in WHOLE]
    means = {entry: sum(step.reported.get(entry, 0.0) * step.n for step in steps) / n for entry in entries}
    own_ms, whole_ms = sum(means.values()), sum(step.mean_ms * step.n for step in steps) / max(n, 1)
    if not own_ms or own_ms < MAIN_SHARE * whole_ms:
        return ()
    entry = max(means, key=lambda name: means[name])
    share = means[entry] / own_ms
    if share < MAIN_SHARE:
        return ()
    others = [name for name in entries if name != entry]
    texts = (f"{format_duration(means[name] / 1e3)} for {_entry_name(name)}" for name in others)
    against = f", against {' and '.join(texts)}" if others else ""
    sampled = format_count(sum(step.sampled for step in steps))
    took, name = format_duration(means[entry] / 1e3), _entry_name(entry)
    evidence = (
        f"{name[:1].upper()}{name[1:]} takes {format_ratio(share)} of the shop's own time: "
        f"{took} of an answer on average{against} (Server-Timing, {sampled} answers sampled)."
    )
    if WAITING.search(entry):
        most = f" (most of it in {_entry_name(others[0])})" if others else ""
        advice = f"Shorten the work on an answer{most}, or serve more requests at once."
        because = f"requests waited in the shop's {one_line(entry, MAX_NAME)}"
    else:
        advice = f"Shorten the work of {name}, or ask for it less often."
        because = f"{name} took most of the shop's time"
    return (CauseEvidence("slow", one_line(entry, MAX_NAME), because, evidence, advice, share),)


def _entry_name(entry: str) -> str:
    """The name of an entry in a sentence; those of other shops as they are, in quotes."""
    return ENTRY_NAMES.get(entry.lower(), f'"{one_line(entry, MAX_NAME)}"')


def _server_findings(steps: Sequence[ServerTimes], hits: Mapping[str, Counter[str]]) -> tuple[str, ...]:
    found = []
    if steps:
        step = steps[0]
        entry, mean_ms = max(step.reported.items(), key=lambda item: item[1])
        share = format_ratio(min(1.0, mean_ms / step.mean_ms)) if step.mean_ms else "none"
        found.append(
            f"By Server-Timing, {share} of the time of {step.name} is {_entry_name(entry)} "
            f"({format_duration(mean_ms / 1e3)} of {format_duration(step.mean_ms / 1e3)}; "
            f"{format_count(step.sampled)} answers sampled)."
        )
    total = sum(counts.total() for counts in hits.values())
    if total:
        share = format_ratio(sum(counts["HIT"] for counts in hits.values()) / total)
        found.append(f"{share} of the sampled answers that report a cache came from it.")
    return tuple(found)


def _server_chart(steps: Sequence[ServerTimes]) -> Chart | None:
    shown = steps[:MAX_BARS]
    entries = [entry for entry in _entries(shown) if entry not in WHOLE]
    if not shown or not entries:
        return None
    rest = tuple(max(0.0, step.mean_ms - sum(step.reported.get(e, 0.0) for e in entries)) for step in shown)
    series = (
        *(Series(entry, tuple(step.reported.get(entry, 0.0) for step in shown)) for entry in entries),
        Series("not accounted for", rest, "quiet"),
    )
    first = shown[0]
    entry = max(entries, key=lambda name: first.reported.get(name, 0.0))
    took = format_duration(first.reported.get(entry, 0.0) / 1e3)
    return Chart(
        "bars", f"By Server-Timing, {first.name} spends {took} in {entry}", "step",
        "mean time of an answered step",
        _labels(shown), series, y_unit="ms",
        note="From the Server-Timing header of sampled answers; the rest is network, connecting and work "
        "that the shop does not report.",
    )  # fmt: skip


def _server_table(parts: StepTimings) -> Table | None:
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
        return None
    columns = (
        Column("Step"), Column("Entry"), Column("Mean", "ms"), *(Column(f"p{p * 100:g}") for p in SHOWN),
        Column("Answers sampled", "count"), Column("Weight", "count"),
    )  # fmt: skip
    note = (
        "At most 8 answers per second and series are sampled, evenly spread, and weighted by the number of "
        "answers they represent. 95 % intervals, as if answers were independent. Work for customers who left "
        "before the answer is not included."
    )
    return Table("Server-Timing by step", columns, rows, note)


def _server_percentiles(times: WeightedDurations) -> tuple[Metric | None, ...]:
    """Percentiles with the interval of the effective sample size; None where it is too small."""
    whole, worth = times.times, times.effective_n
    percentiles = (_percentile(whole, p, worth) for p in SHOWN)
    return tuple(found and replace(found, n=times.n) for found in percentiles)


def _cache_table(hits: Mapping[str, Counter[str]]) -> Table | None:
    columns = {
        "Step": lambda hit: hit[0],
        "Hits": lambda hit: _hit_metric(hit[1]),
        Column("HIT", "count"): lambda hit: hit[1]["HIT"],
        Column("MISS", "count"): lambda hit: hit[1]["MISS"],
    }
    return table("Cache hits of the sampled answers", sorted(hits.items()), columns)


if __name__ == "__main__":
    main(analyse)
