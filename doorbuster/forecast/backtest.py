"""Rolling-origin backtest: what each method would have forecast from earlier parts of the history.

At the end of every month that leaves a year of history before it, each method forecasts the highest day of
the next one to four months; a case is one such forecast of a month that is recorded completely. The error is
ln(forecast / actual): +0.05 is 5 % too high.

A model replaces the base only when its mean absolute error is smaller and the paired one-sided t-test over
target months is significant at 5 %: with few seasons a complicated model often wins by chance.

Source: Tashman (2000), "Out-of-sample tests of forecasting accuracy", International Journal of Forecasting
16; Diebold and Mariano (1995), "Comparing predictive accuracy", JBES 13.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from doorbuster.forecast.demand_series import DailyDemand
from doorbuster.forecast.growth_season import MIN_MONTH_DAYS, measured_growth
from doorbuster.forecast.season_calendar import complete_months, in_month
from doorbuster.output.tracking import Track, untracked

HORIZONS = (1, 2, 3, 4)
SIGNIFICANCE = 0.05
MIN_TARGETS = 5
_YEAR = 12
BASE = "growth x season"
Months = Sequence[np.datetime64]
Forecaster = Callable[[DailyDemand, Months], Sequence[float | None]]
"""The highest day of each month, from the days before its origin; None where the method has no forecast."""


@dataclass(frozen=True, slots=True)
class BacktestCase:
    """One forecast of one month; `log_error` is ln(forecast / actual)."""

    origin: str
    target: str
    horizon: int
    forecast: float
    actual: float

    @property
    def log_error(self) -> float:
        return math.log(self.forecast / self.actual)


@dataclass(frozen=True, slots=True)
class Backtest:
    """All cases of one method, in order of their origin."""

    method: str
    cases: tuple[BacktestCase, ...]

    @property
    def mean_error(self) -> float | None:
        """Mean absolute error as a share: 0.1 for 10 %."""
        if not self.cases:
            return None
        return math.expm1(float(np.mean([abs(case.log_error) for case in self.cases])))


def base_forecaster(demand: DailyDemand, months: Months) -> list[float | None]:
    """Growth x the highest day of the same month a year earlier."""
    complete = complete_months(demand)
    return [_grown(demand, month, complete) for month in months]


def _grown(demand: DailyDemand, month: np.datetime64, complete: Months) -> float | None:
    if month - _YEAR not in complete:
        return None
    past = in_month(demand, month - _YEAR)
    growth = measured_growth(demand, month, tuple(complete))
    return None if growth is None or len(past) < MIN_MONTH_DAYS else float(past.counts.max()) * growth


def backtests(
    demand: DailyDemand, forecasters: Mapping[str, Forecaster], track: Track = untracked
) -> list[Backtest]:
    """Every case that the history allows, of each method by its name.

    Args: track: shows the progress.
    """
    complete = complete_months(demand)
    cases: dict[str, list[BacktestCase]] = {method: [] for method in forecasters}
    for origin, (method, forecaster) in track(
        "forecasting", list(product(complete[_YEAR + 1 :], forecasters.items()))
    ):
        cases[method] += _cases(demand, origin, forecaster, complete)
    return [Backtest(method, tuple(found)) for method, found in cases.items()]


def _cases(
    demand: DailyDemand, origin: np.datetime64, forecaster: Forecaster, complete: Months
) -> Iterator[BacktestCase]:
    """What the method would have forecast at this origin."""
    known = demand.between(demand.days[0], origin.astype("datetime64[D]"))
    months = [origin + (ahead - 1) for ahead in HORIZONS if _is_known(demand, origin + (ahead - 1), complete)]
    for month, found in zip(months, forecaster(known, months), strict=True):
        if found is not None and found > 0 and math.isfinite(found):
            highest = float(in_month(demand, month).counts.max())
            ahead = int((month - origin).astype(int)) + 1
            yield BacktestCase(str(origin), str(month), ahead, found, highest)


def _is_known(demand: DailyDemand, month: np.datetime64, complete: Months) -> bool:
    return month in complete and len(in_month(demand, month)) >= MIN_MONTH_DAYS


def is_better(candidate: Backtest, base: Backtest) -> bool:
    """Whether the candidate's error is certainly smaller, over target months that both forecast."""
    from scipy.stats import ttest_rel

    mine, theirs = _by_target(candidate), _by_target(base)
    targets = sorted(set(mine) & set(theirs))
    if len(targets) < MIN_TARGETS:
        return False
    ours, others = [mine[target] for target in targets], [theirs[target] for target in targets]
    if np.allclose(ours, others):
        return False
    return bool(ttest_rel(ours, others, alternative="less").pvalue < SIGNIFICANCE)


def _by_target(found: Backtest) -> dict[str, float]:
    """The mean absolute error of each target month: its horizons are not independent."""
    months: dict[str, list[float]] = {}
    for case in found.cases:
        months.setdefault(case.target, []).append(abs(case.log_error))
    return {month: float(np.mean(errors)) for month, errors in months.items()}


def choose(base: Backtest, candidates: Sequence[Backtest]) -> Backtest:
    """The base, or the candidate with the smallest error among those that are certainly better."""
    better = [one for one in candidates if is_better(one, base)]
    return min(better, key=lambda one: one.mean_error or math.inf, default=base)
