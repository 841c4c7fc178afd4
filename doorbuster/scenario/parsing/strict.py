"""Base of every scenario model: frozen, no unknown keys, and all issues of a mapping at once.

Rules that involve several keys are in `rules`, which receives the raw mapping. They are checked even when a
single key is invalid, so that one `doorbuster check` reports everything.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    GetJsonSchemaHandler,
    ModelWrapValidatorHandler,
    ValidationError,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from doorbuster.scenario.parsing.diagnostics import (
    KeyIssue,
    as_validation_error,
    invalid,
    is_similar,
    issues_from,
    preview,
    unknown_key,
)
from doorbuster.shop_settings import scenario_key


class StrictModel(BaseModel):
    """Base model: a YAML key is the name of its field without the unit, or the field's alias."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=scenario_key)
    one_of: ClassVar[tuple[str, ...]] = ()  # a mapping has exactly one of these keys

    @classmethod
    def yaml_keys(cls) -> tuple[str, ...]:
        """The YAML keys of this model, in order of declaration."""
        return tuple(field.alias or name for name, field in cls.model_fields.items())

    @classmethod
    def rules(cls, raw: Mapping[str, Any]) -> Iterator[KeyIssue]:
        """Issues that involve several keys of `raw`; types check single keys."""
        if cls.one_of:
            yield from exactly_one(raw, cls.one_of)

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        schema = handler(core_schema)
        if cls.one_of:
            handler.resolve_ref_schema(schema)["oneOf"] = [{"required": [key]} for key in cls.one_of]
        return schema

    @model_validator(mode="wrap")
    @classmethod
    def _all_issues_at_once(cls, raw: object, handler: ModelWrapValidatorHandler[Self]) -> Self:
        if isinstance(raw, cls):
            return raw
        keys = cls.yaml_keys()
        if not isinstance(raw, dict):
            rule = "must be a mapping with keys such as " + ", ".join(keys[:4])
            raise invalid(rule, got=preview(raw))
        unknown = [str(key) for key in raw if key not in keys]
        issues = [unknown_key(key, "is not a valid key", keys) for key in unknown]
        issues += cls.rules(raw)
        made: Self | None = None
        try:
            made = handler({key: value for key, value in raw.items() if key in keys})
        except ValidationError as error:
            issues += (f for f in issues_from(error) if not _misspelt(f, unknown))
        if issues or made is None:
            raise as_validation_error(cls.__name__, issues, raw)
        return made


def _misspelt(issue: KeyIssue, unknown: Sequence[str]) -> bool:
    """Whether a key is missing because of a misspelling that is reported already."""
    return (
        issue.rule == "is missing"
        and len(issue.path) == 1
        and any(is_similar(k, issue.path) for k in unknown)
    )


def exactly_one(raw: Mapping[str, Any], options: tuple[str, ...]) -> Iterator[KeyIssue]:
    """An issue unless exactly one of the keys `options` is in `raw`.

    A misspelt option is reported as such and not as missing.
    """
    given = [key for key in options if key in raw]
    if len(given) == 1:
        return
    quoted = [f'"{option}"' for option in options]
    names = ", ".join(quoted[:-1]) + " or " + quoted[-1]
    if given:
        yield KeyIssue(
            (given[1],), f'cannot be combined with "{given[0]}"', way_out=f"use only one of {names}", at="key"
        )
    elif not any(is_similar(str(key), options) for key in raw):
        yield KeyIssue((), f"needs {names}")
