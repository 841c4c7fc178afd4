"""One metric of two builds: the decision, its interval, and what is asked for when it cannot be told."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from doorbuster.compare.metric_comparison import Decision, Tolerance, adjusted, compare_metric
from doorbuster.compare.run_metric import RunMetric

P95 = RunMetric("http_req_duration p(95)", "http_req_duration", (), "p(95)", "ms", "lower", 100.0, n=5000)
CAN_ORDER = RunMetric("can_order rate", "can_order", (), "rate", "ratio", "higher", 0.99, n=1000)


def runs(metric, *values, **changes):
    return [replace(metric, value=value, **changes) for value in values]


def test_a_slower_build_is_worse_and_a_quicker_one_better():
    old, new = runs(P95, 100, 101, 99, 100.5), runs(P95, 115, 116, 114, 115.5)
    assert compare_metric(old, new).decision == Decision.WORSE
    assert compare_metric(new, old).decision == Decision.BETTER


def test_ratio_and_difference_have_the_same_interval():
    found = compare_metric(runs(P95, 100, 101, 99), runs(P95, 115, 117, 113))
    assert found.difference.low == pytest.approx(found.baseline * (found.ratio.low - 1))
    assert found.difference.high == pytest.approx(found.baseline * (found.ratio.high - 1))
    assert found.ratio.low < found.candidate / found.baseline < found.ratio.high


def test_a_share_is_compared_in_points():
    found = compare_metric(runs(CAN_ORDER, 0.99, 0.992, 0.991), runs(CAN_ORDER, 0.95, 0.953, 0.951))
    assert found.decision == Decision.WORSE
    assert found.difference.value == pytest.approx(-0.0397, abs=1e-4)


def test_the_interval_of_a_share_stays_within_what_shares_can_be():
    few = runs(replace(CAN_ORDER, n=2), 1.0, low=0.16, high=1.0)
    found = compare_metric([*few, *few], few)
    assert (found.difference.low, found.difference.high) == (-1.0, 1.0)
    assert found.ratio.low == 0.0


def test_the_same_values_with_little_scatter_are_the_same_within_the_tolerance():
    found = compare_metric(runs(P95, 100, 101, 99, 100), runs(P95, 100, 100.5, 99.5, 101))
    assert found.decision == Decision.SAME
    assert found.needed_runs is None


def test_no_significance_is_not_same():
    found = compare_metric(runs(P95, 100, 110, 90), runs(P95, 102, 111, 93))
    assert found.decision == Decision.CANNOT_TELL
    assert found.needed_runs > 3


def test_a_significant_effect_within_the_tolerance_is_the_same():
    old, new = runs(P95, 100, 100.1, 99.9, 100), runs(P95, 102, 102.1, 101.9, 102)
    assert compare_metric(old, new).decision == Decision.SAME
    assert compare_metric(old, new, tolerance=Tolerance(ratio=0.01)).decision == Decision.WORSE


def test_one_run_against_one_uses_the_intervals_within_the_runs():
    old, new = runs(P95, 100.0, low=97, high=103), runs(P95, 120.0, low=116, high=124)
    found = compare_metric(old, new)
    assert (found.basis, found.decision) == ("blocks", Decision.WORSE)
    reach = math.hypot(math.log(120 / 116), math.log(103 / 100))
    assert found.ratio.low == pytest.approx(1.2 * math.exp(-reach), rel=1e-3)


def test_one_run_without_an_interval_cannot_tell():
    found = compare_metric(runs(P95, 100.0), runs(P95, 200.0))
    assert found.decision == Decision.CANNOT_TELL
    assert found.ratio.value == pytest.approx(2.0)
    assert found.ratio.low is None


def test_a_time_that_is_only_a_lower_bound_can_be_worse_but_never_same():
    old = runs(P95, 100, 101, 99)
    slower = compare_metric(old, runs(P95, 200, 201, 199, at_least=True))
    assert slower.decision == Decision.WORSE
    assert slower.ratio.high is None
    assert compare_metric(old, runs(P95, 100, 100, 100, at_least=True)).decision == Decision.CANNOT_TELL


def test_a_metric_without_data_states_why():
    new = runs(P95, None, reason="needs 59 requests, there were 3")
    found = compare_metric(runs(P95, 100.0, 101.0), new)
    assert found.decision == Decision.CANNOT_TELL
    assert found.reason == "candidate: needs 59 requests, there were 3"


def test_runs_without_any_failure_do_not_count_as_exact():
    perfect = runs(CAN_ORDER, 1.0, 1.0, 1.0, n=20)
    assert compare_metric(perfect, perfect).decision == Decision.CANNOT_TELL
    many = runs(CAN_ORDER, 1.0, 1.0, 1.0, n=2000)
    assert compare_metric(many, many).decision == Decision.SAME


def test_pairs_cancel_a_drift_of_both_builds():
    drift = np.array([100, 110, 120, 130, 140])
    old, new = runs(P95, *drift), runs(P95, *(drift * 1.10 + [0.3, -0.2, 0.1, 0.2, -0.3]))
    assert compare_metric(old, new).decision == Decision.CANNOT_TELL
    paired = compare_metric(old, new, paired=True)
    assert (paired.decision, paired.basis) == (Decision.WORSE, "pairs")


def test_a_pair_with_a_missing_value_is_left_out():
    old, new = runs(P95, 100, 110, 120), runs(P95, 110, None, 132)
    found = compare_metric(old, new, paired=True)
    assert (found.baseline_runs, found.candidate_runs) == (2, 2)


def test_a_metric_without_a_better_direction_is_only_different():
    requests = replace(P95, better="")
    assert (
        compare_metric(runs(requests, 1, 1.01, 1.02), runs(requests, 2, 2.01, 2.02)).decision == "different"
    )


def test_adjustment_for_several_metrics_can_only_take_certainty_away():
    found = compare_metric(runs(P95, 100, 103, 97), runs(P95, 110, 113, 108))
    assert found.decision == Decision.WORSE
    assert adjusted(found, 40 * found.p_value).decision == Decision.CANNOT_TELL


def test_the_runs_asked_for_grow_with_the_number_of_metrics():
    old, new = runs(P95, 100, 110, 90), runs(P95, 102, 111, 93)
    one, forty = (compare_metric(old, new, metrics=m).needed_runs for m in (1, 40))
    assert one < forty


def test_times_equal_to_the_bin_are_not_infinitely_exact():
    found = compare_metric(runs(P95, 100, 100), runs(P95, 100.05, 100.05), tolerance=Tolerance(ratio=0.0))
    assert found.decision == Decision.CANNOT_TELL
