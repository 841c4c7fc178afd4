"""Comparing recorded runs of two builds, as a user does: answers, conditions, outputs, wrong input."""

from __future__ import annotations

import json
import shutil
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from compared_queues import false_alarms
from recorded_queues import Queue, record

from doorbuster.cli.compare import command
from doorbuster.compare.gating import GateChoice
from doorbuster.compare.load import compare_recorded, find_runs
from doorbuster.compare.metric_comparison import Tolerance
from doorbuster.compare.render.json import ComparisonDocument, comparison_schema_text
from doorbuster.errors import UsageError

ROOT = Path(__file__).parents[2]


def runs(*folders: Path):
    return find_runs(folders)


def compared(old: Path, new: Path, **options):
    return compare_recorded(runs(old), runs(new), **options)


def by_key(comparison):
    return {found.metric.key: found for found in comparison.metrics}


def compare_command(*words: object):
    return CliRunner().invoke(command, [str(word) for word in words], standalone_mode=False)


def set_meta(run: Path, key: str, value: object) -> None:
    with sqlite3.connect(run) as db:
        db.execute("UPDATE meta SET value = ? WHERE key = ?", [json.dumps(value), key])


def test_a_slower_build_is_a_regression(builds):
    found = compared(builds / "old", builds / "slow")
    assert found.answer == "regression"
    assert found.metrics[0].decision == "worse"
    typical = by_key(found)["http_req_duration typical"]
    assert typical.ratio.low < 1.5 < typical.ratio.high  # 20 % more service at half load: 1.2 * 0.5 / 0.4


def test_the_same_build_is_no_regression_within_a_wide_tolerance(builds):
    found = compared(builds / "old", builds / "same", tolerance=Tolerance(ratio=0.3, points=0.03))
    assert found.answer == "no regression"


def test_too_few_runs_cannot_tell_and_name_the_runs_needed(builds):
    found = compare_recorded(runs(builds / "old")[:1], runs(builds / "same")[:1])
    assert found.answer == "undecided"
    assert by_key(found)["http_req_duration p(95)"].needed_runs > 3


def test_equal_queues_raise_no_false_alarm(tmp_path):
    queue = Queue(rho=0.8, requests=600, steps=5)
    assert false_alarms(tmp_path / "one", queue, runs=1, comparisons=8, seed=1)["worse"] == 0
    assert false_alarms(tmp_path / "three", queue, runs=3, comparisons=4, seed=2)["worse"] == 0


def test_an_error_that_is_new_counts_as_a_share_of_zero_before(builds, tmp_path):
    for number in range(3):
        record(Queue(requests=500, failing=0.0), tmp_path / "clean" / str(number), seed=number)
        record(
            Queue(requests=500, failing=0.1),
            tmp_path / "failing" / str(number),
            seed=50 + number,
            started_s=1,
        )
    error = by_key(compared(tmp_path / "clean", tmp_path / "failing"))[
        "errors{cause:status_500,step:page-00} rate"
    ]
    assert (error.baseline, error.decision) == (0.0, "worse")


@pytest.mark.parametrize(
    ("key", "value", "kind"),
    [
        ("status", "interrupted", "not_finished"),
        ("machine", {"cores": 64}, "machine"),
        ("versions", {"doorbuster": "9.9"}, "generator"),
        ("workers", 7, "workers"),
        ("duration_s", 3.0, "duration"),
        ("scenario_text", "title: Other\ndemand: {peak: 3 customers/s}", "scenario"),
    ],
)
def test_runs_that_differ_in_more_than_the_build_are_refused(builds, tmp_path, key, value, kind):
    shutil.copytree(builds / "slow", tmp_path / "slow")
    set_meta(tmp_path / "slow" / "run-1" / "run.sqlite", key, value)
    found = compared(builds / "old", tmp_path / "slow")
    assert found.answer == "undecided"
    assert kind in {issue.kind for issue in found.issues if issue.blocking}
    assert {one.decision for one in found.metrics} == {"cannot tell"}
    overruled = compared(builds / "old", tmp_path / "slow", despite="the machine was replaced")
    assert overruled.answer == "regression"


def test_only_the_shop_may_differ_in_the_scenario(builds, tmp_path):
    shutil.copytree(builds / "slow", tmp_path / "slow")
    for run in runs(tmp_path / "slow"):
        with sqlite3.connect(run) as db:
            (text,) = db.execute("SELECT value FROM meta WHERE key = 'scenario_text'").fetchone()
        set_meta(run, "scenario_text", json.loads(text).replace("127.0.0.1:1", "127.0.0.1:2"))
    assert not [issue for issue in compared(builds / "old", tmp_path / "slow").issues if issue.blocking]


def test_one_seed_per_build_is_refused(tmp_path):
    queue = Queue(requests=300)
    for arm, seed in (("old", 1), ("new", 2)):
        for number in range(2):
            run = record(queue, tmp_path / arm / str(number), seed=10 * seed + number, started_s=number)
            set_meta(run, "seed", seed)
    found = compared(tmp_path / "old", tmp_path / "new")
    assert [issue.kind for issue in found.issues if issue.blocking] == ["seeds"]


def test_every_metric_can_decide_and_the_runs_asked_for_grow(builds):
    few = compared(builds / "old", builds / "same")
    many = compared(builds / "old", builds / "same", gates=GateChoice.parse(["all"]))
    p95 = [by_key(one)["http_req_duration p(95)"].needed_runs for one in (few, many)]
    assert len(many.gating) > 20
    assert not [key for key in many.gating if key.startswith(("dropped", "lateness"))]
    assert p95[0] < p95[1]


