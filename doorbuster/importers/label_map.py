"""Where the labels of another tool belong: channel, journey and step, by patterns.

labels:
  "GET /cart*": {channel: web, journey: buy, step: basket}
  "*checkout*": {step: place_order}
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from doorbuster.errors import UsageError
from doorbuster.importers.mapping_file import read_mapping_file
from doorbuster.importers.results import Label
from doorbuster.records.batch import SeriesKey
from doorbuster.records.outcome import RequestOutcome

COLUMNS = (
    "start",
    "end",
    "latency",
    "name",
    "ok",
    "status",
    "error",
    "group",
    "kind",
    "received",
    "sent",
    "first_byte",
)
UNITS_US = {"ns": 1e-3, "us": 1.0, "ms": 1e3, "s": 1e6}
_PLACES = ("channel", "journey", "step")
_KEYS = {"labels", "columns", "unit", "time_format", "zone", "delimiter", "ok_values"}


@dataclass(frozen=True, slots=True)
class LabelMap:
    """The mapping file of an import.

    columns: of a table of requests, by meaning. unit: of its latencies. time_format: for `strptime`, "" for
    Unix time and RFC 3339. zone: IANA name, for times without one. ok_values: what `ok` holds for a success.
    """

    rules: tuple[tuple[str, Mapping[str, str]], ...] = ()
    columns: Mapping[str, str] = field(default_factory=dict)
    unit: str = "ms"
    time_format: str = ""
    zone: str = ""
    delimiter: str = ""
    ok_values: tuple[str, ...] = ("true", "1", "ok", "yes", "success", "pass", "passed")

    def series(self, label: Label) -> SeriesKey:
        """The series of a label: the first pattern that matches its name, or "kind name", decides."""
        places = {"channel": label.group or "all", "journey": label.kind or "-", "step": label.name}
        texts = (label.name, f"{label.kind} {label.name}")
        for pattern, target in self.rules:
            if any(fnmatchcase(text, pattern) for text in texts):
                places.update(target)
                break
        outcome = RequestOutcome.FAILED if label.cause else RequestOutcome.OK
        return SeriesKey(places["channel"], places["journey"], places["step"], outcome, label.cause)


def read_label_map(path: Path) -> LabelMap:
    """The mapping file.

    Raises: UsageError with every problem found.
    """
    data = read_mapping_file(path)
    if not isinstance(data, dict):
        raise UsageError(f"{path}: must be a mapping with the keys {', '.join(sorted(_KEYS))}")
    problems = [
        f"{path}: unknown key {key!r}; use {', '.join(sorted(_KEYS))}" for key in data if key not in _KEYS
    ]
    rules = _rules(path, data.get("labels") or {}, problems)
    columns = _columns(path, data.get("columns") or {}, problems)
    unit = str(data.get("unit", "ms"))
    if unit not in UNITS_US:
        problems.append(f"{path}: unit must be one of {', '.join(UNITS_US)} (got {unit!r})")
    ok_values = data.get("ok_values", list(LabelMap().ok_values))
    if not isinstance(ok_values, list) or not ok_values:
        problems.append(f"{path}: ok_values must be a list, such as [true, OK] (got {ok_values!r})")
        ok_values = []
    if problems:
        raise UsageError("\n".join(problems[:40]))
    return LabelMap(
        rules=rules,
        columns=columns,
        unit=unit,
        time_format=str(data.get("time_format") or ""),
        zone=str(data.get("zone") or ""),
        delimiter=str(data.get("delimiter") or ""),
        ok_values=tuple(str(value).lower() for value in ok_values),
    )


def _rules(path: Path, raw: Any, problems: list[str]) -> tuple[tuple[str, Mapping[str, str]], ...]:
    if not isinstance(raw, dict):
        problems.append(f"{path}: labels must map patterns to {{channel, journey, step}}")
        return ()
    found = []
    for pattern, target in raw.items():
        if not isinstance(target, dict) or not target or not set(target) <= set(_PLACES):
            problems.append(
                f"{path}: labels.{pattern} must name some of channel, journey, step (got {target!r})"
            )
            continue
        found.append((str(pattern), {key: str(value) for key, value in target.items()}))
    return tuple(found)


def _columns(path: Path, raw: Any, problems: list[str]) -> dict[str, str]:
    if not isinstance(raw, dict):
        problems.append(f"{path}: columns must map {', '.join(COLUMNS)} to names of columns")
        return {}
    unknown = [str(key) for key in raw if key not in COLUMNS]
    if unknown:
        problems.append(f"{path}: columns.{', columns.'.join(unknown)} is unknown; use {', '.join(COLUMNS)}")
    found = {str(key): str(value) for key, value in raw.items()}
    if found and "latency" not in found and not {"start", "end"} <= set(found):
        problems.append(f"{path}: columns must name latency, or start and end")
    return found
