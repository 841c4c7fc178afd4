"""The scalability law against published fits, closed forms, and sweeps whose curve is known."""

from __future__ import annotations

import csv
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorbuster.capacity.usl import (
    Scalability,
    bootstrap_scalability,
    compare_families,
    fit_scalability,
)

SDM91_N = [1.0, 18, 36, 72, 108, 144, 216]
SDM91_X = [64.9, 995.9, 1652.4, 1853.2, 1828.9, 1775.0, 1702.2]
RAY_N = [1.0, 4, 8, 12, 16, 20, 24, 28, 32, 48, 64]
RAY_X = [20.0, 78, 130, 170, 190, 200, 210, 230, 260, 280, 310]


@pytest.mark.parametrize(
    ("file", "n", "x"), [("specsdm91.csv", SDM91_N, SDM91_X), ("raytracer.csv", RAY_N, RAY_X)]
)
def test_the_typed_sweeps_are_those_of_the_reference_files(root, file, n, x):
    path = root.parent / "shared" / "data" / file
    if not path.exists():
        pytest.skip(f"the reference data set {file} is not beside this checkout")
    with path.open() as trends:
        rows = list(csv.reader(trends))[1:]
    assert [[float(value) for value in row] for row in rows] == [list(row) for row in zip(n, x, strict=True)]


def test_specsdm91_has_the_published_coefficients_errors_and_peak():
    fit = fit_scalability(SDM91_N, SDM91_X)
    values = [parameter.value for parameter in fit.parameters]
    errors = [parameter.standard_error for parameter in fit.parameters]
    assert values == pytest.approx([0.0277284, 1.04366e-4, 89.9952], rel=1e-4)
    assert errors == pytest.approx([0.0091218, 1.9877e-5, 14.214], rel=1e-3)
    assert fit.residual_sd == pytest.approx(82.846, rel=1e-4)
    assert fit.degrees_of_freedom == 4
    assert fit.curve.peak_n == pytest.approx(96.51956, rel=1e-4)
    assert fit.curve.peak_per_s == pytest.approx(1883.90, rel=1e-4)
    assert fit.curve.asymptote_per_s == pytest.approx(3245.589, rel=1e-4)
    assert fit.on_bound == ()
    assert not fit.extrapolated


def test_specsdm91_has_the_published_residuals_and_efficiencies():
    fit = fit_scalability(SDM91_N, SDM91_X)
    assert np.round(fit.fitted_per_s) == pytest.approx([90, 1078, 1541, 1850, 1879, 1822, 1646])
    assert fit.residuals == pytest.approx([-25.10, -81.66, 111.09, 3.05, -49.99, -46.60, 56.00], abs=0.006)
    measured_efficiency = np.array(SDM91_X) / np.array(SDM91_N) / fit.curve.gamma
    assert measured_efficiency == pytest.approx(
        [0.7211, 0.6148, 0.5100, 0.2860, 0.1882, 0.1370, 0.0876], abs=6e-5
    )


def test_intervals_are_two_sided_with_n_minus_3_degrees_of_freedom():
    alpha, beta, gamma = (parameter.interval for parameter in fit_scalability(SDM91_N, SDM91_X).parameters)
    assert (alpha.low, alpha.high) == pytest.approx((0.0024, 0.0531), abs=6e-5)
    assert (beta.low, beta.high) == pytest.approx((4.9e-5, 1.60e-4), abs=6e-7)
    assert (gamma.low, gamma.high) == pytest.approx((50.5, 129.5), abs=0.06)


def test_the_first_six_rows_of_raytracer_have_the_published_coefficients_and_a_peak_beyond_them():
    fit = fit_scalability(RAY_N[:6], RAY_X[:6])
    assert [p.value for p in fit.parameters] == pytest.approx([0.0244440, 0.00162681, 20.85605], rel=1e-4)
    assert (fit.curve.peak_n, fit.curve.peak_per_s) == pytest.approx((24.5, 203.5), abs=0.05)
    assert fit.extrapolated


def test_raytracer_lies_on_the_bound_beta_0_and_has_no_peak():
    fit = fit_scalability(RAY_N, RAY_X)
    assert fit.curve.beta == 0
    assert fit.on_bound == ("beta",)
    assert (fit.curve.alpha, fit.curve.gamma) == pytest.approx((0.0577708, 21.8488), rel=1e-4)
    assert fit.curve.asymptote_per_s == pytest.approx(378.2, abs=0.05)
    assert fit.curve.peak_n == math.inf
    assert fit.parameters[1].standard_error is None


def test_the_what_if_of_specsdm91():
    curve = Scalability(0.001, 1e-5, fit_scalability(SDM91_N, SDM91_X).curve.gamma)
    assert curve.peak_n == pytest.approx(316.0696, abs=1e-4)
    assert curve.asymptote_per_s == pytest.approx(89995.23, rel=1e-5)


