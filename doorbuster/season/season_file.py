"""season.yaml: one campaign, with the paths of its forecast, scenarios, runs and capacity searches.

Paths are relative to the folder of the file. A path that is named must exist: a misspelt one would otherwise
read as "not tested".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError

from doorbuster.errors import FileProblem, ScenarioError
from doorbuster.scenario.parsing.diagnostics import (
    KeyIssue,
    all_issues,
    collect_issues,
    invalid,
    issues_from,
    preview,
)
from doorbuster.scenario.parsing.diagnostics import Path as KeyPath
from doorbuster.scenario.parsing.document import Document, read_document
from doorbuster.scenario.parsing.strict import StrictModel
from doorbuster.scenario.parsing.value_range import ValueRange
from doorbuster.scenario.parsing.values import NUMBER_PATTERN, Share, Text, duration, number, value_type
from doorbuster.scenario.schema import file_schema, schema_text
from doorbuster.scenario.target.target import parse_currency

SEASON_FILE = "season.yaml"
SCHEMA_FILE = "season.schema.json"
_MAX_BYTES = 1_000_000
_HIGHEST_AMOUNT = 1e9
_AMOUNTS = re.compile(rf"\s*({NUMBER_PATTERN})\s*(?:\.\.\s*({NUMBER_PATTERN})\s*)?")


@value_type({"type": "string", "format": "date"})
def parse_date(raw: object) -> date:
    """A day, such as 2026-11-27."""
    if isinstance(raw, date):
        return raw
    try:
        return date.fromisoformat(str(raw))
    except ValueError:
        raise invalid("must be a day, such as 2026-11-27", got=preview(raw)) from None


@value_type({"type": "string", "minLength": 1})
def parse_path(raw: object) -> str:
    """A path of a season."""
    if not isinstance(raw, str) or not raw.strip() or "\0" in raw:
        raise invalid("must be a path, relative to the folder of this file", got=preview(raw))
    return raw


@value_type({"anyOf": [parse_path.schema, {"type": "array", "items": parse_path.schema}]})
def parse_paths(raw: object) -> tuple[str, ...]:
    """One path or several."""
    listed = raw if isinstance(raw, list | tuple) else [raw]
    with all_issues("paths", raw) as issues:
        found = [collect_issues(issues, (at,), parse_path, path) for at, path in enumerate(listed)]
    return tuple(path for path in found if path is not None)


@value_type(
    {
        "anyOf": [
            {"type": "string", "pattern": f"^{_AMOUNTS.pattern}$"},
            {"type": "number", "exclusiveMinimum": 0, "maximum": _HIGHEST_AMOUNT},
        ],
        "examples": [52, "48..55"],
    }
)
def parse_amounts(raw: object) -> ValueRange:
    """ "48..55" or 52: an amount with its 95 % interval."""
    if isinstance(raw, ValueRange):
        return raw
    found = _AMOUNTS.fullmatch(str(raw))
    low, high = (float(found[1]), float(found[2] or found[1])) if found else (0.0, 0.0)
    if isinstance(raw, bool) or not 0 < low <= high <= _HIGHEST_AMOUNT:
        raise invalid(
            'must be an amount or a range of amounts above 0, such as 52 or "48..55"', got=preview(raw)
        )
    return ValueRange(low, high)


Paths = Annotated[tuple[str, ...], parse_paths]
OnePath = Annotated[str, parse_path]


class SeasonLimits(StrictModel):
    """What each indicator must meet."""

    can_browse: Share = Field(
        default=0.99, description="Least share of customers who could browse. Default: 99 %."
    )
    can_order: Share = Field(
        default=0.98, description="Least share of those who wanted to order and could. Default: 98 %."
    )
    buying_p95_s: Annotated[float, duration(zero=False)] = Field(
        default=3.0, description="Highest p95 of the response times of the buying journey. Default: 3s."
    )
    headroom: Annotated[float, number(0.1, 100)] = Field(
        default=1.0, description="Least capacity over the forecast demand of the busiest hour. Default: 1."
    )
    revenue_at_risk: Annotated[float, number(0, 1e9)] = Field(
        default=0.0,
        description="Highest expected loss per minute of the busiest hour. Default, and 0: a thousandth of "
        "its revenue.",
    )


class SeasonWhatIf(StrictModel):
    """Folders of searches or runs that answer what-if questions."""

    one_server_less: OnePath | None = Field(default=None, description="With one server less.")
    retries_off: OnePath | None = Field(default=None, description="Without retries and reloads.")
    waiting_room_on: OnePath | None = Field(default=None, description="With a waiting room.")


class Season(StrictModel):
    """One campaign."""

    title: Text = Field(description="Name of the campaign.", examples=["Christmas 2026"])
    peak_date: Annotated[date, parse_date] = Field(description="Day of the peak.", examples=["2026-11-27"])
    forecast: OnePath | None = Field(
        default=None,
        description="Result of `doorbuster demand forecast`.",
        examples=["forecast/forecast.json"],
    )
    scenarios: Paths = Field(default=(), description="Scenarios of this peak, the expected one first.")
    runs: Paths = Field(default=(), description="Folders that hold runs, at any depth.")
    capacity: Paths = Field(default=(), description="Folders that hold capacity searches, at any depth.")
    history: OnePath | None = Field(default=None, description="History file, for searches of other machines.")
    order_value: Annotated[ValueRange, parse_amounts] | None = Field(
        default=None, description="Mean order, or its 95 % interval. Default: measured in the latest run."
    )
    currency: Annotated[str, parse_currency] = Field(
        default="GBP", description="Currency of `order_value`. Default: GBP."
    )
    limits: SeasonLimits = Field(default=SeasonLimits(), description="What each indicator must meet.")
    what_if: SeasonWhatIf = Field(default=SeasonWhatIf(), description="Answers to what-if questions.")


@dataclass(frozen=True, slots=True)
class SeasonFolder:
    """A season with the folder that its paths start from."""

    file: Path
    season: Season

    def path(self, relative: str) -> Path:
        """A path of the file."""
        return self.file.parent / relative


def season_schema_text() -> str:
    """The text of docs/reference/season.schema.json, with which editors check and complete season.yaml."""
    return schema_text(file_schema(Season, "doorbuster season"))


def read_season(path: Path) -> SeasonFolder:
    """Read the season.yaml of a folder, or the file itself.

    Raises: ScenarioError with every problem: file, line, column, rule, value found, way out.
    """
    file = path / SEASON_FILE if path.is_dir() else path
    document = read_document(_text(file), str(file))
    problems = list(document.problems)
    if document.data is None:
        way_out = "write a new one with `doorbuster season init FOLDER`"
        raise ScenarioError(
            FileProblem(str(file), p.line, p.column, "", p.rule, p.got, way_out) for p in problems
        )
    season: Season | None = None
    if isinstance(document.data, dict):
        try:
            season = Season.model_validate(document.data, context=document)
        except ValidationError as error:
            found = (issue for issue in issues_from(error) if issue.path not in document.unusable)
            problems += [document.problem(issue) for issue in found]
        problems += _missing_paths(document, file.parent)
    if problems or season is None:
        raise ScenarioError(problems)
    return SeasonFolder(file, season)


def _text(file: Path) -> str:
    try:
        return file.read_bytes()[:_MAX_BYTES].decode("utf-8-sig", "surrogateescape")
    except OSError as error:
        way_out = "start with `doorbuster season init FOLDER`"
        problem = FileProblem(str(file), 0, 0, "", f"cannot be read: {error.strerror}", way_out=way_out)
        raise ScenarioError([problem]) from None


def _missing_paths(document: Document, folder: Path) -> Iterator[FileProblem]:
    """A problem for every path that does not exist or is of the wrong kind."""
    for key, path in _named_paths(document.data):
        kind = str(key[0])
        target = folder / path
        if kind in ("forecast", "history", "scenarios") and not _exists(target.is_file):
            way_out = {
                "forecast": "make it with `doorbuster demand forecast`",
                "history": "make it with `doorbuster history add`",
            }.get(kind, "")
            yield document.problem(KeyIssue(key, "must be a file", path, way_out))
        elif kind in ("runs", "capacity", "what_if") and not _exists(target.is_dir):
            yield document.problem(KeyIssue(key, "must be a folder", path))


def _exists(check: Callable[[], bool]) -> bool:
    """The result of a check of a path; False for one that no file can have, such as a too long one."""
    try:
        return check()
    except (OSError, ValueError):
        return False


def _named_paths(data: dict[str, object]) -> Iterator[tuple[KeyPath, str]]:
    for key in ("forecast", "history", "scenarios", "runs", "capacity"):
        value = data.get(key)
        if isinstance(value, str) and "\0" not in value:
            yield (key,), value
        elif isinstance(value, list):
            for at, path in enumerate(value):
                if isinstance(path, str) and "\0" not in path:
                    yield (key, at), path
    what_if = data.get("what_if")
    for name, path in what_if.items() if isinstance(what_if, dict) else ():
        if isinstance(path, str) and "\0" not in path:
            yield ("what_if", str(name)), path
