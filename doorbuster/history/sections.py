"""A timeline as a report section: what changed, between which commits, and the trend towards the peak."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise

import numpy as np

from doorbuster.history.entry import HEADROOM
from doorbuster.history.headroom_trend import day_text, headroom_trend, unix_days
from doorbuster.history.identity import TimelineKey
from doorbuster.history.store import HistoryRun
from doorbuster.history.timeline import LevelChange, MetricTimeline
from doorbuster.output import one_line
from doorbuster.report.section import Annotation, Cell, Chart, Column, Metric, Section, Series, Table, Unit
from doorbuster.units import format_counted

MAX_FIGURES = 24
METHOD = (
    (
        "Each point is one run. A change of level is found by the energy statistic of Matteson and James and "
        "a t-test, as in Apache Otava, and confirmed with the effective number of independent runs; at "
        "most 5 % of histories without any change show one."
    ),
    (
        "A change needs three runs on either side, so the newest runs cannot show one yet. Its commits are "
        "those of the last run before and the first run after it."
    ),
    "Runs whose load generator was overloaded, or that were stopped, do not count.",
)

_MAX_POINTS = 400  # of a figure; more runs are averaged
_UNITS: Mapping[str, Unit] = {"ms": "ms", "ratio": "ratio", "count": "count", "per_s": "per_s"}


@dataclass(frozen=True, slots=True, eq=False)
class TimelineReport:
    """A timeline with its analysed metrics, ready to be shown."""

    key: TimelineKey
    runs: tuple[HistoryRun, ...]
    metrics: tuple[MetricTimeline, ...]
    notes: Mapping[str, tuple[str, ...]]
    peak: date | None = None
    recorded_runs: int = 0  # of which `runs` are the last ones

    @property
    def usable_runs(self) -> int:
        """Runs whose values count."""
        return sum(not run.unusable for run in self.runs)


def timeline_section(found: TimelineReport, *, figures: int = MAX_FIGURES) -> Section:
    """The section of one timeline; figures of changed metrics first.

    Args: figures: the most figures; 0 for the terminal.
    """
    changes = _by_time(found)
    drawn = sorted(found.metrics, key=lambda metric: (not metric.changes, not metric.values.metric.headline))
    tables = [_changes_table(found, changes)] if changes else []
    return Section(
        name="history",
        question=_question(found.key),
        sentence=_sentence(found, changes),
        findings=(*_trends(found), *_left_out(found)),
        figures=tuple(_figure(metric, found) for metric in drawn[:figures]),
        tables=(*tables, _levels_table(found)),
    )


def _question(key: TimelineKey) -> str:
    name, _, rest = key.scenario.partition(" ")
    what = f"capacity of {name}" if rest.endswith("capacity") else name
    branch = f" on branch {key.branch}" if key.branch else ""
    return f"How did {what} develop{branch}? ({key.target}; {key.machine})"


def _by_time(found: TimelineReport) -> list[tuple[MetricTimeline, LevelChange]]:
    pairs = [(metric, change) for metric in found.metrics for change in metric.changes]
    return sorted(pairs, key=lambda pair: -pair[1].first_after.started_at_unix_ns)


def _sentence(found: TimelineReport, changes: Sequence[tuple[MetricTimeline, LevelChange]]) -> str:
    n = found.usable_runs
    runs = format_counted(n, "run")
    if n < 6:
        return f"{runs} so far: too few to separate a change from noise; a change needs three on either side."
    changed = len({metric.values.metric.key for metric, _ in changes})
    of = format_counted(len(found.metrics), "metric")
    if not changes:
        return f"None of {of} changed its level in {runs}."
    metric, change = changes[0]
    return (
        f"{changed} of {of} changed in {runs}. The latest: {one_line(metric.values.metric.key, 90)} "
        f"became {_effect_text(change)} {_where(change)}."
    )


def _effect_text(change: LevelChange) -> str:
    """ "12 % higher (worse)", or in points for a share."""
    effect = change.effect
    judged = "" if change.direction == "different" else f" ({change.direction})"
    if effect.metric.unit == "ratio" and effect.difference is not None:
        points = effect.difference.value * 100
        return f"{abs(points):.3g} points {'higher' if points > 0 else 'lower'}{judged}"
    if effect.ratio is None:
        return f"different{judged}"
    percent = (effect.ratio.value - 1) * 100
    return f"{abs(percent):.3g} % {'higher' if percent > 0 else 'lower'}{judged}"


def _where(change: LevelChange) -> str:
    """The commit range of a change."""
    first, second = (one_line(run.git_commit[:12], 12) for run in (change.last_before, change.first_after))
    if change.is_same_commit:
        return f"within commit {second}, so something other than the code changed"
    if not (first and second):
        return f"between {_day(change.last_before)} and {_day(change.first_after)} (no commits recorded)"
    return f"between commits {first} and {second}"


def _day(run: HistoryRun) -> str:
    return day_text(unix_days(run))


def _trends(found: TimelineReport) -> list[str]:
    return [
        headroom_trend(metric.values, found.runs, found.peak)
        for metric in found.metrics
        if metric.values.metric.key == HEADROOM
    ]


def _left_out(found: TimelineReport) -> list[str]:
    older = found.recorded_runs - len(found.runs)
    text = f"{older:,} older runs are left out; --last {found.recorded_runs} shows all of them."
    return [*([text] if older > 0 else []), *_unusable(found)]


def _unusable(found: TimelineReport) -> list[str]:
    unusable = [run for run in found.runs if run.unusable]
    if not unusable:
        return []
    one = unusable[-1]
    text = (
        f"{len(unusable)} of {len(found.runs)} runs do not count, the last one, {one_line(one.run_id, 40)}, "
        f"because {one_line(one.unusable, 160)}."
    )
    return [text]


# Tables and figures


def _changes_table(found: TimelineReport, changes: Sequence[tuple[MetricTimeline, LevelChange]]) -> Table:
    rows = []
    for metric, change in changes:
        notes = [
            *found.notes.get(change.first_after.git_commit, ()),
            *found.notes.get(change.last_before.git_commit, ()),
        ]
        rows.append((
            _day(change.first_after), metric.values.metric.key, change.direction, _ratio(change),
            change.last_before.git_commit[:12] or None, change.first_after.git_commit[:12] or None,
            change.runs_since, "; ".join(notes) or None,
        ))  # fmt: skip
    columns = (
        Column("First seen"), Column("Metric"), Column("Effect"), Column("New / old"), Column("After commit"),
        Column("Up to commit"), Column("Runs since", "count"), Column("Notes"),
    )  # fmt: skip
    note = "A change came after the first commit and no later than the second; shares change by points."
    return Table("Changes of level, latest first", columns, tuple(rows), note)


def _ratio(change: LevelChange) -> Cell:
    """The size of a change with its 95 % interval."""
    effect = change.effect
    if effect.metric.unit == "ratio" and effect.difference is not None:
        ends = [
            "?" if end is None else f"{end * 100:+.3g}"
            for end in (effect.difference.low, effect.difference.high)
        ]
        return f"{effect.difference.value * 100:+.3g} points ({ends[0]} to {ends[1]})".replace("-", "−")
    if effect.ratio is None:
        return None
    return Metric(effect.ratio.value, "", effect.ratio.low, effect.ratio.high)


def _levels_table(found: TimelineReport) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for metric in found.metrics:
        values, start = metric.values, metric.level_starts[-1]
        level = values.value[start:]
        unit = _UNITS.get(values.metric.unit, "")
        low, high = (None if np.isnan(end[-1]) else float(end[-1]) for end in (values.low, values.high))
        spread = float(level.std(ddof=1) / level.mean()) if len(level) > 1 and level.mean() else None
        rows.append((
            values.metric.key, Metric(float(level[-1]), unit, low, high), Metric(float(level.mean()), unit),
            len(level), None if spread is None else abs(spread),
        ))  # fmt: skip
    columns = (
        Column("Metric"), Column("Latest run"), Column("Mean of its level"),
        Column("Runs at this level", "count"), Column("Spread of runs", "ratio"),
    )  # fmt: skip
    return Table(
        "Levels",
        columns,
        tuple(rows),
        "Spread: standard deviation between the runs of a level over its mean.",
    )


def _figure(metric: MetricTimeline, found: TimelineReport) -> Chart:
    values = metric.values.value
    n = len(values)
    ends = [*metric.level_starts, n]
    levels = np.concatenate([np.full(end - first, values[first:end].mean()) for first, end in pairwise(ends)])
    width = -(-n // _MAX_POINTS)
    x = tuple(float(at + 1) for at in range(0, n, width))
    thinned, level = (
        tuple(float(part[at : at + width].mean()) for at in range(0, n, width)) for part in (values, levels)
    )
    moments = tuple(
        Annotation(float(change.place + 1), f"{change.first_after.git_commit[:8]} {_effect_text(change)}")
        for change in metric.changes
    )
    key = one_line(metric.values.metric.key, 110)
    title = f"{key}: no change"
    if metric.changes:
        title = f"{key}: {_effect_text(metric.changes[-1])} since {_day(metric.changes[-1].first_after)}"
    first, last = found.runs[metric.values.at[0]], found.runs[metric.values.at[-1]]
    unit = _UNITS.get(metric.values.metric.unit, "")
    low, high = min(thinned), max(thinned)
    reach = high - low
    cut = low - reach > 0
    return Chart(
        "lines", title, f"run, from {_day(first)} to {_day(last)}", format_unit(unit), x,
        (Series("each run" if width == 1 else f"mean of {width} runs", thinned, "quiet"),
         Series("level", level, "strong")),
        x_unit="", y_unit=unit, moments=moments,
        y_min=low - reach / 2 if cut else None, y_max=high + reach / 2 if reach else None,
        note="The vertical axis does not start at 0." if cut else "",
    )  # fmt: skip


def format_unit(unit: Unit) -> str:
    """The name of the vertical axis."""
    return {"ms": "time", "ratio": "share", "per_s": "per second", "count": "count"}.get(unit, "value")
