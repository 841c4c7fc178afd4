"""Recovery after the peak, on simulated shops whose recovery has a closed form; and Apdex by hand."""

from __future__ import annotations

import heapq

import numpy as np
import pytest

from doorbuster.records.histogram import Histogram
from doorbuster.stats.apdex import apdex
from doorbuster.stats.outage import SuccessCount
from doorbuster.stats.recovery import recover

RATE, MU, TIMEOUT_S = 70, 100.0, 1.0


def goodput_after_a_stall(stall_s: float, *, retries: int, seconds: int = 120) -> list[SuccessCount]:
    """Customers per second after a stall of a FIFO shop that still serves customers who have left."""
    asks = [(i / RATE, i, 0) for i in range(RATE * seconds)]
    heapq.heapify(asks)
    free, served = stall_s, np.zeros(len(asks), bool)
    while asks:
        at_s, customer, tried = heapq.heappop(asks)
        free = max(at_s, free) + 1 / MU
        if free <= at_s + TIMEOUT_S:
            served[customer] = True
        elif tried < retries and at_s < seconds:
            heapq.heappush(asks, (at_s + TIMEOUT_S, customer, tried + 1))
    return [SuccessCount(int(part.sum()), RATE) for part in np.split(served, seconds)]


@pytest.mark.parametrize("stall_s", [2.0, 10.0])
def test_a_shop_without_retries_recovers_when_theory_says(stall_s):
    after = goodput_after_a_stall(stall_s, retries=0)
    found = recover(SuccessCount(0, RATE), after, baseline_ratio=1.0)
    expected_s = (stall_s - TIMEOUT_S + 1 / MU) / (1 - RATE / MU)
    assert found.course == "recovered"
    assert expected_s - 1 < found.windows <= expected_s + 1


@pytest.mark.parametrize("stall_s", [2.0, 10.0])
def test_a_shop_whose_customers_retry_three_times_never_recovers(stall_s):
    found = recover(SuccessCount(0, RATE), goodput_after_a_stall(stall_s, retries=3), baseline_ratio=1.0)
    assert (found.course, found.windows) == ("metastable", None)


def test_a_shop_that_never_broke_held():
    assert recover(SuccessCount(690, 700), [SuccessCount(70, 70)] * 20, baseline_ratio=1.0).course == "held"


def test_a_few_customers_at_the_end_cannot_show_that_it_did_not_recover():
    assert recover(SuccessCount(10, 700), [SuccessCount(1, 2)] * 9, baseline_ratio=1.0).course == "unknown"
    assert (
        recover(
            SuccessCount(10, 700), [SuccessCount(18, 20)] + [SuccessCount(0, 0)] * 9, baseline_ratio=1.0
        ).course
        == "unknown"
    )
    assert recover(SuccessCount(0, 0), [SuccessCount(46, 50)], baseline_ratio=1.0).course == "unknown"


def test_recovery_is_measured_against_the_baseline_that_there_was():
    after = [SuccessCount(80, 100)] * 20
    assert recover(SuccessCount(10, 700), after, baseline_ratio=0.8).course == "recovered"
    assert recover(SuccessCount(10, 700), after, baseline_ratio=1.0).course == "metastable"


def test_one_good_window_is_not_a_recovery():
    after = [SuccessCount(100, 100) if second % 5 == 0 else SuccessCount(20, 100) for second in range(40)]
    assert recover(SuccessCount(10, 700), after, baseline_ratio=1.0).course == "metastable"


def test_apdex_counts_slow_answers_half_and_lost_ones_not_at_all():
    found = apdex(
        Histogram.from_values([100_000] * 60 + [900_000] * 20 + [3_000_000] * 10), others=10, t_ms=500
    )
    assert (found.satisfied, found.tolerating, found.n) == (60, 20, 100)
    assert found.score == pytest.approx(0.7)
    assert apdex(Histogram.empty(), others=0, t_ms=500).score is None


def test_a_shop_is_not_metastable_before_the_demand_has_come_down():
    after = [SuccessCount(20, 100)] * 40
    for calm_from, course in ((40, "unknown"), (31, "unknown"), (30, "metastable")):
        assert recover(SuccessCount(10, 700), after, baseline_ratio=1.0, calm_from=calm_from).course == course
