"""Histories: the UCI retailer's, where the reference data is, and simulated ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from doorbuster.forecast.demand_series import DailyDemand
from doorbuster.forecast.input.columns import HistoryOptions
from doorbuster.forecast.input.read_history import read_history

DATA = Path(__file__).parents[3] / "shared" / "data"


@pytest.fixture(scope="session")
def uci_file() -> Path:
    """Daily orders, revenue and order lines of a British gift retailer, 2009 to 2011."""
    file = DATA / "uci_daily_orders.csv"
    if not file.is_file():
        pytest.skip("the reference data (shared/data beside the checkout) is not on this machine")
    return file


@pytest.fixture
def uci(uci_file):
    """One of its columns as a daily demand."""

    def read(column: str) -> DailyDemand:
        options = HistoryOptions("orders", count_column=column)
        return read_history([uci_file], options)["orders"].daily()

    return read


@pytest.fixture
def two_years():
    """Two years of log-normal daily orders: level 100, 250 in November, second year 20 % higher."""

    def make(seed: int, noise: float = 0.1) -> DailyDemand:
        rng = np.random.default_rng(seed)
        days = np.arange(np.datetime64("2024-01-01"), np.datetime64("2025-12-01"))
        mondays = days - (days.astype(int) + 3) % 7  # the level changes between weeks
        november = mondays.astype("datetime64[M]").astype(int) % 12 == 10
        level = np.where(november, 250.0, 100.0) * np.where(mondays < np.datetime64("2024-12-30"), 1.0, 1.2)
        return DailyDemand(days, level * np.exp(rng.normal(0, noise, len(days))))

    return make
