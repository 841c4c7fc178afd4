"""`doorbuster analyse` and `doorbuster gate` on the sample run: one screen, JSON, colour."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from doorbuster.cli import doorbuster as program
from doorbuster.cli import run_workflow
from doorbuster.records.reader import Run

ROOT = Path(__file__).parents[2]
SAMPLE = str(ROOT / "reports" / "sample")


@pytest.fixture(scope="module")
def judged():
    """The sample run, judged once for all commands."""
    with Run.open(SAMPLE) as run:
        return run_workflow.judge_run(run, run_workflow.recorded_run_scenario(run), quiet=True)


@pytest.fixture
def said(judged, monkeypatch):
    """What a command prints."""
    monkeypatch.setattr(run_workflow, "judge_run", lambda *_args, **_options: judged)

    def run(*args: str) -> str:
        done = CliRunner().invoke(program, list(args), env={"COLUMNS": "100"})
        assert done.exit_code == 0, done.output
        return done.stdout

    return run


def in_terminal(args: list[str], **variables: str) -> str:
    """What the command writes to a terminal."""
    parent, child = pty.openpty()
    clean = {
        name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR", "CI")
    }
    environment = {**clean, "PYTHONPATH": str(ROOT), "TERM": "xterm-256color", "COLUMNS": "100", **variables}
    with subprocess.Popen(
        [sys.executable, "-m", "doorbuster", *args], stdout=child, stderr=subprocess.DEVNULL, env=environment
    ) as process:
        os.close(child)
        parts = []
        while True:
            try:
                part = os.read(parent, 65536)
            except OSError:
                break
            if not part:
                break
            parts.append(part)
        process.wait(60)
    os.close(parent)
    return b"".join(parts).decode()


def test_the_verdict_and_what_matters_fit_on_one_screen(said):
    text = said("analyse", SAMPLE)
    lines = text.splitlines()
    assert len(lines) <= 45
    assert max(map(len, lines[:-1])) <= 100
    for part in (
        "FAIL",
        "Could order, web",
        "Sales lost",
        "Broke for arrivals from",
        "Capacity",
        "planned",
        "Why",
        "Fix first",
        "Next",
    ):
        assert part in text
    sentence = json.loads((Path(SAMPLE) / "summary.json").read_text())["verdict"]["sentence"]
    assert sentence.removeprefix("FAIL: in").replace(" ", "") in re.sub(r"\s", "", text)


def test_sections_are_printed_by_name(said):
    one = said("analyse", SAMPLE, "--section", "errors")
    assert "What failed" in one
    assert "How long did customers wait" not in one


def test_json_is_that_of_the_summary(said):
    whole = json.loads(said("analyse", SAMPLE, "--json"))
    assert whole["verdict"] == json.loads((Path(SAMPLE) / "summary.json").read_text())["verdict"]
    part = json.loads(said("analyse", SAMPLE, "--json", "--section", "errors"))
    assert [section["name"] for section in part["sections"]] == ["errors"]
    assert all(name.startswith("errors.") for name in part["metrics"])
    assert part["overview"] == whole["overview"]


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["--section", "nope"], "unknown section nope; use one of bottleneck, "),
        (["--section", "latncy"], 'unknown section latncy; did you mean "latency"?'),
        (["--all", "--section", "errors"], "leave out --section"),
        (["--all", "--json"], "leave out --all"),
    ],
)
def test_options_without_an_effect_are_refused(args, says):
    done = CliRunner().invoke(program, ["analyse", SAMPLE, *args])
    assert says in str(done.exception)


def test_the_gate_says_each_sentence_once(said):
    text = said("gate", SAMPLE)
    document = json.loads((Path(SAMPLE) / "summary.json").read_text())
    for threshold in document["thresholds"]:
        assert text.count(threshold["sentence"]) == 1
    assert text.count(document["verdict"]["sentence"]) == 1


@pytest.mark.truth
def test_the_gate_colours_a_terminal_and_respects_no_color_and_dumb_ones():
    coloured = in_terminal(["gate", SAMPLE])
    assert "\x1b[31mfail" in coloured
    assert "\x1b[32mpass" in coloured
    assert "\x1b[" not in in_terminal(["gate", SAMPLE], TERM="dumb")
    assert not re.search(r"\x1b\[\d*3\dm", in_terminal(["gate", SAMPLE], NO_COLOR="1"))
