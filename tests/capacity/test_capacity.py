"""The capacity search on simulated shops whose capacity is known: no sleeping, every search seeded."""

from __future__ import annotations

import heapq
import math
from dataclasses import replace

import numpy as np
import pytest
from queueing_theory import mmc_capacity_per_s
from scipy.optimize import brentq
from simulated_shops import (
    SETTINGS,
    Shop,
    SimulatedRequests,
    covers,
    deterministic_shop,
    exponential_shop,
    failed,
    observe,
    poisson,
    queue_of,
    retrying_shop,
    run_step,
    search,
    slower_than,
)

from doorbuster.capacity.capacity_result import CapacityResult
from doorbuster.capacity.load_step import ProposedStep, end_early, judge_step
from doorbuster.capacity.search import next_step, result_so_far
from doorbuster.capacity.threshold_crossing import QueuePrior

MM1 = [(0.99, 0.2, 76.974), (0.95, 0.2, 85.021), (0.99, 0.1, 53.948)]


@pytest.mark.parametrize(("p", "limit_s", "truth"), MM1)
def test_one_exponential_server_is_answered_within_its_interval_in_ten_minutes(p, limit_s, truth):
    found, history = search(exponential_shop(100.0, 1), [slower_than(limit_s, p)], seed=2)
    assert covers(found, truth)
    assert found.method == "line"
    assert found.rate_per_s == pytest.approx(truth, rel=0.1)
    assert sum(step.measured.elapsed_s for step in history) == found.elapsed_s < 600
    assert found.recovered is True
    assert found.binding.startswith("p(")


@pytest.mark.parametrize(("p", "limit_s", "truth"), MM1)
def test_a_busy_queue_scatters_about_as_much_as_heavy_traffic_says(p, limit_s, truth):
    shop, seconds, rng = exponential_shop(100.0, 1), 100, np.random.default_rng(3)
    levels = []
    for _ in range(60):
        step = ProposedStep("confirm", truth, 10.0, seconds, "")
        fates = shop(rng, [(truth, step.warmup_s + seconds)])
        found = observe(fates, [slower_than(limit_s, p)], step, step.warmup_s, seconds)
        levels.append(judge_step(found).estimates[0].level)
    shown = float(np.var(levels, ddof=1)) * seconds
    assert 0.4 < QueuePrior(100.0, 1 - p, 0.0, limit_s).variance_s(truth) / shown < 1.6


@pytest.mark.parametrize("seed", range(4))
def test_a_generator_that_takes_long_to_start_leaves_time_to_see_whether_the_shop_recovers(seed):
    settings, rng, history = replace(SETTINGS, budget_s=570.0), np.random.default_rng(seed), []
    while isinstance(step := next_step(history, settings), ProposedStep):
        found = run_step(exponential_shop(100.0, 1), [slower_than(0.2, 0.99)], step, rng)
        history.append(judge_step(replace(found, elapsed_s=found.elapsed_s + 4.0)))
    assert step.recovered is True
    assert step.elapsed_s < 580


def test_the_same_seed_finds_the_same_answer():
    one, other = (search(exponential_shop(100.0, 1), [slower_than(0.2, 0.95)], seed=5)[0] for _ in range(2))
    assert (one.rate_per_s, one.low, one.high, one.sentence) == (
        other.rate_per_s, other.low, other.high, other.sentence
    )  # fmt: skip


@pytest.mark.parametrize("servers", [1, 4])
def test_a_shop_without_noise_is_bracketed_to_the_finest_step(servers):
    shop = deterministic_shop(100.0 / servers, servers)
    found, _ = search(shop, [slower_than(0.2, 0.99)], seed=1)
    assert covers(found, 100.0)
    assert found.high / found.low <= 1.03
    assert "non-stationary" in found.flags


def test_a_shop_that_sheds_at_its_limit_is_bracketed_to_the_finest_step():
    # One in a hundred is turned away when 100 / 0.99 come for the 100 that can be served.
    found, _ = search(deterministic_shop(100.0, 1, queue_limit=10), [failed(0.01)], seed=1)
    assert covers(found, 100 / 0.99)
    assert found.half_width_ratio <= 0.03
    assert found.recovered is True


def test_a_metastable_shop_is_reported_as_not_recovering():
    found, history = search(retrying_shop(100.0, 1.0, 3), [failed(0.01)], seed=1)
    assert found.recovered is False
    assert "did not recover" in found.flags
    assert found.sentence.endswith("After an overload the shop did not recover: metastable.")
    assert history[-1].kind == "overload-recovery"


