"""A new folder of a season: history, forecast, scenarios and season.yaml, ready for the embedded shop."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

from doorbuster.errors import UsageError
from doorbuster.forecast.forecast_peak import ForecastSettings, forecast_peak
from doorbuster.forecast.forecast_result import FORECAST_FILE, ForecastResult
from doorbuster.forecast.input.columns import HistoryOptions
from doorbuster.forecast.input.read_history import read_history
from doorbuster.forecast.models import model_forecasters
from doorbuster.forecast.page import day_name
from doorbuster.forecast.write_forecast import MEDIAN_FILE, WORSE_FILE, write_forecast
from doorbuster.output.tracking import Track, untracked
from doorbuster.report.write import write_files
from doorbuster.scenario import Scenario
from doorbuster.season.builtin_history import SENTENCE, builtin_history
from doorbuster.season.season_file import SCHEMA_FILE, SEASON_FILE, season_schema_text

HISTORY_FILE = Path("history") / "orders.csv"


def start_season(
    folder: Path,
    history: Sequence[Path],
    settings: ForecastSettings,
    options: HistoryOptions,
    country: str,
    today: date,
    base: Scenario | None = None,
    track: Track = untracked,
) -> tuple[ForecastResult, str]:
    """Write the folder; returns the forecast and a sentence on the history.

    Args:
        history: files; none for history/orders.csv of the folder, or the built-in example without one.
        track: shows the progress of the forecast.

    Raises: UsageError if the folder has a season already, or if the history cannot be forecast; nothing is
        written then.
    """
    if (folder / SEASON_FILE).exists():
        raise UsageError(f"{folder / SEASON_FILE} exists; name another folder, or edit it")
    sentence = f"The history is {', '.join(str(path) for path in history)}."
    made: list[Path] = []
    if not history and (folder / HISTORY_FILE).is_file():
        history = [folder / HISTORY_FILE]
        sentence = f"The history is {folder / HISTORY_FILE}."
    elif not history:
        sentence = SENTENCE
        history = [folder / HISTORY_FILE]
        made = [path for path in (folder / HISTORY_FILE).parents if not path.exists()]
        write_files(folder / HISTORY_FILE.parent, {HISTORY_FILE.name: builtin_history(today)})
    settings = replace(settings, not_before=today)
    try:
        found = forecast_peak(
            read_history(history, options), settings, model_forecasters(country), today, track
        )
    except BaseException:
        if made:
            shutil.rmtree(made[-1] if made[-1] != Path() else folder / HISTORY_FILE.parent)
        raise
    write_forecast(found, folder / "forecast", base)
    for name in ("runs", "capacity"):
        (folder / name).mkdir(exist_ok=True)
    write_files(folder, {SEASON_FILE: season_text(found, sentence), SCHEMA_FILE: season_schema_text()})
    return found, sentence


def season_text(found: ForecastResult, sentence: str) -> str:
    """The text of season.yaml."""
    return f"""\
# yaml-language-server: $schema={SCHEMA_FILE}
# {"".join(letter if letter.isprintable() else " " for letter in sentence)}
title: "Peak of {day_name(found.peak_day)}"
peak_date: {found.peak_date}
forecast: forecast/{FORECAST_FILE}
scenarios: [forecast/{MEDIAN_FILE}, forecast/{WORSE_FILE}]  # the expected one first
runs: [runs]          # `doorbuster run forecast/{MEDIAN_FILE} --out runs/NAME`
capacity: [capacity]  # `doorbuster capacity forecast/{MEDIAN_FILE} --out capacity/NAME`
# history: history.sqlite  # searches of other machines, by `doorbuster history add`
# order_value: 48..55      # mean order; default: measured in the latest run
limits:
  can_browse: 97%
  can_order: 90%  # a run with about 30 orders cannot prove more
  buying_p95: 3s
  headroom: 1
# what_if: {{one_server_less: capacity/one-server-less}}
"""
