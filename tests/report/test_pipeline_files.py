"""Files and lines for pipelines: GitLab's widget, badge, GitHub's annotations and summary, chat message."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from doorbuster.cli import doorbuster as program
from doorbuster.gate import Verdict, judge, verdict
from doorbuster.report import Metric, Section
from doorbuster.report.overview import build_overview
from doorbuster.report.render.ci_outputs import (
    MAX_ANNOTATIONS,
    STEP_SUMMARY_BYTES,
    annotation_lines,
    render_badge,
    render_load_performance,
    short_message,
    step_summary,
)
from doorbuster.report.render.markdown import comment_marker, render_markdown
from doorbuster.scenario.thresholds.language import read_thresholds

ROOT = Path(__file__).parents[2]
SCHEMA = ROOT / "docs" / "reference" / "summary.schema.json"


@pytest.fixture
def judged(open_peak):
    run = open_peak()
    stated = {
        "can_order": ["rate>=99%"],
        "http_req_duration": [
            "p(95)<1ms",
            "p(95)<baseline*1.1",
            {"threshold": "p(90)<1ms", "severity": "warn"},
        ],
        "http_req_waiting": ["p(95)<1h"],
    }
    results = judge(run, (), read_thresholds(stated, lambda path: f"scenarios/sale.yaml:31:{len(path)}"))
    return run, results, verdict(run, results)


def test_the_widget_of_gitlab_reads_the_numbers_of_the_thresholds(judged):
    run, results, _ = judged
    metrics = json.loads(render_load_performance(run))["metrics"]
    stated = {result.threshold.expression: result.observed for result in results}
    assert metrics["http_req_waiting"]["p(95)"] == stated["p(95)<1h"]
    assert metrics["http_req_duration"]["p(95)"] == stated["p(95)<1ms"]
    assert set(metrics["http_reqs"]) == {"count", "rate"}
    totals = run.outcome_totals()
    assert metrics["checks"]["passes"] == totals.served
    assert metrics["checks"]["passes"] + metrics["checks"]["fails"] == totals.planned - totals.dropped - (
        totals.in_flight_or_missing
    )


def test_annotations_name_the_line_of_the_scenario_worst_first(judged):
    _, results, found = judged
    lines = annotation_lines(results, found)
    assert [line.split(" ", 1)[0] for line in lines] == ["::error", "::error", "::warning", "::warning"]
    assert lines[0].startswith(
        "::error title=can_order%3A rate>=99%25,file=scenarios/sale.yaml,line=31,col=2::"
    )
    assert "no baseline was named" in lines[2].lower()
    assert len(annotation_lines(results * 5, found)) == MAX_ANNOTATIONS


def test_foreign_text_cannot_start_a_command_of_its_own():
    hostile = Verdict("fail", "FAIL: a\n::add-mask::x\r%0A::error::y", (), 99)
    (line,) = annotation_lines((), hostile)
    assert line == "::warning::FAIL: a ::add-mask::x\ufffd%250A::error::y"


def test_the_summary_fits_into_a_comment_and_ends_with_its_marker(judged):
    run, results, found = judged
    long = [Section(f"s{at}", "Why?", "word " * 300) for at in range(100)]
    text = render_markdown(run, long, results, found, build_overview(run, long, results, found))
    assert len(text) < 65_536
    assert text.rstrip().endswith(comment_marker(run.meta.scenario_name))
    assert "The rest is in index.html." in text
    huge = step_summary("ü" * 100 + "\n" + "ü line\n" * 200_000)
    assert STEP_SUMMARY_BYTES - 200 < len(huge.encode()) <= STEP_SUMMARY_BYTES


def test_the_badge_shows_the_verdict_or_the_headroom(judged):
    run, _, found = judged
    assert json.loads(render_badge(run, (), found)) == {
        "schemaVersion": 1, "label": "sale", "message": "fail", "color": "critical",
    }  # fmt: skip
    search = Section("capacity", "?", ".", metrics={"headroom": Metric(1.31)})
    badge = json.loads(render_badge(run, (search,), found))
    assert (badge["message"], badge["color"]) == ("holds 1.3× the peak", "success")


def test_a_message_mentions_nobody(judged):
    run, _, _ = judged
    text = short_message(
        run, Verdict("fail", "FAIL: <!channel> @here *b* ", ("one", "two"), 99), "r/index.html"
    )
    assert text.splitlines() == [
        "❌ A sale, simulated: FAIL: ‹!channel› @\u200bhere ∗b∗",
        "one",
        "report: r/index.html",
    ]


def test_the_json_satisfies_its_published_schema(judged, tmp_path):
    samples = [ROOT / "reports" / "sample" / "summary.json"]
    command = [sys.executable, "-m", "check_jsonschema", "--schemafile", SCHEMA, *samples]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    broken = json.loads(samples[0].read_text(encoding="utf-8"))
    broken["verdict"]["status"] = "green"
    (tmp_path / "broken.json").write_text(json.dumps(broken), encoding="utf-8")
    command[-1] = tmp_path / "broken.json"
    assert subprocess.run(command, capture_output=True, check=False).returncode == 1


def test_gate_writes_for_github_only_where_it_runs_or_when_asked(tmp_path):
    sample = str(ROOT / "reports" / "sample")
    for words, variables, expected in (
        ([], {}, False),
        (["--github"], {}, True),
        ([], {"GITHUB_ACTIONS": "true"}, True),
        (["--no-github"], {"GITHUB_ACTIONS": "true"}, False),
    ):
        files = {
            "GITHUB_STEP_SUMMARY": str(tmp_path / "summary"), "GITHUB_OUTPUT": str(tmp_path / "output"),
        }  # fmt: skip
        env = {"GITHUB_ACTIONS": "", **files, **variables}
        done = CliRunner().invoke(program, ["gate", sample, "--message", *words], env=env)
        assert ("::error" in done.output) == expected, done.output
        assert (tmp_path / "output").exists() == expected
        if expected:
            assert "verdict=fail\nexit-code=99\n" in (tmp_path / "output").read_text(encoding="utf-8")
            (tmp_path / "output").unlink()