def shop_with_leftover_work(mu: float, timeout_s: float, retries: int) -> Shop:
    """As `retrying_shop`, but the next load step starts with the unfinished work of the last one."""
    left_s = [0.0]

    def visit(rng, pieces):
        came = poisson(rng, pieces)
        asks = [(at, i, 0) for i, at in enumerate(came.tolist())]
        heapq.heapify(asks)
        done, free = np.full(came.size, math.inf), left_s[0]
        while asks:
            at, i, tried = heapq.heappop(asks)
            free = max(at, free) + 1 / mu
            if free <= at + timeout_s:
                done[i] = min(done[i], free)
            elif tried < retries:
                heapq.heappush(asks, (at + timeout_s, i, tried + 1))
        lost = np.isinf(done)
        done[lost] = came[lost] + timeout_s * (retries + 1)
        left_s[0] = max(0.0, free - float(done.max()))
        return SimulatedRequests(came, done, lost)

    return visit


def test_a_shop_that_keeps_working_for_customers_who_left_is_reported_as_not_recovering():
    found, history = search(shop_with_leftover_work(100.0, 1.0, 3), [failed(0.01)], seed=1)
    assert found.recovered is False
    assert found.sentence.endswith("After an overload the shop did not recover: metastable.")
    assert 80 <= found.rate_per_s <= 125  # rates before and at the overload, and none after it
    assert history[-1].kind == "overload-recovery"
    assert (found.low, found.high) == (80.0, 160.0)
    assert found.elapsed_s < 300


def test_the_same_shop_without_retries_recovers():
    found, _ = search(retrying_shop(100.0, 1.0, 0), [failed(0.01)], seed=1)
    assert found.recovered is True


@pytest.mark.parametrize(
    ("is_at_ceiling", "flag", "reason"),
    [(False, "generator-bound", "the load generator"), (True, "ceiling", "the maximum rate")],
)
def test_a_rate_that_was_not_delivered_makes_the_answer_at_least(is_at_ceiling, flag, reason):
    rng, history = np.random.default_rng(1), []
    while isinstance(step := next_step(history, SETTINGS), ProposedStep):
        found = run_step(exponential_shop(1000.0, 1), [slower_than(0.2, 0.95)], step, rng)
        if step.rate_per_s > 130:
            found = replace(found, generator_limit="it was late", is_at_ceiling=is_at_ceiling)
        history.append(judge_step(found))
    assert step.at_least
    assert step.high is None
    assert flag in step.flags
    assert 100 < step.rate_per_s <= 130
    assert step.sentence.startswith("Capacity is at least 1")
    assert step.sentence.endswith(f"; {reason} ended the search, not the shop.")


def test_a_shop_that_passes_at_the_highest_permitted_rate_has_at_least_that_capacity():
    settings = replace(SETTINGS, max_rate_per_s=120.0)
    found, _ = search(exponential_shop(1000.0, 1), [slower_than(0.2, 0.95)], seed=1, settings=settings)
    assert (found.rate_per_s, found.at_least, found.flags[-1]) == (120.0, True, "ceiling")


def test_a_shop_that_passes_at_no_rate_has_no_capacity():
    found, _ = search(exponential_shop(10.0, 4), [slower_than(0.2, 0.99)], seed=1)
    assert found.rate_per_s is None
    assert found.flags == ("non-stationary", "below-range") or found.flags == ("below-range",)
    assert found.sentence.startswith("Even ")


def test_of_two_thresholds_the_one_that_breaks_first_binds():
    thresholds = [slower_than(0.5, 0.95), slower_than(0.2, 0.95)]
    found, _ = search(exponential_shop(100.0, 1), thresholds, seed=3)
    assert found.binding == "p(95)<200ms"
    assert covers(found, 85.021)


def test_a_search_that_ends_before_the_shop_fails_does_not_blame_the_maximum_rate():
    _, history = search(exponential_shop(1000.0, 1), [slower_than(0.2, 0.95)], seed=1)
    found = result_so_far(history[:1], SETTINGS)
    assert (found.rate_per_s, found.at_least, found.flags) == (40.0, True, ("unfinished",))
    assert found.sentence == "Capacity is at least 40 customers/s; the search ended before the shop failed."


def test_a_load_step_without_customers_is_not_a_pass():
    """A shop that is always too slow, at rates so low that every other load step has no customers."""
    settings = replace(SETTINGS, start_rate_per_s=0.4, max_rate_per_s=40.0, warmup_s=1.0)
    for seed in range(8):
        found, history = search(exponential_shop(1.0, 50), [slower_than(0.01, 0.99)], seed, settings)
        assert found.rate_per_s is None
        assert "below-range" in found.flags
        assert len(history) < 10


def test_the_ramp_continues_after_a_load_step_without_customers():
    quiet, history = iter((True, True, False)), []
    rng = np.random.default_rng(1)
    while len(history) < 3 and isinstance(step := next_step(history, SETTINGS), ProposedStep):
        shop = exponential_shop(100.0, 1)
        here = replace(step, rate_per_s=1e-9) if next(quiet) else step
        found = replace(run_step(shop, [slower_than(0.2, 0.95)], here, rng), proposal=step)
        history.append(judge_step(found))
    assert [step.is_empty for step in history] == [True, True, False]
    assert [step.rate_per_s for step in history] == [40.0, 80.0, 160.0]


