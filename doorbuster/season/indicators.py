"""The five indicators of a season, by day, and their digest by ISO week.

    can browse, can order   of the latest usable run of the day
    buying journey, p95     likewise
    headroom                of the latest capacity search up to that day, over the forecast demand
    revenue at risk         expected loss per minute of the busiest hour, with that capacity

Colours. With an interval: green when all of it meets the limit, red when none of it does, amber between.
Revenue at risk is an expectation without an interval: green up to the limit, red above ten times the limit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

from doorbuster.capacity.headroom import PositiveEstimate
from doorbuster.forecast.forecast_result import ForecastResult
from doorbuster.gate import ThresholdResult
from doorbuster.season.capacity_evidence import CapacityEvidence
from doorbuster.season.reserve import Reserve, reserve
from doorbuster.season.run_evidence import BROWSE, BUYING, ORDER, RunEvidence
from doorbuster.season.season_file import SeasonLimits
from doorbuster.units import Currency, format_duration, format_money, format_ratio

Colour = Literal["green", "amber", "red", "unknown"]
HEADROOM, AT_RISK = "headroom", "revenue_at_risk"
LABELS = {
    BROWSE: "Can browse",
    ORDER: "Can order",
    BUYING: "Buying journey, p95",
    HEADROOM: "Headroom",
    AT_RISK: "Revenue at risk",
}
_WORST: tuple[Colour, ...] = ("red", "amber", "green", "unknown")
_RED_FROM = 10.0
_DEFAULT_RISK = 0.001


@dataclass(frozen=True, slots=True)
class Reading:
    """One indicator on one day. `value` in its own unit; `text` and `detail` for people."""

    name: str
    colour: Colour
    value: float | None
    text: str
    detail: str


@dataclass(frozen=True, slots=True)
class IndicatorDay:
    """The readings of one day, by indicator; `source` names the run they come from."""

    day: date
    readings: dict[str, Reading]
    source: str


@dataclass(frozen=True, slots=True)
class IndicatorWeek:
    """The last reading of each indicator in a week, its worst colour there, and the reading a week before."""

    year: int
    week: int
    readings: dict[str, Reading]
    worst: dict[str, Colour]
    before: dict[str, Reading]


@dataclass(frozen=True, slots=True)
class Money:
    """What an order is worth."""

    value: float
    currency: Currency


def indicator_days(
    runs: Sequence[RunEvidence], searches: Sequence[CapacityEvidence], forecast: ForecastResult | None,
    limits: SeasonLimits, money: Money | None,
) -> list[IndicatorDay]:  # fmt: skip
    """Days with a usable run or a search, oldest first."""
    usable = [run for run in runs if not run.unusable and run.indicators]
    days = sorted({*(run.day for run in usable), *(search.day for search in searches)})
    found = []
    for day in days:
        of_day = [run for run in usable if run.day == day]
        readings = _of_run(of_day[-1], limits) if of_day else {}
        known = [search for search in searches if search.day <= day]
        if known and forecast is not None:
            readings |= _of_capacity(known[-1].capacity, forecast, limits, money)
        for name in LABELS:
            readings.setdefault(name, Reading(name, "unknown", None, "–", "not measured"))
        source = of_day[-1].meta.run_id if of_day else ""
        found.append(IndicatorDay(day, {name: readings[name] for name in LABELS}, source))
    return found


def latest_readings(days: Sequence[IndicatorDay]) -> dict[str, Reading]:
    """The last known reading of each indicator."""
    found = {name: Reading(name, "unknown", None, "–", "not measured yet") for name in LABELS}
    for day in days:
        found |= {name: reading for name, reading in day.readings.items() if reading.colour != "unknown"}
    return found


def indicator_weeks(days: Sequence[IndicatorDay]) -> list[IndicatorWeek]:
    """Weeks with readings, oldest first."""
    by_week: dict[tuple[int, int], list[IndicatorDay]] = {}
    for day in days:
        year, week, _ = day.day.isocalendar()
        by_week.setdefault((year, week), []).append(day)
    found: list[IndicatorWeek] = []
    for (year, week), inside in sorted(by_week.items()):
        worst = {
            name: min((day.readings[name].colour for day in inside), key=_WORST.index) for name in LABELS
        }
        monday = date.fromisocalendar(year, week, 1)
        previous = (monday - timedelta(days=7)).isocalendar()[:2]
        last = found[-1] if found and (found[-1].year, found[-1].week) == previous else None
        found.append(IndicatorWeek(year, week, latest_readings(inside), worst, last.readings if last else {}))
    return found


def limit_text(name: str, limits: SeasonLimits, money: Money | None) -> str:
    """The limit of an indicator, for people."""
    if name == AT_RISK:
        if limits.revenue_at_risk:
            amount = money.currency.text(limits.revenue_at_risk) if money else f"{limits.revenue_at_risk:g}"
            return f"at most {amount} per minute"
        return "at most a thousandth of the revenue"
    return {
        BROWSE: f"at least {format_ratio(limits.can_browse)}",
        ORDER: f"at least {format_ratio(limits.can_order)}",
        BUYING: f"at most {format_duration(limits.buying_p95_s)}",
        HEADROOM: f"at least {limits.headroom:g}, of capacity over demand",
    }[name]


def colour_of(
    value: float, low: float | None, high: float | None, limit: float, *, at_least: bool = True
) -> Colour:
    """The colour of a value whose limit is a lower (`at_least`) or an upper bound; None: an unknown end."""
    if not at_least:
        value, low, high, limit = (
            -value,
            None if high is None else -high,
            None if low is None else -low,
            -limit,
        )
    if low is not None and low >= limit:
        return "green"
    if high is not None and high < limit:
        return "red"
    return "amber"


def _of_run(run: RunEvidence, limits: SeasonLimits) -> dict[str, Reading]:
    found = {}
    bounds = {BROWSE: limits.can_browse, ORDER: limits.can_order, BUYING: limits.buying_p95_s * 1e3}
    for name, bound in bounds.items():
        result = run.indicators.get(name)
        if result is not None and result.observed is not None:
            found[name] = _reading(name, result, bound)
    return found


def _reading(name: str, result: ThresholdResult, bound: float) -> Reading:
    value = result.observed
    assert value is not None, "the caller checked"

    def text(end: float | None) -> str:
        return "?" if end is None else format_duration(end / 1e3) if name == BUYING else format_ratio(end)

    high = None if result.at_least else result.high
    colour = colour_of(value, result.low, high, bound, at_least=name != BUYING)
    detail = f"{text(result.low)} to {text(high)}, n = {result.n:,}"
    return Reading(name, colour, value, f"{'≥ ' if result.at_least else ''}{text(value)}", detail)


def _of_capacity(
    capacity: PositiveEstimate, forecast: ForecastResult, limits: SeasonLimits, money: Money | None
) -> dict[str, Reading]:
    found = reserve(forecast, capacity)
    headroom = found.headroom
    # Without an interval a ratio is taken as it is: amber unless it is clearly below.
    colour = colour_of(headroom.ratio, headroom.low, headroom.high, limits.headroom)
    ends = ("?" if end is None else f"{end:.2f}" for end in (headroom.low, headroom.high))
    text = f"{'≥ ' if headroom.at_least else ''}{headroom.ratio:.2f}"
    readings = {HEADROOM: Reading(HEADROOM, colour, headroom.ratio, text, " to ".join(ends))}
    at_risk = _at_risk(found, limits, money)
    return readings if at_risk is None else readings | {AT_RISK: at_risk}


def _at_risk(found: Reserve, limits: SeasonLimits, money: Money | None) -> Reading | None:
    if found.lost_per_minute is None or money is None:
        return None
    at_risk = found.lost_per_minute * money.value
    revenue = found.demand.value * found.orders_per_visit * 60 * money.value
    limit = limits.revenue_at_risk or _DEFAULT_RISK * revenue
    colour: Colour = "green" if at_risk <= limit else "amber" if at_risk <= _RED_FROM * limit else "red"
    detail = f"{format_ratio(at_risk / revenue)} of the revenue of the busiest hour, expected"
    return Reading(AT_RISK, colour, at_risk, f"{format_money(at_risk, money.currency)}/min", detail)
