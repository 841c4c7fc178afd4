"""Analysis scripts: found by path, kept apart, and their failures located."""

from __future__ import annotations

from pathlib import Path

import pytest

from doorbuster.errors import AnalysisError
from doorbuster.report import analyse_run, load_analysis

GOOD = """\
from doorbuster.report.section import Metric, Section


def analyse(context):
    planned = context.run.outcome_totals().planned
    return Section("{name}", "Q?", "A.", metrics={{"n": Metric(planned, "count")}})
"""


def script(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_users_own_script_gives_a_section(open_peak, tmp_path):
    run = open_peak()
    script(tmp_path, "own.py", GOOD.format(name="own"))
    script(tmp_path, "_shared.py", "raise RuntimeError")
    found = analyse_run(run, [tmp_path])
    assert [section.name for section in found.sections] == ["own"]
    assert found.sections[0].metrics["n"].value == run.outcome_totals().planned
    assert found.errors == ()


def test_a_script_that_raises_is_located_and_the_others_still_run(open_peak, tmp_path):
    bad = script(tmp_path, "bad.py", "def analyse(run):\n    nothing = {}\n    return nothing['x']\n")
    script(tmp_path, "good.py", GOOD.format(name="good"))
    found = analyse_run(open_peak(), [tmp_path])
    assert [section.name for section in found.sections] == ["good"]
    assert [str(error) for error in found.errors] == [f"{bad}:3: KeyError: 'x'"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def analyse(run):\n    return 7\n", "{path}: analyse(context) must return a Section (got int)"),
        ("x = 1\n", "{path}: must define a function analyse(context) that returns a Section"),
        ("import does_not_exist\n", "{path}:1: ModuleNotFoundError: No module named 'does_not_exist'"),
        ("x = 1\ndef analyse(run) return\n", "{path}:2: SyntaxError: expected ':' ({name}, line 2)"),
    ],
)
def test_the_error_of_a_script_is_reported(open_peak, tmp_path, text, message):
    path = script(tmp_path, "odd.py", text)
    found = analyse_run(open_peak(), [path])
    assert [str(error) for error in found.errors] == [message.format(path=path, name=path.name)]


def test_two_sections_of_one_name_are_refused(open_peak, tmp_path):
    script(tmp_path, "a.py", GOOD.format(name="same"))
    second = script(tmp_path, "b.py", GOOD.format(name="same"))
    found = analyse_run(open_peak(), [tmp_path])
    assert len(found.sections) == 1
    assert [str(error) for error in found.errors] == [
        f"{second}: section name 'same' is taken by an earlier script; choose another"
    ]


def test_a_missing_script_is_an_error(tmp_path):
    with pytest.raises(AnalysisError, match="no such analysis script"):
        load_analysis(tmp_path / "none.py")


def test_two_scripts_of_one_name_do_not_share_a_module(open_peak, tmp_path):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        script(tmp_path / folder, "same.py", GOOD.format(name=folder))
    found = analyse_run(open_peak(), [tmp_path / "one", tmp_path / "two"])
    assert [section.name for section in found.sections] == ["one", "two"]


def test_a_script_that_leaves_does_not_take_the_report_with_it(open_peak, tmp_path):
    script = tmp_path / "leaves.py"
    script.write_text("def analyse(run):\n    raise SystemExit(0)\n", encoding="utf-8")
    found = analyse_run(open_peak(), [script])
    assert found.sections == ()
    assert [str(error) for error in found.errors] == [f"{script}:2: SystemExit: 0"]
