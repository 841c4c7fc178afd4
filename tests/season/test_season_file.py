"""season.yaml: defaults, and every problem at once."""

from __future__ import annotations

import re
from datetime import date

import pytest

from doorbuster.errors import ScenarioError
from doorbuster.season.season_file import read_season


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
def test_a_file_that_is_no_season_is_refused(tmp_path, text, rule):
    (tmp_path / "season.yaml").write_text(text)
    with pytest.raises(ScenarioError, match=rule):
        read_season(tmp_path)


def test_a_folder_without_a_season_says_how_to_start(tmp_path):
    with pytest.raises(ScenarioError, match="start with `doorbuster season init FOLDER`"):
        read_season(tmp_path)
