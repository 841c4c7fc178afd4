"""Patience and think times follow the laws they are named after."""

from __future__ import annotations

import math
from random import Random

import numpy as np
import pytest
from scipy import stats

from doorbuster.load.behaviour import patience_law, think_law
from doorbuster.scenario import Constant, Exponential, Lognormal, Patience, Uniform

N = 20_000


def test_patience_follows_the_weibull_law_of_the_scenario():
    rng, patience = Random(1), Patience.model_validate({"tau": "4.7s", "shape": 1.5, "at_least": "0s"})
    draw_s = patience_law(patience)
    drawn = [draw_s(rng) for _ in range(N)]
    assert stats.kstest(drawn, stats.weibull_min(1.5, scale=4.7).cdf).pvalue > 0.01


def test_forty_of_a_hundred_desktop_visitors_are_gone_after_three_seconds():
    rng, patience = Random(2), Patience.model_validate({"tau": "4.7s", "shape": 1.5})
    draw_s = patience_law(patience)
    gone = np.mean([draw_s(rng) < 3.0 for _ in range(N)])
    assert gone == pytest.approx(0.40, abs=0.015)


def test_nobody_gives_up_before_the_flow_of_thought_is_interrupted():
    patience = Patience.model_validate({"tau": "4.7s", "shape": 1.5})
    drawn = [patience_law(patience)(Random(seed)) for seed in range(2_000)]
    assert min(drawn) == 1.0
    assert np.mean(np.array(drawn) == 1.0) == pytest.approx(1 - math.exp(-((1 / 4.7) ** 1.5)), abs=0.02)


def test_a_customer_without_patience_rule_never_gives_up():
    assert patience_law(None)(Random(3)) == math.inf


@pytest.mark.parametrize(
    ("think", "law"),
    [
        (Uniform(low_s=1.0, high_s=4.0), stats.uniform(1.0, 3.0)),
        (Exponential(mean_s=7.0), stats.expon(scale=7.0)),
        (Lognormal(median_s=4.0, sigma=1.17), stats.lognorm(1.17, scale=4.0)),
    ],
    ids=["uniform", "exponential", "lognormal"],
)
def test_think_times_follow_their_law(think, law):
    rng, draw_s = Random(4), think_law(think)
    assert stats.kstest([draw_s(rng) for _ in range(N)], law.cdf).pvalue > 0.01


def test_a_constant_think_time_is_constant():
    draw_s = think_law(Constant(constant_s=2.5))
    assert {draw_s(Random(5)) for _ in range(5)} == {2.5}


def test_no_think_time_is_longer_than_its_cut():
    think = Lognormal(median_s=4.0, sigma=1.17, max_s=10.0)
    drawn = [think_law(think)(Random(seed)) for seed in range(2_000)]
    assert max(drawn) == 10.0
    assert math.isclose(np.mean(drawn), think.mean_thought_s, rel_tol=0.05)
