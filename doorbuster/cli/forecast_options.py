"""Options of commands that forecast: what the user knows and assumes about a history."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from doorbuster.cli.options import Day, WholeNumber

if TYPE_CHECKING:
    from doorbuster.forecast.forecast_peak import ForecastSettings
    from doorbuster.forecast.forecast_result import StatedFactor
    from doorbuster.forecast.input.columns import HistoryOptions
    from doorbuster.scenario import Scenario
    from doorbuster.scenario.parsing.value_range import ValueRange

Command = TypeVar("Command", bound=Callable[..., Any])


def _text(name: str, metavar: str, text: str) -> Callable[[Command], Command]:
    return click.option(name, metavar=metavar, help=text)


_OPTIONS = (
    click.option(
        "--peak-date", type=Day(), metavar="DATE",
        help="Day of the peak, e.g. 2026-11-27. Default: a year after the last one, on Black Friday or "
        "the same weekday.",
    ),
    _text("--growth", "SHARE",
          "Growth since the last season, e.g. 8%, or 5%..15% as a 95 % interval. Default: measured."),
    _text("--season-factor", "FACTOR",
          "Highest day divided by the mean day, e.g. 2.1..2.7, for a history without a past season."),
    click.option(
        "--campaign", "campaigns", multiple=True, metavar="NAME=SHARE",
        help='A new campaign and what it adds to the highest day, e.g. "TV advert=10%..30%". Repeatable.',
    ),
    _text("--conversion", "SHARE",
          "Orders per visit in the peak, e.g. 3%..5%. Default: measured, else 2.3% to 4.7% (IMRG)."),
    _text("--pages-per-visit", "COUNT", "Pages that a visit requests, e.g. 8..14. Default: 7.6 to 13.6."),
    click.option(
        "--measure", type=click.Choice(["orders", "visits"]),
        help="What the files count. Default: recognised by the names of their columns.",
    ),
    _text("--time-column", "NAME", "Column with the time. Default: recognised by its name."),
    _text("--count-column", "NAME", "Column with the count. Default: recognised by its name."),
    _text("--id-column", "NAME", "Column with the order number, where an order has several rows."),
    _text("--table", "NAME", "Table to read from an SQL dump. Default: the only one with rows."),
    _text("--date-format", "FORMAT",
          "Format of the times, e.g. %d/%m/%Y. Default: recognised, unless a date is ambiguous."),
    _text("--timezone", "NAME",
          "Time zone of the shop, e.g. Europe/London. Default: times with an offset count as written."),
    _text("--scenario", "NAME",
          "Take customers, target and thresholds from this scenario, and only the demand from the forecast."),
    click.option(
        "--country", metavar="CODE", default="GB", show_default=True,
        help="Country whose public holidays count, e.g. GB, DE or US.",
    ),
    click.option(
        "--until", type=Day(), metavar="DATE",
        help="Use only the days before DATE, to compare a forecast with what happened.",
    ),
    click.option(
        "--seed", type=WholeNumber(0, 2**63 - 1), metavar="N", default=1, show_default=True,
        help="Random seed of the bootstrap.",
    ),
)  # fmt: skip


def forecast_options(command: Command) -> Command:
    """The options, in the order of the help."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def forecast_settings(options: dict[str, Any]) -> ForecastSettings:
    from doorbuster.forecast.forecast_peak import ForecastSettings

    peak, until = options["peak_date"], options["until"]
    return ForecastSettings(
        peak=None if peak is None else peak.date(),
        until=None if until is None else until.date(),
        growth=_growth(options["growth"], "--growth"),
        season_factor=_factor(options["season_factor"], "--season-factor", least=1.0),
        campaigns=tuple(_campaign(text) for text in options["campaigns"]),
        conversion=_share(options["conversion"], "--conversion"),
        pages_per_visit=_factor(options["pages_per_visit"], "--pages-per-visit", least=1.0),
        seed=options["seed"],
    )


def base_scenario(options: dict[str, Any]) -> Scenario | None:
    """The scenario whose customers, target and thresholds are wanted.

    Raises: ScenarioError with every problem found.
    """
    from doorbuster.cli.run_workflow import find_scenario

    return None if options["scenario"] is None else find_scenario(options["scenario"])


def history_options(options: dict[str, Any]) -> HistoryOptions:
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
    from doorbuster.errors import UsageError
    from doorbuster.scenario.parsing.value_range import ValueRange, value_range
    from doorbuster.scenario.parsing.values import share

    found = _parsed(text, option, value_range(share(low=-0.99, high=100), zero=True))
    if found is not None and text is not None and "%" not in text and found.high >= 1:
        raise UsageError(f"{option} {text}: must be in percent; write {text}% or {found.high:.0%}")
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