def test_an_interrupted_search_answers_with_the_results_so_far():
    _, history = search(exponential_shop(100.0, 1), [slower_than(0.2, 0.95)], seed=4)
    assert result_so_far([], SETTINGS).rate_per_s is None
    for known in range(1, len(history)):
        assert result_so_far(history[:known], SETTINGS).sentence
    assert "recovery not tested" in result_so_far(history[:-1], SETTINGS).flags


def test_a_rate_without_violations_among_few_requests_is_no_lower_end():
    shop = deterministic_shop(10.0, 1, queue_limit=10)
    settings = replace(SETTINGS, start_rate_per_s=4.0, budget_s=120.0)
    found, _ = search(shop, [failed(0.01)], seed=4, settings=settings)
    assert (found.low, found.rate_per_s) == (None, None)
    assert 100 / 9.9 < found.high <= 32
    assert found.sentence.startswith("Capacity is at most ")
    assert "unfinished" in found.flags
    assert "wide" not in found.flags  # there is no interval to be wide


def test_a_rate_that_fails_at_once_and_one_that_passes_at_once_are_the_ends_of_a_short_search():
    shop, settings = deterministic_shop(100.0, 1, queue_limit=10), replace(SETTINGS, budget_s=120.0)
    found, _ = search(shop, [failed(0.01)], seed=4, settings=settings)
    assert (found.low, found.high) == (
        40.0,
        160.0,
    )  # 4 failures allowed and none seen; 59 seen and 16 allowed
    assert "wide" in found.flags


@pytest.mark.parametrize("seed", range(3))
def test_violations_on_one_side_only_do_not_bend_the_answer_to_that_side(seed):
    """A shop that sheds has none below its limit: a line through the rates above would end too low."""
    settings = replace(SETTINGS, start_rate_per_s=25.0 + 10 * seed)
    found, _ = search(deterministic_shop(100.0, 1, queue_limit=10), [failed(0.01)], seed, settings)
    assert covers(found, 100 / 0.99)
    assert found.half_width_ratio < 0.1


@pytest.mark.parametrize("budget_s", [85.0, 105.0, 140.0])
def test_a_short_search_tests_no_recovery_at_a_rate_that_never_passed(budget_s):
    settings = replace(SETTINGS, budget_s=budget_s)
    found, history = search(exponential_shop(100.0, 1), [slower_than(0.2, 0.95)], 4, settings)
    assert history[-1].kind == "overload-recovery"
    assert history[-1].rate_per_s <= 0.8 * 85.02
    assert found.recovered is True


def test_a_load_step_far_above_its_limit_is_ended_early():
    step = ProposedStep("ramp", 200.0, 3.0, 60.0, "")
    found = run_step(exponential_shop(100.0, 1), [slower_than(0.2, 0.95)], step, np.random.default_rng(1))
    assert found.seconds == 10
    assert judge_step(found).status == "fail"
    found = run_step(exponential_shop(100.0, 1), [slower_than(0.2, 0.99)], step, np.random.default_rng(1))
    assert end_early(found) == "the queue grows and p(99)<200ms is already at 100 times its limit"


# Servers, percentile and limit in seconds; 100 services a second altogether.
CASES = [
    (1, 0.99, 0.2), (1, 0.95, 0.2), (1, 0.99, 0.1), (2, 0.95, 0.2), (2, 0.99, 0.25), (3, 0.9, 0.2),
    (4, 0.95, 0.25), (4, 0.99, 0.37), (5, 0.95, 0.3), (6, 0.9, 0.3), (8, 0.95, 0.48), (8, 0.99, 0.48),
]  # fmt: skip


def coverage(shop: Shop, p: float, limit_s: float, servers: int, seeds: range) -> list[CapacityResult]:
    return [search(shop, [slower_than(limit_s, p)], [servers, seed])[0] for seed in seeds]


def test_intervals_cover_the_true_value_as_often_as_stated():
    """A short version of the validation below: 48 searches of one to eight servers."""
    hits = 0
    for servers, p, limit_s in CASES:
        truth = mmc_capacity_per_s(100.0 / servers, servers, p=p, limit_s=limit_s)
        for found in coverage(exponential_shop(100.0 / servers, servers), p, limit_s, servers, range(4)):
            hits += covers(found, truth)
            assert found.elapsed_s < 600
    assert hits / 48 >= 0.85  # nominal 0.95, standard error 0.03


