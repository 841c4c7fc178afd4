"""The mean of correlated values: coverage on queues, and independent values against scipy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from recorded_queues import Queue, draw
from scipy import stats

from doorbuster.stats.batch_means import batch_means_interval


def test_blocks_of_one_size_give_student_s_interval_of_their_means():
    means = np.array([1.0, 2.5, 2.0, 1.5, 3.0, 2.2, 1.1, 1.9, 2.8, 2.0])
    found = batch_means_interval(10 * means, np.full(10, 10.0))
    assert found == pytest.approx(stats.t.interval(0.95, 9, means.mean(), stats.sem(means)))


@pytest.mark.parametrize("rho", [0.5, 0.8])
def test_the_mean_logarithm_of_response_times_is_covered_on_a_queue(rho):
    queue, rng, hits = Queue(rho=rho), np.random.default_rng(5), 0
    truth = math.log(queue.mean_ms / 1e3) - np.euler_gamma  # of an exponential distribution
    for _ in range(300):
        due, took = draw(queue, rng)
        block = (due * 30 / queue.length_s).astype(int)
        low, high = batch_means_interval(
            np.bincount(block, np.log(took), 30), np.bincount(block, minlength=30).astype(float)
        )
        hits += low <= truth <= high
    assert 0.90 <= hits / 300 <= 0.98
