"""Differences and ratios of estimates: closed forms, and unknown bounds."""

from __future__ import annotations

import math

import numpy as np
import pytest

from doorbuster.stats.difference import ValueWithInterval, difference, ratio


def around(value, half):
    return ValueWithInterval(value, value - half, value + half)


def test_of_two_normal_means_the_half_widths_add_as_squares():
    assert difference(around(7.0, 3.0), around(5.0, 4.0)) == ValueWithInterval(2.0, -3.0, 7.0)


def test_the_difference_of_two_shares_is_newcombe_s_published_one():
    """Newcombe (1998), Statistics in Medicine 17, table II, row (a), method 10: 56/70 - 48/80."""
    from scipy.stats import binomtest

    wilson = ((k / n, binomtest(k, n).proportion_ci(method="wilson")) for k, n in ((56, 70), (48, 80)))
    found = difference(*(ValueWithInterval(ratio, ends.low, ends.high) for ratio, ends in wilson))
    assert found.value == pytest.approx(0.2)
    assert (round(found.low, 4), round(found.high, 4)) == (0.0524, 0.3339)


def test_a_ratio_is_the_difference_of_logarithms():
    found = ratio(ValueWithInterval(8.0, 4.0, 16.0), ValueWithInterval(2.0, 1.0, 4.0))
    half = math.hypot(math.log(2), math.log(2))
    assert found.value == pytest.approx(4.0)
    assert found.low == pytest.approx(4.0 / math.exp(half))
    assert found.high == pytest.approx(4.0 * math.exp(half))


def test_an_unknown_bound_leaves_that_side_open():
    whole, open_above = around(5.0, 1.0), ValueWithInterval(9.0, 8.0, None)
    assert difference(open_above, whole).high is None
    assert difference(open_above, whole).low == pytest.approx(4.0 - math.hypot(1.0, 1.0))
    assert difference(whole, open_above).low is None
    assert ratio(ValueWithInterval(1.0, 0.0, 2.0), whole).low is None


def test_the_interval_of_a_difference_of_medians_covers_as_often_as_it_says():
    """1000 pairs of exponential samples whose medians are equal; order statistics as intervals."""
    from doorbuster.records.histogram import Histogram, pack
    from doorbuster.stats.quantile import quantile_estimate

    rng, covered = np.random.default_rng(7), 0
    for _ in range(1000):
        ends = []
        for _ in range(2):
            blob = pack((rng.exponential(100_000, 80) + 1).astype(np.int64))
            found = quantile_estimate(Histogram.from_blobs([blob]), 0.5)
            ends.append(ValueWithInterval(found.value_us, found.low_us, found.high_us))
        got = difference(*ends)
        covered += got.low <= 0 <= got.high
    assert covered >= 930  # 950 by its word; 930 is three standard deviations below
