"""The law chosen for the points of a sweep, and the size needed for a target."""

from __future__ import annotations

import numpy as np
import pytest

from doorbuster.capacity.scaling import needed, scale
from doorbuster.capacity.usl import Scalability

SIZES = (1, 2, 4, 8, 16, 32, 64)
# SPARCcenter 2000, Gunther (2007)
LOADS, SPECSDM = (1, 18, 36, 72, 108, 144, 216), (64.9, 995.9, 1652.4, 1853.2, 1828.9, 1775.0, 1702.2)


def points(curve: Scalability, sizes=SIZES, noise=0.01):
    rng = np.random.default_rng(3)
    return [curve.throughput_per_s(n) * (1 + noise * rng.standard_normal()) for n in sizes]


def test_the_published_sweep_peaks_where_the_book_says():
    found = scale(LOADS, SPECSDM, weighting="absolute")
    assert found.law.family == "usl"
    assert found.law.curve.peak_n == pytest.approx(96.52, rel=1e-3)
    assert found.law.curve.peak_per_s == pytest.approx(1883.9, rel=1e-3)
    assert found.intervals.peak_n.low < 96.52 < found.intervals.peak_n.high
    assert not found.law.extrapolated


@pytest.mark.parametrize(
    ("curve", "family"),
    [
        (Scalability(0.0, 0.0, 50.0), "linear"),
        (Scalability(0.08, 0.0, 50.0), "amdahl"),
        (Scalability(0.05, 0.002, 50.0), "usl"),
    ],
)
def test_the_simplest_law_that_explains_the_points_is_chosen(curve, family):
    found = scale(SIZES, points(curve), weighting="relative")
    assert found.law.family == family


def test_flat_is_not_falling():
    flat = [13.7, 27.6, 36.6, 37.7, 37.6, 37.4, 37.5]  # two workers, a page at a time each
    ends = [(0.98 * x, 1.02 * x) for x in flat]
    found = scale((1, 2, 3, 4, 6, 8, 12), flat, weighting="absolute", ends=ends)
    assert found.law.family == "amdahl"
    fallen = [*flat[:-2], 33.0, 30.0]
    found = scale(
        (1, 2, 3, 4, 6, 8, 12), fallen, weighting="absolute", ends=[(0.98 * x, 1.02 * x) for x in fallen]
    )
    assert found.law.family == "usl"


def test_under_six_sizes_there_is_no_law():
    assert scale(SIZES[:5], points(Scalability(0.05, 0.0, 10.0), SIZES[:5]), weighting="relative") is None
    assert scale((1, 1, 2, 2, 4, 4), (1, 1, 2, 2, 3, 3), weighting="relative") is None


def test_without_a_law_the_smallest_size_that_is_certainly_enough_answers():
    certain = [(1, 9.0), (2, 17.0), (4, 30.0)]
    assert needed(None, certain, 15.0).size == 2
    assert needed(None, certain, 31.0).size is None
    assert not needed(None, certain, 15.0).extrapolated


def test_with_a_law_sizes_between_and_beyond_are_distinguished():
    found = scale(SIZES, points(Scalability(0.02, 0.0, 10.0)), weighting="relative")
    certain = list(zip(SIZES, points(Scalability(0.02, 0.0, 10.0)), strict=True))
    between, beyond = needed(found, certain, 75.0), needed(found, certain, 320.0)
    assert (between.size, between.fitted, between.extrapolated) == (9, True, False)
    assert beyond.size > 64
    assert beyond.extrapolated
    assert needed(found, certain, 600.0).size is None  # contention alone allows 500


def test_what_lies_above_the_peak_cannot_be_reached():
    found = scale(LOADS, SPECSDM, weighting="absolute")
    assert needed(found, list(zip(LOADS, SPECSDM, strict=True)), 2000.0).size is None
