"""The JSON Schema with which editors check and complete a scenario or another file of a strict model.

It covers keys, units and patterns. Rules that involve several keys, such as shares that sum to 100 %, are
checked by `doorbuster check` only.
"""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel

from doorbuster.scenario.model import Scenario

DRAFT = "https://json-schema.org/draft/2020-12/schema"
_NAMED = ("properties", "$defs")  # keywords whose keys are names, not keywords


def scenario_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of a scenario file."""
    return file_schema(Scenario, "doorbuster scenario")


def file_schema(model: type[BaseModel], title: str) -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of a file that `model` describes."""
    schema = _tidy(model.model_json_schema(by_alias=True, mode="validation"))
    return {"$schema": DRAFT, "title": title, **schema}


def schema_text(schema: dict[str, Any] | None = None) -> str:
    """A schema as the text of its file; by default that of `scenarios/scenario.schema.json`."""
    return json.dumps(schema or scenario_schema(), indent=2, ensure_ascii=False) + "\n"


def _tidy(schema: Any) -> Any:
    """The schema without generated titles, defaults in base units, and null, which no key accepts."""
    if isinstance(schema, list):
        return [_tidy(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    tidy: dict[str, Any] = {}
    for key, value in schema.items():
        if key in _NAMED:
            tidy[key] = {name: _tidy(inner) for name, inner in value.items()}
        elif key == "anyOf":
            options = [_tidy(option) for option in value if option != {"type": "null"}]
            tidy.update(options[0] if len(options) == 1 else {"anyOf": options})
        elif key == "examples":
            tidy[key] = value
        elif key not in ("title", "default"):
            tidy[key] = _tidy(value)
    return tidy
