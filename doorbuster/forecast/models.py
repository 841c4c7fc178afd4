"""Forecasting models of statsmodels, with public holidays: the extra `forecast`, imported when used.

yearly ratio     exponential smoothing (damped trend) of the weekly demand over that of 52 weeks before, on
                 the log scale, applied to last year's highest day.
harmonic         regression of ln daily demand on trend, weekday, four yearly harmonics and public holidays,
                 with autoregressive errors; the highest day of many simulated months.

Source: Hyndman and Athanasopoulos (2021), "Forecasting: principles and practice", 3rd edition, chapters 8
(exponential smoothing) and 10 (dynamic harmonic regression).
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from doorbuster.errors import UsageError
from doorbuster.forecast.backtest import Forecaster, Months
from doorbuster.forecast.demand_series import DailyDemand
from doorbuster.forecast.season_calendar import black_friday, in_month

_YEAR_DAYS = 365.25
_WEEKS = 52
_HARMONICS = 4
_PATHS = 400
_MIN_WEEKS = 12
_LAGS = 2
INSTALL = "pip install 'doorbuster[forecast]'"


def model_forecasters(country: str) -> Mapping[str, Forecaster]:
    """The models by name; none without statsmodels and holidays.

    Args: country: ISO 3166 code of the public holidays, such as GB.
    Raises: UsageError for an unknown country.
    """
    try:
        import holidays
        import statsmodels.api  # noqa: F401  found out here whether it is installed
    except ImportError:
        return {}
    try:
        known = holidays.country_holidays(country)
    except NotImplementedError:
        raise UsageError(
            f"--country {country}: no public holidays are known for it; use a code such as GB, DE or US"
        ) from None
    return {"yearly ratio": yearly_ratio, "harmonic regression": partial(harmonic, is_holiday=known.get)}


def yearly_ratio(demand: DailyDemand, months: Months) -> list[float | None]:
    """The highest day of the months a year ago, times the smoothed and extrapolated yearly ratio."""
    from statsmodels.tsa.holtwinters import ExponentialSmoothing

    number = (demand.days.astype(np.int64) + 3) // 7
    weeks, place = np.unique(number, return_inverse=True)
    totals = dict(zip(weeks.tolist(), np.bincount(place, demand.counts), strict=True))
    ratios = [
        math.log(totals[week] / totals[week - _WEEKS]) for week in weeks.tolist() if week - _WEEKS in totals
    ][1:-1]  # the first and last week may be incomplete
    if len(ratios) < _MIN_WEEKS:
        return [None] * len(months)
    ahead = [int((month.astype("datetime64[D]") - demand.days[-1]).astype(int)) // 7 + 3 for month in months]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of convergence: a poor fit shows in the backtest
        fitted = ExponentialSmoothing(
            np.array(ratios), trend="add", damped_trend=True, initialization_method="estimated"
        ).fit()
        ratio = fitted.forecast(max(ahead))
    past = [in_month(demand, month - 12) for month in months]
    return [
        float(found.counts.max()) * math.exp(float(ratio[weeks - 1])) if len(found) else None
        for found, weeks in zip(past, ahead, strict=True)
    ]


def harmonic(
    demand: DailyDemand, months: Months, *, is_holiday: Callable[[Any], object]
) -> list[float | None]:
    """The median highest day of simulated months."""
    from statsmodels.regression.linear_model import GLSAR

    if (demand.days[-1] - demand.days[0]).astype(int) < _YEAR_DAYS:
        return [None] * len(months)
    start = int(demand.days[0].astype(np.int64))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        known = _design(demand.days, start, is_holiday)
        fitted = GLSAR(np.log(demand.counts), known, rho=_LAGS).iterative_fit(maxiter=3)
        residual = np.log(demand.counts) - fitted.predict(known)
    rng = np.random.default_rng(start)
    open_weekdays = np.unique((demand.days[-60:].astype(np.int64) + 3) % 7)
    highest: list[float | None] = []
    for month in months:
        days = np.arange(month.astype("datetime64[D]"), (month + 1).astype("datetime64[D]"))
        days = days[np.isin((days.astype(np.int64) + 3) % 7, open_weekdays)]
        middle = fitted.predict(_design(days, start, is_holiday))
        drawn = middle + residual[rng.integers(len(residual), size=(_PATHS, len(days)))]
        highest.append(float(np.exp(np.minimum(np.median(drawn.max(axis=1)), 40.0))))
    return highest


def _design(days: Any, start: int, is_holiday: Callable[[Any], object]) -> NDArray[np.float64]:
    """The regressors of each day: shape (days, 18)."""
    number = days.astype(np.int64)
    dates = days.astype("datetime64[D]").tolist()
    weekday = (number + 3) % 7
    columns = [np.ones(len(number)), (number - start) / _YEAR_DAYS]
    columns += [(weekday == day).astype(np.float64) for day in range(1, 7)]
    for k in range(1, _HARMONICS + 1):
        angle = 2 * np.pi * k * number / _YEAR_DAYS
        columns += [np.sin(angle), np.cos(angle)]
    columns.append(np.array([is_holiday(day) is not None for day in dates], np.float64))
    sale = (abs((day - black_friday(day.year)).days) <= 3 for day in dates)
    columns.append(np.array(list(sale), np.float64))
    return np.stack(columns, axis=1)
