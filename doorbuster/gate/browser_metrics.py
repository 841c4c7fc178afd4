"""Metrics of browser probes.

Rules of this module:
- Visits before the first customer are the reference, not part of a metric.
- A page that did not load within the probe's patience counts with that patience as a lower bound, as an
  abandoned request does. Error pages count for nothing here, so that quick refusals look no better.
- Visits whose browser was short of CPU are left out; without others the metric is unknown, and says why.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from doorbuster.gate.accumulate import Selector
from doorbuster.gate.threshold_result import US_PER_MS, MetricData, NoData, TrendCounts
from doorbuster.records.browser import CLS_STEPS, COMPLETE, OK, TIMEOUT, BrowserRecords
from doorbuster.records.histogram import Histogram
from doorbuster.records.reader import Run
from doorbuster.scenario.locust_scenario import LocustScenario
from doorbuster.scenario.recorded import recorded_scenario
from doorbuster.scenario.thresholds.metrics import BrowserTimes

EVENT = "browser"  # kind of the events about probes


def browser_data(run: Run, counting: BrowserTimes, select: Selector) -> MetricData:
    """The counts of one figure in the selected pages and phase."""
    found = run.browsers()
    if not found.visits:
        said = next((event.text for event in run.events() if event.kind == EVENT), "")
        return NoData(f"no browser probe recorded a visit{f': {said}' if said else ''}")
    times = list(_times(found.sound(), counting.figure, select))
    if not times:
        if any(True for _ in _times(found, counting.figure, select)):
            return NoData("the browsers were short of CPU in all selected visits: they measured this machine")
        return NoData("no browser probe measured this on the selected pages in the selected phase")
    patience_us = round(_patience_s(run) * 1e6)
    answered = [time_us for time_us in times if time_us is not None]
    return TrendCounts(
        Histogram.from_values(answered),
        Histogram.from_values([patience_us] * (len(times) - len(answered))),
        steps_per_unit=CLS_STEPS if counting.figure == "cls" else US_PER_MS,
    )


def _times(found: BrowserRecords, figure: str, select: Selector) -> Iterator[int | None]:
    """The times in us, or layout shifts in steps; None for a page that was not loaded in time."""
    rows: Iterable[tuple[float, str, float | None]]
    if figure == "journey":
        rows = ((visit.at_s, visit.outcome, visit.journey_ms) for visit in found.visits)
    else:
        page_name = select.tags.get("page")
        rows = (
            (page.at_s, page.outcome, page.cls if figure == "cls" else getattr(page, f"{figure}_ms"))
            for page in found.pages
            if page_name in (None, page.page)
        )
    steps = CLS_STEPS if figure == "cls" else US_PER_MS
    for at_s, outcome, value in rows:
        if at_s >= 0 and select.matches_second(math.floor(at_s)):
            if outcome == TIMEOUT and figure not in ("inp", "cls"):
                yield None
            elif outcome in (OK, COMPLETE) and value is not None:
                yield round(value * steps)


def _patience_s(run: Run) -> float:
    scenario = recorded_scenario(run.meta.scenario_text)
    browsers = None if scenario is None or isinstance(scenario, LocustScenario) else scenario.browsers
    return browsers.patience_s if browsers is not None else 0.0