def test_a_sweep_without_noise_gives_back_its_coefficients():
    n = [1, 2, 4, 6, 8, 10]
    printed = [1, 1.8868, 3.0769, 3.5294, 3.5398, 3.3557]
    exact = [value / (1 + 0.02 * (value - 1) + 0.02 * value * (value - 1)) for value in n]
    assert exact == pytest.approx(printed, abs=5.1e-5)
    for weighting in ("absolute", "relative"):
        fit = fit_scalability(n, exact, weighting=weighting)
        assert [p.value for p in fit.parameters] == pytest.approx([0.02, 0.02, 1.0], rel=1e-8)
        fit = fit_scalability(n, printed, weighting=weighting)  # four digits of X carry three of alpha
        assert [p.value for p in fit.parameters] == pytest.approx([0.02, 0.02, 1.0], rel=5e-4)


CURVES = st.builds(Scalability, st.floats(1e-4, 0.9), st.floats(1e-7, 0.1), st.floats(0.1, 1e4))


@given(CURVES, st.floats(0.0, 0.98))
def test_throughput_and_load_are_inverse_up_to_the_peak(curve, share):
    n = 1 + share * (min(curve.peak_n, 1e4) - 1)
    x = curve.throughput_per_s(n)
    assert curve.n_at_throughput(x) == pytest.approx(n, rel=1e-5)


def test_amdahls_law_and_a_straight_line_invert_too():
    amdahl, line = Scalability(0.1, 0.0, 50.0), Scalability(0.0, 0.0, 50.0)
    assert amdahl.n_at_throughput(amdahl.throughput_per_s(7)) == pytest.approx(7)
    assert line.n_at_throughput(350.0) == pytest.approx(7)


def test_the_inverse_of_a_throughput_above_the_peak_is_refused():
    curve = Scalability(0.02, 0.02, 1.0)
    with pytest.raises(ValueError, match=r"^throughput_per_s must be above 0 and at most 3\.5714"):
        curve.n_at_throughput(3.6)


def test_relative_weighting_listens_to_small_loads():
    absolute = fit_scalability(SDM91_N, SDM91_X)
    relative = fit_scalability(SDM91_N, SDM91_X, weighting="relative")
    assert abs(relative.residuals[0] / SDM91_X[0]) < 0.1 < abs(absolute.residuals[0] / SDM91_X[0])


@pytest.mark.parametrize(
    ("curve", "best"),
    [
        (Scalability(0.0, 0.0, 40.0), "linear"),
        (Scalability(0.08, 0.0, 40.0), "amdahl"),
        (Scalability(0.03, 0.002, 40.0), "usl"),
    ],
)
def test_aicc_names_the_family_that_made_the_sweep(curve, best):
    rng = np.random.default_rng(5)
    n = np.array([1.0, 2, 4, 8, 12, 16, 24, 32, 48, 64])
    x = np.array([curve.throughput_per_s(value) for value in n]) * rng.normal(1, 0.01, n.size)
    found = compare_families(n, x, weighting="relative")
    assert found[0].fit.family == best
    assert [candidate.delta for candidate in found] == sorted(candidate.delta for candidate in found)
    assert sum(candidate.weight_ratio for candidate in found) == pytest.approx(1)


def test_bootstrap_intervals_cover_the_coefficients_of_known_curves():
    curve, n = Scalability(0.03, 5e-4, 40.0), np.array([1.0, 2, 4, 8, 16, 24, 32, 48, 64, 96])
    truth = np.array([curve.throughput_per_s(value) for value in n])
    rng = np.random.default_rng(8)
    hits = 0
    for _ in range(40):
        fit = fit_scalability(n, truth * rng.normal(1, 0.03, n.size), weighting="relative")
        found = bootstrap_scalability(fit, rng, fits=60).peak_n
        hits += found.low <= curve.peak_n and (found.high is None or curve.peak_n <= found.high)
    assert hits >= 34  # nominal 38 of 40


def test_a_bootstrap_repeats_with_its_seed_and_knows_no_upper_end_of_a_peak_that_may_not_exist():
    fit = fit_scalability(RAY_N, RAY_X)
    first, again = (bootstrap_scalability(fit, np.random.default_rng(1), fits=50) for _ in range(2))
    assert first == again
    assert first.peak_n.high is None
    assert first.gamma.low < 21.8488 < first.gamma.high


def test_five_points_are_too_few():
    with pytest.raises(ValueError, match=r"^a scalability fit needs at least 6 points \(got 5\)$"):
        fit_scalability(RAY_N[:5], RAY_X[:5])
