"""The forecast of the next peak, from the series of a history to all results.

highest day   growth x season, or a model that is certainly better in the backtest, x campaigns
busiest hour  highest day x the share of the busiest hour on the busiest days
minute        highest of 60 random counts with the mean of that hour's minutes; second likewise
visits        orders / conversion; page requests: visits x pages per visit
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

import numpy as np

from doorbuster.errors import UsageError
from doorbuster.forecast.backtest import BASE, Backtest, Forecaster, backtests, base_forecaster, choose
from doorbuster.forecast.burst import highest_of
from doorbuster.forecast.conformal import ConformalErrors
from doorbuster.forecast.conversion import ASSUMED_PAGES, PeakConversion, peak_conversion
from doorbuster.forecast.demand_series import DailyDemand, DemandSeries, Measure
from doorbuster.forecast.forecast_result import (
    PERIODS,
    ForecastResult,
    MethodScore,
    PeakCount,
    StatedFactor,
)
from doorbuster.forecast.growth_season import (
    DRAWS,
    Growth,
    PeakDayForecast,
    peak_day_forecast,
)
from doorbuster.forecast.quantiles import DemandQuantiles, Draws, log_normal_draws
from doorbuster.forecast.season_calendar import base_months, complete_months, in_month, month_of, next_peak
from doorbuster.forecast.within_day import WithinDay, within_day
from doorbuster.output.tracking import Track, untracked
from doorbuster.scenario.parsing.value_range import ValueRange

_SHOWN_DAYS = 800
_MIN_BASE_DAYS = 28
_CHECKED_DRAWS = 2_000
_RECENT = timedelta(days=400)  # a history that ends earlier is an example, not the basis of a plan
_HORIZON = timedelta(days=3 * 366)
_EXAMPLE_FACTOR = "2.1..2.7 (a British gift shop, 2010 and 2011)"


@dataclass(frozen=True, slots=True)
class ForecastSettings:
    """What the user assumes.

    peak: day of the peak; None: like the last one, after `not_before` or the end of the history. until: use
    only the history before this day. growth, season_factor and campaigns: factors, 1.08 for 8 %.
    conversion: orders per visit; pages_per_visit: page requests.
    """

    peak: date | None = None
    not_before: date | None = None
    until: date | None = None
    growth: ValueRange | None = None
    season_factor: ValueRange | None = None
    campaigns: Sequence[StatedFactor] = ()
    conversion: ValueRange | None = None
    pages_per_visit: ValueRange | None = None
    seed: int = 1


def forecast_peak(
    history: Mapping[Measure, DemandSeries],
    settings: ForecastSettings,
    models: Mapping[str, Forecaster],
    today: date,
    track: Track = untracked,
) -> ForecastResult:
    """The forecast; visits are forecast directly where the history has them.

    Args: track: shows the progress of the backtest, which takes most of the time.
    Raises: UsageError if the history is too short for the season and nothing is stated instead.
    """
    rng = np.random.default_rng(settings.seed)
    series = history["visits"] if "visits" in history else history["orders"]
    whole = series.daily()
    daily = whole
    if settings.until is not None:
        daily = whole.between(whole.days[0], np.datetime64(settings.until))
        series = _before(series, np.datetime64(settings.until))
    if not len(daily):
        raise UsageError(f"{series.source}: has no days before {settings.until}; choose a later --until")
    if daily.days[-1].astype(object) > today + timedelta(days=1):
        late = f"{series.source}: has a row of {daily.days[-1]}, after today"
        raise UsageError(f"{late}; correct it, or leave it out with --until")
    peak = _peak_date(daily, settings, series.source, today)
    month = month_of(np.datetime64(peak))
    complete = complete_months(daily)
    tests = backtests(daily, {BASE: base_forecaster, **models}, track)
    day, method = _highest_day(daily, month, complete, settings, models, tests, rng, series)
    day = _with_campaigns(day, settings.campaigns, rng)
    shape = within_day(series, daily, rng, len(day.draws))
    conversion = peak_conversion(
        history.get("orders"), history.get("visits"), settings.conversion, rng, len(day.draws)
    )
    pages = log_normal_draws(settings.pages_per_visit or ASSUMED_PAGES, rng, len(day.draws))
    demand, rate = _demand(series.measure, day.draws, shape, conversion, pages, rng)
    coverage, cases = _coverage(daily, tests[0])
    forecasts = {name: forecaster(daily, [month])[0] for name, forecaster in models.items()}
    actual = in_month(whole, month) if settings.until is not None else None
    return ForecastResult(
        source=series.source,
        measure=series.measure,
        grain=series.grain,
        first_day=str(daily.days[0]),
        last_day=str(daily.days[-1]),
        open_days=len(daily),
        peak_date=peak.isoformat(),
        method=method,
        growth=day.growth,
        season_factor=_stated_factor(settings.season_factor) if not day.seasons else None,
        seasons=day.seasons,
        campaigns=tuple(settings.campaigns),
        scores=_scores(tests, forecasts, day.centre, method),
        coverage=coverage,
        coverage_cases=cases,
        demand=demand,
        rate=rate,
        conversion=DemandQuantiles.of(conversion.draws),
        conversion_source=conversion.source,
        usual_conversion=conversion.other_days,
        curve=shape.curve,
        curve_days=shape.measured_days,
        dispersion=shape.dispersion,
        assumptions=_assumptions(day, shape, settings, conversion),
        notes=(*series.notes, *_saturation(series, day)),
        actual=float(actual.counts.max()) if actual is not None and month in complete_months(whole) else None,
        made_on=today.isoformat(),
        daily_days=tuple(str(found) for found in whole.days[-_SHOWN_DAYS:]),
        daily_counts=tuple(float(count) for count in whole.counts[-_SHOWN_DAYS:]),
    )


def _before(series: DemandSeries, end: np.datetime64) -> DemandSeries:
    kept = series.moments < end
    return replace(
        series, moments=series.moments[kept], counts=series.counts[kept], saturated=series.saturated[kept]
    )


def _peak_date(daily: DailyDemand, settings: ForecastSettings, source: str, today: date) -> date:
    last = daily.days[-1].astype(object)
    if settings.peak is not None:
        if settings.peak <= last:
            raise UsageError(
                f"--peak-date {settings.peak}: must be after the last day of the history, {last}; to see "
                "what would have been forecast, add --until with an earlier day"
            )
        if settings.peak > last + _HORIZON:
            raise UsageError(
                f"--peak-date {settings.peak}: is more than {_HORIZON.days // 365} years after the history, "
                f"which ends on {last}; nothing that far ahead can be forecast from it"
            )
        return settings.peak
    year = daily.between(daily.days[-1] - np.timedelta64(364, "D"), daily.days[-1] + 1)
    if (daily.days[-1] - daily.days[0]).astype(int) < 330:
        raise UsageError(
            f"{source}: records {daily.days[0]} to {last}, less than a year, so the day of the next peak is "
            "not known from it; name it with --peak-date"
        )
    recent = settings.until is None and last < today <= last + _RECENT
    after = settings.not_before or (today if recent else last)
    return next_peak(year.days[int(year.counts.argmax())].astype(object), after)


def _highest_day(
    daily: DailyDemand, month: np.datetime64, complete: tuple[np.datetime64, ...],
    settings: ForecastSettings, models: Mapping[str, Forecaster], tests: Sequence[Backtest],
    rng: np.random.Generator, series: DemandSeries,
) -> tuple[PeakDayForecast, str]:  # fmt: skip
    """The highest day, and the name of the method that forecast it."""
    base = peak_day_forecast(daily, month, complete, rng, stated_growth=settings.growth)
    if base is None or settings.season_factor is not None:
        return _by_stated_season(daily, month, complete, settings, rng, series), "stated season factor"
    chosen = choose(tests[0], tests[1:])
    if chosen.method == BASE or settings.growth is not None:
        return base, BASE
    errors = ConformalErrors.of(np.array([case.log_error for case in chosen.cases]))
    centre = models[chosen.method](daily, [month])[0]
    if errors is None or centre is None:
        return base, BASE
    draws = errors.draws(centre, rng.random(DRAWS))
    return replace(base, centre=centre, draws=draws), chosen.method


def _by_stated_season(
    daily: DailyDemand, month: np.datetime64, complete: tuple[np.datetime64, ...],
    settings: ForecastSettings, rng: np.random.Generator, series: DemandSeries,
) -> PeakDayForecast:  # fmt: skip
    """Mean day x stated season factor x stated growth.

    Raises: UsageError with what is missing.
    """
    peak_month = month.astype(object).strftime("%B")
    if settings.season_factor is None:
        has_season = any(found < month and int(month - found) % 12 == 0 for found in complete)
        span = f"{series.source}: records {daily.days[0]} to {daily.days[-1]}"
        if has_season:
            raise UsageError(
                f"{span}, one season but no two years of any month, so the growth is not known from it; "
                "state it, such as --growth 5%..15%"
            )
        raise UsageError(
            f"{span}, without a whole {peak_month} of an earlier year, so the season is not known from it; "
            f"add last year's, or state it, such as --season-factor {_EXAMPLE_FACTOR}"
        )
    base = [found for found in base_months(month) if found in complete] or list(complete[-8:])
    days = np.concatenate([in_month(daily, found).counts for found in base]) if base else daily.counts
    if len(days) < _MIN_BASE_DAYS:
        raise UsageError(
            f"{series.source}: has {len(days)} open days; a mean day needs at least {_MIN_BASE_DAYS}, "
            "in whole months"
        )
    growth = settings.growth or ValueRange(1.0, 1.0)
    factors = [log_normal_draws(found, rng, DRAWS) for found in (settings.season_factor, growth)]
    weeks = days[: len(days) // 7 * 7].reshape(-1, 7).mean(axis=1)
    mean = weeks[rng.integers(len(weeks), size=(DRAWS, len(weeks)))].mean(axis=1)
    middle = (growth.low * growth.high) ** 0.5
    centre = float(days.mean()) * (settings.season_factor.low * settings.season_factor.high) ** 0.5 * middle
    return PeakDayForecast(
        centre, mean * factors[0] * factors[1], Growth(middle, growth.low, growth.high), ()
    )


def _with_campaigns(
    day: PeakDayForecast, campaigns: Sequence[StatedFactor], rng: np.random.Generator
) -> PeakDayForecast:
    for campaign in campaigns:
        uplift = ValueRange(campaign.low, campaign.high)
        day = replace(
            day,
            centre=day.centre * (campaign.low * campaign.high) ** 0.5,
            draws=day.draws * log_normal_draws(uplift, rng, len(day.draws)),
        )
    return day


def _demand(
    measure: Measure, day: Draws, shape: WithinDay, conversion: PeakConversion, pages: Draws,
    rng: np.random.Generator,
) -> tuple[tuple[PeakCount, ...], DemandQuantiles]:  # fmt: skip
    """All rows, and the customers per second of the busiest hour."""
    visits = day if measure == "visits" else day / conversion.draws
    counted = {"orders": visits * conversion.draws, "visits": visits, "page requests": visits * pages}
    rows = []
    for name, of_day in counted.items():
        hour = of_day * shape.hour_shares
        minute = highest_of(60, hour / 60, shape.dispersion, rng.random(len(hour)))
        second = highest_of(60, np.maximum(minute, 1e-9) / 60, shape.dispersion, rng.random(len(hour)))
        for period, values in zip(PERIODS, (of_day, hour, minute, second), strict=True):
            rows.append(PeakCount(period, name, DemandQuantiles.of(values)))
    return tuple(rows), DemandQuantiles.of(visits * shape.hour_shares / 3600.0)


def _coverage(daily: DailyDemand, base: Backtest) -> tuple[float | None, int]:
    """How often the base's 90 % interval held the actual month, one month ahead."""
    held = []
    for case in (case for case in base.cases if case.horizon == 1):
        known = daily.between(daily.days[0], np.datetime64(case.origin).astype("datetime64[D]"))
        found = peak_day_forecast(
            known, np.datetime64(case.target), complete_months(known), np.random.default_rng(1),
            draws=_CHECKED_DRAWS,
        )  # fmt: skip
        if found is not None:
            low, high = np.quantile(found.draws, (0.05, 0.95))
            held.append(bool(low <= case.actual <= high))
    return (float(np.mean(held)), len(held)) if held else (None, 0)


