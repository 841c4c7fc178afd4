"""The JSON Schema for editors: current, complete, and it accepts what the reader accepts."""

from __future__ import annotations

import re

import pytest
import yaml

from doorbuster.scenario import scenario_schema, schema_text
from doorbuster.scenario.schema import DRAFT

ANNOTATIONS = {"$schema", "$defs", "title", "description", "examples"}
TYPES = {
    "object": dict, "array": list, "string": str, "boolean": bool, "integer": int, "number": (int, float)
}  # fmt: skip


def faults(schema, value, root):
    """The violations of `value`; an unknown schema keyword is an error of the test itself."""
    checks = {
        "$ref": lambda ref: faults(root["$defs"][ref.removeprefix("#/$defs/")], value, root),
        "type": lambda name: [] if is_a(value, name) else [f"{value!r} is no {name}"],
        "enum": lambda options: [] if value in options else [f"{value!r} is not in {options}"],
        "pattern": lambda text: (
            [] if not isinstance(value, str) or re.search(text, value) else [f"{value!r} is not like {text}"]
        ),
        "anyOf": lambda options: (
            [] if any(not faults(o, value, root) for o in options) else [f"no anyOf: {value!r}"]
        ),
        "oneOf": lambda options: (
            [] if sum(not faults(o, value, root) for o in options) == 1 else [f"not oneOf: {value!r}"]
        ),
        "required": lambda keys: [
            f"{key} is missing" for key in keys if isinstance(value, dict) and key not in value
        ],
        "properties": lambda known: [
            fault for key, inner in pairs(value) if key in known for fault in faults(known[key], inner, root)
        ],
        "additionalProperties": lambda other: [
            fault
            for key, inner in pairs(value)
            if key not in schema.get("properties", {})
            for fault in ([f"{key} is unknown"] if other is False else faults(other, inner, root))
        ],
        "propertyNames": lambda names: [
            fault for key, _ in pairs(value) for fault in faults(names, key, root)
        ],
        "items": lambda item: (
            [f for inner in value for f in faults(item, inner, root)] if isinstance(value, list) else []
        ),
        "minimum": lambda low: [f"{value} < {low}"] if is_a(value, "number") and value < low else [],
        "maximum": lambda high: [f"{value} > {high}"] if is_a(value, "number") and value > high else [],
        "exclusiveMinimum": lambda low: (
            [f"{value} <= {low}"] if is_a(value, "number") and value <= low else []
        ),
        "minLength": lambda n: [f"{value!r} is short"] if isinstance(value, str) and len(value) < n else [],
        "minItems": lambda n: [f"{value!r} is short"] if isinstance(value, list) and len(value) < n else [],
        "maxItems": lambda n: [f"{value!r} is long"] if isinstance(value, list) and len(value) > n else [],
        "uniqueItems": lambda _: (
            [f"{value!r} repeats"] if isinstance(value, list) and len(value) > len(set(value)) else []
        ),
        "minProperties": lambda n: (
            [f"{value!r} is small"] if isinstance(value, dict) and len(value) < n else []
        ),
    }
    return [fault for key, rule in schema.items() if key not in ANNOTATIONS for fault in checks[key](rule)]


def is_a(value, name):
    if isinstance(value, bool):
        return name == "boolean"
    return isinstance(value, TYPES[name])


def pairs(value):
    return value.items() if isinstance(value, dict) else ()


def fields(schema):
    """Every key of every model with its schema."""
    for model in (schema, *schema["$defs"].values()):
        yield from model["properties"].items()


@pytest.mark.parametrize("name", ["ms-christmas-2004", "smoke"])
def test_the_schema_accepts_the_bundled_scenarios(bundled_folder, name):
    schema = scenario_schema()
    scenario = yaml.safe_load((bundled_folder / f"{name}.yaml").read_text())

    assert faults(schema, scenario, schema) == []


def test_the_schema_accepts_the_human_spellings(valid_text):
    schema = scenario_schema()
    scenario = yaml.safe_load(valid_text)
    scenario["demand"] = {
        "annual": {"visits": "24m/yr", "peak_day_share": "2 %", "peak_hour_share": 0.1, "growth": "-5%"},
        "curve": {"cumulative": {"96s": "3.7%", "1h4m": 0.373}},
        "compress": "1h4m -> 90s",
    }
    scenario["channels"] = {
        "web": {
            "share": "100%",
            "journeys": {"buy": 0.5},
            "patience": {"tau": "4.7s"},
            "think": {"constant": "2s"},
        },
        "phone": {"seats": 3, "journeys": {"phone_order": 1}, "patience": "none"},
    }
    scenario["thresholds"] = {
        "http_req_duration{step:checkout}": ["p(95)<3s", {"threshold": "p(99)<9s", "delayAbortEval": 10}],
        "can_order": "rate>=99%",
    }

    assert faults(schema, scenario, schema) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("titel",), "x"),
        (("demand", "peak"), 13.3),
        (("demand", "customers"), 10),
        (("demand", "compress"), "7h30m to 90s"),
        (("target", "url"), "ftp://x"),
        (("channels", "webb"), {"share": "1%", "journeys": {"browse": 1}}),
        (("channels", "web", "seats"), 3),
        (("channels", "web", "journeys", "browse"), 0),
        (("channels", "web", "think"), {"lognormal": {"median": 4, "sigma": 1}}),
        (("thresholds", "can_oder"), ["rate>=99%"]),
        (("safety", "max_rate"), "500"),
        (("safety", "abort"), {"turned_away": "90%"}),
        (("seed",), "three"),
    ],
)
def test_the_schema_rejects_what_the_reader_rejects(valid_text, path, value):
    schema = scenario_schema()
    scenario = yaml.safe_load(valid_text)
    inner = scenario
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value

    assert faults(schema, scenario, schema) != []


def test_every_key_is_described_and_every_example_is_valid():
    schema = scenario_schema()
    found = list(fields(schema))

    assert len(found) > 40
    for key, field in found:
        described = (
            field.get("description") or schema["$defs"][field["$ref"].removeprefix("#/$defs/")]["description"]
        )
        assert described, key
        for sample in field.get("examples", ()):
            assert faults(field, sample, schema) == [], key


def test_the_committed_schema_is_the_generated_one(bundled_folder):
    committed = (bundled_folder / "scenario.schema.json").read_text(encoding="utf-8")

    assert committed == schema_text(), "regenerate scenarios/scenario.schema.json from schema_text()"


def test_the_schema_names_its_draft_and_speaks_no_python():
    schema = scenario_schema()

    assert schema["$schema"] == DRAFT
    assert "_per_s" not in schema_text()
    assert '"null"' not in schema_text()
