"""The trend of a value and when it reaches a limit."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from doorbuster.stats.trend import fit_trend


def test_the_slope_and_its_interval_are_those_of_linear_regression():
    times = np.arange(20.0)
    values = np.exp(1 - 0.05 * times + 0.1 * np.random.default_rng(8).normal(size=20))
    found, expected = fit_trend(times, values), stats.linregress(times, np.log(values))
    assert np.log1p(found.slope.value) == pytest.approx(expected.slope)
    worth = found.error / np.sqrt(
        ((np.log(values) - expected.intercept - expected.slope * times) ** 2).sum() / 18
    )
    reach = found.t * expected.stderr * worth
    assert np.log1p(found.slope.low) == pytest.approx(expected.slope - reach)


def test_the_time_of_the_limit_has_its_interval_in_95_of_100_cases():
    rng = np.random.default_rng(9)
    times = np.linspace(0, 60, 25)
    inside = 0
    for _ in range(400):
        values = 1.5 * np.exp(-0.005 * times + 0.03 * rng.normal(size=25))
        gone = fit_trend(times, values).reaches(1.0)
        inside += gone is not None and gone.low <= np.log(1.5) / 0.005 <= gone.high
    assert inside / 400 == pytest.approx(0.96, abs=0.03)


def test_a_flat_series_reaches_nothing_and_a_short_one_has_no_trend():
    flat = 1.5 * np.exp(0.03 * np.random.default_rng(10).normal(size=25))
    assert fit_trend(np.arange(25.0), flat).reaches(1.0) is None
    assert fit_trend([1, 2, 3, 4], [1, 2, 3, 4]) is None
    assert fit_trend([1.0] * 6, [1.0] * 6) is None
