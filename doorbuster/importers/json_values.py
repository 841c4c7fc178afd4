"""Values of JSON reports, read without trusting their types."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import orjson

from doorbuster.errors import UsageError
from doorbuster.importers.input_file import InputFile

MAX_BYTES = 256 << 20


def load_object(file: InputFile, tool: str) -> dict[str, Any]:
    """The report as an object. Raises: UsageError when it is not one."""
    try:
        data = orjson.loads(file.read_all(MAX_BYTES))
    except orjson.JSONDecodeError as error:
        raise UsageError(
            f"{file.path}: the report of {tool} is not complete JSON ({error}); export it again"
        ) from error
    if not isinstance(data, dict):
        raise UsageError(f"{file.path}: is not a report of {tool}")
    return data


def number(value: Any) -> float | None:
    """The value if it is a finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def scaled(value: Any, factor: float) -> float | None:
    """The value times a factor, if it is a finite number."""
    found = number(value)
    return None if found is None else found * factor


def mapping(value: Any) -> Mapping[str, Any]:
    """The value if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def starts_with_object(head: bytes, *words: bytes) -> bool:
    """Whether these bytes begin an object with all these keys."""
    return head.lstrip().startswith(b"{") and all(b'"' + word + b'"' in head for word in words)
