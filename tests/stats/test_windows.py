"""A run becomes slow where two adjacent known windows exceed the limit."""

from __future__ import annotations

import pytest

from doorbuster.records.histogram import Histogram
from doorbuster.stats.latency_quantiles import TimeBlock
from doorbuster.stats.windows import SlowPeriod, find_slow, window_quantiles

BASELINE = "three times the baseline"


@pytest.mark.parametrize(
    ("p95_ms", "at_s"),
    [
        ([10, 20, 31, 40, 12], 10.0),
        ([10, 31, 12, 31, 31], 15.0),  # one slow window alone does not count
        ([10, 31], None),
        ([31, 40, 10], 0.0),
        ([10, None, 31, None, 40], 10.0),
        ([10, 30, 30], None),  # the limit itself is not above the limit
    ],
    ids=["grew slow", "after a hiccup", "only at the end", "from the start", "over gaps", "at the limit"],
)
def test_it_became_slow_in_the_first_of_two_windows_above_three_times_the_fastest(p95_ms, at_s):
    assert SlowPeriod(at_s, 30.0, BASELINE) == find_slow(p95_ms, 5, bound_ms=None)


def test_a_threshold_takes_the_place_of_the_baseline():
    assert SlowPeriod(5.0, 15.0, "the tightest threshold") == find_slow([10, 20, 20], 5, bound_ms=15.0)


def test_without_a_known_window_there_is_no_limit():
    assert SlowPeriod(None, None, BASELINE) == find_slow([None, None], 5, bound_ms=None)


def test_a_window_with_too_few_requests_shows_no_percentile():
    few = TimeBlock(Histogram.from_values(range(1, 50)), Histogram.from_values(range(1, 10)))
    (found,) = window_quantiles(few, [0.95])
    assert (found.value_us, found.n, found.reason) == (None, 58, "needs 59 requests, there were 58")


def test_abandoned_requests_count_as_longer_than_recorded():
    answered = Histogram.from_values([1000] * 90)
    assert window_quantiles(TimeBlock(answered, Histogram.empty()), [0.95])[0].value_us == 1000
    (found,) = window_quantiles(TimeBlock(answered, Histogram.from_values([500] * 10)), [0.95])
    assert (found.value_us, found.n, found.at_least) == (1000.0, 100, False)
    (found,) = window_quantiles(TimeBlock(answered, Histogram.from_values([4000] * 10)), [0.95])
    assert found.at_least
