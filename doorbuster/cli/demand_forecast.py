"""`doorbuster demand forecast`: past orders or visits to the demand of the next peak."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from doorbuster.output import say

if TYPE_CHECKING:
    from doorbuster.forecast.forecast_peak import ForecastSettings
    from doorbuster.forecast.forecast_result import StatedFactor
    from doorbuster.forecast.input.columns import HistoryOptions
    from doorbuster.scenario.parsing.value_range import ValueRange

Command = TypeVar("Command", bound=Callable[..., Any])
_DATE = click.DateTime(["%Y-%m-%d"])
_MEASURES = click.Choice(["orders", "visits"])


def _text(name: str, metavar: str, text: str) -> Callable[[Command], Command]:
    return click.option(name, metavar=metavar, help=text)


@click.command("forecast")
@click.argument(
    "history", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, dir_okay=False)
)
@click.option(
    "--peak-date",
    type=_DATE,
    metavar="DATE",
    help="Day of the peak, e.g. 2026-11-27. Default: as the last one, Black Friday or the same weekday.",
)
@_text(
    "--growth",
    "SHARE",
    "Growth since the last season, such as 8% or 5%..15% (95 % interval). Default: measured.",
)
@_text(
    "--season-factor",
    "FACTOR",
    "Highest day over the mean day, such as 2.1..2.7, for a history without a past season.",
)
@click.option(
    "--campaign",
    "campaigns",
    multiple=True,
    metavar="NAME=SHARE",
    help='A new campaign and what it adds to the highest day, such as "TV advert=10%..30%". Repeatable.',
)
@_text(
    "--conversion",
    "SHARE",
    "Orders per visit in the peak, such as 3%..5%. Default: measured, else 2.3% to 4.7% (IMRG).",
)
@_text("--pages-per-visit", "COUNT", "Pages that a visit requests, such as 8..14. Default: 7.6 to 13.6.")
@click.option("--measure", type=_MEASURES, help="What the files count, where their columns do not say it.")
@_text("--time-column", "NAME", "The column with the time. Default: recognised by its name.")
@_text("--count-column", "NAME", "The column with the count. Default: recognised by its name.")
@_text("--id-column", "NAME", "The column with the order's number, where an order has several rows.")
@_text("--table", "NAME", "The table of an SQL dump that fills several.")
@_text("--date-format", "FORMAT", "How times are written, such as %d/%m/%Y, where they are ambiguous.")
@_text("--timezone", "NAME", "Zone of the shop, e.g. Europe/London, for times with an offset.")
@click.option("--country", default="GB", show_default=True, help="Whose public holidays count: GB, DE, US …")
@click.option(
    "--until",
    type=_DATE,
    metavar="DATE",
    help="Use only the days before DATE, to compare a forecast with what happened.",
)
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), default=1, show_default=True, help="Random seed.")
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
    median, and 1 in 10 years worse. Exit code 2 if the history is too short and nothing is stated instead.

    \b
    Example: doorbuster demand forecast orders.csv --growth 5%..15%
    """
    from doorbuster.forecast.forecast_peak import forecast_peak
    from doorbuster.forecast.input.read_history import read_history
    from doorbuster.forecast.models import INSTALL, model_forecasters
    from doorbuster.forecast.page import forecast_sections
    from doorbuster.forecast.write_forecast import MEDIAN_FILE, write_forecast
    from doorbuster.report import print_section

    settings = _settings(options)
    series = read_history(history, _history_options(options))
    models = model_forecasters(options["country"])
    if not models:
        say(f"only the base, growth x season, is used; for models to compare it with: {INSTALL}", error=True)
    found = forecast_peak(series, settings, models, datetime.now().astimezone().date())
    folder: Path = options["out"]
    write_forecast(found, folder)
    for section in forecast_sections(found):
        print_section(section)
    say(f"report:  {folder / 'index.html'}")
    say(f"next:    doorbuster run {folder / MEDIAN_FILE}")
    return 0


def _settings(options: dict[str, Any]) -> ForecastSettings:
    from doorbuster.forecast.forecast_peak import ForecastSettings

    peak, until = options["peak_date"], options["until"]
    return ForecastSettings(
        peak=None if peak is None else peak.date(),
        until=None if until is None else until.date(),
        growth=_growth(options["growth"], "--growth"),
        season_factor=_factor(options["season_factor"], "--season-factor", least=1.0),
        campaigns=tuple(_campaign(text) for text in options["campaigns"]),
        conversion=_share(options["conversion"], "--conversion"),
        pages=_factor(options["pages_per_visit"], "--pages-per-visit", least=1.0),
        seed=options["seed"],
    )


def _history_options(options: dict[str, Any]) -> HistoryOptions:
    from doorbuster.forecast.input.columns import HistoryOptions

    return HistoryOptions(
        options["measure"], options["time_column"], options["count_column"], options["id_column"],
        options["table"], options["date_format"], options["timezone"],
    )  # fmt: skip


def _campaign(text: str) -> StatedFactor:
    from doorbuster.errors import UsageError
    from doorbuster.forecast.forecast_result import StatedFactor

    name, sign, share = text.rpartition("=")
    if not (sign and name.strip()):
        raise UsageError(f'--campaign {text}: must be a name and what it adds, such as "TV advert=10%..30%"')
    found = _growth(share, "--campaign")
    assert found is not None
    return StatedFactor(name.strip(), found.low, found.high)


def _growth(text: str | None, option: str) -> ValueRange | None:
    """A growth as a factor: 1.05 to 1.15 for 5%..15%."""
    from doorbuster.scenario.parsing.value_range import ValueRange, value_range
    from doorbuster.scenario.parsing.values import share

    found = _parsed(text, option, value_range(share(low=-0.99, high=100), zero=True))
    return None if found is None else ValueRange(1 + found.low, 1 + found.high)


def _share(text: str | None, option: str) -> ValueRange | None:
    from doorbuster.scenario.parsing.value_range import value_range
    from doorbuster.scenario.parsing.values import share

    return _parsed(text, option, value_range(share(low=0.0001)))


def _factor(text: str | None, option: str, *, least: float) -> ValueRange | None:
    """Two plain numbers, or one."""
    from doorbuster.errors import UsageError
    from doorbuster.scenario.parsing.value_range import ValueRange

    if text is None:
        return None
    try:
        low, high = (float(end) for end in (text.split("..") if ".." in text else (text, text)))
    except ValueError:
        low = high = 0.0
    if not least <= low <= high <= 1000:
        raise UsageError(
            f"{option}: must be one number or two, such as 2.1..2.7, from {least:g} to 1000 (got {text})"
        )
    return ValueRange(low, high)


def _parsed(text: str | None, option: str, parse: Callable[[object], ValueRange]) -> ValueRange | None:
    from pydantic_core import PydanticCustomError

    from doorbuster.errors import UsageError

    if text is None:
        return None
    try:
        return parse(text)
    except PydanticCustomError as error:
        context = error.context or {}
        way_out = f"; {context['way_out']}" if context["way_out"] else ""
        raise UsageError(f"{option}: {context['rule']} (got {text}){way_out}") from None
