"""Everything that the page of a season shows, from its folder; and the verdict in one sentence.

The verdict follows from the probability that capacity exceeds demand: at least 95 % yes, at least 50 %
probably, at least 5 % probably not, below that no. Orders that went wrong in a run, or a failed run of the
expected scenario, turn a yes into a no, whatever the capacity is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Literal

from doorbuster.forecast.forecast_result import ForecastResult, read_forecast
from doorbuster.output.tracking import Track, untracked
from doorbuster.season.capacity_evidence import CapacityEvidence, merged, read_searches, searches_of_history
from doorbuster.season.commands import SeasonCommands
from doorbuster.season.indicators import (
    IndicatorDay,
    IndicatorWeek,
    Money,
    Reading,
    indicator_days,
    indicator_weeks,
    latest_readings,
)
from doorbuster.season.industry import IndustryFigure, industry_figures
from doorbuster.season.quick_wins import QuickWin, quick_wins
from doorbuster.season.reserve import Reserve, reserve
from doorbuster.season.risks import CoverageFacts, UncoveredRisk, uncovered_risks
from doorbuster.season.run_evidence import RunEvidence, read_runs, run_folders, with_sections
from doorbuster.season.season_file import Season, SeasonFolder
from doorbuster.season.what_if import WhatIf, WhatIfFolder, what_ifs
from doorbuster.units import CURRENCIES

Answer = Literal["yes", "probably", "probably not", "no", "unknown"]
_BY_PROBABILITY: tuple[tuple[float, Answer], ...] = ((0.95, "yes"), (0.5, "probably"), (0.05, "probably not"))


@dataclass(frozen=True, slots=True, eq=False)
class SeasonStatus:
    """The state of a season on one day. `money`: value of an order; `money_source`: where it is from."""

    season: Season
    today: date
    forecast: ForecastResult | None
    runs: Sequence[RunEvidence]
    explained: Sequence[RunEvidence]
    searches: Sequence[CapacityEvidence]
    reserve: Reserve | None
    money: Money | None
    money_source: str
    days: Sequence[IndicatorDay]
    weeks: Sequence[IndicatorWeek]
    readings: dict[str, Reading]
    wins: Sequence[QuickWin]
    what_ifs: Sequence[WhatIf]
    risks: Sequence[UncoveredRisk]
    industry: Sequence[IndustryFigure]
    unusable: Sequence[str]

    @property
    def days_left(self) -> int:
        """Days until the peak; negative after it."""
        return (self.season.peak_date - self.today).days

    @property
    def search(self) -> CapacityEvidence | None:
        """The latest capacity search."""
        return self.searches[-1] if self.searches else None

    @property
    def answer(self) -> Answer:
        """Will it hold?"""
        return "no" if self.is_contradicted else self._by_capacity()

    @property
    def is_contradicted(self) -> bool:
        """Whether a run turns the answer that the capacity gives into a no."""
        return self._by_capacity() in ("yes", "probably") and bool(self.contradiction)

    @property
    def contradiction(self) -> str:
        """A run's result that makes the answer no, whatever the capacity; "" if there is none."""
        wrong = next((win for win in self.wins if win.is_integrity), None)
        if wrong is not None:
            return f"in run {wrong.evidence.partition(':')[0]}, {wrong.finding.rstrip('.')}"
        expected = _stems(self.season)[:1]
        failed = [
            run
            for run in self.explained
            if run.meta.scenario_name in expected and run.verdict.status in ("fail", "aborted")
        ]
        return f"the run of the expected peak failed ({failed[-1].folder.name})" if failed else ""

    def _by_capacity(self) -> Answer:
        probability = None if self.reserve is None else self.reserve.headroom.held_probability
        if probability is None:
            return "unknown"
        return next((answer for least, answer in _BY_PROBABILITY if probability >= least), "no")


def season_status(
    folder: SeasonFolder, scripts: Sequence[Path], today: date, track: Track = untracked
) -> SeasonStatus:
    """Read everything that season.yaml names.

    Args: scripts: of the sections that explain runs; track: shows the progress.
    Raises: RecordError when the forecast or the history cannot be read; single damaged runs are listed.
    """
    season, commands = folder.season, SeasonCommands(folder)
    forecast = None if season.forecast is None else read_forecast(folder.path(season.forecast))
    runs, unusable = read_runs(run_folders(map(folder.path, season.runs)), season.limits)
    searches, more = read_searches(map(folder.path, season.capacity))
    if season.history is not None:
        searches = merged(searches, searches_of_history(folder.path(season.history)))
    explained = [with_sections(run, scripts) for run in track("analysing the runs", _latest_of_each(runs))]
    search = searches[-1] if searches else None
    at_peak = None if forecast is None or search is None else reserve(forecast, search.capacity)
    money, source = _money(season, runs)
    days = indicator_days(runs, searches, forecast, season.limits, money)
    stated = {
        name: WhatIfFolder(
            read_searches([folder.path(path)])[0],
            read_runs(run_folders([folder.path(path)]), season.limits)[0],
        )
        for name, path in season.what_if
        if path is not None
    }
    questions = what_ifs(forecast, search, searches, runs, stated, commands)
    usable = [run for run in runs if not run.unusable]
    by_run = {run.folder: run for run in explained}
    facts = CoverageFacts(
        _stems(season),
        [by_run.get(run.folder, run) for run in usable],
        searches,
        forecast,
        questions,
        today,
        commands,
    )
    stopped = [f"{run.folder}: {run.unusable}" for run in runs if run.unusable]
    return SeasonStatus(
        season=season,
        today=today,
        forecast=forecast,
        runs=runs,
        explained=explained,
        searches=searches,
        reserve=at_peak,
        money=money,
        money_source=source,
        days=days,
        weeks=indicator_weeks(days),
        readings=latest_readings(days),
        wins=quick_wins(explained, search, at_peak, forecast),
        what_ifs=questions,
        risks=uncovered_risks(facts),
        industry=industry_figures(forecast, explained, money),
        unusable=[*unusable, *more, *stopped],
    )


def _stems(season: Season) -> list[str]:
    return [Path(path).stem for path in season.scenarios]


def _latest_of_each(runs: Sequence[RunEvidence]) -> list[RunEvidence]:
    """The latest usable run of each scenario, oldest first."""
    latest = {run.meta.scenario_name: run for run in runs if not run.unusable}
    return sorted(latest.values(), key=lambda run: run.meta.started_at_unix_ns)


def _money(season: Season, runs: Sequence[RunEvidence]) -> tuple[Money | None, str]:
    if season.order_value is not None:
        low, high = season.order_value
        return Money((low * high) ** 0.5, CURRENCIES[season.currency]), "stated in season.yaml"
    for run in reversed(runs):
        if run.customers is not None and run.customers.basket is not None:
            return Money(run.customers.basket, run.customers.currency), f"mean order of run {run.folder.name}"
    return None, "no order was acknowledged and no order_value is stated"
