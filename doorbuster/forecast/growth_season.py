"""The base of every forecast: the highest day of the last season, times growth, with bootstrapped factors.

    peak = A F,   A = a G,   F = M / a   =>   peak = G M exp(m1 - m2)

    a   mean open day of the base of the last season's peak (season_calendar.base_months)
    A   the same a year later; G = A / a is the growth, F the season factor
    M   the highest day of the last season's peak month
    m   ln of the highest day of a month, resampled: its random variation

Last year's highest day is one random draw, next year's is another, so the forecast has the difference of
two. Its centre is G M itself.

- G is bootstrapped in blocks of a week in both years, because neighbouring days resemble each other.
- m comes from days resampled around their level: the median of a week, times the effect of the weekday. A
  day far above that, such as Black Friday, has a level of its own: it is a campaign, not chance.
- With several past seasons, each contributes its own M, carried forward with the growth since.
- A growth that the user states replaces G. It is log-normal, as in scenarios.
- If the last season is recorded n years before the peak, G is the product of n years: each has the measured
  growth, and each but the first a random factor besides, of 10 % (standard deviation; assumption).

Source: Efron and Tibshirani (1993), "An introduction to the bootstrap", chapters 8 and 9 (residuals);
Kuensch (1989), "The jackknife and the bootstrap for general stationary observations", Annals of Statistics 17
(blocks).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from doorbuster.forecast.demand_series import Counts, DailyDemand
from doorbuster.forecast.season_calendar import base_months, in_month
from doorbuster.scenario.parsing.value_range import ValueRange

DRAWS = 20_000
MIN_MONTH_DAYS = 8  # open days of a month, below which its highest day says little
_AROUND_DAYS = 30  # days whose residuals resemble those of the month
_YEARLY_SPREAD = 0.1
_Z = 1.959963984540054
_YEAR = 12
_WEEKDAYS = 7
# A day is a campaign from this many standard deviations (1.4826 MAD) and this ratio (exp) above its level.
_CAMPAIGN_SPREADS, _CAMPAIGN_LEAST, _MAD_TO_SD = 4.0, 0.3, 1.4826
_MEDIAN_DAYS = 21
# sd of a normal value over that of its difference to the running median of 7 (simulated, 2 million values)
_MEDIAN_TO_SD = 1.041
Draws = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Growth:
    """Demand of the year of the peak over that of the last recorded season, `years` before.

    months: compared with their counterparts a year earlier; none for a stated growth. `is_assumed`: it was
    measured on earlier months than the base, because the base is not recorded yet.
    """

    value: float
    low: float
    high: float
    months: tuple[str, ...] = ()
    is_assumed: bool = False
    years: int = 1


@dataclass(frozen=True, slots=True)
class PastSeason:
    """The peak month of one past year: its highest day, and that over the mean day of the base if known."""

    month: str
    day: str
    highest: float
    factor: float | None


@dataclass(frozen=True, slots=True, eq=False)
class PeakDayForecast:
    """The highest day of the month to come. `draws`: its distribution, shape (n,)."""

    centre: float
    draws: Draws
    growth: Growth
    seasons: tuple[PastSeason, ...]


def growth_months(
    month: np.datetime64, complete: tuple[np.datetime64, ...]
) -> tuple[tuple[np.datetime64, ...], bool]:
    """The months whose growth since the year before counts for the peak in `month`, and whether assumed.

    Months of the base, as far as they are recorded in both years; else the latest months that are.
    """
    known = set(complete)
    both = [found for found in base_months(month) if found in known and found - _YEAR in known]
    if both:
        return tuple(both), False
    earlier = [found for found in complete if found < month and found - _YEAR in known]
    return tuple(earlier[-len(base_months(month)) :]), True


def measured_growth(
    demand: DailyDemand, month: np.datetime64, complete: tuple[np.datetime64, ...]
) -> float | None:
    """The growth without its interval; None if no month is recorded in two years."""
    months, _ = growth_months(month, complete)
    if not months:
        return None
    now, before = (_mean_day(demand, months, back) for back in (0, _YEAR))
    return now / before


def _mean_day(demand: DailyDemand, months: tuple[np.datetime64, ...], back: int) -> float:
    return float(np.concatenate([in_month(demand, month - back).counts for month in months]).mean())


def peak_day_forecast(
    demand: DailyDemand,
    month: np.datetime64,
    complete: tuple[np.datetime64, ...],
    rng: np.random.Generator,
    *,
    stated_growth: ValueRange | None = None,
    draws: int = DRAWS,
) -> PeakDayForecast | None:
    """The highest day of `month`, by growth and season.

    Args: complete: the months recorded completely; stated_growth: since the last season, as 1.08 for 8 %.
    Returns: None if no past season is recorded, or no growth known.
    """
    seasons = [found for found in _past_months(month, complete) if _is_usable(demand, found)]
    if not seasons:
        return None
    years = int(month - seasons[0]) // _YEAR
    if stated_growth is None:
        months, assumed = growth_months(month, complete)
        if not months:
            return None
        measured = measured_growth(demand, month, complete)
        assert measured is not None
        value = measured**years
        growth_draws = of_a_year = _bootstrapped_growth(demand, months, rng, draws)
        for _ in range(years - 1):
            growth_draws = growth_draws * of_a_year * np.exp(rng.normal(0.0, _YEARLY_SPREAD, draws))
        names = tuple(str(found) for found in months)
    else:
        value = math.sqrt(stated_growth.low * stated_growth.high)
        spread = math.log(stated_growth.high / stated_growth.low) / 2 / _Z
        growth_draws, names, assumed = np.exp(rng.normal(math.log(value), spread, draws)), (), False
    low, high = np.quantile(growth_draws, (0.025, 0.975))
    growth = Growth(value, float(low), float(high), names, assumed, years)
    carried = [_carried_forward(demand, found, seasons[0], complete) for found in seasons]
    return PeakDayForecast(
        value * math.exp(float(np.mean(np.log(carried)))),
        _peak_draws(demand, seasons, carried, growth_draws, rng),
        growth,
        tuple(_past_season(demand, found, complete) for found in seasons),
    )


def _past_months(month: np.datetime64, complete: tuple[np.datetime64, ...]) -> list[np.datetime64]:
    """The same month of past years, the latest first."""
    return [found for found in reversed(complete) if found < month and int(month - found) % _YEAR == 0]


def _is_usable(demand: DailyDemand, month: np.datetime64) -> bool:
    return len(in_month(demand, month)) >= MIN_MONTH_DAYS


def _carried_forward(
    demand: DailyDemand, past: np.datetime64, latest: np.datetime64, complete: tuple[np.datetime64, ...]
) -> float:
    """The highest day of a past season at the level of the latest one."""
    level = 1.0
    for year in range(int(latest - past) // _YEAR):
        level *= measured_growth(demand, past + (year + 1) * _YEAR, complete) or 1.0
    return float(in_month(demand, past).counts.max()) * level


def _peak_draws(
    demand: DailyDemand, seasons: list[np.datetime64], carried: list[float], growth_draws: Draws,
    rng: np.random.Generator,
) -> Draws:  # fmt: skip
    """Growth x a random past season x the ratio of two draws of the random variation of a highest day."""
    n = len(growth_draws)
    chance = [_highest_days(demand, month, rng, 2 * n) for month in seasons]
    which = rng.integers(len(seasons), size=n)
    highest = np.array(carried)[which]
    swing = np.stack(chance)[which, np.arange(n)] - np.stack(chance)[which, n + np.arange(n)]
    drawn: Draws = growth_draws * highest * np.exp(swing)
    return drawn


def _highest_days(demand: DailyDemand, month: np.datetime64, rng: np.random.Generator, n: int) -> Draws:
    """ln of the highest day of a month, shape (n,), its days resampled around their level."""
    middle = (month.astype("datetime64[D]") + 15).astype("datetime64[D]")
    around = demand.between(middle - _AROUND_DAYS, middle + _AROUND_DAYS)
    level, residual = levels(around)
    inside = (around.days.astype("datetime64[M]") == month).nonzero()[0]
    drawn = level[inside] + residual[rng.integers(len(residual), size=(n, len(inside)))]
    highest: Draws = drawn.max(axis=1)
    return highest


def levels(demand: DailyDemand) -> tuple[Counts, Counts]:
    """ln level of each day, shape (n,), and the residuals of the days that are not campaigns.

    level = running median of a week + weekday effect. A campaign day, which stands far above that, is its own
    level, not chance. Medians follow a step, such as the first day of a sale, at once. The residuals are
    enlarged because the median contains the day itself.
    """
    logs = np.log(demand.counts)
    weekday = (demand.days.astype(np.int64) + 3) % _WEEKDAYS  # day 0 is a Thursday
    around = logs - _running_median(logs, _MEDIAN_DAYS)
    effect = np.zeros(len(logs))
    for day in np.unique(weekday):
        effect[weekday == day] = np.median(around[weekday == day])
    level = _running_median(logs - effect, _WEEKDAYS) + effect
    residual = logs - level
    spread = _MAD_TO_SD * float(np.median(np.abs(residual)))
    usual = residual <= max(_CAMPAIGN_SPREADS * spread, _CAMPAIGN_LEAST)
    return np.where(usual, level, logs), residual[usual] * _MEDIAN_TO_SD


def _running_median(values: Counts, width: int) -> Counts:
    """The median of the `width` values around each one."""
    half = width // 2
    padded = np.pad(values, half, mode="reflect" if len(values) > half else "edge")
    found: Counts = np.median(np.lib.stride_tricks.sliding_window_view(padded, width), axis=1)
    return found


def _bootstrapped_growth(
    demand: DailyDemand, months: tuple[np.datetime64, ...], rng: np.random.Generator, n: int
) -> Draws:
    now, before = (
        _bootstrapped_mean([in_month(demand, month - back) for month in months], rng, n)
        for back in (0, _YEAR)
    )
    return now / before


def _bootstrapped_mean(parts: list[DailyDemand], rng: np.random.Generator, n: int) -> Draws:
    """Means of resampled weeks, shape (n,)."""
    days = np.concatenate([part.days for part in parts]).astype(np.int64) + 3
    counts = np.concatenate([part.counts for part in parts])
    week, place = np.unique(days // _WEEKDAYS, return_inverse=True)
    totals, sizes = np.bincount(place, counts), np.bincount(place)
    chosen = rng.integers(len(week), size=(n, len(week)))
    means: Draws = totals[chosen].sum(axis=1) / sizes[chosen].sum(axis=1)
    return means


def _past_season(
    demand: DailyDemand, month: np.datetime64, complete: tuple[np.datetime64, ...]
) -> PastSeason:
    days = in_month(demand, month)
    at = int(days.counts.argmax())
    base = [found for found in base_months(month) if found in complete]
    factor = None
    if base:
        factor = float(days.counts[at]) / _mean_day(demand, tuple(base), 0)
    return PastSeason(str(month), str(days.days[at]), float(days.counts[at]), factor)
