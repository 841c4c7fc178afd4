"""Where does the time go: what a step's time is made of, and what the shop itself says about it.

    python analysis/parts.py reports/<run>

A step that is due may first wait to be sent; then it connects (if no kept connection was free), waits for the
first byte, and receives the body. Means add up, so the bars are means of answered steps; "body" of a step of
several requests holds the requests after the first. Server-Timing is what the shop says in its answers: a
sample of them is read, the table says how many. Who left where is in the section steps.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from doorbuster.records.asides import Connecting, Parts
from doorbuster.records.histogram import Histogram
from doorbuster.records.run import Run
from doorbuster.report.section import Cell, Chart, Column, Metric, Role, Section, Series, Table, main
from doorbuster.stats.proportion import clopper_pearson
from doorbuster.units import format_count, format_duration, format_ratio

EMPTY = Histogram.empty()
NONE = Connecting(0, 0, 0)
WHOLE = frozenset({"total", "(more)"})  # entries that cover others and would count twice in a bar
MOST_BARS = 14
MOST_ENTRIES = 5
PARTS: tuple[tuple[str, str, Role], ...] = (
    ("waiting to be sent", "late_ms", "dropped"),
    ("connecting", "connect_ms", "abandoned"),
    ("waiting for the first byte", "wait_ms", "strong"),
    ("body", "body_ms", "queued_out"),
)


@dataclass(frozen=True, slots=True)
class Step:
    """Mean times of the n answered steps of one name, in ms, and the connections they opened.

    `said`: per entry of Server-Timing, ms a step on average, over all steps that said anything.
    """

    name: str
    n: int
    late_ms: float
    connect_ms: float
    wait_ms: float
    body_ms: float
    connect: Connecting = NONE
    said: Mapping[str, float] = field(default_factory=dict)
    sampled: int = 0

    @property
    def mean_ms(self) -> float:
        return self.late_ms + self.connect_ms + self.wait_ms + self.body_ms


def analyse(run: Run) -> Section:
    """The parts of the time of a run's steps."""
    parts = run.parts()
    steps = _steps(run, parts)
    hits = _cache(parts)
    return Section(
        name="parts",
        question="Where does the time go?",
        sentence=_sentence(steps),
        findings=_findings(steps, hits),
        figures=(*_parts_chart(steps, measured=bool(parts.connect)), *_server_chart(steps)),
        tables=(*_parts_table(steps), *_server_table(parts), *_cache_table(hits)),
        metrics=_metrics(steps, hits, measured=bool(parts.connect)),
    )


def _steps(run: Run, parts: Parts) -> list[Step]:
    by_kind = {
        kind: run.histograms_by(lambda series: series.step if series.outcome == "ok" else None, kind)
        for kind in ("response", "service", "first_byte")
    }
    connects: defaultdict[str, list[Connecting]] = defaultdict(list)
    for series, connect in parts.connect.items():
        if series.outcome == "ok":
            connects[series.step].append(connect)
    said, sampled = _said(parts)
    found = []
    for name, answered in sorted(by_kind["response"].items()):
        connect = _together(connects[name])
        response, service, first = (_mean_ms(by_kind[kind].get(name, EMPTY)) for kind in by_kind)
        connect_ms = min(connect.total_us / answered.n / 1e3, first)
        found.append(
            Step(
                name or "unnamed", answered.n, max(0.0, response - service), connect_ms,
                max(0.0, min(first, service) - connect_ms), max(0.0, service - first), connect,
                said.get(name, {}), sampled[name],
            )
        )  # fmt: skip
    return sorted(found, key=lambda step: -step.mean_ms)


def _said(parts: Parts) -> tuple[dict[str, dict[str, float]], Counter[str]]:
    """Per step and entry, ms a step on average over answered steps that said anything; how many were read."""
    total_us: defaultdict[str, defaultdict[str, float]] = defaultdict(lambda: defaultdict(float))
    told: defaultdict[tuple[str, str, str], defaultdict[str, float]] = defaultdict(lambda: defaultdict(float))
    read: defaultdict[tuple[str, str, str], Counter[str]] = defaultdict(Counter)
    for (series, entry, _), times in parts.server.items():
        if series.outcome == "ok":
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


