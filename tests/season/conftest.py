"""A season over the recorded sample run and written search results."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path

import pytest

from doorbuster.capacity.result_file import SearchResult
from doorbuster.forecast.forecast_peak import ForecastSettings
from doorbuster.forecast.input.columns import HistoryOptions
from doorbuster.season.starter import start_season

ROOT = Path(__file__).parents[2]
TODAY = date(2026, 11, 29)


@pytest.fixture(scope="session")
def started(tmp_path_factory) -> Path:
    """What `season init` writes, once."""
    folder = tmp_path_factory.mktemp("season") / "christmas"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("doorbuster.season.starter.model_forecasters", lambda _country: {})
        start_season(folder, (), ForecastSettings(), HistoryOptions(), "GB", TODAY)
    return folder


@pytest.fixture
def season(started, tmp_path) -> Path:
    """A copy of it, to change."""
    shutil.copytree(started, tmp_path / "christmas")
    return tmp_path / "christmas"


@pytest.fixture
def add_sample(season):
    """Adds the sample run, under a name."""

    def add(name: str = "sample") -> None:
        (season / "runs" / name).mkdir()
        shutil.copy(ROOT / "reports" / "sample" / "run.sqlite", season / "runs" / name)

    return add


@pytest.fixture
def add_search(season):
    """Adds the result of a capacity search."""

    def add(name: str, rate: float, low: float | None, high: float | None, **more) -> Path:
        folder = season / "capacity" / name
        folder.mkdir(parents=True)
        values = {
            "scenario": "peak-median", "title": "", "sentence": "", "rate_per_s": rate, "low": low,
            "high": high,
            "at_least": False, "binding": "can_browse", "method": "bracket", "recovered": None, "flags": (),
            "elapsed_s": 60.0, "finished": True, "demand_per_s": 1.0,
        }  # fmt: skip
        SearchResult(**{**values, **more}).write(folder)
        return folder

    return add
