"""Thresholds that refer to a baseline: noise never fails a build, and blindness never passes one."""

from __future__ import annotations

import numpy as np
import pytest

from doorbuster.compare.baseline_values import BaselineValues, read_baseline_values
from doorbuster.compare.relative_threshold import decide_relative
from doorbuster.compare.run_metric import RunMetric, threshold_key
from doorbuster.scenario.thresholds.language import read_thresholds


def threshold(metric: str, expression: str, severity: str = "fail"):
    (found,) = read_thresholds({metric: [{"threshold": expression, "severity": severity}]})
    return found


def runs(of, values, spread=0.0) -> tuple[RunMetric, ...]:
    ends = (1 - spread, 1 + spread)
    return tuple(
        RunMetric(
            threshold_key(of), of.metric, of.tags, threshold_key(of).rpartition(" ")[2], of.unit,
            "higher" if of.unit == "ratio" else "lower", value,
            *((value * end for end in ends) if spread else (None, None)), 1000,
        )
        for value in values
    )  # fmt: skip


def decided(of, baseline, candidate, *, spread=0.0, issues=()):
    values = BaselineValues("main", ("a",), {threshold_key(of): runs(of, baseline, spread)}, issues)
    return decide_relative(of, runs(of, candidate, spread), values)


P95 = "http_req_duration", "p(95)<baseline*1.1"
QUIET = (100.0, 101.0, 99.0, 100.5, 99.5)
NOISY = (100.0, 120.0, 84.0, 112.0, 90.0)


@pytest.mark.parametrize(
    ("baseline", "candidate", "status"),
    [
        (QUIET, (100.0,), "pass"),
        (QUIET, (107.0,), "pass"),
        (QUIET, (111.5,), "inconclusive"),
        (QUIET, (120.0,), "fail"),
        (NOISY, (100.0,), "inconclusive"),  # could not have seen 20 %
        (NOISY, (120.0,), "inconclusive"),  # may be noise
        (NOISY, (100.0, 118.0, 85.0, 111.0, 91.0) * 8, "pass"),
    ],
)
def test_a_time_against_several_runs(baseline, candidate, status):
    assert decided(threshold(*P95), baseline, candidate).status == status


@pytest.mark.parametrize(("candidate", "status"), [(100.0, "pass"), (130.0, "fail"), (112.0, "inconclusive")])
def test_one_run_against_one_uses_the_intervals_within_the_runs(candidate, status):
    assert decided(threshold(*P95), (100.0,), (candidate,), spread=0.03).status == status


def test_one_run_against_one_without_intervals_decides_nothing():
    found = decided(threshold(*P95), (100.0,), (200.0,))
    assert found.status == "inconclusive"
    assert "too little data for an interval" in found.sentence


@pytest.mark.parametrize(
    ("expression", "candidate", "status"),
    [
        ("rate>=baseline-1%", 0.990, "pass"),
        ("rate>=baseline-1%", 0.985, "pass"),
        ("rate>=baseline-1%", 0.94, "fail"),
        ("rate>=baseline", 0.990, "inconclusive"),  # allows no change, and none was proved
        ("rate>=baseline", 0.90, "fail"),
    ],
)
def test_a_share_is_compared_in_points(expression, candidate, status):
    baseline = (0.990, 0.991, 0.989, 0.9905, 0.9895)
    found = decided(
        threshold("can_order", expression), baseline, (candidate, candidate + 0.001, candidate - 0.001)
    )
    assert found.status == status


def test_a_duration_may_be_added():
    of = threshold("http_req_duration", "p(95)<baseline+50ms")
    assert [decided(of, QUIET, (value,)).status for value in (120.0, 190.0)] == ["pass", "fail"]


def test_an_improvement_may_be_demanded():
    of = threshold("http_req_duration", "p(95)<baseline*0.9")
    assert [decided(of, QUIET, (value,)).status for value in (80.0, 89.0, 100.0)] == [
        "pass", "inconclusive", "fail",
    ]  # fmt: skip


def test_the_result_states_ratio_interval_bound_and_margin():
    found = decided(threshold(*P95), QUIET, (120.0,))
    assert found.threshold.bound == pytest.approx(110.0, rel=1e-3)
    assert found.margin == pytest.approx(-10.0, abs=0.1)
    assert "against 100 ms in 5 runs of the baseline main: 1.2 times (95 % interval 1.1" in found.sentence
    assert found.sentence.endswith("Required: below baseline*1.1.")


def test_a_warning_never_fails():
    of = threshold(*P95, severity="warn")
    assert decided(of, QUIET, (120.0,)).status == "warn"


def test_without_a_baseline_the_way_out_is_named():
    found = decide_relative(threshold(*P95), runs(threshold(*P95), (100.0,)), None)
    assert found.status == "inconclusive"
    assert "doorbuster baseline accept RUN" in found.sentence


def test_a_baseline_that_may_not_be_compared_decides_nothing():
    found = decided(threshold(*P95), QUIET, (200.0,), issues=("a and b ran different scenarios",))
    assert (found.status, "different scenarios" in found.sentence) == ("inconclusive", True)


def test_noise_fails_few_builds_and_a_doubled_change_is_never_passed():
    rng = np.random.default_rng(11)
    of = threshold(*P95)
    same = [decided(of, rng.normal(100, 5, 5), rng.normal(100, 5, 3)).status for _ in range(300)]
    worse = [decided(of, rng.normal(100, 5, 5), rng.normal(121, 5, 3)).status for _ in range(300)]
    assert same.count("fail") / 300 <= 0.01
    assert worse.count("pass") / 300 <= 0.05
    assert worse.count("fail") / 300 >= 0.5


def test_the_values_survive_their_file(tmp_path):
    of = threshold("http_req_duration{step:pay,channel:web}", "p(95)<baseline*1.1")
    values = BaselineValues("main", ("a", "b"), {threshold_key(of): runs(of, QUIET, 0.02)}, ("why",))
    values.write(tmp_path)
    assert read_baseline_values(tmp_path) == values
    assert read_baseline_values(tmp_path / "elsewhere") is None
