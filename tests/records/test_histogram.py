"""Histograms against the scalar formulas of HdrHistogram, its published vectors, and sorted samples."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorbuster.records import histogram as h
from doorbuster.records.histogram import Histogram

HOUR_US = 3_600_000_000
LATENCIES_US = st.lists(st.integers(0, HOUR_US), max_size=200)


def slow_index(value: int) -> int:
    """The formula as HdrHistogram states it, one value at a time."""
    sub_bucket_count, half = 2048, 1024
    bucket = max(0, (value | (sub_bucket_count - 1)).bit_length() - 11)
    sub = value >> bucket
    return (bucket + 1) * half + sub - half


def corrected(value: int, interval: int) -> list[int]:
    """What HdrHistogram records for a value when one is expected every `interval`."""
    return [value, *range(value - interval, interval - 1, -interval)]


EDGES = sorted({0, 1, 2, HOUR_US - 1, HOUR_US} | {2**k + d for k in range(1, 32) for d in (-1, 0, 1)})


def test_the_layout_has_as_many_counters_as_the_c_library_allocates_for_one_hour():
    assert (h.BINS, h.BUCKETS) == (23_552, 22)


@pytest.mark.parametrize("value", [value for value in EDGES if value <= HOUR_US])
def test_bins_at_every_power_of_two_equal_the_scalar_formula(value: int):
    assert slow_index(value) == h.bin_index([value])[0]


@given(st.lists(st.integers(0, HOUR_US), min_size=1, max_size=500))
def test_bins_of_any_value_equal_the_scalar_formula(values: list[int]):
    assert [slow_index(value) for value in values] == h.bin_index(values).tolist()


@pytest.mark.parametrize(
    ("value", "highest"),
    [(8180, 8183), (8191, 8191), (8193, 8199), (9995, 9999), (10007, 10007), (10008, 10015)],
)
def test_highest_equivalent_values_are_those_of_the_java_tests(value: int, highest: int):
    assert highest == h.highest_us(h.bin_index([value]))[0]


def test_every_bin_begins_where_the_one_before_ends():
    bins = np.arange(h.BINS)
    lowest, highest = h.lowest_us(bins), h.highest_us(bins)
    assert lowest[0] == 0
    np.testing.assert_array_equal(highest[:-1] + 1, lowest[1:])
    reachable = bins[lowest <= HOUR_US]
    np.testing.assert_array_equal(reachable, h.bin_index(lowest[reachable]))
    width = highest - lowest + 1
    assert width[:2048].max() == 1
    assert (width[2048:] / lowest[2048:]).max() <= 1 / 1024


def test_values_above_one_hour_are_counted_at_one_hour_and_reported():
    found = Histogram.from_values([5, HOUR_US + 1, 2**52])
    assert (found.n, found.clamped) == (3, 2)
    assert h.highest_us([h.TOP_BIN])[0] == found.max_us
    assert found == Histogram.from_blobs([h.pack([5, HOUR_US + 1, 2**52])])


def test_values_below_zero_are_counted_at_zero():
    assert Histogram.from_values([0, 0]) == Histogram.from_blobs([h.pack([-3, -(10**12)])])


def test_nothing_recorded_has_no_quantile_no_mean_and_no_extremes():
    nothing = Histogram.empty()
    assert nothing.n == 0
    assert [
        nothing.min_us,
        nothing.max_us,
        nothing.mean_us,
        nothing.sd_us,
        nothing.quantile_us(0.0),
        nothing.quantile_us(0.5),
    ] == [None] * 6
    assert nothing == Histogram.from_blobs([]) == Histogram.from_blobs([h.pack([])])


# HdrHistogram's own vector: 10,000 times 1 ms, then 100 s, one expected every 10 ms.


def test_the_raw_canonical_vector():
    found = Histogram.from_weighted([1000, 100_000_000], [10_000, 1])
    assert found.n == 10_001
    for p in (0.3, 0.99, 0.9999):
        assert found.quantile_us(p) == 1000
    assert found.quantile_us(0.99999) == pytest.approx(1e8, rel=1e-3)
    assert found.mean_us == pytest.approx((10_000 * 1000 + 1e8) / 10_001, rel=1e-3)


def test_the_canonical_vector_corrected_for_coordinated_omission():
    found = Histogram.from_values([1000] * 10_000 + corrected(100_000_000, 10_000))
    assert found.n == 20_000
    assert found.quantile_us(0.5) == 1000
    assert [found.quantile_us(p) for p in (0.75, 0.9, 0.99)] == [50_003_967, 80_019_455, 98_041_855]
    assert found.quantile_us(0.99999) == pytest.approx(1e8, rel=1e-3)
    assert found.mean_us == pytest.approx((1000 + 5e7) / 2, rel=1e-3)
    assert found.count_above(5000) - found.count_above(150_000_000) == 10_000


@pytest.mark.parametrize(
    ("values", "p", "expected"),
    [
        ([1, 2, 2, 2, 2], 0.25, 2),  # the Python package says 1
        ([1, 2], 0.5, 1),
        ([1, 2], 0.500000000000001, 2),  # the Python package says 1
        ([1, 2, 3, 4], 0.0, 1),
        ([1, 2, 3, 4], 1.0, 4),
    ],
)
def test_quantiles_follow_the_rank_rule_of_java(values: list[int], p: float, expected: int):
    assert expected == Histogram.from_values(values).quantile_us(p)


@pytest.mark.parametrize("digits", [1, 2, 3, 4])
def test_an_exact_rank_is_never_pushed_up_by_rounding(digits: int):
    n = 10**digits
    assert list(range(1, n + 1)) == [h.quantile_rank(k / n, n) for k in range(1, n + 1)]


def test_a_percentage_is_refused_where_a_share_is_wanted():
    with pytest.raises(ValueError, match=r"^a quantile must be a ratio in 0..1, such as 0.99 \(got 99\)$"):
        Histogram.from_values([1]).quantile_us(99)


@given(LATENCIES_US.filter(bool), st.floats(0, 1))
def test_quantiles_are_within_a_thousandth_of_the_sorted_sample(values: list[int], p: float):
    exact = sorted(values)[max(1, math.ceil(math.nextafter(p, -1) * len(values))) - 1] if p else min(values)
    found = Histogram.from_values(values).quantile_us(p)
    assert found is not None
    assert abs(found - exact) <= exact / 1000


@given(LATENCIES_US, LATENCIES_US, LATENCIES_US)
def test_joined_blobs_merged_histograms_and_all_values_at_once_are_the_same(a, b, c):
    together = Histogram.from_values(a + b + c) if a + b + c else Histogram.empty()
    assert together == Histogram.from_blobs([h.pack(a) + h.pack(b), h.pack(c)])
    assert together == Histogram.from_blobs([h.pack(a)]).merge(
        *(Histogram.from_blobs([h.pack(part)]) for part in (b, c))
    )


@given(st.lists(st.integers(-10, HOUR_US * 2), max_size=200))
def test_both_ways_of_packing_give_the_same_bytes(values: list[int]):
    assert h.pack(np.array(values, np.int64)) == h.pack(values)


@given(LATENCIES_US)
def test_unpacking_gives_back_ascending_bins_and_their_counts(values: list[int]):
    packed = h.unpack(h.pack(values))
    assert sorted(map(slow_index, values)) == np.repeat(packed.bins, packed.counts).tolist()
    assert h.pack(values) == h.pack_counts(packed.bins, packed.counts)


def test_dense_counts_and_sparse_bins_are_two_views_of_one_histogram():
    found = Histogram.from_values([1, 1, 5_000, 7_000_000])
    assert found.counts.shape == (h.BINS,)
    assert found == Histogram.from_counts(found.counts)
    assert found.n == found.counts.sum()


def test_standard_deviation_and_mean_use_the_middle_of_a_bin():
    found = Histogram.from_values([139_647, 187_135, 477_695])
    assert found.mean_us == pytest.approx(268_074.667, abs=1e-3)
    assert found.sd_us == pytest.approx(149_397.390, abs=1e-3)


def test_counts_that_do_not_fit_the_packed_form_are_refused():
    with pytest.raises(
        ValueError, match=r"^a packed bin counts at most 4294967295 values \(got 4294967296\)$"
    ):
        h.pack_counts([1], [2**32])
    assert Histogram.from_blobs([h.pack_counts([1], [2**32 - 1])] * 2).n == 2**33 - 2


@pytest.mark.parametrize("digits", [2, 3, 4])
def test_every_precision_follows_from_its_number_of_digits(digits):
    source = Path(h.__file__).read_text(encoding="utf-8")
    module = ModuleType("histogram_of_other_precision")
    sys.modules[module.__name__] = module  # dataclasses look their module up
    try:
        exec(source.replace("SIGNIFICANT_DIGITS = 3", f"SIGNIFICANT_DIGITS = {digits}"), module.__dict__)
    finally:
        del sys.modules[module.__name__]
    values = np.unique(np.geomspace(1, h.MAX_US, 5000).astype(np.int64))
    bins = module.bin_index(values)
    low, high = module.lowest_us(bins), module.highest_us(bins)
    assert (low <= values).all()
    assert (values <= high).all()
    assert ((high - low) <= values / 10**digits).all()
    assert bins.max() < module.BINS
    packed = module.Histogram.from_values(values.tolist())
    assert packed.n == values.size
