"""95 % intervals of thresholds cover the true value of a simulated queue in 95 % of the runs."""

from __future__ import annotations

import math

import numpy as np
import pytest

from doorbuster.gate.threshold_decision import decide
from doorbuster.gate.threshold_result import RateCounts, TrendCounts
from doorbuster.records.histogram import Histogram
from doorbuster.scenario.thresholds.language import read_thresholds
from doorbuster.stats.latency_quantiles import TimeBlock

MU_PER_S, LENGTH_S, BLOCKS, RUNS = 100.0, 300.0, 30, 300
NOBODY = Histogram.empty()


def threshold(metric: str, expression: str):
    return read_thresholds({metric: [expression]})[0]


def queue(rng: np.random.Generator, rho: float) -> tuple[np.ndarray, np.ndarray]:
    """Due times and times in system of M/M/1 that begins in equilibrium (Lindley)."""
    due = np.sort(rng.uniform(0, LENGTH_S, rng.poisson(rho * MU_PER_S * LENGTH_S)))
    service = rng.exponential(1 / MU_PER_S, due.size)
    first = rng.exponential(1 / (MU_PER_S * (1 - rho))) if rng.random() < rho else 0.0
    sums = np.cumsum(np.concatenate([[first], service[:-1] - np.diff(due)]))
    return due, sums - np.minimum(np.minimum.accumulate(sums), 0.0) + service


def slower_than_s(rho: float, p: float) -> float:
    """The p-quantile of the time in system: ln(1 / (1 - p)) / (mu - lambda)."""
    return -math.log(1 - p) / (MU_PER_S * (1 - rho))


def trend(due: np.ndarray, took: np.ndarray) -> TrendCounts:
    times_us, place = (took * 1e6).astype(np.int64), (due * BLOCKS / LENGTH_S).astype(int)
    parts = [Histogram.from_values(times_us[place == k]) for k in range(BLOCKS)]
    return TrendCounts(NOBODY.merge(*parts), NOBODY, tuple(TimeBlock(part, NOBODY) for part in parts))


def rate(due: np.ndarray, good: np.ndarray) -> RateCounts:
    place = (due * BLOCKS / LENGTH_S).astype(int)
    n, k = np.bincount(place, minlength=BLOCKS), np.bincount(place[good], minlength=BLOCKS)
    return RateCounts(int(k.sum()), int(n.sum()), tuple(zip(k.tolist(), n.tolist(), strict=True)))


def covered(rho: float, p: float, kind: str, *, timed: bool) -> tuple[float, float]:
    """How often the interval covers the true value, and how often a certain result is wrong."""
    rng, hits, alarms = np.random.default_rng(17), 0, 0
    truth_s = slower_than_s(rho, p)
    for _ in range(RUNS):
        due, took = queue(rng, rho)
        if kind == "times":
            tally = trend(due, took)
            tally = tally if timed else TrendCounts(tally.answered, NOBODY)
            judged = decide(threshold("http_req_duration", f"p({100 * p:g})<={1e3 * truth_s:.6f}ms"), tally)
            truth = 1e3 * truth_s
        else:
            tally = rate(due, took <= truth_s)
            tally = tally if timed else RateCounts(tally.k, tally.n)
            judged, truth = decide(threshold("served", f"rate>={p}"), tally), p
        hits += judged.low <= truth <= judged.high
        alarms += judged.status == "fail" and judged.certain
    return hits / RUNS, alarms / RUNS


@pytest.mark.parametrize("kind", ["times", "shares"])
@pytest.mark.parametrize("p", [0.5, 0.95])
@pytest.mark.parametrize("rho", [0.5, 0.8])
def test_the_interval_of_a_threshold_covers_the_true_value_on_a_queue(rho, p, kind):
    holds, alarms = covered(rho, p, kind, timed=True)
    assert 0.92 <= holds <= 0.98, (holds, alarms)
    assert alarms <= 0.05


@pytest.mark.parametrize("kind", ["times", "shares"])
def test_an_interval_for_independent_requests_does_not_cover_it(kind):
    holds, alarms = covered(0.8, 0.5, kind, timed=False)
    assert holds < 0.6
    assert alarms > 0.15
