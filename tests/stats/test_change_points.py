"""Change points: published vectors, the definition of the energy statistic, and quiet series."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from doorbuster.stats.change_points import (
    autocorrelation,
    best_splits,
    confirm,
    find_change_points,
    permutation_change_points,
    t_test_p,
)

# Throughput of TigerBeetle by commit, the demonstration data of Nyrkiö and of Apache Otava's tests.
TIGERBEETLE = [float(word) for word in Path(__file__).with_name("tigerbeetle.txt").read_text().split()]
RANDOM_ISH = [  # MongoDB's signal-processing-algorithms: integers from 1-50, 60-120 and 150-250
    41, 18, 23, 3, 32, 11, 40, 13, 29, 48, 47, 35, 18, 21, 6, 2, 23, 3, 4, 7,
    120, 103, 102, 81, 71, 62, 115, 61, 108, 63, 70, 98, 65, 96, 64, 74, 70, 113, 90, 114,
    208, 196, 153, 150, 225, 179, 206, 165, 177, 151, 218, 217, 244, 245, 229, 195, 225, 229, 176, 250,
]  # fmt: skip
OTAVA = ([1.02, 0.95, 0.99, 1.0, 1.12, 0.9, 0.5, 0.51, 0.48, 0.48, 0.55],
         [2.02, 2.03, 2.01, 2.04, 1.82, 1.85, 1.79, 1.81, 1.8, 1.76, 1.78])  # fmt: skip


def places(values, **settings) -> list[int]:
    return [point.index for point in find_change_points(values, **settings)]


@pytest.mark.parametrize(
    ("max_p", "min_magnitude", "expected"),
    [
        (0.01, 0.05, [15, 71]),
        (0.1, 0.05, [10, 11, 15, 71, 363]),
        (0.2, 0.05, [10, 11, 15, 71]),
        (0.01, 0.0, [15, 26, 61, 71, 95, 117, 131, 142, 148, 165, 169, 192, 212, 260]),
        (0.001, 0.0, [15, 61, 71, 95, 117, 131, 142, 148, 192, 212, 260]),
        (0.0001, 0.0, [71, 95, 117, 131, 142, 148, 192, 212]),
        (0.00001, 0.0, [71, 95, 131, 192, 212]),
    ],
)
def test_the_points_of_tigerbeetle_are_those_of_otava(max_p, min_magnitude, expected):
    found = places(TIGERBEETLE, window=30, max_p=max_p, min_magnitude=min_magnitude)
    assert expected == found


def test_the_vectors_of_otava_and_matteson():
    assert places([0.3, 2.4, 1.5, -0.9, -0.5, 99.7, 98.3, 99.1, 149, 149.7, 149.5, 149.1, 148.8, 150]) == [
        5,
        8,
    ]
    assert [places(series) for series in OTAVA] == [[6], [4]]
    assert [places(series, min_magnitude=0.2) for series in OTAVA] == [[6], []]
    assert places([50] * 15 + [100] * 15) == [15]
    assert places([50] * 30) == []


@pytest.mark.parametrize(
    ("series", "expected"),
    [
        (RANDOM_ISH, (40, 20)),
        ([50] * 15 + [100] * 15, (15,)),
        ([50] * 14 + [74] + [100] * 15, (15,)),
        ([50] * 14 + [76] + [100] * 15, (14,)),
        ([50] * 30, ()),
    ],
)
def test_the_vectors_of_mongodb_with_a_permutation_test(series, expected):
    rng = np.random.default_rng(1)
    assert expected == permutation_change_points(series, max_p=0.005, permutations=399, rng=rng)


def between(x, y) -> float:
    return sum(abs(a - b) for a in x for b in y)


def within(x) -> float:
    return sum(abs(a - b) for at, a in enumerate(x) for b in x[:at])


@pytest.mark.parametrize(
    ("x", "y", "expected"),
    [
        (range(1, 100), range(1, 105), (0.160, 8.136, 0.002)),
        (range(300, 500), range(400, 900, 11), (268.352, 10035.943, 0.532)),
    ],
)
def test_the_sums_of_the_oracle_give_the_published_energy_statistics(x, y, expected):
    n, m = len(x), len(y)
    twice = 2 * between(x, y) / (n * m)
    e = twice - 2 * within(x) / n**2 - 2 * within(y) / m**2
    assert (e, n * m / (n + m) * e, e / twice) == pytest.approx(expected, abs=0.001)


def slow_best_split(values) -> int:
    """The definition of Matteson and James, equations 5 to 9, pair by pair."""
    best = (-np.inf, 0)
    for kappa in range(2, len(values) + 1):
        for tau in range(1, kappa):
            x, y = values[:tau], values[tau:kappa]
            n, m = len(x), len(y)
            e = 2 * between(x, y) / (n * m)
            e -= within(x) / (n * (n - 1) / 2) if n > 1 else 0.0
            e -= within(y) / (m * (m - 1) / 2) if m > 1 else 0.0
            best = max(best, (n * m / (n + m) * e, tau))
    return best[1]


def test_the_best_split_is_the_maximum_of_the_definition():
    windows = np.random.default_rng(3).lognormal(0, 0.5, (20, 13)).round(3)
    windows[5:, 6:] += 1.5
    assert [slow_best_split(list(window)) for window in windows] == best_splits(windows).tolist()


def test_the_t_test_is_that_of_scipy_with_population_variances():
    rng = np.random.default_rng(4)
    left, right = rng.normal(10, 1, 9), rng.normal(11, 2, 14)
    expected = stats.ttest_ind_from_stats(left.mean(), left.std(), 9, right.mean(), right.std(), 14).pvalue
    assert expected == pytest.approx(t_test_p(left, right), rel=1e-9)


def ar1(rng: np.random.Generator, n: int, phi: float) -> np.ndarray:
    noise = rng.normal(size=n + 50)
    for at in range(1, n + 50):
        noise[at] += phi * noise[at - 1]
    return 100 + 3 * noise[50:]


QUIET = {
    "normal": lambda rng, n: rng.normal(100, 3, n),
    "lognormal": lambda rng, n: rng.lognormal(4.6, 0.3, n),
    "autocorrelated": lambda rng, n: ar1(rng, n, 0.5),
}


def false_alarms(kind: str, n: int, series: int) -> float:
    rng = np.random.default_rng(20)
    quiet = (QUIET[kind](rng, n) for _ in range(series))
    return sum(bool(confirm(values, find_change_points(values))) for values in quiet) / series


@pytest.mark.parametrize("kind", QUIET)
def test_few_quiet_histories_show_a_point(kind):
    assert false_alarms(kind, 100, 60) <= 0.05


@pytest.mark.truth
@pytest.mark.parametrize("n", [30, 100, 300])
@pytest.mark.parametrize("kind", QUIET)
def test_at_most_five_percent_of_quiet_histories_show_a_point(kind, n):
    assert false_alarms(kind, n, 1000) <= 0.05


@pytest.mark.parametrize(("n", "at"), [(30, 15), (100, 50), (100, 94)])
def test_a_change_by_a_tenth_is_found_where_it_is(n, at):
    rng = np.random.default_rng(21)
    hits = 0
    for _ in range(40):
        values = rng.normal(100, 3, n)
        values[at:] *= 1.1
        found = confirm(values, find_change_points(values))
        hits += any(abs(point.index - at) <= 1 for point in found)
    assert hits >= 34


def test_one_odd_run_is_not_a_change():
    values = [*np.random.default_rng(5).normal(100, 1, 40), 150.0]
    assert [*confirm(values, find_change_points(values))] == []


@pytest.mark.parametrize("phi", [0.0, 0.5, 0.8])
def test_the_autocorrelation_survives_a_change_of_level(phi):
    values = ar1(np.random.default_rng(6), 4000, phi)
    values[2000:] += 500
    assert phi == pytest.approx(autocorrelation(values, [2000]), abs=0.05)


def test_settings_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="window must be at least 2"):
        find_change_points([1.0, 2.0], window=1)
    with pytest.raises(ValueError, match="finite"):
        find_change_points([1.0, float("nan")])
