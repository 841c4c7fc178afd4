"""The product-limit estimate, against its definition, its textbook example and known distributions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorbuster.records.histogram import Histogram
from doorbuster.stats.censored import censored_mean, censored_quantile, survival_curve
from doorbuster.stats.quantile import order_statistic_ranks, quantile_estimate

EMPTY = Histogram.empty()


def histogram(values_us) -> Histogram:
    return Histogram.from_values(np.asarray(values_us, dtype=np.int64))


def slow_product_limit(answered: list[int], abandoned: list[int]) -> dict[int, float]:
    """S(t) at each time, straight from the definition."""
    survival, curve = 1.0, {}
    for time in sorted({*answered, *abandoned}):
        at_risk = sum(value >= time for value in answered + abandoned)
        survival *= 1 - answered.count(time) / at_risk
        curve[time] = survival
    return curve


@given(
    st.lists(st.integers(1, 60), max_size=40),
    st.lists(st.integers(1, 60), max_size=40),
)
def test_the_curve_follows_its_definition(answered, abandoned):
    curve = survival_curve(histogram(answered), histogram(abandoned))
    expected = slow_product_limit(answered, abandoned)
    assert curve.time_us.tolist() == list(expected)
    assert curve.survival.tolist() == pytest.approx(list(expected.values()), abs=1e-12)


def test_the_curve_equals_the_published_one_of_freireich():
    # Remission in weeks of 21 patients on 6-MP; S from Cox and Oakes (1984), table 1.1 and p. 49.
    ended = [6, 6, 6, 7, 10, 13, 16, 22, 23]
    left = [6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35]
    curve = survival_curve(histogram(ended), histogram(left))
    at = dict(zip(curve.time_us.tolist(), curve.survival.tolist(), strict=True))
    expected = {6: 0.857, 7: 0.807, 10: 0.753, 13: 0.690, 16: 0.627, 22: 0.538, 23: 0.448}
    assert {week: round(at[week], 3) for week in expected} == expected
    assert censored_quantile(curve, 0.5).value_us == 23


@given(st.lists(st.integers(1, 5_000_000), min_size=1, max_size=300), st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_without_anybody_leaving_it_is_the_plain_quantile(values, p):
    found = censored_quantile(survival_curve(histogram(values), EMPTY), p)
    assert found.value_us == histogram(values).quantile_us(p)
    assert not found.at_least


def test_quantiles_of_exponential_times_are_found_behind_impatient_customers():
    rng = np.random.default_rng(11)
    takes, patience = rng.exponential(1e6, 50_000), rng.weibull(1.5, 50_000) * 2e6
    stayed = takes <= patience
    curve = survival_curve(histogram(takes[stayed]), histogram(patience[~stayed]))
    for p in (0.5, 0.9, 0.95):
        found = censored_quantile(curve, p)
        assert found.value_us == pytest.approx(-np.log(1 - p) * 1e6, rel=0.03)
        assert found.low_us < -np.log(1 - p) * 1e6 < found.high_us
    assert censored_mean(curve).value_us == pytest.approx(1e6, rel=0.03)


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(5)
    hits, truth = 0, -np.log(0.1) * 1e6
    for _ in range(300):
        takes, patience = rng.exponential(1e6, 400), rng.weibull(1.5, 400) * 4e6
        stayed = takes <= patience
        found = censored_quantile(survival_curve(histogram(takes[stayed]), histogram(patience[~stayed])), 0.9)
        hits += found.low_us <= truth and (found.high_us is None or truth <= found.high_us)
    assert 0.92 <= hits / 300 <= 0.99


def test_a_quantile_beyond_the_last_answer_is_at_least_the_longest_wait():
    curve = survival_curve(histogram([10, 20, 30, 40]), histogram([50] * 6))
    found = censored_quantile(curve, 0.9)
    assert (found.value_us, found.high_us, found.at_least) == (50, None, True)
    assert censored_quantile(curve, 0.4).value_us == 40
    assert censored_mean(curve).at_least


def test_the_plain_mean_has_the_plain_standard_error():
    values = np.random.default_rng(2).gamma(2, 500, 4000).astype(np.int64)
    found = censored_mean(survival_curve(histogram(values), EMPTY))
    half = 1.96 * values.std() / np.sqrt(values.size)
    assert found.value_us == pytest.approx(values.mean(), rel=1e-3)
    assert found.high_us - found.value_us == pytest.approx(half, rel=0.01)


def test_no_requests_give_no_estimate():
    curve = survival_curve(EMPTY, EMPTY)
    assert censored_quantile(curve, 0.5).value_us is None
    assert censored_mean(curve).value_us is None


def test_one_answer_has_a_value_and_no_interval_of_the_mean():
    found = censored_mean(survival_curve(histogram([500]), EMPTY))
    assert (found.value_us, found.low_us, found.high_us) == (500, None, None)


def test_the_uncensored_interval_agrees_with_order_statistics():
    values = np.random.default_rng(4).exponential(1e6, 2000)
    exact = quantile_estimate(histogram(values), 0.9)
    found = censored_quantile(survival_curve(histogram(values), EMPTY), 0.9)
    assert found.low_us == pytest.approx(exact.low_us, rel=0.02)
    assert found.high_us == pytest.approx(exact.high_us, rel=0.02)


def test_a_widened_interval_is_that_of_the_effective_number_of_answers():
    """At its low end too: the first few of thousands of answers must not pull it to zero."""
    values = np.random.default_rng(6).exponential(1e6, 60_000)
    curve = survival_curve(histogram(values), histogram([500_000] * 3)).widened(60_000 / 200)
    ranks = order_statistic_ranks(0.95, 200)
    for rank, found_us in (
        (ranks.low, censored_quantile(curve, 0.95).low_us),
        (ranks.high, censored_quantile(curve, 0.95).high_us),
    ):
        expected_us = np.quantile(values, rank / 201)
        assert found_us == pytest.approx(expected_us, rel=0.15)
