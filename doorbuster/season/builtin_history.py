"""A small history of orders for trying out a season: made up, from published figures.

Hours of two years: 24 million visits in the first (Marks & Spencer, 2004; Financial Times, 18 April 2005), of
which 2 % come on Black Friday (Capacitas, 2015) in the daily curve of scenarios/black-friday-uk.yaml, times
the mean of the conversion of phones and desktop computers, 3.5 % (IMRG, 2016 to 2017). The second year has
8 % more. Weekdays, the weeks before Christmas and the scatter of days (8 %) are assumptions.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

import numpy as np

from doorbuster.forecast.season_calendar import black_friday
from doorbuster.forecast.within_day import ASSUMED_CURVE

VISITS_PER_YEAR = 24_000_000
CONVERSION = 0.035
GROWTH = 1.08
_WEEKDAYS = (1.05, 1.0, 1.0, 1.02, 0.98, 0.9, 1.05)  # Monday first; assumption
_SALE = {-1: 0.6, 0: 1.0, 1: 0.55, 2: 0.5, 3: 0.7}  # days around Black Friday, as shares of its excess
_PEAK_SHARE = 0.02
_SCATTER = 0.08
_CHRISTMAS = 0.6  # above a usual day on 10 December, rising from 1 November
SENTENCE = (
    "The history is a built-in example, made up from published figures (Marks & Spencer, 2004; Capacitas, "
    "2015; IMRG, 2016 to 2017); replace history/orders.csv with your own orders."
)


def builtin_history(today: date) -> str:
    """Hourly orders of the two years before this month, as CSV."""
    rng = np.random.default_rng(20041202)
    end = today.replace(day=1)
    first = end.replace(year=end.year - 2)
    lines = ["hour,orders"]
    for day in _days(first, end):
        level = _level(day) * (GROWTH if day >= end.replace(year=end.year - 1) else 1.0)
        mean = level * VISITS_PER_YEAR / 365 * CONVERSION * np.exp(rng.normal(0, _SCATTER))
        counts = rng.poisson(mean * np.array(ASSUMED_CURVE) / sum(ASSUMED_CURVE))
        lines += [f"{day} {hour:02d}:00,{count}" for hour, count in enumerate(counts.tolist())]
    return "\n".join(lines) + "\n"


def _days(first: date, end: date) -> Iterator[date]:
    while first < end:
        yield first
        first += timedelta(days=1)


def _level(day: date) -> float:
    """The demand of a day over that of a mean day."""
    weekday = _WEEKDAYS[day.weekday()]
    distance = (day - black_friday(day.year)).days
    excess = _PEAK_SHARE * 365 - 1.0
    start, top, last = date(day.year, 11, 1), date(day.year, 12, 10), date(day.year, 12, 24)
    up, down = (day - start) / (top - start), (last - day) / (last - top)
    christmas = _CHRISTMAS * max(0.0, min(up, down))
    return max(weekday + christmas, 1.0 + excess * _SALE.get(distance, 0.0))
