"""season.yaml, forecasts and past orders with values, texts and bytes changed; each is used or refused."""

from __future__ import annotations

import json
from datetime import date
from functools import lru_cache
from pathlib import Path
from random import Random

import numpy as np
import yaml

from doorbuster.capacity.headroom import PositiveEstimate
from doorbuster.errors import RecordError, ScenarioError, UsageError
from doorbuster.forecast.demand_series import DailyDemand
from doorbuster.forecast.forecast_peak import ForecastSettings, forecast_peak
from doorbuster.forecast.forecast_result import read_forecast
from doorbuster.forecast.input.columns import HistoryOptions
from doorbuster.forecast.input.read_history import read_history
from doorbuster.forecast.page import forecast_sections
from doorbuster.forecast.scenario_text import forecast_scenario, median_peak
from doorbuster.forecast.write_forecast import FORECAST_FILE, write_forecast
from doorbuster.season.industry import industry_figures
from doorbuster.season.reserve import reserve
from doorbuster.season.season_file import read_season
from tests.fuzz.mutations import mutated_bytes, mutated_text, mutated_value
from tests.fuzz.scenarios import check_problems

TODAY = date(2026, 1, 5)
SEASON = """
title: Christmas
peak_date: 2026-11-27
scenarios: [a.yaml]
runs: [.]
capacity: .
order_value: "48..55"
currency: EUR
limits: {can_browse: 97%, can_order: 0.9, buying_p95: 3s, headroom: 1.2, revenue_at_risk: 500}
what_if: {one_server_less: ., retries_off: .}
"""
SQL = """CREATE TABLE `orders` (`id` int, `created_at` datetime, PRIMARY KEY (`id`));
INSERT INTO `orders` VALUES (1,'2024-11-01 10:00:01'),(2,'2024-11-01 10:30:00');
COPY orders (id, created_at) FROM stdin;
3\t2024-11-02 10:00:00
\\.
"""
GA4 = "# Start date: 20241101\n\nNth day,Sessions,Purchases\n0000,1200,30\n0001,900,20\n,2100,50\n"


@lru_cache
def orders() -> str:
    """Two years of daily orders."""
    rng = np.random.default_rng(1)
    days = np.arange(np.datetime64("2024-01-01"), np.datetime64("2026-01-01"))
    demand = DailyDemand(days, np.round(100 * np.exp(rng.normal(0, 0.2, len(days)))))
    rows = (f"{day},{count:.0f}" for day, count in zip(demand.days, demand.counts, strict=True))
    return "\n".join(["date,orders", *rows]) + "\n"


@lru_cache
def forecast_text(folder: Path) -> str:
    (folder / "orders.csv").write_text(orders())
    found = forecast_peak(
        read_history([folder / "orders.csv"], HistoryOptions()), ForecastSettings(), {}, TODAY
    )
    write_forecast(found, folder / "forecast")
    return (folder / "forecast" / FORECAST_FILE).read_text()


def case(rng: Random, folder: Path) -> str:
    try:
        rng.choice((_season, _history, _history, _forecast))(rng, folder)
    except ScenarioError as error:
        check_problems(error)
        return "refused"
    except (UsageError, RecordError) as error:
        assert str(error).strip()
        return "refused"
    return "accepted"


def _season(rng: Random, folder: Path) -> None:
    path = folder / "season.yaml"
    if rng.random() < 0.5:
        path.write_bytes(mutated_bytes(rng, mutated_text(rng, SEASON).encode("utf-8", "surrogatepass")))
    else:
        value = mutated_value(rng, yaml.safe_load(SEASON))
        path.write_text(yaml.safe_dump(value, allow_unicode=True), encoding="utf-8", errors="surrogatepass")
    (folder / "a.yaml").touch()
    read_season(path)


def _history(rng: Random, folder: Path) -> None:
    text, name = rng.choice(((orders(), "o.csv"), (GA4, "g.csv"), (SQL, "o.sql")))
    path = folder / name
    path.write_bytes(mutated_bytes(rng, mutated_text(rng, text).encode("utf-8", "surrogatepass")))
    history = read_history([path], HistoryOptions(rng.choice((None, "orders", "visits"))))
    found = forecast_peak(history, ForecastSettings(peak=date(2026, 11, 27)), {}, TODAY)
    forecast_sections(found)
    forecast_scenario(found, median_peak(found))


def _forecast(rng: Random, folder: Path) -> None:
    text = forecast_text(folder.parent)
    path = folder / FORECAST_FILE
    if rng.random() < 0.2:
        path.write_bytes(mutated_bytes(rng, text.encode()))
    else:
        path.write_text(json.dumps(mutated_value(rng, json.loads(text)), default=str), errors="replace")
    found = read_forecast(path)
    reserve(found, PositiveEstimate(5.0, 4.0, 6.0))
    industry_figures(found, (), None)
    forecast_sections(found)
    forecast_scenario(found, median_peak(found))
