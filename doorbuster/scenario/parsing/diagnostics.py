"""Issues of a scenario: the rule, the value found, the way out.

An issue passes through pydantic as a PydanticCustomError whose context carries these texts. Errors that
pydantic raises itself are translated here, so that its wording never reaches a user.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar

from pydantic import ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

At = Literal["key", "value"]
Path = tuple[str | int, ...]
T = TypeVar("T")

_MAX_PREVIEW = 60  # characters of a value quoted in a message
_CLOSE = 0.6  # similarity cutoff of difflib
_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_NATIVE_RULES = {
    "missing": "is missing",
    "dict_type": "must be a mapping (key: value)",
    "model_type": "must be a mapping (key: value)",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "string_type": "must be text",
}
_NATIVE_WAYS_OUT = {"string_type": "put it in quotes"}


@dataclass(frozen=True, slots=True)
class KeyIssue:
    """A violated rule; `path` is relative to the validated mapping, `got` the value found or empty."""

    path: Path
    rule: str
    got: str = ""
    way_out: str = ""
    at: At = "value"


def unknown_key(name: object, rule: str, known: Iterable[str]) -> KeyIssue:
    """The issue of a key that is none of `known`; it suggests the closest one."""
    return KeyIssue((str(name),), rule, way_out=did_you_mean(str(name), known), at="key")


def invalid(rule: str, *, got: str = "", way_out: str = "") -> PydanticCustomError:
    """The error for a validator to raise when the value violates `rule`."""
    context = {"rule": rule, "got": got, "way_out": way_out, "at": "value"}
    return PydanticCustomError("doorbuster", "{rule}", context)


def preview(value: object) -> str:
    """A value as quoted in a message: short, on one line, printable."""
    if isinstance(value, Mapping):
        return "a mapping" if value else "an empty mapping"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}" if value else "an empty list"
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    text = "".join(c if c.isprintable() else repr(c)[1:-1] for c in str(value)[: _MAX_PREVIEW + 1])
    if len(text) > _MAX_PREVIEW:
        text = text[:_MAX_PREVIEW] + "…"
    return text if text.strip() else f'"{text}"'


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The way out for an unknown word: the closest known word, else all known words."""
    options = sorted(known)
    close = difflib.get_close_matches(word.lower(), options, n=1, cutoff=_CLOSE)
    if close:
        return f'did you mean "{close[0]}"?'
    return f"use one of {', '.join(options)}" if options else ""


def is_similar(word: str, known: Iterable[str | int]) -> bool:
    """Whether a word looks like a misspelling of one of `known`."""
    options = [str(option) for option in known]
    return bool(difflib.get_close_matches(word.lower(), options, n=1, cutoff=_CLOSE))


def key_text(path: Sequence[str | int]) -> str:
    """A path as text, e.g. `demand.curve.stages[2].for`; unusual keys are quoted."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
            continue
        plain = len(part) <= _MAX_PREVIEW and _PLAIN_KEY.fullmatch(part)
        text += ("." if text else "") + (part if plain else f'"{preview(part)}"')
    return text


def issues_from(error: ValidationError) -> tuple[KeyIssue, ...]:
    """All issues in a pydantic error; pydantic's own errors are translated."""
    found = []
    for item in error.errors(include_url=False):
        context: dict[str, Any] = item.get("ctx", {})
        if item["type"] == "doorbuster":
            found.append(
                KeyIssue(item["loc"], context["rule"], context["got"], context["way_out"], context["at"])
            )
            continue
        rule = _NATIVE_RULES.get(item["type"], "is not a valid value here")
        got = "" if item["type"] == "missing" else preview(item["input"])
        found.append(KeyIssue(item["loc"], rule, got, _NATIVE_WAYS_OUT.get(item["type"], "")))
    return tuple(found)


def collect_issues(
    issues: list[KeyIssue], path: Path, parse: Callable[[Any], T], raw: object, *, at: At = "value"
) -> T | None:
    """The result of `parse(raw)`; or None, with the issues added to `issues` below `path`."""
    try:
        return parse(raw)
    except PydanticCustomError as error:
        context: dict[str, Any] = error.context or {}
        issues.append(KeyIssue(path, context["rule"], context["got"], context["way_out"], at))
    except ValidationError as error:
        issues += [replace(issue, path=(*path, *issue.path)) for issue in issues_from(error)]
    return None


def entry(holder: object, name: str) -> Any:
    """An entry of a raw mapping or of a model; None where there is none."""
    return holder.get(name) if isinstance(holder, Mapping) else getattr(holder, name, None)


def try_parse(parse: Callable[[Any], T], raw: object) -> T | None:
    """The result of `parse(raw)`, or None if it is invalid; for rules that need several valid values."""
    return collect_issues([], (), parse, raw)


@contextmanager
def all_issues(title: str, raw: object) -> Iterator[list[KeyIssue]]:
    """A list to fill; when the block ends, everything in it is raised as one error."""
    issues: list[KeyIssue] = []
    yield issues
    if issues:
        raise as_validation_error(title, issues, raw)


def as_validation_error(title: str, issues: Iterable[KeyIssue], raw: object) -> ValidationError:
    """The issues as one pydantic error; raised in a validator, pydantic prefixes the outer path."""
    details: list[InitErrorDetails] = [
        {
            "type": PydanticCustomError(
                "doorbuster",
                "{rule}",
                {"rule": issue.rule, "got": issue.got, "way_out": issue.way_out, "at": issue.at},
            ),
            "loc": issue.path,
            "input": raw,
        }
        for issue in issues
    ]
    return ValidationError.from_exception_data(title, details)
