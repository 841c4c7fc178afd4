"""The mapping file of a log: which column means what, and which page an address is.

columns: {time: when, path: url, status: code, address: client}
pages:
  "GET /shop/*": category
  "POST /cart/add": add_to_basket
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from doorbuster.access_logs.formats.named_fields import FIELDS, UNITS_S, NamedFields
from doorbuster.errors import FileProblem, UsageError, problem_lines
from doorbuster.importers.mapping_file import read_mapping_file
from doorbuster.scenario import CHAIN_STEPS

OTHER, IGNORE = "other", "ignore"
KINDS = (*CHAIN_STEPS, OTHER, IGNORE)
_KEYS = ("columns", "unit", "stamp", "time_format", "zone", "delimiter", "pages")
_STAMPS = ("start", "end")
_PARAMETER = re.compile(r"\\\{[^{}]*\\\}")


@dataclass(frozen=True, slots=True)
class PageRule:
    """An address pattern and its kind of page: {x} stands for one part of a path, * for anything."""

    pattern: re.Pattern[str]
    kind: str


@dataclass(frozen=True, slots=True)
class LogMap:
    """What the user says about a log. `columns` is None unless given; `rules` in the order of the file."""

    columns: NamedFields | None = None
    time_format: str = ""
    zone: str = ""
    delimiter: str = ""
    rules: tuple[PageRule, ...] = field(default=())

    def kind_of(self, address: str) -> str | None:
        """The kind of an address such as "GET /cart"; None if no rule matches."""
        return next((rule.kind for rule in self.rules if rule.pattern.fullmatch(address)), None)


def read_log_map(path: Path) -> LogMap:
    """The mapping file. Raises: UsageError with every problem found."""
    data = read_mapping_file(path)
    if not isinstance(data, dict) or not data:
        raise UsageError(f"{path}: must be a mapping with keys such as columns and pages")
    problems = [
        FileProblem(str(path), 0, 0, str(key), "is not a valid key", way_out=f"use {', '.join(_KEYS)}")
        for key in data
        if key not in _KEYS
    ]
    columns = _columns(str(path), data, problems)
    rules = _rules(str(path), data.get("pages") or {}, problems)
    if problems:
        raise UsageError(problem_lines(problems))
    return LogMap(
        columns,
        str(data.get("time_format") or ""),
        str(data.get("zone") or ""),
        str(data.get("delimiter") or ""),
        rules,
    )


def _columns(file: str, data: Mapping[str, Any], problems: list[FileProblem]) -> NamedFields | None:
    raw = data.get("columns")
    unit, stamp = str(data.get("unit", "s")), str(data.get("stamp", "start"))
    if raw is None:
        idle = [key for key in ("unit", "stamp", "time_format", "delimiter") if key in data]
        if idle:
            problems.append(FileProblem(file, 0, 0, ", ".join(idle), "has no effect without columns"))
        return None
    if not isinstance(raw, dict):
        rule = f"must map {', '.join(FIELDS)} to names of the log"
        problems.append(FileProblem(file, 0, 0, "columns", rule, str(raw)))
        return None
    problems += [
        FileProblem(file, 0, 0, f"columns.{key}", f"must be one of {', '.join(FIELDS)}")
        for key in raw
        if key not in FIELDS
    ]
    if unit not in UNITS_S:
        problems.append(FileProblem(file, 0, 0, "unit", f"must be one of {', '.join(UNITS_S)}", unit))
    if stamp not in _STAMPS:
        problems.append(FileProblem(file, 0, 0, "stamp", "must be start or end of the request", stamp))
    names = {str(key): str(name) for key, name in raw.items()}
    fields = NamedFields("", names, "end" if stamp == "end" else "start", UNITS_S.get(unit, 1.0))
    if not fields.is_complete:
        problems.append(FileProblem(file, 0, 0, "columns", "must name time, and path or request"))
    return fields


def _rules(file: str, raw: Any, problems: list[FileProblem]) -> tuple[PageRule, ...]:
    if not isinstance(raw, dict):
        rule = 'must map addresses to kinds, such as {"GET /cart": basket}'
        problems.append(FileProblem(file, 0, 0, "pages", rule, str(raw)))
        return ()
    found = []
    for address, kind in raw.items():
        if kind not in KINDS:
            rule = f"must be one of {', '.join(KINDS)}"
            problems.append(FileProblem(file, 0, 0, f"pages.{address}", rule, str(kind)))
            continue
        text = _PARAMETER.sub("[^/?]+", re.escape(str(address))).replace(r"\*", ".*")
        found.append(PageRule(re.compile(text), str(kind)))
    return tuple(found)
