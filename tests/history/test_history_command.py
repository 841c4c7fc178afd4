"""`doorbuster history`: from runs to changes with their commits, in the terminal, as a page and for Otava."""

from __future__ import annotations

import os
import re
import resource
import subprocess
from pathlib import Path

import numpy as np
import pytest
import yaml
from click.testing import CliRunner

from doorbuster.cli import doorbuster as program
from doorbuster.errors import RecordError, UsageError
from doorbuster.history.entry import CAPACITY, HEADROOM
from doorbuster.history.otava_csv import otava_csv
from doorbuster.history.store import History, HistoryRun, StoredMetric

SAMPLE = Path(__file__).parents[2] / "reports" / "sample"
P95 = StoredMetric("http_req_duration{step:pay} p(95)", "ms", "lower", headline=True)
RATE = StoredMetric("can_order rate", "ratio", "higher", headline=True)


def call(*words: object) -> str:
    done = CliRunner().invoke(program, ["history", *map(str, words)], env={"COLUMNS": "200"})
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.output


def slower(n: int, at: int, by: float) -> list[float]:
    values = 200 * np.exp(0.03 * np.random.default_rng(1).normal(size=n))
    values[at:] *= by
    return values.tolist()


def test_a_change_is_shown_with_its_commits_size_and_note(fill, tmp_path):
    rng = np.random.default_rng(2)
    rates = [0.99 + 0.002 * rng.normal() for _ in range(60)]
    path = fill({P95: slower(60, 40, 1.15), RATE: rates})
    call("annotate", "000000000028", "new payment provider", "--history", path)
    shown = call("show", "--history", path)
    assert "1 of 2 metrics changed in 60 runs." in shown
    assert re.search(
        r"became 1[456]\.?\d* % higher \(worse\) between commits 000000000027 and 000000000028", shown
    )
    assert "new payment provider" in shown
    page = tmp_path / "history.html"
    call("report", "--history", path, "--out", page)
    text = page.read_text(encoding="utf-8")
    assert "http_req_duration{step:pay} p(95)" in text
    assert text.count("<figure>") == 2


def test_a_change_within_one_commit_is_not_blamed_on_the_code(fill):
    path = fill({P95: slower(40, 20, 1.2)}, commits=["abc"] * 40)
    assert "within commit abc, so something other than the code changed" in call("show", "--history", path)


def test_shares_change_by_points(fill):
    rng = np.random.default_rng(3)
    rates = [(0.99 if at < 20 else 0.96) + 0.003 * rng.normal() for at in range(40)]
    shown = call("show", "--history", fill({RATE: rates}))
    assert float(re.search(r"became ([\d.]+) points lower \(worse\)", shown)[1]) == pytest.approx(3, abs=0.5)


def test_a_quiet_history_shows_nothing_and_a_short_one_says_so(fill):
    path = fill({P95: slower(30, 0, 1.0)})
    assert "None of 1 metric changed its level in 30 runs." in call("show", "--history", path)
    assert "3 runs so far: too few" in call("show", "--history", path, "--last", "3")


def test_the_reserve_ends_when_the_trend_reaches_the_demand(fill):
    days = np.arange(60)
    values = 1.5 * np.exp(-0.004 * days + 0.01 * np.random.default_rng(4).normal(size=60))
    metrics = {
        StoredMetric(CAPACITY, "per_s", "higher", headline=True): (10 * values).tolist(),
        StoredMetric(HEADROOM, "value", "higher", headline=True): values.tolist(),
    }
    shown = call("show", "--history", fill(metrics))
    # ln 1.5 / 0.004 = 101 days after day 20,000, which is 4 October 2024.
    assert re.search(r"the reserve is gone by 1\d January 2025 \(95 % interval", shown)
    flat = {HEADROOM: (1.5 * np.exp(0.01 * np.random.default_rng(4).normal(size=60))).tolist()}
    metric = StoredMetric(HEADROOM, "value", "higher", headline=True)
    assert "no trend is certain" in call("show", "--history", fill({metric: flat[HEADROOM]}, name="flat"))


def test_runs_are_added_once_with_the_interval_of_the_run(tmp_path):
    path = tmp_path / "history.sqlite"
    assert "1 of 1 runs added" in call(
        "add", SAMPLE, "--history", path, "--branch", "main", "--commit", "abc"
    )
    assert "0 of 1 runs added, 1 known before" in call("add", SAMPLE.parent, "--history", path)
    with History.open(path) as history:
        (key,) = history.timelines()
        assert (key.scenario.split()[0], key.target, key.branch) == (
            "ms-christmas-2004", "embedded shop, in-house-2004", "main",
        )  # fmt: skip
        (run,) = history.runs(key)
        assert (run.git_commit, run.verdict, run.unusable) == ("abc", "fail", "")
        found = {metric.key: sample for metric, sample in history.samples(run.run_id).items()}
    summary = (SAMPLE / "summary.json").read_text(encoding="utf-8")
    (stated,) = [
        threshold
        for threshold in yaml.safe_load(summary)["thresholds"]
        if threshold["selector"] == "can_order" and threshold["threshold"] == "rate>=99%"
    ]
    order = found["can_order rate"]
    assert (order.value, order.low, order.high) == pytest.approx(
        (stated["observed"], stated["low"], stated["high"])
    )


