"""The result of a forecast, and its file `forecast.json`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

from doorbuster.forecast.demand_series import Grain, Measure
from doorbuster.forecast.growth_season import Growth, PastSeason
from doorbuster.forecast.quantiles import DemandQuantiles
from doorbuster.records.result_file import read_result

FORECAST_FILE = "forecast.json"
FORECAST_SCHEMA = "doorbuster.forecast/1"
PERIODS = ("day", "hour", "minute", "second")


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

    Raises: RecordError when the file cannot be read or is none.
    """
    return read_result(file, FORECAST_SCHEMA, ForecastResult)
