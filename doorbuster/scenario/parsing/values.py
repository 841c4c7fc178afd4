"""Value types of a scenario: durations, rates, shares, counts, names.

A `ValueType` is a parser and the JSON Schema of the spellings that it accepts. Parsers return base units:
seconds, per second, 0..1.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeGuard, TypeVar

from pydantic import BaseModel, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from doorbuster.scenario.parsing.diagnostics import (
    all_issues,
    collect_issues,
    did_you_mean,
    invalid,
    preview,
    unknown_key,
)
from doorbuster.units import format_duration, parse_duration_s, parse_rate_per_s, parse_ratio

MAX_DURATION_S = 366 * 86400.0
MAX_RATE_PER_S = 1e6

NUMBER_PATTERN = r"\d+(?:[_\d]*\d)?(?:\.\d+)?"
DURATION_PATTERN = rf"^\s*(?:{NUMBER_PATTERN}\s*(?:us|µs|ms|s|m|h|d))+\s*$"
RATE_PATTERN = rf"^\s*{NUMBER_PATTERN}\s*[a-z_ ]*/\s*(?:s|sec|second|m|min|minute|h|hour|d|day)\s*$"
SHARE_PATTERN = rf"^\s*{NUMBER_PATTERN}\s*%?\s*$"
COUNT_PATTERN = rf"^\s*{NUMBER_PATTERN}\s*(?:k|m|bn)?\s*[a-z_ ]*?(?:/\s*(?:yr|year))?\s*$"
_COUNT = re.compile(rf"({NUMBER_PATTERN})\s*(k|m|bn)?(?:\s+[a-z_ ]+?)?\s*(?:/\s*(?:yr|year))?")
_TIMES = {None: 1.0, "k": 1e3, "m": 1e6, "bn": 1e9}
GROWTH_PATTERN = rf"^\s*-?\s*{NUMBER_PATTERN}\s*%?\s*$"

JsonSchema = dict[str, Any]
T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class ValueType(Generic[T]):
    """A parser with the JSON Schema of what it accepts: `Annotated[float, duration(zero=True)]` uses both."""

    parse: Callable[[object], T]
    schema: JsonSchema

    def __call__(self, raw: object) -> T:
        return self.parse(raw)

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self.parse, handler(source))

    def __get_pydantic_json_schema__(self, _: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchema:
        return dict(self.schema)


def value_type(schema: JsonSchema) -> Callable[[Callable[[object], T]], ValueType[T]]:
    """Decorator: the parser with this JSON Schema."""
    return lambda parse: ValueType(parse, schema)


def model_schema(model: type[BaseModel]) -> JsonSchema:
    """JSON Schema of a mapping with the keys of `model`, whose values have no models of their own."""
    return model.model_json_schema(by_alias=True)


def single_key_schema(key: str, value: JsonSchema) -> JsonSchema:
    """JSON Schema of a mapping with this one key."""
    return {"type": "object", "properties": {key: value}, "required": [key], "additionalProperties": False}


def parse_single_key(raw: object, parsers: Mapping[str, Callable[[Any], T]], *, rule: str, noun: str) -> T:
    """The value of a mapping with one key, parsed as that key says: {lognormal: {...}}."""
    if not isinstance(raw, dict) or len(raw) != 1:
        raise invalid(rule, got=preview(raw))
    name, values = next(iter(raw.items()))
    found: T | None = None
    with all_issues(noun, raw) as issues:
        if name in parsers:
            found = collect_issues(issues, (name,), parsers[name], values)
        else:
            issues.append(unknown_key(name, f"is not a {noun}", parsers))
    assert found is not None, "no issue"
    return found


def is_number(value: object) -> TypeGuard[int | float]:
    """Whether a YAML value is a finite number; true and false are not."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < math.inf


def _unsigned(text: str) -> tuple[str, bool]:
    compact = text.strip()
    return (compact[1:].strip(), True) if compact.startswith("-") else (compact, False)


def duration(*, zero: bool) -> ValueType[float]:
    """Parser of a duration in seconds, from 0 (or above 0) to a year."""
    rule = "must be >= 0s" if zero else "must be > 0s"

    def parse(value: object) -> float:
        if is_number(value):
            raise invalid("must have a unit", got=preview(value), way_out=f'write "{value}s" or "{value}ms"')
        if not isinstance(value, str):
            raise invalid('must be a duration with its unit, such as "90s"', got=preview(value))
        text, negative = _unsigned(value)
        try:
            seconds = parse_duration_s(text)
        except ValueError as error:
            raise invalid(str(error), got=preview(value)) from None
        if negative or seconds < 0 or (seconds == 0 and not zero):
            raise invalid(rule, got=preview(value))
        if not seconds <= MAX_DURATION_S:
            raise invalid(f"must be at most {format_duration(MAX_DURATION_S)}", got=preview(value))
        return seconds

    examples = ["800ms", "90s", "1h30m"] if zero else ["90s", "30m", "1h"]
    return ValueType(parse, {"type": "string", "pattern": DURATION_PATTERN, "examples": examples})


