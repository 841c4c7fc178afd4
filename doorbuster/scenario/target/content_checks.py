"""Content rules: further conditions on the response of a successful step.

A rule checks the last response of a step that succeeded according to the driver. It can turn a success into a
failure, never the reverse.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Protocol

from pydantic import Field

from doorbuster.scenario.customers.journeys import STEPS
from doorbuster.scenario.parsing.diagnostics import KeyIssue, invalid, preview
from doorbuster.scenario.parsing.strict import StrictModel
from doorbuster.scenario.parsing.values import Flag, Text, is_number, value_type

EVERY_STEP = "*"
DEFAULT_CAUSE = "content_rule"
JSON_TESTS = ("above", "equals", "exists")
_CAUSE = re.compile(r"[a-z][a-z0-9_]{0,39}")
_PATH_PART = re.compile(r"([^.\[\]]+)|\[(\d+)\]")
_SHOWN = 120  # characters of a response quoted in a failure
_NOTHING: Any = object()


class CheckedResponse(Protocol):
    """The part of an HTTP response that rules check."""

    @property
    def text(self) -> str: ...
    def json(self) -> Any: ...


@value_type({"anyOf": [{"enum": [EVERY_STEP, *STEPS]}, {"type": "string"}]})  # editors complete the first
def parse_step(raw: object) -> str:
    """A step's name, or "*" for every step."""
    if isinstance(raw, str):  # the scenario checks that it has such a step
        return raw
    raise invalid("must be the name of a step", got=preview(raw), way_out='use "*" for every step')


@value_type({"type": "string", "pattern": f"^{_CAUSE.pattern}$"})
def parse_cause(raw: object) -> str:
    """The name under which failures are counted."""
    if isinstance(raw, str) and _CAUSE.fullmatch(raw):
        return raw
    rule = "must consist of lower-case letters, digits and _, such as busy_page"
    raise invalid(rule, got=preview(raw))


@value_type({"type": "string", "minLength": 1})
def parse_path(raw: object) -> str:
    """A path in a JSON document: names joined by dots, positions in brackets or between dots."""
    if isinstance(raw, str) and raw and "".join(_pieces(raw)) == raw:
        return raw
    rule = 'must be a path such as "data.search.totalItems" or "items[0].price"'
    raise invalid(rule, got=preview(raw))


def _pieces(text: str) -> Iterator[str]:
    """The parts of a path with their separators; a valid path equals their concatenation."""
    for match in _PATH_PART.finditer(text):
        if match[1] and match.start():
            yield "."
        yield match[0]


@value_type({"type": "number"})
def parse_above(raw: object) -> float:
    """A plain number."""
    if not is_number(raw):
        raise invalid("must be a number without a unit", got=preview(raw))
    return float(raw)


@value_type({"anyOf": [{"type": kind} for kind in ("string", "number", "boolean")]})
def parse_scalar(raw: object) -> object:
    """A text, a number, or true or false."""
    if isinstance(raw, str | bool) or is_number(raw):
        return raw
    raise invalid("must be a text, a number, or true or false", got=preview(raw))


class ContentRule(StrictModel):
    """One content rule: a text that the response must contain or lack, or a condition on a JSON value."""

    one_of = ("contains", "lacks", "json")

    step: Annotated[str, parse_step] = Field(
        description='Step to check; "*" for every step.', examples=["product"]
    )
    contains: Text | None = Field(
        default=None, description="Text that the response must contain.", examples=["Add to basket"]
    )
    lacks: Text | None = Field(
        default=None, description="Text that the response must not contain.", examples=["Please wait"]
    )
    path: Annotated[str, parse_path] | None = Field(
        default=None,
        alias="json",
        description="Path to a value in a JSON response, with one of above, equals, exists.",
        examples=["data.search.totalItems"],
    )
    above: Annotated[float, parse_above] | None = Field(
        default=None, description="The value must be greater than this.", examples=[0]
    )
    equals: Annotated[str | bool | int | float, parse_scalar] | None = Field(
        default=None, description="The value must equal this.", examples=["AVAILABLE"]
    )
    exists: Flag | None = Field(
        default=None, description="Whether the value must exist and not be null.", examples=[True]
    )
    cause: Annotated[str, parse_cause] = Field(
        default=DEFAULT_CAUSE,
        description="Name under which violations are counted. Default: content_rule.",
        examples=["busy_page"],
    )

    @classmethod
    def rules(cls, raw: Mapping[str, Any]) -> Iterator[KeyIssue]:
        """`json` needs exactly one test, and tests need `json`."""
        yield from super().rules(raw)
        tests = [key for key in JSON_TESTS if key in raw]
        quoted = ", ".join(f'"{key}"' for key in JSON_TESTS[:-1]) + f' or "{JSON_TESTS[-1]}"'
        if "json" in raw and not tests:
            yield KeyIssue(("json",), f"also needs {quoted}", preview(raw["json"]))
        if "json" in raw and len(tests) > 1:
            way_out = f"use only one of {quoted}"
            yield KeyIssue((tests[1],), f'cannot be combined with "{tests[0]}"', way_out=way_out, at="key")
        if "json" not in raw and tests and ("contains" in raw or "lacks" in raw):
            yield KeyIssue((tests[0],), 'requires "json"', preview(raw[tests[0]]), at="key")

    def violation(self, response: CheckedResponse) -> str | None:
        """The violation as text; None if the response satisfies the rule."""
        if self.contains is not None:
            text = response.text
            return None if self.contains in text else f"lacks {self.contains!r}: {text[:_SHOWN]}"
        if self.lacks is not None:
            text = response.text
            at = text.find(self.lacks)
            return None if at < 0 else f"contains {text[max(at - 40, 0) : at + _SHOWN - 40]!r}"
        try:
            document = response.json()
        except ValueError:
            return f"is not JSON: {response.text[:_SHOWN]}"
        found = _value_at(document, self.path or "")
        shown = "nothing" if found is _NOTHING else repr(found)[:_SHOWN]
        return None if self._holds(found) else f"{self.path} is {shown}"

    def other_case(self, response: CheckedResponse) -> str:
        """The rule's text as the response has it with other capital letters; "" if it has none."""
        wanted = self.contains or self.lacks
        if wanted is None or wanted in (text := response.text):
            return ""
        at = text.lower().find(wanted.lower())
        return text[at : at + len(wanted)] if at >= 0 else ""

    def _holds(self, found: Any) -> bool:
        if self.exists is not None:
            return (found is not _NOTHING and found is not None) == self.exists
        if self.above is not None:
            try:
                return not isinstance(found, bool) and float(found) > self.above
            except (TypeError, ValueError):
                return False
        alike = isinstance(found, bool) == isinstance(self.equals, bool)  # 1 is not true
        return alike and found == self.equals


def _value_at(document: Any, path: str) -> Any:
    for match in _PATH_PART.finditer(path):
        name = match[1] or match[2]
        if isinstance(document, dict) and match[1] and name in document:
            document = document[name]
        elif isinstance(document, list) and name.isdigit() and int(name) < len(document):
            document = document[int(name)]
        else:
            return _NOTHING
    return document