def _scores(
    tests: Sequence[Backtest], forecasts: Mapping[str, float | None], base: float, method: str
) -> tuple[MethodScore, ...]:
    return tuple(
        MethodScore(
            test.method, len(test.cases), test.mean_error,
            base if test.method == BASE else forecasts.get(test.method), test.method == method,
        )
        for test in tests
    )  # fmt: skip


def _stated_factor(found: ValueRange | None) -> StatedFactor | None:
    return None if found is None else StatedFactor("season factor", found.low, found.high)


def _assumptions(
    day: PeakDayForecast, shape: WithinDay, settings: ForecastSettings, conversion: PeakConversion
) -> tuple[str, ...]:
    lines = [*shape.assumptions]
    if day.growth.years > 1 and day.growth.months:
        lines.append(
            f"The last recorded season is {day.growth.years} years before the peak: the growth of a year "
            "repeats, give or take 10 % (standard deviation) for each year but the first."
        )
    if day.growth.is_assumed:
        lines.append("The base of this peak is not recorded yet: the growth of the latest months continues.")
    if settings.pages_per_visit is None:
        lines.append("A visit requests 7.6 (phones) to 13.6 pages (SimilarWeb, Britain, 2016).")
    if conversion.source not in ("stated",) and not conversion.source.startswith("measured"):
        lines.append(f"Orders per visit: {conversion.source}.")
    return tuple(lines)


def _saturation(series: DemandSeries, day: PeakDayForecast) -> tuple[str, ...]:
    held = {str(found) for found in series.saturated_days()}
    peaks = [season.day for season in day.seasons if season.day in held]
    if not peaks:
        return ()
    return (
        (
            f"On {', '.join(peaks)} the shop was at its limit: the record shows what it served, so the "
            "demand was higher, and so is that of the next peak."
        ),
    )
