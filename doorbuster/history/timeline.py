"""One metric over the runs of a timeline: its changes with the commits between which they lie.

Rules of this module:
- A change lies between the last run before it and the first one after it. If both have the same commit, the
  shop's code did not change there.
- The size of a change is the effect of several runs against several, with its 95 % interval, as in a
  comparison. Shares change by points, everything else by its ratio.
- Only changes larger than the tolerance count; in `otava` mode, those larger than its ratio.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from doorbuster.compare.metric_comparison import DEFAULT, MetricComparison, Tolerance, compare_metric
from doorbuster.compare.run_metric import RunMetric
from doorbuster.history.store import HistoryRun, MetricValues
from doorbuster.stats.change_points import MAX_P, WINDOW, ChangePoint, confirm, find_change_points

Direction = Literal["worse", "better", "different"]


@dataclass(frozen=True, slots=True)
class ChangeSettings:
    """How changes are found.

    window: runs examined at once. max_p: significance of a change. tolerance: smaller changes do not
    matter. otava: only the algorithm of Apache Otava, which allows neither for autocorrelation nor for the
    number of places. series_together: number of metrics searched, for which the 5 % hold together.
    """

    window: int = WINDOW
    max_p: float = MAX_P
    tolerance: Tolerance = DEFAULT
    otava: bool = False
    series_together: int = 1


@dataclass(frozen=True, slots=True)
class LevelChange:
    """A change of level. `place`: among the values of the metric; `runs_since`: values from there on."""

    place: int
    direction: Direction
    effect: MetricComparison
    last_before: HistoryRun
    first_after: HistoryRun
    runs_since: int

    @property
    def is_same_commit(self) -> bool:
        """Whether both sides are the same commit, so that something other than the code changed."""
        return bool(self.last_before.git_commit) and (
            self.last_before.git_commit == self.first_after.git_commit
        )


@dataclass(frozen=True, slots=True, eq=False)
class MetricTimeline:
    """A metric with its values and changes, in order of time."""

    values: MetricValues
    changes: tuple[LevelChange, ...]

    @property
    def level_starts(self) -> tuple[int, ...]:
        """The place of the first value of each level."""
        return (0, *(change.place for change in self.changes))

    @property
    def latest_level(self) -> float:
        """The mean since the last change, in the unit of the metric."""
        return float(self.values.value[self.level_starts[-1] :].mean())


def metric_timeline(
    found: MetricValues, runs: Sequence[HistoryRun], settings: ChangeSettings
) -> MetricTimeline:
    """The timeline of one metric; `runs` are those of its timeline."""
    points = _points(found, settings)
    ends = [0, *(point.index for point in points), len(found.value)]
    changes = []
    for at, point in enumerate(points):
        before, after = (ends[at], point.index), (point.index, ends[at + 2])
        effect = compare_metric(
            as_run_metrics(found, *before), as_run_metrics(found, *after), tolerance=settings.tolerance
        )
        changes.append(
            LevelChange(
                point.index,
                _direction(found, point),
                effect,
                runs[found.at[point.index - 1]],
                runs[found.at[point.index]],
                len(found.value) - point.index,
            )
        )
    return MetricTimeline(found, tuple(changes))


def _points(found: MetricValues, settings: ChangeSettings) -> tuple[ChangePoint, ...]:
    is_share = found.metric.unit == "ratio"
    least = 0.0 if is_share and not settings.otava else settings.tolerance.ratio
    points = find_change_points(
        found.value, window=settings.window, max_p=settings.max_p, min_magnitude=least
    )
    if settings.otava:
        return points
    if is_share:
        points = tuple(
            point for point in points if abs(point.mean_after - point.mean_before) > settings.tolerance.points
        )
    return confirm(found.value, points, max_p=settings.max_p, series_together=settings.series_together)


def _direction(found: MetricValues, point: ChangePoint) -> Direction:
    if not found.metric.better:
        return "different"
    rises = point.mean_after > point.mean_before
    return "worse" if rises == (found.metric.better == "lower") else "better"


def as_run_metrics(found: MetricValues, first: int, end: int) -> list[RunMetric]:
    """The values from place `first` to `end` as a comparison of runs takes them."""
    of = found.metric
    name, _, aggregation = of.key.rpartition(" ")

    def known(number: float) -> float | None:
        return None if np.isnan(number) else float(number)

    return [
        RunMetric(
            of.key, name or of.key, (), aggregation, of.unit, of.better,  # type: ignore[arg-type]
            float(found.value[at]), known(found.low[at]), known(found.high[at]),
        )
        for at in range(first, end)
    ]  # fmt: skip
