"""`doorbuster demand forecast`: past orders or visits to the demand of the next peak."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from doorbuster.cli.forecast_options import (
    base_scenario,
    forecast_options,
    forecast_settings,
    history_options,
)
from doorbuster.output import say


@click.command("forecast", short_help="Forecast the next peak from past counts.")
@click.argument(
    "history", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, dir_okay=False)
)
@forecast_options
@click.option(
    "--out",
    default=Path("forecast"),
    show_default=True,
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for forecast.json, index.html and two scenarios; files of these names are replaced.",
)
def forecast(history: Sequence[Path], **options: Any) -> int:
    """Forecast the demand of the next peak from HISTORY: files of past orders or visits.

    HISTORY: CSV (also exports of Google Analytics 4), Parquet, or SQL dumps, by day, hour, minute or order.
    Writes the demand of the busiest day, hour, minute and second with intervals, and two scenarios: the
    median, and the demand that one year in ten exceeds. Exit code 2 if the history is too short and no option
    states what it lacks.

    \b
    Example: doorbuster demand forecast orders.csv --growth 5%..15%
    """
    from doorbuster.cli.progress import each, progress
    from doorbuster.forecast.forecast_peak import forecast_peak
    from doorbuster.forecast.input.read_history import read_history
    from doorbuster.forecast.models import INSTALL, model_forecasters
    from doorbuster.forecast.page import forecast_sections
    from doorbuster.forecast.write_forecast import MEDIAN_FILE, write_forecast
    from doorbuster.report import print_section

    settings, base = forecast_settings(options), base_scenario(options)
    size = sum(path.stat().st_size for path in history)
    with progress("reading", size, in_bytes=True) as advance:
        series = read_history(history, history_options(options), advance)
    models = model_forecasters(options["country"])
    if not models:
        say(f"only the base, growth x season, is used; for models to compare it with: {INSTALL}", error=True)
    found = forecast_peak(series, settings, models, datetime.now().astimezone().date(), each)
    folder: Path = options["out"]
    write_forecast(found, folder, base)
    for section in forecast_sections(found):
        print_section(section)
    say(f"report:  {folder / 'index.html'}")
    say(f"next:    doorbuster run {folder / MEDIAN_FILE}")
    return 0
