"""The effect of a build from values of whole runs, against scipy and published tables."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from doorbuster.stats.multiple_tests import benjamini_hochberg, holm
from doorbuster.stats.run_comparison import (
    EffectEstimate,
    effect_of_pairs,
    effect_of_runs,
    runs_needed,
    smallest_effect,
)

A = (1.2, 3.1, 3.0, 2.4, 1.9)
B = (2.2, 4.9, 3.6, 4.4)


def test_several_runs_of_each_build_give_the_interval_and_p_value_of_welch():
    found, oracle = effect_of_runs(A, B), stats.ttest_ind(B, A, equal_var=False)
    assert found.p_value == pytest.approx(oracle.pvalue)
    assert found.df == pytest.approx(oracle.df)
    assert (found.low(), found.high()) == pytest.approx(tuple(oracle.confidence_interval(0.95)))


def test_two_runs_of_one_build_share_the_variance_of_both():
    found, oracle = effect_of_runs(A, B[:2]), stats.ttest_ind(B[:2], A)
    assert found.p_value == pytest.approx(oracle.pvalue)
    assert (found.low(), found.high()) == pytest.approx(tuple(oracle.confidence_interval(0.95)))


def test_one_new_run_against_several_old_ones_has_the_prediction_interval():
    found = effect_of_runs(A, [4.0])
    half = stats.t.ppf(0.975, len(A) - 1) * np.std(A, ddof=1) * math.sqrt(1 + 1 / len(A))
    assert found.high() - found.value == pytest.approx(half)
    assert found.value == pytest.approx(4.0 - np.mean(A))


def test_pairs_give_the_paired_test():
    found, oracle = effect_of_pairs(np.subtract(B, A[:4])), stats.ttest_rel(B, A[:4])
    assert found.p_value == pytest.approx(oracle.pvalue)


def test_equal_values_of_all_runs_are_only_as_exact_as_their_resolution():
    assert effect_of_runs([1.0, 1.0, 1.0], [1.0, 1.0, 1.0], least_variance=0.01).high() > 0.1


def test_an_effect_without_an_error_on_one_side_has_no_end_there():
    found = EffectEstimate(0.2, error_below=0.05, error_above=math.inf, df=10, variance_per_run=None)
    assert found.high() is None
    assert found.low() == pytest.approx(0.2 - 0.05 * stats.t.ppf(0.975, 10))
    assert found.p_value == pytest.approx(2 * stats.t.sf(4, 10))


@pytest.mark.parametrize(("values", "others"), [((), (1.0,)), ((1.0,), (2.0,)), ((1.0, 2.0), ())])
def test_too_few_runs_are_refused(values, others):
    with pytest.raises(ValueError, match="needs a run of each build"):
        effect_of_runs(values, others)


# Runs of each build for a two-sided test at 5 % with 80 % power (two-sample t test, noncentral t).
@pytest.mark.parametrize(
    ("cv", "of_3_percent", "of_5_percent", "of_10_percent"),
    [(0.02, 9, 4, 3), (0.037, 25, 10, 4), (0.05, 45, 17, 6), (0.10, 176, 64, 17)],
)
def test_runs_needed_to_find_an_effect_are_those_of_the_power_table(
    cv, of_3_percent, of_5_percent, of_10_percent
):
    table = {0.03: of_3_percent, 0.05: of_5_percent, 0.10: of_10_percent}
    for effect, runs in table.items():
        found = runs_needed(2 * cv**2, math.inf, effect, power=0.6)  # one tail of 0.8, as for finding only
        assert found == pytest.approx(runs, abs=1)


def test_the_runs_needed_prove_equivalence_in_four_of_five_cases():
    rng, cv, tolerance = np.random.default_rng(1), 0.03, 0.05
    runs = runs_needed(2 * cv**2, math.inf, tolerance)
    proven = found = 0
    for _ in range(400):
        a, same, slower = (rng.normal(mean, cv, runs) for mean in (0.0, 0.0, tolerance))
        equal = effect_of_runs(a, same)
        proven += -tolerance <= equal.low() and equal.high() <= tolerance
        found += effect_of_runs(a, slower).low() > 0
    assert proven / 400 > 0.76
    assert found / 400 > 0.8


def test_no_number_of_runs_resolves_a_tolerance_of_nothing():
    assert runs_needed(0.01, 10, 0.0) is None
    assert runs_needed(10.0, 10, 0.001) is None


def test_the_smallest_effect_shrinks_with_the_root_of_the_runs():
    assert smallest_effect(0.01, 20, 4) == pytest.approx(2 * smallest_effect(0.01, 20, 16))


def test_holm_multiplies_the_smallest_p_value_most():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == ()
    assert holm([0.9, 0.8]) == (1.0, 1.0)


def test_benjamini_and_hochberg_agree_with_scipy():
    p = np.random.default_rng(2).uniform(size=30) ** 3
    assert benjamini_hochberg(p) == pytest.approx(stats.false_discovery_control(p))
