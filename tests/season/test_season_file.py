"""season.yaml: defaults, and every problem at once."""

from __future__ import annotations

import json
import re
from datetime import date
from pathlib import Path

import jsonschema
import pytest
from pydantic import ValidationError

from doorbuster.errors import ScenarioError
from doorbuster.season.season_file import SCHEMA_FILE, Season, read_season, season_schema_text

ROOT = Path(__file__).parents[2]


def test_what_init_writes_is_read(season):
    found = read_season(season).season
    assert found.peak_date > date(2026, 11, 29)
    assert found.limits.can_order == 0.9
    assert found.order_value is None


def test_every_problem_is_reported_with_its_place(tmp_path):
    (tmp_path / "season.yaml").write_text(
        "title: 12\n"
        "peak_date: 27 November\n"
        "forecast: missing.json\n"
        "runs: [here, 3]\n"
        "scenarois: [a.yaml]\n"
        "order_value: 0\n"
        "limits: {can_order: 120, buying_p95: 3}\n"
        "what_if: {one_server_less: nowhere, rain: x}\n"
    )
    with pytest.raises(ScenarioError) as error:
        read_season(tmp_path)
    text = str(error.value)
    places = [tuple(map(int, place)) for place in re.findall(r"season\.yaml:(\d+):(\d+)", text)]
    assert sorted({line for line, _ in places}) == [1, 2, 3, 4, 5, 6, 7, 8]
    assert 'did you mean "scenarios"' in text
    assert "limits.buying_p95 must have a unit" in text
    assert "make it with `doorbuster demand forecast`" in text
    assert error.value.exit_code == 104


@pytest.mark.parametrize(
    ("text", "rule"),
    [("", "is empty"), ("title: [", "is not valid YAML"), ("- a\n", "must be a mapping"),
     ("title: a\n", "peak_date is missing")],
)  # fmt: skip
def test_a_file_that_is_not_a_season_is_refused(tmp_path, text, rule):
    (tmp_path / "season.yaml").write_text(text)
    with pytest.raises(ScenarioError, match=rule):
        read_season(tmp_path)


def test_a_folder_without_a_season_says_how_to_start(tmp_path):
    with pytest.raises(ScenarioError, match="start with `doorbuster season init FOLDER`"):
        read_season(tmp_path)


def test_the_published_schema_is_the_generated_one_and_init_writes_it_beside_the_season(season):
    published = (ROOT / "docs" / "reference" / SCHEMA_FILE).read_text(encoding="utf-8")
    assert published == season_schema_text(), "regenerate docs/reference/season.schema.json"
    assert (season / SCHEMA_FILE).read_text(encoding="utf-8") == published
    first = (season / "season.yaml").read_text(encoding="utf-8").partition("\n")[0]
    assert first == f"# yaml-language-server: $schema={SCHEMA_FILE}"


@pytest.mark.parametrize(
    ("key", "accepted", "refused"),
    [
        ("order_value", (52, 48.5, "52", "48..55", "1_000 .. 2_000"), (0, "5..", "nan", "1e3", True)),
        ("runs", ("runs", ["a", "b"]), ("", 3, [""], [3])),
        ("peak_date", ("2026-11-27",), (27,)),
        ("limits", ({"can_order": "98%", "buying_p95": "3s"},), ({"can_order": 98}, {"buying_p95": 3})),
        ("limits", ({},), ({"can_oder": "98%"},)),
    ],
)  # fmt: skip
def test_the_schema_accepts_and_refuses_what_the_reader_does(key, accepted, refused):
    schema = json.loads(season_schema_text())
    checker = jsonschema.Draft202012Validator(schema)
    for value, is_valid in [*((one, True) for one in accepted), *((one, False) for one in refused)]:
        data = {"title": "Christmas", "peak_date": "2026-11-27", key: value}
        assert checker.is_valid(data) is is_valid, value
        try:
            Season.model_validate(data)
        except ValidationError:
            assert not is_valid, value
        else:
            assert is_valid, value
