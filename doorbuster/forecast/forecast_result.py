"""The result of a forecast, and its file `forecast.json`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

from doorbuster.errors import RecordError
from doorbuster.forecast.demand_series import HOURS, Grain, Measure
from doorbuster.forecast.growth_season import Growth, PastSeason
from doorbuster.forecast.quantiles import DemandQuantiles
from doorbuster.records.result_file import read_result

FORECAST_FILE = "forecast.json"
FORECAST_SCHEMA = "doorbuster.forecast/1"
PERIODS = ("day", "hour", "minute", "second")
COUNTED = ("orders", "visits", "page requests")
_MOST_DAYS = 100 * 366


@dataclass(frozen=True, slots=True)
class PeakCount:
    """The demand of the busiest day, hour, minute or second: orders, visits or page requests in it."""

    period: str
    counted: str
    quantiles: DemandQuantiles


@dataclass(frozen=True, slots=True)
class MethodScore:
    """One method in the backtest. `forecast`: its highest day; `mean_error`: mean |error| as a share."""

    method: str
    cases: int
    mean_error: float | None
    forecast: float | None
    chosen: bool


@dataclass(frozen=True, slots=True)
class StatedFactor:
    """A factor that the user stated, such as a campaign, with its 95 % interval; 1.2 is 20 % more."""

    name: str
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class ForecastResult:
    """The forecast of one peak.

    measure: what the history counts. actual: the highest day of the peak month, if the files contain it.
    coverage: of the base's 90 % intervals in the backtest, of `coverage_cases`. curve: 24 hourly weights.
    rate: customers per second in the busiest hour. daily: the last counts, for the figure.
    """

    source: str
    measure: Measure
    grain: Grain
    first_day: str
    last_day: str
    open_days: int
    peak_date: str
    method: str
    growth: Growth
    season_factor: StatedFactor | None
    seasons: tuple[PastSeason, ...]
    campaigns: tuple[StatedFactor, ...]
    scores: tuple[MethodScore, ...]
    coverage: float | None
    coverage_cases: int
    demand: tuple[PeakCount, ...]
    rate: DemandQuantiles
    conversion: DemandQuantiles
    conversion_source: str
    usual_conversion: float | None
    curve: tuple[float, ...]
    curve_days: int
    dispersion: float
    assumptions: tuple[str, ...]
    notes: tuple[str, ...]
    actual: float | None = None
    made_on: str = ""
    daily_days: tuple[str, ...] = ()
    daily_counts: tuple[float, ...] = ()

    def count(self, period: str, counted: str) -> DemandQuantiles:
        """The quantiles of one row."""
        return next(row.quantiles for row in self.demand if (row.period, row.counted) == (period, counted))

    @property
    def peak_day(self) -> date:
        return date.fromisoformat(self.peak_date)

    def as_json(self) -> dict[str, object]:
        """The content of the file."""
        return {"schema": FORECAST_SCHEMA, **asdict(self)}


def read_forecast(file: Path) -> ForecastResult:
    """Read a forecast.

    Raises: RecordError when the file cannot be read or is not a forecast.
    """
    found = read_result(file, FORECAST_SCHEMA, ForecastResult)
    wrong = _inconsistency(found)
    if wrong:
        raise RecordError(f"{file}: cannot be used: {wrong}; make it again with `doorbuster demand forecast`")
    return found


def _inconsistency(found: ForecastResult) -> str:
    """The first inconsistency in the file; "" if there is none."""
    rows = {(row.period, row.counted) for row in found.demand}
    if rows != {(period, counted) for period in PERIODS for counted in COUNTED}:
        return "it lacks a row of the demand"
    for quantiles in (found.rate, found.conversion, *(row.quantiles for row in found.demand)):
        ends = (quantiles.low95, quantiles.low90, quantiles.low80, quantiles.low50, quantiles.median,
                quantiles.high50, quantiles.high80, quantiles.high90, quantiles.high95)  # fmt: skip
        if list(ends) != sorted(ends) or ends[0] < 0:
            return "its quantiles are not in order"
    if not found.rate.low95 > 0 or not found.conversion.low95 > 0:
        return "its rate or conversion is 0"
    if len(found.curve) != HOURS or min(found.curve) < 0 or not max(found.curve) > 0:
        return f"its curve must have {HOURS} weights of 0 or more"
    if len(found.daily_days) != len(found.daily_counts) or not found.daily_days or found.dispersion < 1:
        return "its days do not fit its counts"
    days = (
        found.peak_date,
        found.first_day,
        found.last_day,
        *found.daily_days,
        *(s.day for s in found.seasons),
    )
    try:
        dates = [date.fromisoformat(day) for day in days]
    except ValueError:
        return "it has a day that does not exist"
    factors = (found.growth, *found.campaigns, *([found.season_factor] if found.season_factor else ()))
    if any(not 0 < one.low <= one.high for one in factors) or (dates[0] - dates[3]).days > _MOST_DAYS:
        return "a factor or its span of time is impossible"
    return ""
