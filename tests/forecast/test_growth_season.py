"""The base: growth x season, on the published year of a real shop and on simulated ones."""

from __future__ import annotations

import numpy as np
import pytest

from doorbuster.forecast.backtest import BASE, Backtest, BacktestCase, backtests, base_forecaster, choose
from doorbuster.forecast.demand_series import DailyDemand
from doorbuster.forecast.growth_season import levels, peak_day_forecast
from doorbuster.forecast.season_calendar import (
    base_months,
    black_friday,
    complete_months,
    in_month,
    next_peak,
)
from doorbuster.scenario.parsing.value_range import ValueRange

NOVEMBER = np.datetime64("2011-11")


def forecast(demand, month, **options):
    rng = np.random.default_rng(1)
    return peak_day_forecast(demand, month, complete_months(demand), rng, **options)


@pytest.mark.parametrize(
    ("column", "growth", "factor", "centre", "actual"),
    [
        ("orders", 0.9518, 2.650, 145.6, 137),
        ("lines", 1.0102, 2.896, 3956, 4292),
        ("rev", 1.0050, 3.838, 105_711, 114_420),
    ],
)
def test_the_forecast_of_2011_has_the_known_factors_and_its_interval_holds_the_actual_peak(
    uci, column, growth, factor, centre, actual
):
    whole = uci(column)
    known = whole.between(whole.days[0], np.datetime64("2011-09-01"))
    found = forecast(known, NOVEMBER)
    assert growth == pytest.approx(found.growth.value, abs=1e-4)
    assert factor == pytest.approx(found.seasons[0].factor, abs=1e-3)
    assert centre == pytest.approx(found.centre, rel=1e-3)
    assert actual == pytest.approx(in_month(whole, NOVEMBER).counts.max(), rel=1e-4)
    low, high = np.quantile(found.draws, (0.05, 0.95))
    assert low <= actual <= high
    assert np.median(found.draws) == pytest.approx(found.centre, rel=0.01)


def test_the_base_of_a_november_peak_is_january_to_august():
    assert [str(month) for month in base_months(NOVEMBER)] == [f"2011-{month:02d}" for month in range(1, 9)]


def test_the_interval_holds_the_actual_peak_as_often_as_it_says(two_years):
    held = 0
    for seed in range(60):
        whole = two_years(seed)
        month = np.datetime64("2025-11")
        known = whole.between(whole.days[0], month.astype("datetime64[D]") - 61)
        found = forecast(known, month, draws=2000)
        low, high = np.quantile(found.draws, (0.05, 0.95))
        held += bool(low <= in_month(whole, month).counts.max() <= high)
    assert 50 <= held <= 60  # 54 expected; below 50 has a probability of 2 %


def test_without_chance_the_forecast_is_exact(two_years):
    whole = two_years(1, noise=1e-9)
    known = whole.between(whole.days[0], np.datetime64("2025-09-01"))
    found = forecast(known, np.datetime64("2025-11"))
    assert pytest.approx(found.growth.value) == 1.2
    assert pytest.approx(found.centre) == 300.0
    assert np.ptp(found.draws) < 1e-3


def test_a_stated_growth_replaces_the_measured_one(two_years):
    found = forecast(two_years(1), np.datetime64("2026-11"), stated_growth=ValueRange(1.05, 1.15))
    assert pytest.approx(found.growth.value) == (1.05 * 1.15) ** 0.5
    assert (
        pytest.approx(found.growth.low, abs=3e-3),
        pytest.approx(found.growth.high, abs=3e-3),
    ) == (1.05, 1.15)


def test_a_growth_of_earlier_months_is_marked_as_assumed(two_years):
    found = forecast(two_years(1), np.datetime64("2026-11"))
    assert found.growth.is_assumed
    assert len(found.seasons) == 2


def test_the_residuals_are_the_noise_around_the_levels(two_years):
    demand = two_years(3)
    level, residual = levels(demand)
    assert residual.std() == pytest.approx(0.1, abs=0.01)
    november = (demand.days > np.datetime64("2024-11-10")) & (demand.days < np.datetime64("2024-11-28"))
    assert np.exp(level[november]) == pytest.approx(250, rel=0.2)


def test_a_sale_of_several_days_is_a_level_of_its_own_and_not_chance(two_years):
    demand = two_years(3)
    sale = (demand.days >= np.datetime64("2024-11-14")) & (demand.days <= np.datetime64("2024-11-16"))
    counts = np.where(sale, demand.counts * 4, demand.counts)
    level, residual = levels(DailyDemand(demand.days, counts))
    assert np.exp(level[sale]) == pytest.approx(counts[sale])
    assert residual.std() == pytest.approx(0.1, abs=0.01)


def test_black_friday_follows_the_fourth_thursday():
    assert [(day.month, day.day) for day in map(black_friday, (2024, 2025, 2026, 2029))] == [
        (11, 29),
        (11, 28),
        (11, 27),
        (11, 23),
    ]


def test_the_next_peak_is_black_friday_or_the_same_weekday():
    from datetime import date

    assert date(2026, 11, 27) == next_peak(date(2025, 11, 28), date(2026, 5, 1))
    assert date(2026, 6, 27) == next_peak(date(2025, 6, 28), date(2026, 5, 1))
    assert next_peak(date(2011, 11, 17), date(2026, 11, 29)) == date(2027, 11, 18)  # Thursdays


def case(target: str, error: float) -> BacktestCase:
    return BacktestCase("2025-01", target, 1, 100 * np.exp(error), 100)


def test_a_model_replaces_the_base_only_when_it_is_certainly_better():
    rng = np.random.default_rng(2)
    months = [f"2025-{month:02d}" for month in range(1, 11)]
    base = Backtest(BASE, tuple(case(month, 0.2 + rng.normal(0, 0.02)) for month in months))
    better = Backtest("better", tuple(case(month, 0.05 + rng.normal(0, 0.02)) for month in months))
    lucky = Backtest(
        "lucky", tuple(case(month, error) for month, error in zip(months[:4], (0, 0, 0, 0), strict=True))
    )
    assert choose(base, [lucky, better]).method == "better"
    assert choose(base, [lucky]).method == BASE


def test_the_backtest_forecasts_only_from_earlier_days(two_years):
    demand = two_years(1)
    seen = []

    def spy(known, months):
        seen.append((known.days[-1], months[0]))
        return base_forecaster(known, months)

    tracked: list[str] = []

    def track(what, items):
        for item in items:
            tracked.append(what)
            yield item

    (found,) = backtests(demand, {BASE: spy}, track)
    assert found.cases
    assert all(last < month.astype("datetime64[D]") for last, month in seen)
    assert found.mean_error < 0.15
    assert tracked == ["forecasting"] * len(seen)