def _together(parts: Sequence[Connecting]) -> Connecting:
    return Connecting(
        sum(part.n for part in parts),
        sum(part.total_us for part in parts),
        max((part.longest_us for part in parts), default=0),
    )


def _mean_ms(histogram: Histogram) -> float:
    return (histogram.mean_us or 0.0) / 1e3


def _cache(parts: Parts) -> dict[str, Counter[str]]:
    """Per step, answers read that said HIT or MISS of a cache."""
    found: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for (series, _, description), times in parts.server.items():
        word = description.upper()
        kind = next((kind for kind in ("HIT", "MISS") if word.startswith(kind)), None)
        if kind is not None and series.outcome == "ok":
            found[series.step][kind] += times.sampled
    return dict(found)


def _share(steps: Sequence[Step], part: str) -> float | None:
    total = sum(step.mean_ms * step.n for step in steps)
    return sum(getattr(step, part) * step.n for step in steps) / total if total else None


def _hit_metric(hits: Counter[str]) -> Metric:
    share = clopper_pearson(hits["HIT"], hits.total())
    return Metric(share.ratio, "ratio", share.low, share.high, share.n, "answers from the shop's cache")


def _metrics(steps: Sequence[Step], hits: Mapping[str, Counter[str]], *, measured: bool) -> dict[str, Metric]:
    n = sum(step.n for step in steps)
    metrics = {
        f"{name}_share": Metric(
            _share(steps, part) if measured or name != "connect" else None, "ratio", n=n,
            meaning=f"share of all time {words}",
        )
        for name, part, words in (
            ("late", "late_ms", "spent waiting to be sent"), ("connect", "connect_ms", "spent connecting"),
            ("first_byte", "wait_ms", "spent waiting for the first byte"),
            ("body", "body_ms", "spent receiving bodies"),
        )
    }  # fmt: skip
    connect = _together([step.connect for step in steps])
    mean = None if connect.mean_us is None else connect.mean_us / 1e3
    metrics["connect_mean"] = Metric(mean, "ms", n=connect.n, meaning="time to open a connection, mean")
    for step in steps:
        share = step.wait_ms / step.mean_ms if step.mean_ms else None
        meaning = f"share of the mean time of {step.name} spent waiting for the first byte"
        metrics[f"first_byte_share_{step.name}"] = Metric(share, "ratio", n=step.n, meaning=meaning)
    total = Counter[str]()
    for counts in hits.values():
        total.update(counts)
    if total:
        metrics["cache_hits"] = _hit_metric(total)
    for entry in _entries(steps):
        spoke = [step for step in steps if step.said]
        of = sum(step.n for step in spoke)
        value = sum(step.said.get(entry, 0.0) * step.n for step in spoke) / of
        meaning = f"{entry} in Server-Timing, mean of the answered steps that said anything"
        metrics[f"server_{entry}"] = Metric(
            value, "ms", n=sum(step.sampled for step in spoke), meaning=meaning
        )
    return metrics


def _entries(steps: Sequence[Step]) -> list[str]:
    """Entries with a duration, those with most time first."""
    total = defaultdict[str, float](float)
    for step in steps:
        for entry, mean_ms in step.said.items():
            total[entry] += mean_ms * step.n
    return sorted(total, key=lambda entry: -total[entry])[:MOST_ENTRIES]


def _sentence(steps: Sequence[Step]) -> str:
    if not steps:
        return "No request was answered, so no time was spent on one."
    slowest = steps[0]
    shares = {words: _share(steps, part) or 0.0 for words, part, _ in PARTS}
    most = max(shares, key=lambda words: shares[words])
    took = format_duration(slowest.mean_ms / 1e3)
    return (
        f"{format_ratio(shares[most])} of all time was spent {_doing(most)}; the slowest step is "
        f"{slowest.name}, {took} on average."
    )


def _doing(part: str) -> str:
    return "receiving bodies" if part == "body" else part


