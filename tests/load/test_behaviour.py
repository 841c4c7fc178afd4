"""Samplers follow the distributions of the scenario."""

from __future__ import annotations

import math
from collections import Counter
from random import Random

import numpy as np
import pytest
from scipy import stats

from doorbuster.load.customers.behaviour import (
    pages_sampler,
    patience_sampler,
    room_sampler,
    think_sampler,
    visit_sampler,
)
from doorbuster.scenario import (
    Channel,
    Constant,
    Exponential,
    Lognormal,
    PageDepth,
    Patience,
    Uniform,
    WaitingRoom,
    devices_given,
)

N = 20_000


def test_patience_follows_the_weibull_distribution_of_the_scenario():
    rng, patience = Random(1), Patience.model_validate({"tau": "4.7s", "shape": 1.5, "min": "0s"})
    draw_s = patience_sampler(patience)
    drawn = [draw_s(rng) for _ in range(N)]
    assert stats.kstest(drawn, stats.weibull_min(1.5, scale=4.7).cdf).pvalue > 0.01


def test_forty_percent_of_desktop_visitors_leave_within_three_seconds():
    rng, patience = Random(2), Patience.model_validate({"tau": "4.7s", "shape": 1.5})
    draw_s = patience_sampler(patience)
    gone = np.mean([draw_s(rng) < 3.0 for _ in range(N)])
    assert gone == pytest.approx(0.40, abs=0.015)


def test_no_patience_is_shorter_than_its_minimum():
    patience = Patience.model_validate({"tau": "4.7s", "shape": 1.5})
    drawn = [patience_sampler(patience)(Random(seed)) for seed in range(2_000)]
    assert min(drawn) == 1.0
    assert np.mean(np.array(drawn) == 1.0) == pytest.approx(1 - math.exp(-((1 / 4.7) ** 1.5)), abs=0.02)


def test_patience_is_infinite_without_a_setting():
    assert patience_sampler(None)(Random(3)) == math.inf


@pytest.mark.parametrize(
    ("think", "law"),
    [
        (Uniform(low_s=1.0, high_s=4.0), stats.uniform(1.0, 3.0)),
        (Exponential(mean_s=7.0), stats.expon(scale=7.0)),
        (Lognormal(median_s=4.0, sigma=1.17), stats.lognorm(1.17, scale=4.0)),
    ],
    ids=["uniform", "exponential", "lognormal"],
)
def test_think_times_follow_their_distribution(think, law):
    rng, draw_s = Random(4), think_sampler(think)
    assert stats.kstest([draw_s(rng) for _ in range(N)], law.cdf).pvalue > 0.01


def test_a_constant_think_time_is_constant():
    draw_s = think_sampler(Constant(constant_s=2.5))
    assert {draw_s(Random(5)) for _ in range(5)} == {2.5}


def test_no_think_time_is_longer_than_its_maximum():
    think = Lognormal(median_s=4.0, sigma=1.17, max_s=10.0)
    drawn = [think_sampler(think)(Random(seed)) for seed in range(2_000)]
    assert max(drawn) == 10.0
    assert math.isclose(np.mean(drawn), think.mean_think_s, rel_tol=0.05)


def channel_with(**keys):
    return Channel.model_validate({"share": "100%", "journeys": {"browse": 9, "buy": 1}, **keys})


@pytest.mark.parametrize("wants_order", [True, False])
def test_devices_are_drawn_given_the_journey(wants_order):
    channel = channel_with(devices={"desktop": "35%", "mobile": {"share": "65%", "conversion": "50%"}})
    draw, rng = visit_sampler(channel, wants_order=wants_order, run_id="r"), Random(6)
    drawn = Counter(draw(str(number), rng).device for number in range(N))
    expected = devices_given(channel.devices, 0.1, wants_order=wants_order)
    counts = [drawn[device] for device in expected]
    assert stats.chisquare(counts, [N * p for p in expected.values()]).pvalue > 0.01


def test_the_shares_of_cache_busting_and_signed_in_visits_are_the_channels():
    channel = channel_with(cache_busting="30%", signed_in="40%")
    draw, rng = visit_sampler(channel, wants_order=False, run_id="r"), Random(7)
    visits = [draw(str(number), rng) for number in range(N)]
    assert np.mean([bool(visit.campaign) for visit in visits]) == pytest.approx(0.3, abs=0.015)
    assert np.mean([visit.signed_in for visit in visits]) == pytest.approx(0.4, abs=0.015)
    campaigns = [visit.campaign for visit in visits if visit.campaign]
    assert len(set(campaigns)) == len(campaigns)  # each misses every cache


def test_a_customer_name_has_run_and_arrival_even_without_settings():
    first, second = (visit_sampler(channel_with(), wants_order=False, run_id=run) for run in ("r1", "r2"))
    assert first("7", Random(1)) == first("7", Random(2))
    assert len({first("7", Random(1)), first("8", Random(1)), second("7", Random(1))}) == 3


def test_page_counts_follow_the_rounded_lognormal_distribution():
    pages = PageDepth(median=4, sigma=1.17, max_pages=60)
    draw, rng = pages_sampler(pages), Random(8)
    counts = [draw(rng) for _ in range(N)]
    assert (min(counts), max(counts)) == (1, 60)
    assert np.median(counts) == 4
    assert np.mean(counts) == pytest.approx(pages.mean, rel=0.03)
    beyond_18 = stats.lognorm(1.17, scale=4).sf(17.5)  # the ninetieth percentile of a published click stream
    assert np.mean(np.array(counts) >= 18) == pytest.approx(beyond_18, abs=0.01)


def test_the_default_is_two_pages():
    assert {pages_sampler(None)(Random(seed)) for seed in range(9)} == {2}
    assert pages_sampler(PageDepth(median=5, max_pages=5))(Random(1)) == 5


def test_waiting_room_patience_is_constant_or_weibull():
    assert room_sampler(WaitingRoom.model_validate({"patience": "10m"}))(Random(1)) == 600
    law = room_sampler(WaitingRoom.model_validate({"patience": {"tau": "10m", "shape": 1.5}}))
    rng = Random(9)
    drawn = [law(rng) for _ in range(N)]
    assert stats.kstest(drawn, stats.weibull_min(1.5, scale=600).cdf).pvalue > 0.01