@pytest.mark.parametrize(
    ("words", "error", "message"),
    [
        (("add", "nowhere"), RecordError, "holds no run"),
        (("show", "p95"), UsageError, "the history has no metric 'p95'"),
        (("show", "--branch", "release"), UsageError, "no branch 'release'; it has main"),
        (("show", "--scenario", "peak"), UsageError, "no scenario 'peak'; it has smoke"),
        (("prune",), UsageError, "--keep N or --before DATE"),
    ],
)
def test_what_the_history_lacks_is_named(fill, words, error, message):
    path = fill({P95: [1.0, 2.0]})
    with pytest.raises(error, match=re.escape(message)):
        call(*words, "--history", path)


def test_the_export_has_a_column_per_metric_and_a_direction(fill, tmp_path):
    path = fill({P95: [1.5, 2.5], RATE: [None, 0.5]})
    call("export", "--history", path, "--out", tmp_path / "otava")
    lines = (tmp_path / "otava" / "history.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "time,commit,run_id,http_req_duration_step_pay_p_95,can_order_rate"
    assert lines[1] == "2024-10-04 00:00:00.000000+00:00,000000000000,main-0,1.5,"
    test = yaml.safe_load((tmp_path / "otava" / "otava.yaml").read_text(encoding="utf-8"))["tests"][
        "doorbuster"
    ]
    assert [metric["direction"] for metric in test["metrics"].values()] == [-1, 1]


def test_a_commit_of_the_export_cannot_write_to_a_terminal():
    (_, line) = otava_csv([HistoryRun("r\x1b[2J", 0, "c\n\x9b31m", "pass")], []).splitlines()
    assert line.isprintable()


@pytest.mark.truth
def test_otava_finds_the_same_changes(fill, tmp_path):
    """Apache Otava, installed into an environment of its own, analyses the exported history."""
    python = tmp_path / "otava-env" / "bin" / "python"
    subprocess.run(["python3", "-m", "venv", tmp_path / "otava-env"], check=True)
    install = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check", "apache-otava==0.8.0"]
    if subprocess.run(install, capture_output=True, check=False).returncode:
        pytest.skip("apache-otava cannot be installed here")
    rng = np.random.default_rng(5)
    metrics = {}
    for number in range(12):
        values = 100 * np.exp(0.05 * rng.normal(size=300))
        for at in sorted(rng.integers(20, 280, number % 4)):
            values[at:] *= rng.choice([0.85, 1.1, 1.3])
        metrics[StoredMetric(f"m{number} p(95)", "ms", "lower", headline=True)] = values.tolist()
    path = fill(metrics)
    call("export", "--history", path, "--out", tmp_path / "out")
    for max_p, least in (("0.001", "0"), ("0.01", "5")):
        options = [f"-P, --p-value={max_p}", "-M", str(float(least) / 100), "--window", "30"]
        done = subprocess.run(
            [python.with_name("otava"), "analyze", "doorbuster", *options, "--output", "json",
             "--since", "2020-01-01"],
            env={**os.environ, "OTAVA_CONFIG": str(tmp_path / "out" / "otava.yaml")},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        theirs = {
            (change["metric"], int(float(point["time"]) // 86_400) - 20_000)
            for point in yaml.safe_load(done.stdout)["doorbuster"]
            for change in point["changes"]
        }
        ours = set()
        from doorbuster.compare.metric_comparison import Tolerance
        from doorbuster.history.otava_csv import column_name
        from doorbuster.history.timeline import ChangeSettings, metric_timeline

        settings = ChangeSettings(30, float(max_p), Tolerance(float(least) / 100, 0.01), otava=True)
        with History.open(path) as history:
            (key,) = history.timelines()
            for values in history.values(key):
                timeline = metric_timeline(values, history.runs(key), settings)
                ours |= {(column_name(values.metric.key), change.place) for change in timeline.changes}
        assert ours == theirs
        assert ours


@pytest.mark.truth
def test_five_thousand_runs_of_two_hundred_metrics(fill, tmp_path, doorbuster):
    """`show` in 2 s, `report` in 10 s of processor time (other processes may be running), 400 MB."""
    rng = np.random.default_rng(6)
    metrics = {}
    for number in range(200):
        metric = StoredMetric(
            f"http_req_duration{{step:s{number}}} p(95)", "ms", "lower", headline=number < 20
        )
        values = 100 * np.exp(0.03 * rng.normal(size=5000))
        values[4000:] *= 1.1 if number < 10 else 1.0
        metrics[metric] = values.tolist()
    path = fill(metrics)
    for words, limit_s in (
        (("show", "--branch", "main"), 2.0),
        (("report", "--all", "--last", "5000", "--out", tmp_path / "h.html"), 10.0),
    ):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = doorbuster("history", *words, "--history", path)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        print(f"{words[0]}: {cpu_s:.1f} s of processor time, {after.ru_maxrss / 1e3:.0f} MB")
        assert done.returncode == 0, done.stderr
        assert cpu_s < limit_s
        assert after.ru_maxrss < 400_000  # kB
    assert (tmp_path / "h.html").read_text(encoding="utf-8").count("higher (worse)") >= 10