@pytest.mark.truth
@pytest.mark.parametrize(("servers", "p", "limit_s"), CASES)
def test_intervals_of_200_searches_cover_the_true_value(servers, p, limit_s):
    truth = mmc_capacity_per_s(100.0 / servers, servers, p=p, limit_s=limit_s)
    prove(f"c={servers}", exponential_shop(100.0 / servers, servers), p, limit_s, servers, truth)


def prove(name: str, shop: Shop, p: float, limit_s: float, servers: int, truth: float) -> None:
    """An interval open on one side counts as holding there; see docs/explanation/capacity.md."""
    found = coverage(shop, p, limit_s, servers, range(200))
    share = sum(covers(one, truth) for one in found) / len(found)
    widths = [one.half_width_ratio for one in found]
    still_open = sum(not one.low or one.high is None for one in found) / len(found)
    error = np.quantile([abs(one.estimate_per_s / truth - 1) for one in found], 0.95)
    print(
        f"{name} p{100 * p:g} {1e3 * limit_s:g} ms, {truth:.2f}/s: holds {share:.3f},"
        f" half-width {np.median(widths):.3f}, open {still_open:.3f}, error {error:.3f}"
    )
    assert share >= 0.90
    assert np.median(widths) < 0.2  # an interval that holds everything says nothing
    assert max(one.elapsed_s for one in found) < 600
    assert abs(np.median([one.estimate_per_s for one in found]) / truth - 1) < 0.03


MEAN_S, LOG_SIGMA = 0.01, 1.0
SHORT_RATIO = (1 + math.sqrt(3 / 5)) / 2  # two kinds of service, balanced means, squared variation 4
SHORT_S, LONG_S = MEAN_S / (2 * SHORT_RATIO), MEAN_S / (2 * (1 - SHORT_RATIO))
NORMAL = np.linspace(-9, 9, 4001)


def hyperexponential(rng, n):
    return rng.exponential(np.where(rng.random(n) < SHORT_RATIO, SHORT_S, LONG_S))


def lognormal(rng, n):
    return MEAN_S * rng.lognormal(-(LOG_SIGMA**2) / 2, LOG_SIGMA, n)


def fixed(_, n):
    return np.full(n, MEAN_S)


def transform_of_lognormal(s):
    service_s = MEAN_S * np.exp(LOG_SIGMA * NORMAL - LOG_SIGMA**2 / 2)
    density = np.exp(-(NORMAL**2) / 2) / math.sqrt(2 * math.pi) * (NORMAL[1] - NORMAL[0])
    return np.exp(-np.outer(s, service_s)) @ density


TRANSFORMS = {
    fixed: lambda s: np.exp(-s * MEAN_S),
    lognormal: transform_of_lognormal,
    hyperexponential: lambda s: SHORT_RATIO / (1 + SHORT_S * s) + (1 - SHORT_RATIO) / (1 + LONG_S * s),
}


def slow_ratio(transform, rate_per_s: float, limit_s: float) -> float:
    """P(T > t) of M/G/1, from the Laplace transform of its services.

    Sources: Kleinrock (1975), equation 5.100 (Pollaczek and Khinchine); Abate and Whitt (1995), ORSA Journal
    on Computing 7, "Euler" (numerical inversion, n = 40, m = 11, A = 18.4).
    """
    n, m, a = 40, 11, 18.4
    s = (a + 2j * math.pi * np.arange(n + m + 1)) / (2 * limit_s)
    service = transform(s)
    sojourn = (1 - rate_per_s * MEAN_S) * s * service / (s - rate_per_s + rate_per_s * service)
    terms = ((1 - sojourn) / s).real * (-1.0) ** np.arange(n + m + 1)
    terms[0] /= 2
    weights = np.array([math.comb(m, k) for k in range(m + 1)]) / 2**m
    return math.exp(a / 2) / limit_s * float(weights @ np.cumsum(terms)[n:])


def mg1_capacity_per_s(transform, p: float, limit_s: float) -> float:
    return brentq(lambda rate: slow_ratio(transform, rate, limit_s) - (1 - p), 20, 99)


@pytest.mark.parametrize(("p", "limit_s", "truth"), MM1)
def test_the_oracle_for_other_services_knows_the_exponential_one(p, limit_s, truth):
    assert mg1_capacity_per_s(lambda s: 1 / (1 + MEAN_S * s), p, limit_s) == pytest.approx(truth, abs=0.001)


@pytest.mark.truth
@pytest.mark.parametrize(
    ("draw", "p", "limit_s"), [(fixed, 0.99, 0.1), (lognormal, 0.95, 0.2), (hyperexponential, 0.95, 0.4)]
)
def test_intervals_of_200_searches_cover_the_true_value_for_other_services(draw, p, limit_s):
    truth = mg1_capacity_per_s(TRANSFORMS[draw], p, limit_s)
    prove(draw.__name__, queue_of(draw), p, limit_s, 1, truth)
