"""Proportions with intervals: closed forms, scipy, and correlated blocks."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorbuster.stats.design_effect import design_effect, effective_n
from doorbuster.stats.proportion import clopper_pearson, clustered_proportion

COUNTS = st.integers(1, 3000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(COUNTS, st.sampled_from([0.8, 0.95, 0.99]))
def test_the_interval_is_that_of_scipy(counts: tuple[int, int], confidence: float):
    from scipy.stats import binomtest

    k, n = counts
    theirs = binomtest(k, n).proportion_ci(confidence, "exact")
    found = clopper_pearson(k, n, confidence=confidence)
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high), abs=1e-9)
    assert found.ratio == k / n


def test_no_trials_give_no_ratio_and_the_whole_range():
    found = clopper_pearson(0, 0)
    assert (found.ratio, found.low, found.high) == (None, 0.0, 1.0)


@pytest.mark.parametrize("n", [1, 30, 300])
def test_without_failures_the_lower_end_is_the_nth_root_of_the_error(n: int):
    found = clopper_pearson(n, n)
    assert found.high == 1.0
    assert found.low == pytest.approx(0.025 ** (1 / n))


def test_more_successes_than_trials_are_refused():
    with pytest.raises(ValueError, match=r"^successes must be in 0..n \(got 5 of 4\)$"):
        clopper_pearson(5, 4)


def test_the_design_effect_of_blocks_that_are_all_or_nothing_is_the_block_size():
    k, n = np.array([10.0, 0.0] * 50), np.full(100, 10.0)
    assert design_effect(k, n) == pytest.approx(10 * 100 / 99)


def test_a_scatter_below_chance_counts_as_chance():
    assert design_effect(np.full(20, 5.0), np.full(20, 10.0)) == 1.0


def test_many_blocks_of_independent_trials_lose_nothing():
    assert effective_n(1000, 10**6, 1.0) == pytest.approx(1000, rel=1e-4)
    assert effective_n(1000, 11, 1.0) == pytest.approx(1000 * (1.95996 / 2.22814) ** 2, rel=1e-4)


def test_intervals_over_blocks_cover_where_independent_ones_do_not():
    rng = np.random.default_rng(11)
    hits = np.zeros(2)
    for _ in range(400):
        fate = rng.beta(1.8, 0.2, 30)  # each block of time has its own success rate, 90 % on average
        successes = rng.binomial(200, fate)
        blocks = clustered_proportion(successes, np.full(30, 200))
        plain = clopper_pearson(int(successes.sum()), 6000)
        hits += [found.low <= 0.9 <= found.high for found in (blocks, plain)]
    assert hits[0] / 400 >= 0.92
    assert hits[1] / 400 <= 0.5


def test_blocks_without_trials_change_nothing():
    assert clustered_proportion([9, 0, 7, 0], [10, 0, 10, 0]) == clustered_proportion([9, 7], [10, 10])


def test_a_single_block_counts_as_a_single_trial():
    found = clustered_proportion([95], [100])
    assert (found.ratio, found.n, found.effective_n) == (0.95, 100, 1.0)
    assert (found.low, found.high) == pytest.approx((clopper_pearson(1, 1).low, 1.0), abs=0.03)
    assert clustered_proportion([], []).ratio is None


def test_importing_the_statistics_does_not_load_scipy():
    program = (
        "import sys, doorbuster.stats.quantile, doorbuster.stats.proportion, doorbuster.stats.warmup;"
        "assert 'scipy' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
