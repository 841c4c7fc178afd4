"""Outages: what counts as one, and what is chance."""

from __future__ import annotations

import numpy as np

from doorbuster.stats.outage import Outage, SuccessCount, find_outages


def shares(*successes: int, n: int = 20) -> list[SuccessCount]:
    return [SuccessCount(k, n) for k in successes]


def test_consecutive_failing_windows_are_one_outage():
    assert find_outages(shares(20, 20, 10, 5, 12, 20), below=0.95) == (Outage(2, 5, SuccessCount(27, 60)),)


def test_an_outage_at_the_end_ends_with_the_run():
    assert find_outages(shares(20, 20, 3, 4), below=0.95) == (Outage(2, 4, SuccessCount(7, 40)),)


def test_two_separate_periods_are_two_outages():
    assert [(outage.first, outage.end) for outage in find_outages(shares(5, 20, 5), below=0.95)] == [
        (0, 1),
        (2, 3),
    ]


def test_a_few_failures_are_not_an_outage():
    assert find_outages(shares(20, 18, 18, 20), below=0.95) == ()


def test_exactly_the_limit_is_not_below_it():
    assert find_outages(shares(19, 19, 19, n=20), below=0.95) == ()


def test_a_window_without_customers_belongs_to_the_period_around_it():
    windows = [
        SuccessCount(20, 20),
        SuccessCount(2, 20),
        SuccessCount(0, 0),
        SuccessCount(2, 20),
        SuccessCount(20, 20),
    ]
    assert find_outages(windows, below=0.95) == (Outage(1, 4, SuccessCount(4, 40)),)


def test_no_windows_no_outage():
    assert find_outages([], below=0.95) == ()
    assert find_outages([SuccessCount(0, 0)], below=0.95) == ()


def test_a_shop_that_serves_99_of_100_breaks_in_few_runs_by_chance():
    rng = np.random.default_rng(7)
    broken = sum(
        bool(find_outages([SuccessCount(int(k), 10) for k in rng.binomial(10, 0.99, 60)], below=0.95))
        for _ in range(200)
    )
    assert broken / 200 < 0.02
