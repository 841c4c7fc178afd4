"""Faults of a scenario in our words: the rule, what was found, the way out.

A fault travels through pydantic as a PydanticCustomError whose context carries those three texts, so that
pydantic's own wording never reaches a reader. Faults that pydantic finds itself are translated here.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from pydantic import ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

At = Literal["key", "value"]
Path = tuple[str | int, ...]
T = TypeVar("T")

_MAX_PREVIEW = 60  # characters of a value that a message repeats
_CLOSE = 0.6  # of difflib: how alike two spellings are
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
class Issue:
    """A broken rule below some mapping: `path` counts from there; `got` is the value found, or nothing."""

    path: Path
    rule: str
    got: str = ""
    way_out: str = ""
    at: At = "value"


def invalid(rule: str, *, got: str = "", way_out: str = "") -> PydanticCustomError:
    """What a validator raises when the value breaks `rule`."""
    context = {"rule": rule, "got": got, "way_out": way_out, "at": "value"}
    return PydanticCustomError("doorbuster", "{rule}", context)


def preview(value: object) -> str:
    """A value as a message repeats it: short, on one line, printable."""
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
    """The way out for a word we do not know: the nearest spelling, else everything that is known."""
    options = sorted(known)
    close = difflib.get_close_matches(word.lower(), options, n=1, cutoff=_CLOSE)
    return f'did you mean "{close[0]}"?' if close else "use one of " + ", ".join(options)


def is_similar(word: str, known: Iterable[str | int]) -> bool:
    """Whether a word looks like a misspelling of one of `known`."""
    options = [str(option) for option in known]
    return bool(difflib.get_close_matches(word.lower(), options, n=1, cutoff=_CLOSE))


def key_text(path: Sequence[str | int]) -> str:
    """A path as people write it: `demand.curve.stages[2].for`; unusual keys stand in quotes."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
            continue
        plain = _PLAIN_KEY.fullmatch(part)
        text += ("." if text else "") + (part if plain else f'"{preview(part)}"')
    return text


def issues_from(error: ValidationError) -> tuple[Issue, ...]:
    """Every fault in a pydantic error, translated where pydantic found it."""
    found = []
    for item in error.errors(include_url=False):
        context: dict[str, Any] = item.get("ctx", {})
        if item["type"] == "doorbuster":
            found.append(
                Issue(item["loc"], context["rule"], context["got"], context["way_out"], context["at"])
            )
            continue
        rule = _NATIVE_RULES.get(item["type"], "is not a value that can stand here")
        got = "" if item["type"] == "missing" else preview(item["input"])
        found.append(Issue(item["loc"], rule, got, _NATIVE_WAYS_OUT.get(item["type"], "")))
    return tuple(found)


def collect_issues(
    issues: list[Issue], path: Path, parse: Callable[[Any], T], raw: object, *, at: At = "value"
) -> T | None:
    """What `parse` makes of `raw`, or None after its faults, placed below `path`, were added to `faults`."""
    try:
        return parse(raw)
    except PydanticCustomError as error:
        context: dict[str, Any] = error.context or {}
        issues.append(Issue(path, context["rule"], context["got"], context["way_out"], at))
    except ValidationError as error:
        issues += [Issue((*path, *f.path), f.rule, f.got, f.way_out, f.at) for f in issues_from(error)]
    return None


def try_parse(parse: Callable[[Any], T], raw: object) -> T | None:
    """What `parse` makes of `raw`, or None when it is faulty: for rules that need several sound values."""
    return collect_issues([], (), parse, raw)


def as_validation_error(title: str, issues: Iterable[Issue], raw: object) -> ValidationError:
    """The faults as one pydantic error; raised in a validator, pydantic puts the outer path before each."""
    details: list[InitErrorDetails] = [
        {
            "type": PydanticCustomError(
                "doorbuster",
                "{rule}",
                {"rule": fault.rule, "got": fault.got, "way_out": fault.way_out, "at": fault.at},
            ),
            "loc": fault.path,
            "input": raw,
        }
        for fault in issues
    ]
    return ValidationError.from_exception_data(title, details)
