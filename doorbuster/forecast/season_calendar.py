"""Months, base periods and campaign days, by which one year's peak is compared with another's.

- The peak month is the calendar month of the peak: a sale moves by days from year to year, but rarely leaves
  its month.
- The base of a peak is the eight months that end two months before its month, January to August for a peak
  in November: near enough to the peak to show its level, and clear of its season.
"""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np

from doorbuster.forecast.demand_series import DailyDemand

BASE_MONTHS = 8
GAP_MONTHS = 2
_THURSDAY = 3


def month_of(day: np.datetime64) -> np.datetime64:
    """The month that a day lies in."""
    month: np.datetime64 = day.astype("datetime64[M]")
    return month


def in_month(demand: DailyDemand, month: np.datetime64) -> DailyDemand:
    """The open days of a month."""
    return demand.between(month.astype("datetime64[D]"), (month + 1).astype("datetime64[D]"))


def base_months(month: np.datetime64) -> tuple[np.datetime64, ...]:
    """The months of the base of a peak month, in order."""
    last = month - GAP_MONTHS
    return tuple(last - back for back in range(BASE_MONTHS, 0, -1))


def complete_months(demand: DailyDemand) -> tuple[np.datetime64, ...]:
    """Months recorded from their first week to their last."""
    months = np.unique(demand.days.astype("datetime64[M]"))
    week = np.timedelta64(7, "D")
    first, last = demand.days[0], demand.days[-1]
    return tuple(
        month
        for month in months
        if first <= month.astype("datetime64[D]") + week
        and last >= (month + 1).astype("datetime64[D]") - week
    )


def black_friday(year: int) -> date:
    """The day after the fourth Thursday of November."""
    first = date(year, 11, 1)
    return first + timedelta(days=(_THURSDAY - first.weekday()) % 7 + 22)


def next_peak(last_peak: date, today: date) -> date:
    """The day of the next peak: Black Friday where the last one was in its week, else the same weekday.

    That is the day of this weekday which is nearest to the date of the last peak.
    """
    is_sale = abs((last_peak - black_friday(last_peak.year)).days) <= 3
    years = (today.year, today.year + 1, today.year + 2)
    days = [black_friday(year) if is_sale else _same_weekday(last_peak, year) for year in years]
    return next(day for day in days if day > today)


def _same_weekday(day: date, year: int) -> date:
    first = date(year, day.month, min(day.day, 28))
    return first + timedelta(days=(day.weekday() - first.weekday() + 3) % 7 - 3)
