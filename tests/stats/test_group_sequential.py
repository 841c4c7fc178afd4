"""Boundaries of repeated looks, against published tables and simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import stdtr

from doorbuster.stats.group_sequential import boundaries, crossing_probability, nominal_levels


def test_the_boundaries_are_those_published_for_five_looks():
    # Lan and DeMets, O'Brien-Fleming type, two-sided 0.05: Reboussin, DeMets, Kim and Lan (2000), Controlled
    # Clinical Trials 21.
    assert boundaries(5, 0.05) == pytest.approx((4.8769, 3.3569, 2.6803, 2.2898, 2.0310), abs=5e-4)


# Jennison and Turnbull (2000), tables 2.1 (Pocock) and 2.3 (O'Brien-Fleming), alpha 0.05.
@pytest.mark.parametrize(
    ("looks", "pocock", "obrien_fleming"), [(2, 2.178, 1.977), (5, 2.413, 2.040), (10, 2.555, 2.087)]
)
def test_the_published_constants_are_crossed_by_5_percent_of_paths(looks, pocock, obrien_fleming):
    assert crossing_probability([pocock] * looks) == pytest.approx(0.05, abs=2e-4)
    falling = [obrien_fleming * math.sqrt(looks / k) for k in range(1, looks + 1)]
    assert crossing_probability(falling) == pytest.approx(0.05, abs=2e-4)


@pytest.mark.parametrize(("looks", "alpha"), [(1, 0.05), (12, 0.05), (40, 0.01)])
def test_all_looks_together_spend_alpha(looks, alpha):
    assert crossing_probability(boundaries(looks, alpha)) == pytest.approx(alpha, rel=1e-3)


def test_the_first_looks_need_overwhelming_evidence_and_the_last_little_more_than_one_test():
    levels = nominal_levels(12, 0.05)
    assert levels[0] < 1e-9
    assert 0.03 < levels[-1] < 0.05
    assert list(levels) == sorted(levels)


def test_simulated_paths_cross_as_often_as_computed():
    rng, critical = np.random.default_rng(1), np.array(boundaries(6, 0.2))
    paths = rng.normal(size=(20_000, 6)).cumsum(axis=1) / np.sqrt(np.arange(1, 7))
    assert (np.abs(paths) >= critical).any(axis=1).mean() == pytest.approx(0.2, abs=0.01)


def test_the_levels_hold_nearly_for_student_s_t_from_the_second_look_on():
    rng, looks, k = np.random.default_rng(2), 8, np.arange(1, 9)
    x = rng.normal(size=(20_000, looks))
    mean = x.cumsum(axis=1) / k
    variance = ((x**2).cumsum(axis=1) - k * mean**2)[:, 1:] / (k[1:] - 1)
    p_values = 2 * stdtr(k[1:] - 1, -np.abs(mean[:, 1:]) / np.sqrt(variance / k[1:]))
    alarms = (p_values <= np.array(nominal_levels(looks, 0.05))[1:]).any(axis=1).mean()
    assert 0.045 < alarms < 0.06
