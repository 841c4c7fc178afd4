"""Our figures beside published ones, most of which are statements of the press or of vendors, not audited."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from doorbuster.forecast.forecast_result import ForecastResult
from doorbuster.season.indicators import Money
from doorbuster.season.run_evidence import BUYING, RunEvidence
from doorbuster.units import format_duration, format_money, format_ratio

NOT_KNOWN = "not known"


@dataclass(frozen=True, slots=True)
class IndustryFigure:
    """One figure: ours, the published one, and who published it."""

    what: str
    ours: str
    published: str
    source: str


def industry_figures(
    forecast: ForecastResult | None, runs: Sequence[RunEvidence], money: Money | None
) -> tuple[IndustryFigure, ...]:
    """The figures that a season can compare.

    Args: runs: usable, with their sections, the latest last.
    """
    return (*_of_demand(forecast, money), *_of_runs(forecast, runs))


def _of_demand(forecast: ForecastResult | None, money: Money | None) -> tuple[IndustryFigure, ...]:
    peak = share = conversion = worse = hour = NOT_KNOWN
    if forecast is not None:
        visits = forecast.count("hour", "visits")
        mean = float(np.mean(forecast.daily_counts)) if forecast.daily_counts else 0.0
        if forecast.seasons and mean:
            last = forecast.seasons[0]
            peak = f"{last.highest / mean:.1f} times the mean open day ({last.day[:4]})"
        share = format_ratio(visits.median / forecast.count("day", "visits").median)
        conversion = format_ratio(forecast.conversion.median)
        worse = f"{forecast.rate.one_in_ten / forecast.rate.median - 1:+.0%}".replace("%", " %")
        if money is not None:
            amount = forecast.count("hour", "orders").median * money.value
            hour = format_money(amount, money.currency)
    return (
        IndustryFigure(
            "Peak day", peak, "7 times the mean day (2 % of the year)", "Capacitas, Huffington Post, 2015"
        ),
        IndustryFigure(
            "Busiest hour of the peak day", share, "7.0 % to 7.6 % (Cyber Monday); 10 % (Britain)",
            "Adobe, 2019 to 2024; Capacitas, 2015",
        ),
        IndustryFigure(
            "Orders per visit", conversion, "2.3 % by phone, 4.7 % by desktop; 10.8 % at most in a deal hour",
            "IMRG, 2016 to 2017; Argos, Black Friday 2016",
        ),
        IndustryFigure(
            "Demand of 1 year in 10 over the forecast", worse, "+46 % on Black Friday 2014",
            "IMRG, £810m for £555m; The Drum, 2014",
        ),
        IndustryFigure(
            "Revenue of the busiest hour", hour, "£2.8m an hour lost by John Lewis, estimated",
            "Huffington Post, Black Friday 2015",
        ),
    )  # fmt: skip


def _of_runs(forecast: ForecastResult | None, runs: Sequence[RunEvidence]) -> tuple[IndustryFigure, ...]:
    rates = [run.customers.peak_per_s for run in runs if run.customers and run.customers.peak_per_s]
    rehearsal = NOT_KNOWN
    if forecast is not None and rates:
        rehearsal = format_ratio(max(rates) / forecast.rate.median)
    p95 = next((found.observed for run in reversed(runs) if (found := run.indicators.get(BUYING))), None)
    attempts = _latest(runs, "errors.retry_amplification")
    cache = _latest(runs, "time_breakdown.cache_hits")
    return (
        IndustryFigure(
            "Highest load tested over the forecast", rehearsal, "150 % of last year's peak",
            "Shopify Engineering, 2025",
        ),
        IndustryFigure(
            "Buying journey, p95 of the responses", NOT_KNOWN if p95 is None else format_duration(p95 / 1e3),
            "40 % have left after 3 s; best conversion at 1.8 to 2.7 s", "Forrester, 2009; Akamai, 2017",
        ),
        IndustryFigure(
            "Attempts per request", NOT_KNOWN if attempts is None else f"{attempts:.2f}", "at most 3",
            "Google, Site Reliability Engineering, 2016",
        ),
        IndustryFigure(
            "Answers from the cache", NOT_KNOWN if cache is None else format_ratio(cache),
            "above 80 % is healthy; about 90 % at Target", "Hypernode; Target, 2017",
        ),
    )  # fmt: skip


def _latest(runs: Sequence[RunEvidence], name: str) -> float | None:
    return next((value for run in reversed(runs) if (value := run.value(name)) is not None), None)