def rate(noun: str) -> ValueType[float]:
    """Parser of a rate per second, above 0; `noun` is what messages count."""

    def parse(value: object) -> float:
        if is_number(value):
            raise invalid("must have a unit", got=preview(value), way_out=f'write "{value} {noun}/s"')
        if not isinstance(value, str):
            raise invalid(f'must be a rate with its unit, such as "13.3 {noun}/s"', got=preview(value))
        text, negative = _unsigned(value)
        try:
            per_s = parse_rate_per_s(text, counts=noun)
        except ValueError as error:
            raise invalid(str(error), got=preview(value)) from None
        if negative or per_s == 0:
            raise invalid(f"must be > 0 {noun}/s", got=preview(value))
        if not per_s <= MAX_RATE_PER_S:
            raise invalid(f"must be at most {MAX_RATE_PER_S:,.0f} {noun}/s", got=preview(value))
        return per_s

    return ValueType(parse, {"type": "string", "pattern": RATE_PATTERN, "examples": [f"5 {noun}/s"]})


def share(*, low: float = 0, high: float = 1) -> ValueType[float]:
    """Parser of a share as 0..1 from "78%" or 0.78, within `low`..`high`."""

    def parse(value: object) -> float:
        if not (is_number(value) or isinstance(value, str)):
            raise invalid('must be a share, such as "70%" or 0.7', got=preview(value))
        text, negative = _unsigned(str(value))
        try:
            ratio = parse_ratio(text) * (-1.0 if negative else 1.0)
        except ValueError as error:
            raise invalid(str(error), got=preview(value)) from None
        if not low <= ratio <= high:
            percent_forgotten = is_number(value) and 1 < ratio <= 100 * high
            way_out = f'write "{value}%"' if percent_forgotten else ""
            raise invalid(f"must be between {low:.0%} and {high:.0%}", got=preview(value), way_out=way_out)
        return ratio

    pattern = GROWTH_PATTERN if low < 0 else SHARE_PATTERN
    numbers = {"type": "number", "minimum": low, "maximum": high}
    return ValueType(parse, {"anyOf": [{"type": "string", "pattern": pattern}, numbers], "examples": ["78%"]})


def number(low: float, high: float) -> ValueType[float]:
    """Parser of a plain number within `low`..`high`."""

    def parse(value: object) -> float:
        if not is_number(value):
            raise invalid("must be a number without a unit", got=preview(value))
        plain = float(value)
        if not low <= plain <= high:
            raise invalid(f"must be between {low:g} and {high:g}", got=preview(value))
        return plain

    return ValueType(parse, {"type": "number", "minimum": low, "maximum": high})


def whole(low: int, high: int) -> ValueType[int]:
    """Parser of a whole number within `low`..`high`."""

    def parse(value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            raise invalid("must be a whole number", got=preview(value))
        if not low <= value <= high:
            raise invalid(f"must be between {low} and {high}", got=preview(value))
        return value

    return ValueType(parse, {"type": "integer", "minimum": low, "maximum": high})


@value_type(
    {
        "anyOf": [
            {"type": "string", "pattern": COUNT_PATTERN},
            {"type": "number", "minimum": 1, "maximum": 10**12},
        ],
        "examples": [480000, "480k", "24m/yr"],
    }
)
def parse_count(value: object) -> float:
    """A count: 480000, 24_000_000, "480k", "24m/yr" or "24m visits/yr"."""
    rule = 'must be a count, such as 480_000, "480k" or "24m/yr"'
    if is_number(value):
        count = float(value)
    elif isinstance(value, str) and (match := _COUNT.fullmatch(value.strip().lower())):
        count = float(match[1].replace("_", "")) * _TIMES[match[2]]
    else:
        raise invalid(rule, got=preview(value))
    if not 1 <= count <= 1e12:
        raise invalid("must be between 1 and 1,000,000,000,000", got=preview(value))
    return count


def choice(kind: str, options: Iterable[str]) -> ValueType[str]:
    """Parser of one of `options`; for an unknown word it suggests the closest one."""
    known = tuple(options)

    def parse(value: object) -> str:
        if isinstance(value, str) and value in known:
            return value
        raise invalid(f"must be a known {kind}", got=preview(value), way_out=did_you_mean(str(value), known))

    return ValueType(parse, {"enum": list(known)})


@value_type({"type": "boolean"})
def parse_flag(value: object) -> bool:
    """A boolean; strings and numbers are rejected."""
    if not isinstance(value, bool):
        raise invalid("must be true or false", got=preview(value))
    return value


@value_type({"type": "string", "minLength": 1})
def parse_text(value: object) -> str:
    """Non-empty text."""
    if not isinstance(value, str):
        raise invalid("must be text", got=preview(value), way_out="put it in quotes")
    if not value.strip():
        raise invalid("must not be empty", got=preview(value))
    return value


DurationS = Annotated[float, duration(zero=True)]
PositiveDurationS = Annotated[float, duration(zero=False)]
RequestsPerS = Annotated[float, rate("requests")]
Share = Annotated[float, share()]
Count = Annotated[float, parse_count]
Text = Annotated[str, parse_text]
Flag = Annotated[bool, parse_flag]