def _findings(steps: Sequence[Step], hits: Mapping[str, Counter[str]]) -> tuple[str, ...]:
    """What the shop says of its slowest step, and of its cache."""
    found = []
    speaking = [step for step in steps if step.said]
    if speaking:
        step = speaking[0]
        entry, mean_ms = max(step.said.items(), key=lambda item: item[1])
        share = format_ratio(min(1.0, mean_ms / step.mean_ms)) if step.mean_ms else "none"
        found.append(
            f"Of the time of {step.name} the shop itself puts {share} down to {entry} "
            f"({format_duration(mean_ms / 1e3)} of {format_duration(step.mean_ms / 1e3)}; "
            f"{format_count(step.sampled)} answers read)."
        )
    total = sum(counts.total() for counts in hits.values())
    if total:
        share = format_ratio(sum(counts["HIT"] for counts in hits.values()) / total)
        found.append(f"{share} of the answers read that went through the shop's cache came from it.")
    return tuple(found)


def _labels(steps: Sequence[Step]) -> tuple[str, ...]:
    return tuple(f"{step.name} (n = {format_count(step.n)})" for step in steps)


def _parts_chart(steps: Sequence[Step], *, measured: bool) -> tuple[Chart, ...]:
    shown = steps[:MOST_BARS]
    if not shown or not shown[0].mean_ms:
        return ()
    series = tuple(
        Series(words, tuple(getattr(step, part) for step in shown), role)
        for words, part, role in PARTS
        if any(getattr(step, part) > 0 for step in shown)
    )
    first = shown[0]
    words, part, _ = max(PARTS, key=lambda item: getattr(first, item[1]))
    share = format_ratio(getattr(first, part) / first.mean_ms)
    return (
        Chart(
            "bars", f"{first.name} takes longest: {share} of its time goes to {_noun(words)}", "step",
            "mean time of an answered step", _labels(shown), series, y_unit="ms",
            note="" if measured else "Connecting was not recorded apart: it is part of the first byte.",
        ),
    )  # fmt: skip


def _noun(part: str) -> str:
    return "the body" if part == "body" else part


def _server_chart(steps: Sequence[Step]) -> tuple[Chart, ...]:
    shown = [step for step in steps if step.said][:MOST_BARS]
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
            "mean time of an answered step", _labels(shown), series, y_unit="ms",
            note="From the header Server-Timing of sampled answers; the rest is the network, connecting, and "
            "what the shop does not say.",
        ),
    )  # fmt: skip


def _parts_table(steps: Sequence[Step]) -> tuple[Table, ...]:
    if not steps:
        return ()
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (
            step.name, step.n, step.mean_ms, step.late_ms, step.connect_ms, step.wait_ms, step.body_ms,
            step.connect.n,
            *(us / 1e3 if us else None for us in (step.connect.mean_us, step.connect.longest_us)),
        )
        for step in steps
    )  # fmt: skip
    columns = (
        Column("Step"), Column("Answered", "count"), Column("Mean response", "ms"),
        Column("Waiting to be sent", "ms"), Column("Connecting", "ms"), Column("First byte", "ms"),
        Column("Body", "ms"), Column("Opened a connection", "count"), Column("Opening one took", "ms"),
        Column("at most", "ms"),
    )  # fmt: skip
    note = (
        "Answered steps only; the four parts add up to the mean response. Connecting is spread over all "
        "steps of the name; the last columns are of those that opened a connection."
    )
    return (Table("What a step's time is made of", columns, rows, note),)


def _server_table(parts: Parts) -> tuple[Table, ...]:
    merged: defaultdict[tuple[str, str], list[float]] = defaultdict(lambda: [0, 0.0, 0.0])
    for (series, entry, description), times in parts.server.items():
        if series.outcome == "ok" and not description:
            sums = merged[series.step, entry]
            for place, value in enumerate(times):
                sums[place] += value
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (step, entry, total_us / steps / 1e3, sampled, round(steps))
        for (step, entry), (sampled, steps, total_us) in sorted(merged.items())
        if total_us
    )
    if not rows:
        return ()
    columns = (
        Column("Step"), Column("Entry"), Column("Mean", "ms"), Column("Answers read", "count"),
        Column("Standing for", "count"),
    )  # fmt: skip
    note = (
        "At most 8 answers a second of each series are read, evenly spread; the mean is weighted by how many "
        "answers each stands for. Answered steps only: what the shop did for customers who left is not in it."
    )
    return (Table("What the shop says of its own time (Server-Timing)", columns, rows, note),)


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
