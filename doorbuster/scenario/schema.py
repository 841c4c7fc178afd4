"""The JSON Schema with which editors check and complete a scenario.

It covers keys, units and patterns. Rules that involve several keys, such as shares that sum to 100 %, are
checked by `doorbuster check` only.
"""

from __future__ import annotations

import json
from typing import Any

from doorbuster.scenario.model import Scenario

DRAFT = "https://json-schema.org/draft/2020-12/schema"
_NAMED = ("properties", "$defs")  # keywords whose keys are names, not keywords


def scenario_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of a scenario file."""
    schema = _tidy(Scenario.model_json_schema(by_alias=True, mode="validation"))
    return {"$schema": DRAFT, "title": "doorbuster scenario", **schema}


def schema_text() -> str:
    """The schema as the text of `scenarios/scenario.schema.json`."""
    return json.dumps(scenario_schema(), indent=2, ensure_ascii=False) + "\n"


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
