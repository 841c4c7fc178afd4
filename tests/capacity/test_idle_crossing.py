"""The crossing of a threshold whose limit is near what an idle shop needs."""

from __future__ import annotations

import math

import pytest
from queueing_theory import mmc_capacity_per_s
from simulated_shops import SETTINGS, covers, exponential_shop, search, slower_than

from doorbuster.capacity.idle_crossing import CountPoint, find_idle_crossing

IDLE = 0.6


def point(rate_per_s: float, observed_ratio: float, allowed: float) -> CountPoint:
    return CountPoint(rate_per_s, allowed, observed_ratio * allowed, 1.0, 30, 60.0)


def curve(rate_per_s: float, crossing_per_s: float = 50.0, k: float = 4.0) -> float:
    return IDLE + (1 - IDLE) * math.expm1(k * rate_per_s / crossing_per_s) / math.expm1(k)


@pytest.mark.parametrize("allowed", [2_000.0, 8_000.0])
def test_the_crossing_of_an_exact_curve_is_found(allowed):
    points = [point(rate, curve(rate), allowed) for rate in (10.0, 25.0, 40.0, 50.0, 60.0)]
    found = find_idle_crossing(points, top_per_s=100.0)
    assert found.rate_per_s == pytest.approx(50.0, rel=0.05)
    assert found.low < 50.0 < found.high
    assert found.idle_low <= IDLE <= found.idle_high


def test_more_data_narrow_the_interval_and_clusters_widen_it():
    rates = (10.0, 25.0, 40.0, 50.0, 60.0)

    def width(allowed: float, dispersion: float) -> float:
        points = [CountPoint(r, allowed, curve(r) * allowed, dispersion, 30, 60.0) for r in rates]
        return find_idle_crossing(points, top_per_s=100.0).half_width_ratio

    assert width(400.0, 1.0) < width(100.0, 1.0) < width(100.0, 4.0)


def test_a_few_counts_near_the_crossing_tell_no_upper_and_hardly_a_lower_end():
    points = [point(rate, curve(rate), 50.0) for rate in (45.0, 50.0, 55.0)]
    found = find_idle_crossing(points, top_per_s=100.0)
    assert found.high is None
    assert found.low < 10.0
    assert find_idle_crossing(points[:1], top_per_s=100.0) is None


@pytest.mark.parametrize(("servers", "p", "ratio"), [(1, 0.99, 1.05), (4, 0.99, 1.087), (8, 0.95, 1.02)])
def test_a_limit_just_above_the_idle_percentile_is_never_answered_with_a_wrong_interval(servers, p, ratio):
    """The line alone was wrong in 3 of 8 to 6 of 8 searches of such shops."""
    limit_s = ratio * -math.log(1 - p) * servers / 100
    truth = mmc_capacity_per_s(100 / servers, servers, p=p, limit_s=limit_s)
    shop = exponential_shop(100 / servers, servers)
    for seed in range(3):
        found, _ = search(shop, [slower_than(limit_s, p)], [servers, seed], SETTINGS)
        assert covers(found, truth)
        if (
            found.rate_per_s is None and "unfinished" not in found.flags
        ):  # too few requests to see the idle part
            assert "near idle" in found.flags
            assert "so near the response time of an idle shop" in found.sentence
            assert "cannot be told within ± 25 %" in found.sentence


def test_a_limit_well_above_the_idle_percentile_has_a_capacity():
    limit_s = 1.5 * -math.log(0.05) / 50
    truth = mmc_capacity_per_s(50.0, 2, p=0.95, limit_s=limit_s)
    shop, thresholds = exponential_shop(50.0, 2), [slower_than(limit_s, 0.95)]
    found = [search(shop, thresholds, [2, seed], SETTINGS)[0] for seed in range(4)]
    assert all(covers(one, truth) for one in found)
    told = [one.rate_per_s for one in found if one.rate_per_s is not None]
    assert len(told) >= 3
    assert told == pytest.approx([truth] * len(told), rel=0.2)
