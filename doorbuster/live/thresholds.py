"""The thresholds of a run as they stand, evaluated as after the run on what has been recorded so far."""

from __future__ import annotations

from collections.abc import Sequence

from doorbuster.gate import LiveThreshold, ThresholdResult, format_bound, is_known_live, judge
from doorbuster.live.state import ThresholdView
from doorbuster.records.batch import Batch
from doorbuster.records.reader import Run
from doorbuster.scenario import LocustScenario, Phase, Scenario
from doorbuster.scenario.recorded import recorded_scenario

AT_THE_END = "evaluated at the end of the run"


class StandingThresholds:
    """Counts for every threshold that a running run can answer."""

    def __init__(self, scenario: Scenario | LocustScenario | None, phases: Sequence[Phase]) -> None:
        self._thresholds = [
            (threshold, LiveThreshold(threshold, phases) if is_known_live(threshold) else None)
            for threshold in (() if scenario is None else scenario.thresholds)
        ]

    def add(self, reports: Batch) -> None:
        """Add reports."""
        for _, live in self._thresholds:
            if live is not None:
                live.add(reports)

    def views(self, *, at_s: float) -> tuple[ThresholdView, ...]:
        """Each threshold in the order of the scenario."""
        return tuple(
            ThresholdView(str(threshold), "open", "", AT_THE_END)
            if live is None
            else threshold_view(live.result(at_s))
            for threshold, live in self._thresholds
        )


def judged_views(run: Run, views: Sequence[ThresholdView]) -> tuple[ThresholdView, ...]:
    """The same thresholds at the end of a run, with those that only its ledger decides."""
    scenario = recorded_scenario(run.meta.scenario_text)
    if scenario is None:
        return tuple(views)
    results = judge(run, (), scenario.thresholds)
    judged = [threshold_view(result) for result in results[: len(views)]]
    return tuple(
        new if old.state == "open" and new.state != "open" else old
        for old, new in zip(views, judged, strict=True)
    )


def threshold_view(result: ThresholdResult) -> ThresholdView:
    """A result for display; "open" without a value."""
    threshold = result.threshold
    if result.observed is None:
        return ThresholdView(str(threshold), "open", "", result.sentence)
    value = format_bound(threshold, result.observed)
    at_least = "at least " if result.at_least else ""
    return ThresholdView(str(threshold), result.status, f"{at_least}{value}", result.sentence)