@pytest.mark.parametrize(
    ("gate", "message"),
    [
        ("http_req_durations p(95)", 'did you mean "http_req_duration p(95)"'),
        ("http_req_duration zz(95)", "no run has this metric"),
        ("http_reqs rate", "cannot decide"),
        ("", "must be like"),
    ],
)
def test_a_metric_that_cannot_decide_is_refused(builds, gate, message):
    with pytest.raises(UsageError) as refused:
        compared(builds / "old", builds / "same", gates=GateChoice.parse([gate]))
    assert message in str(refused.value)


def test_a_printed_key_is_accepted_whatever_the_name_of_the_request(builds, tmp_path):
    name = "GET /item/5, red {x} p(95)"
    for build in ("old", "slow"):
        shutil.copytree(builds / build, tmp_path / build)
        for run in runs(tmp_path / build):
            with sqlite3.connect(run) as db:
                db.execute("UPDATE series SET step = ? WHERE step = 'page-00'", [name])
    key = f"http_req_duration{{step:{name}}} typical"
    found = compared(tmp_path / "old", tmp_path / "slow", gates=GateChoice.parse([key]))
    assert [one.metric.key for one in found.gating_metrics] == [key]
    assert found.answer == "regression"


def test_a_gating_metric_without_data_stays_undecided(builds):
    gates = GateChoice.parse(["http_req_duration{step:page-99} p(95)"])
    found = compared(builds / "old", builds / "slow", gates=gates)
    assert found.answer == "undecided"
    assert "no request matched {step:page-99}" in found.gating_metrics[0].reason


def test_the_command_writes_three_files_and_exits_with_95(builds, tmp_path):
    done = compare_command(builds / "old", "--", builds / "slow", "--out", tmp_path / "out")
    assert done.return_value == 95
    document = json.loads((tmp_path / "out" / "compare.json").read_text(encoding="utf-8"))
    assert ComparisonDocument.model_validate(document).answer == "regression"
    page = (tmp_path / "out" / "compare.html").read_text(encoding="utf-8")
    assert "REGRESSION" in page
    assert page.count("<script") == 2  # the data, and the one script that the policy names by its hash
    comment = (tmp_path / "out" / "compare.md").read_text(encoding="utf-8")
    assert comment.startswith("### ❌ REGRESSION: ")
    assert len(comment) < 65_536


def test_exit_codes_can_be_mapped(builds, tmp_path):
    out = ("--out", tmp_path / "out")
    slow = compare_command(builds / "old", "--", builds / "slow", *out, "--regression-exit-code", 1)
    assert slow.return_value == 1
    unsure = compare_command(builds / "old", "--", builds / "same", *out, "--inconclusive-exit-code", 0)
    assert unsure.return_value == 0


def test_the_published_schema_is_that_of_the_models():
    committed = (ROOT / "docs" / "reference" / "comparison.schema.json").read_text(encoding="utf-8")
    assert committed == comparison_schema_text(), "write docs/reference/comparison.schema.json again"


def test_foreign_text_is_shown_harmless(builds, tmp_path):
    for name in ("old", "slow"):
        shutil.copytree(builds / name, tmp_path / name)
        for run in runs(tmp_path / name):
            with sqlite3.connect(run) as db:
                db.execute(
                    "UPDATE series SET step = '<script>alert(1)</script>|\x1b[31m' WHERE step = 'page-00'"
                )
    done = compare_command(
        tmp_path / "old", "--", tmp_path / "slow", "--out", tmp_path / "out", "--all-metrics"
    )
    assert done.return_value == 95
    assert "\x1b[31m" not in done.output
    assert "<script>alert" not in (tmp_path / "out" / "compare.html").read_text(encoding="utf-8")
    comment = (tmp_path / "out" / "compare.md").read_text(encoding="utf-8")
    assert "<script" not in comment.replace("\\<", "")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "name the runs of both builds"),
        (["OLD"], "name the runs of both builds"),
        (["OLD", "--"], "name the runs of both builds"),
        (["OLD", "--", "OLD"], "named twice"),
        (["OLD", "--", "nowhere"], "nowhere does not exist"),
        (["OLD", "--", "SAME", "--tolerance", "five"], "--tolerance five"),
        (["OLD", "--", "SAME", "--tolerance", "150%"], "below 100%"),
        (["OLD", "--", "ONE", "--paired"], "--paired needs as many runs"),
        (["OLD", "--", "SAME", "--a", "http://127.0.0.1:1"], "--a needs --run"),
        (["--run", "smoke"], "--run needs --a"),
        (["--run", "smoke", "--a", "replatformed"], "--run needs --b"),
        (["--run", "smoke", "--a", "replatformed", "--b", "replatformed", "--a-a"], "leave out --b"),
        (["--run", "smoke", "--a", "nothing-of-this-name", "--a-a"], "must be a URL, a profile"),
        (
            ["--run", "smoke", "--a", "replatformed", "--a-a", "--budget", "soon"],
            "--budget: must be a duration with its unit",
        ),
        (["--run", "smoke", "OLD", "--a", "replatformed", "--a-a"], "leave out the run folders"),
        (["--run", "smoke", "--a", "replatformed", "--a-a", "--paired"], "is for recorded runs"),
    ],
)
def test_wrong_words_are_refused_with_the_way_out(builds, words, message):
    places = {"OLD": builds / "old", "SAME": builds / "same", "ONE": builds / "same" / "run-0"}
    done = compare_command(*(places.get(word, word) for word in words))
    assert message in str(done.exception)


def test_queues_with_other_numbers_of_steps_compare_what_both_have(builds, tmp_path):
    for number in range(3):
        record(
            replace(Queue(requests=2000), steps=1),
            tmp_path / str(number),
            seed=900 + number,
            started_s=number,
        )
    found = by_key(compared(builds / "old", tmp_path))
    assert found["http_req_duration{step:page-01} p(50)"].reason.startswith("candidate: it did not occur")
