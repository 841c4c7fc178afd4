"""`doorbuster demand forecast`: files, scenarios that run, and refusals that write nothing."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest
from click.testing import CliRunner

from doorbuster.bundled import search_path
from doorbuster.cli import doorbuster
from doorbuster.errors import DoorbusterError, UsageError
from doorbuster.forecast.backtest import BASE, backtests
from doorbuster.forecast.forecast_peak import ForecastSettings, forecast_peak
from doorbuster.forecast.forecast_result import read_forecast
from doorbuster.forecast.input.columns import HistoryOptions
from doorbuster.forecast.input.read_history import read_history
from doorbuster.forecast.models import model_forecasters
from doorbuster.scenario import load_scenario


@pytest.fixture
def orders(tmp_path, two_years):
    demand = two_years(1)
    lines = (f"{day},{count:.0f}" for day, count in zip(demand.days, demand.counts, strict=True))
    file = tmp_path / "orders.csv"
    file.write_text("\n".join(["date,orders", *lines]) + "\n")
    return file


@pytest.fixture
def forecast(tmp_path, monkeypatch):
    monkeypatch.setattr("doorbuster.forecast.models.model_forecasters", lambda _country: {})

    def run(*args):
        done = CliRunner().invoke(
            doorbuster, ["demand", "forecast", *map(str, args), "--out", tmp_path / "out"]
        )
        if done.exception and not isinstance(done.exception, SystemExit | DoorbusterError):
            raise done.exception
        return done

    return run


def test_it_writes_the_result_the_page_and_two_scenarios(orders, forecast, tmp_path):
    done = forecast(orders)
    assert done.exception is None, done.output
    out = tmp_path / "out"
    assert {file.name for file in out.iterdir()} == {
        "forecast.json", "index.html", "peak-median.yaml", "peak-1-in-10-years.yaml",
    }  # fmt: skip
    found = read_forecast(out / "forecast.json")
    assert found.peak_date[4:8] == "-11-"
    assert found.method == BASE
    periods = [found.count(period, "visits").median for period in ("day", "hour", "minute", "second")]
    assert periods == sorted(periods, reverse=True)
    median, worse = (load_scenario(out / name) for name in ("peak-median.yaml", "peak-1-in-10-years.yaml"))
    assert median.demand.peak_per_s == pytest.approx(found.rate.median, rel=0.01)
    assert worse.demand.peak_per_s == pytest.approx(found.rate.one_in_ten, rel=0.01)
    assert median.demand.interval_per_s.low == pytest.approx(found.rate.low95, rel=0.1)


def test_a_campaign_multiplies_the_peak(orders, forecast, tmp_path):
    series = read_history([orders], HistoryOptions())
    settings = ForecastSettings(peak=date(2026, 11, 27))
    plain = forecast_peak(series, settings, {}, date(2026, 1, 1)).count("day", "orders").median
    forecast(orders, "--campaign", "TV=100%", "--peak-date", "2026-11-27")
    assert read_forecast(tmp_path / "out" / "forecast.json").count("day", "orders").median == pytest.approx(
        2 * plain, rel=0.01
    )


def test_the_further_the_peak_the_wider_the_interval_and_growth_repeats(orders):
    series = read_history([orders], HistoryOptions())
    days = [date(2026, 11, 27), date(2027, 11, 26), date(2028, 11, 24)]
    found = [forecast_peak(series, ForecastSettings(peak=day), {}, date(2026, 1, 1)) for day in days]
    assert [one.growth.years for one in found] == [1, 2, 3]
    growth = found[0].growth.value
    assert [one.growth.value for one in found] == pytest.approx([growth, growth**2, growth**3])
    counts = [one.count("day", "orders") for one in found]
    spreads = [np.log(count.high90 / count.low90) for count in counts]
    assert spreads[0] < spreads[1] < spreads[2]
    # The growth of a year has the same uncertainty every year; the further factor adds its own variance.
    assert spreads[2] ** 2 - spreads[1] ** 2 >= (2 * 1.645 * 0.1) ** 2
    assert any("2 years before the peak" in line for line in found[1].assumptions)


@pytest.mark.parametrize(
    ("settings", "today", "message"),
    [
        (
            ForecastSettings(peak=date(2030, 11, 29)),
            date(2026, 1, 1),
            "is more than 3 years after the history",
        ),
        (
            ForecastSettings(),
            date(2025, 11, 1),
            "has a row of 2025-11-30, after today; correct it, or leave it",
        ),
    ],
)
def test_a_peak_too_far_ahead_and_days_to_come_are_refused(settings, today, message, orders):
    with pytest.raises(UsageError, match=message):
        forecast_peak(read_history([orders], HistoryOptions()), settings, {}, today)


def test_a_scenario_of_ones_own_gets_only_the_demand(orders, forecast, tmp_path):
    forecast(orders, "--scenario", "black-friday-uk")
    found = read_forecast(tmp_path / "out" / "forecast.json")
    made, base = (
        load_scenario(tmp_path / "out" / "peak-median.yaml"),
        load_scenario("black-friday-uk", search_path("scenarios")),
    )
    assert made.demand.peak_per_s == pytest.approx(found.rate.median, rel=0.01)
    assert made.channels == base.channels
    assert made.target == base.target
    assert [one.expression for one in made.thresholds] == [one.expression for one in base.thresholds]


def test_a_scenario_that_does_not_exist_is_refused_before_anything_is_written(orders, forecast, tmp_path):
    done = forecast(orders, "--scenario", "black-fridy-uk")
    assert 'did you mean "black-friday-uk"' in str(done.exception)
    assert not (tmp_path / "out").exists()


def test_an_earlier_end_shows_what_happened(orders, forecast, tmp_path):
    done = forecast(orders, "--until", "2025-09-01", "--peak-date", "2025-11-28")
    found = read_forecast(tmp_path / "out" / "forecast.json")
    assert found.actual == pytest.approx(360, abs=50)
    assert "the forecast is" in done.output


def test_a_measured_conversion_is_that_of_the_busiest_days(tmp_path, forecast):
    days = np.arange(np.datetime64("2024-01-01"), np.datetime64("2025-12-01"))
    busy = days.astype("datetime64[M]").astype(int) % 12 == 10
    rows = [
        f"{day},{3000 if peak else 1000},{240 if peak else 40}" for day, peak in zip(days, busy, strict=True)
    ]
    file = tmp_path / "both.csv"
    file.write_text("\n".join(["date,sessions,orders", *rows]) + "\n")
    forecast(file)
    found = read_forecast(tmp_path / "out" / "forecast.json")
    assert found.conversion.median == pytest.approx(0.08)
    assert found.usual_conversion < 0.05
    assert found.count("day", "orders").median == pytest.approx(0.08 * found.count("day", "visits").median)


@pytest.mark.parametrize(
    ("lines", "options", "message"),
    [
        (100, [], "less than a year"),
        (100, ["--peak-date", "2024-11-29"], "without a whole November of an earlier year"),
        (366, [], "the growth is not known from it"),
        (690, ["--peak-date", "2025-01-01"], "must be after the last day"),
        (690, ["--growth", "much"], "--growth: must be a share"),
        (690, ["--campaign", "30%"], "--campaign 30%: must be a name"),
        (690, ["--season-factor", "3..2"], "--season-factor: must be one number or two"),
        (690, ["--until", "2020-01-01"], "has no days before"),
    ],
)
def test_what_cannot_be_forecast_is_said_in_one_sentence_and_nothing_is_written(
    orders, forecast, tmp_path, lines, options, message
):
    orders.write_text("\n".join(orders.read_text().splitlines()[:lines]) + "\n")
    done = forecast(orders, *options)
    assert isinstance(done.exception, DoorbusterError)
    assert message in str(done.exception)
    assert "\n" not in str(done.exception)
    assert done.exception.exit_code == 2
    assert not (tmp_path / "out").exists()


def test_a_stated_season_factor_forecasts_from_a_short_history(orders, forecast, tmp_path):
    orders.write_text("\n".join(orders.read_text().splitlines()[:100]) + "\n")
    forecast(orders, "--season-factor", "2..3", "--peak-date", "2024-11-29")
    found = read_forecast(tmp_path / "out" / "forecast.json")
    assert found.method == "stated season factor"
    assert found.count("day", "orders").median == pytest.approx(100 * 6**0.5, rel=0.05)


@pytest.mark.truth
def test_the_models_of_statsmodels_take_part_in_the_backtest(two_years):
    pytest.importorskip("statsmodels")
    demand = two_years(1)
    found = {one.method: one for one in backtests(demand, model_forecasters("GB"))}
    assert set(found) == {"yearly ratio", "harmonic regression"}
    assert all(test.cases for test in found.values())
    assert found["yearly ratio"].mean_error < 0.25
