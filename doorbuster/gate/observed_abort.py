"""Abort rules on observed metrics: end the run when every reading of a series is beyond its limit for a time.

Rules:
- Each series that a rule selects is watched by itself; the first one that stays beyond ends the run.
- A reading that is not beyond the limit starts the time anew. So does a gap: a source that could not be read
  says nothing.
- Readings before the first customer, or outside the selected phase, do not count.
- A rule that could not be evaluated is stated, once: `problem` says why.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from doorbuster.gate.accumulate import Selector
from doorbuster.gate.observed_metrics import values_in_unit
from doorbuster.gate.threshold_decision import format_in_unit
from doorbuster.gate.threshold_result import NoData
from doorbuster.records.batch import ObservedValue
from doorbuster.records.observed_reader import ObservedSeries, read_labels
from doorbuster.scenario.abort_rules import ObservedAbortRule
from doorbuster.scenario.demand.phases import Phase, phase_seconds
from doorbuster.scenario.observation.observe import Limit, Observe, SeriesSelector
from doorbuster.scenario.thresholds.metrics import OBSERVED
from doorbuster.units import format_duration

MAX_MISSED = 3  # readings that may be missing in a row
MAX_GAP_S = 300.0  # of values that the target sends at intervals of its own, such as StatsD
_WORDS = {">=": "{} or more", ">": "more than {}", "<=": "{} or less", "<": "less than {}"}

_SeriesKey = tuple[str, str, str]
"""Source, name, labels as JSON."""


@dataclass(frozen=True, slots=True)
class _Streak:
    """Consecutive readings beyond the limit. mildest: the value nearest to the limit."""

    from_s: int
    last_s: int
    n: int
    mildest: float


class ObservedWindow:
    """One rule during the run.

    Args: key: the rule's key in the scenario.
    """

    def __init__(
        self, key: str, rule: ObservedAbortRule, phases: Sequence[Phase], observe: Observe | None
    ) -> None:
        tags = {tag.name: tag.value for tag in rule.tags}
        self._key = key
        self._rule = rule
        self._name = rule.metric.removeprefix(OBSERVED)
        self._select = Selector(tags, phase_seconds(tags["phase"], phases) if "phase" in tags else None)
        self._labels = {name: value for name, value in tags.items() if name != "phase"}
        self._sources = observe.sources if observe is not None else {}
        self._limit: Limit | None = observe.limits.get(self._name) if observe is not None else None
        self._latest_limits: dict[_SeriesKey, ObservedSeries] = {}
        self._streaks: dict[_SeriesKey, _Streak] = {}
        self._was_evaluated = False
        self._why_not = f"{self._name} was not observed"

    def feed(self, observed: Iterable[ObservedValue]) -> str | None:
        """Add values, each given once; returns the reason to end the run, or None."""
        limit_name = self._limit.name if isinstance(self._limit, SeriesSelector) else None
        fired = None
        for row in observed:
            key = (row.source, row.name, row.labels)
            if row.name == limit_name:
                self._latest_limits[key] = _series(row)
            if row.name == self._name and row.second >= 0 and fired is None:
                fired = self._add(key, _series(row))
        return fired

    @property
    def problem(self) -> str:
        """Why the rule could not be evaluated at all; "" if it was."""
        if self._was_evaluated:
            return ""
        return f"the rule safety.abort {self._key} was never evaluated: {self._why_not}"

    # ---- inside

    def _add(self, key: _SeriesKey, one: ObservedSeries) -> str | None:
        """Add one reading of a series."""
        if not one.matches(self._name, self._labels):
            if not self._was_evaluated:
                self._why_not = f"no observed {self._name} had these labels; there was {one.title}"
            return None
        second = int(one.seconds[0])
        if not self._select.matches_second(second):
            self._streaks.pop(key, None)
            if not self._was_evaluated:
                self._why_not = f"{self._name} was not observed in the phase of the rule"
            return None
        values = values_in_unit(
            self._rule.metric, self._rule.unit, one, self._limit, self._latest_limits.values()
        )
        if isinstance(values, NoData) or math.isnan(values[0]):
            self._why_not = values.reason if isinstance(values, NoData) else "its limit is 0"
            return None
        self._was_evaluated = True
        value = float(values[0])
        if not self._rule.is_beyond(value):
            self._streaks.pop(key, None)
            return None
        self._streaks[key] = streak = self._continued(self._streaks.get(key), one.source, second, value)
        if streak.last_s - streak.from_s < self._rule.for_s:
            return None
        return self._reason(streak, one)

    def _continued(self, before: _Streak | None, source: str, second: int, value: float) -> _Streak:
        if before is None or second - before.last_s > self._max_gap_s(source):
            return _Streak(second, second, 1, value)
        nearest = min if self._rule.operator in (">=", ">") else max
        return replace(
            before,
            last_s=max(second, before.last_s),
            n=before.n + 1,
            mildest=nearest(before.mildest, value),
        )

    def _max_gap_s(self, source: str) -> float:
        """How long a series may be silent: a few turns of its source, if that is read at intervals."""
        settings = self._sources.get(source)
        if settings is None:  # the embedded shop's own
            return MAX_MISSED + 1.0
        return MAX_GAP_S if settings.receives else (MAX_MISSED + 1.0) * settings.interval_s

    def _reason(self, streak: _Streak, one: ObservedSeries) -> str:
        rule = self._rule
        edge = "at least" if rule.operator in (">=", ">") else "at most"
        seen = f"{edge} {format_in_unit(rule.unit, streak.mildest)}"
        span = format_duration(streak.last_s - streak.from_s)
        limit = _WORDS[rule.operator].format(format_in_unit(rule.unit, rule.bound))
        whose = f"of {one.title} " if one.labels else ""
        basis = f"{streak.n} readings {whose}by source {one.source}"
        return (
            f"safety.abort {self._key}: {seen} for {span} ({basis}); "
            f"the rule ends a run at {limit} for {format_duration(rule.for_s)}"
        )


def _series(row: ObservedValue) -> ObservedSeries:
    """A series of one reading."""
    return ObservedSeries(
        row.source, row.name, _labels(row.labels), np.array([row.second]), np.array([row.value])
    )


@lru_cache(maxsize=10_000)
def _labels(text: str) -> Mapping[str, str]:
    return read_labels(text)
