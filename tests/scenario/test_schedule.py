"""Plans against theory: time rescaling, superposition, dispersion, closed-form counts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from scipy import stats

from doorbuster.errors import ScenarioError
from doorbuster.scenario import (
    count_customers,
    expected_customers,
    load_scenario,
    override,
    plan_schedule,
    read_scenario,
)

CHANNELS = """\
channels:
  web: {share: 60%, journeys: {browse: 3, buy: 1}}
  store: {share: 40%, journeys: {pos_sale: 1}}
  phone: {seats: 5, journeys: {phone_order: 1}}
"""


def scenario_of(demand):
    return read_scenario(
        f"title: t\ntarget: {{shop: {{profile: replatformed}}}}\ndemand: {{{demand}}}\n{CHANNELS}"
    )


HILL = "peak: 100/s, curve: {stages: [{for: 300s, to: 100%}, {for: 300s, at: 100%}, {for: 300s, to: 10%}]}"
FLAT = "peak: 50/s, curve: {stages: [{for: 2000s, at: 100%}]}"


def rescaled_gaps(scenario, plan):
    """Expected customers between neighbouring arrivals: Exp(1) when the plan is what it claims to be."""
    return np.diff(scenario.demand.rate_curve.cumulative(plan.intended_s), prepend=0.0)


@pytest.mark.parametrize(
    ("label", "demand"),
    [
        ("ramps and holds", HILL),
        ("a day of hours", "peak: 20/s, curve: {hourly: [1, .3, .5, 2, 1.5]}, compress: 5h -> 30m"),
        ("a drop", "peak: 400/s, curve: {cumulative: {26s: 3%, 96s: 5%, 20m: 20%}}"),
    ],
)
def test_rescaled_time_is_a_unit_poisson_process(label, demand):
    scenario = scenario_of(demand)
    plan = plan_schedule(scenario)

    gaps = rescaled_gaps(scenario, plan)

    assert stats.kstest(gaps, "expon").pvalue > 0.01, label
    assert abs(np.corrcoef(gaps[:-1], gaps[1:])[0, 1]) < 4 / np.sqrt(len(gaps))


def test_the_rescaling_check_rejects_as_often_as_it_should():
    scenario = scenario_of("peak: 20/s, curve: {stages: [{for: 60s, to: 100%}, {for: 60s, to: 20%}]}")

    p_values = [
        stats.kstest(rescaled_gaps(scenario, plan_schedule(scenario, seed=seed)), "expon").pvalue
        for seed in range(400)
    ]

    rejected = sum(p < 0.05 for p in p_values)
    low, high = stats.binom.interval(0.999, 400, 0.05)
    assert low <= rejected <= high


@pytest.mark.parametrize("demand", [HILL, FLAT])
def test_the_number_of_customers_is_poisson_around_the_closed_form(demand):
    scenario = scenario_of(demand)
    expected = expected_customers(scenario)

    counts = np.array([len(plan_schedule(scenario, seed=seed)) for seed in range(60)])

    assert abs(counts.mean() - expected) < 4 * np.sqrt(expected / 60)
    dispersion = counts.var(ddof=1) / expected * 59
    low, high = stats.chi2.interval(0.999, 59)
    assert low < dispersion < high


def test_expected_customers_of_the_hill_are_its_area():
    assert expected_customers(scenario_of(HILL)) == pytest.approx(100 * (150 + 300 + 165))


@pytest.mark.parametrize("burstiness", [1.0, 1.7, 5.0, 40.0])
def test_seconds_have_the_dispersion_that_was_asked_for(burstiness):
    scenario = scenario_of(f"{FLAT}, burstiness: {burstiness}")
    counts = np.concatenate(
        [sum(plan_schedule(scenario, seed=seed).planned_per_second().values()) for seed in range(5)]
    )

    found = counts.var(ddof=1) / counts.mean()

    # Var of the index for n independent seconds: the fourth moment of a negative binomial, bounded generously
    assert found == pytest.approx(burstiness, rel=4 * np.sqrt((2 + 6 * burstiness / 50) / len(counts)))


def test_the_dispersion_is_the_same_on_a_slope_as_at_the_peak():
    scenario = scenario_of(f"{HILL}, burstiness: 4")
    per_second = np.array(
        [sum(plan_schedule(scenario, seed=seed).planned_per_second().values()) for seed in range(300)]
    )

    ratios = per_second.var(axis=0, ddof=1) / per_second.mean(axis=0)

    for part in (slice(50, 250), slice(300, 600), slice(600, 900)):
        assert ratios[part].mean() == pytest.approx(4.0, rel=0.05)


def test_windows_of_whole_seconds_keep_the_dispersion_and_shorter_ones_have_less():
    scenario = scenario_of(f"{FLAT}, burstiness: 9")
    times = np.concatenate(
        [plan_schedule(scenario, seed=seed).intended_s + 2000 * seed for seed in range(10)]
    )

    def dispersion(window_s):
        counts = np.bincount((times / window_s).astype(int), minlength=round(20_000 / window_s))
        return counts.var(ddof=1) / counts.mean()

    assert dispersion(10.0) == pytest.approx(9.0, rel=0.15)
    assert dispersion(0.25) == pytest.approx(1 + 8 * 0.25, rel=0.1)


def test_a_burst_lasts_its_whole_second_even_where_stages_meet_inside():
    stages = ", ".join(["{for: 500ms, at: 100%}"] * 400)
    scenario = scenario_of(f"peak: 50/s, curve: {{stages: [{stages}]}}, burstiness: 9")
    halves = np.concatenate(
        [
            np.bincount((plan_schedule(scenario, seed=seed).intended_s * 2).astype(int), minlength=400)
            for seed in range(50)
        ]
    )

    assert halves.var(ddof=1) / halves.mean() == pytest.approx(1 + 8 * 0.5, rel=0.1)


def test_bursts_leave_the_mean_alone():
    scenario = scenario_of(f"{HILL}, burstiness: 20")
    counts = np.array([len(plan_schedule(scenario, seed=seed)) for seed in range(100)])

    expected = expected_customers(scenario)

    assert abs(counts.mean() - expected) < 4 * np.sqrt(20 * expected / 100)


def test_a_ramp_is_linear_within_seconds():
    scenario = scenario_of("peak: 20000/s, curve: {stages: [{for: 4s, to: 100%}, {for: 1s, at: 100%}]}")
    times = plan_schedule(scenario).intended_s
    tenths = np.bincount((times[times < 4] * 10).astype(int), minlength=40)

    expected = 20_000 / 4 * ((np.arange(40) + 0.5) / 10) * 0.1
    fit = np.polyfit(np.arange(40) + 0.5, tenths, 1)

    assert stats.chisquare(tenths, expected * tenths.sum() / expected.sum()).pvalue > 0.01
    assert fit[0] == pytest.approx(20_000 / 4 * 0.01, rel=0.02)


def test_the_same_seed_plans_the_same_arrivals_and_another_seed_others():
    scenario = scenario_of(f"{HILL}, burstiness: 2")

    assert_array_equal(plan_schedule(scenario).intended_s, plan_schedule(scenario, seed=20041202).intended_s)
    assert_array_equal(
        plan_schedule(scenario).channel_journey_index,
        plan_schedule(scenario, seed=20041202).channel_journey_index,
    )
    assert (
        len(np.intersect1d(plan_schedule(scenario).intended_s, plan_schedule(scenario, seed=1).intended_s))
        == 0
    )


def test_traffic_classes_arrive_in_their_shares_independently_of_time():
    plan = plan_schedule(scenario_of(HILL))
    counts = np.bincount(plan.channel_journey_index)

    assert plan.channel_journeys == (("web", "browse"), ("web", "buy"), ("store", "pos_sale"))
    assert stats.chisquare(counts, np.array([0.45, 0.15, 0.4]) * len(plan)).pvalue > 0.01
    thirds = np.array(
        [np.bincount(part, minlength=3) for part in np.array_split(plan.channel_journey_index, 3)]
    )
    assert stats.chi2_contingency(thirds).pvalue > 0.01


def test_planned_arrivals_per_second_add_up_to_the_plan():
    plan = plan_schedule(scenario_of("peak: 30/s, curve: {stages: [{for: 4500ms, at: 100%}]}"))

    planned = plan.planned_per_second()

    assert list(planned) == ["web", "store"]
    assert all(counts.shape == (5,) for counts in planned.values())
    assert planned["store"].sum() == np.count_nonzero(plan.channel_journey_index == 2)
    assert sum(planned.values())[2] == np.count_nonzero(plan.intended_s.astype(int) == 2)


def test_closed_channels_alone_have_no_arrivals():
    text = "title: t\ntarget: {shop: {profile: replatformed}}\n" + f"demand: {{{FLAT}}}\n"
    plan = plan_schedule(read_scenario(text + "channels: {phone: {seats: 5, journeys: {phone_order: 1}}}"))

    assert (len(plan), plan.channel_journeys, plan.duration_s) == (0, (), 2000.0)
    assert plan.planned_per_second() == {}


def test_a_plan_cannot_be_changed():
    plan = plan_schedule(scenario_of(HILL))

    with pytest.raises(ValueError, match="read-only"):
        plan.intended_s[0] = 0.0


@settings(max_examples=60, deadline=None)
@given(
    stages=st.lists(
        st.tuples(st.sampled_from(["to", "at"]), st.integers(1, 30_000), st.integers(0, 100)),
        min_size=1,
        max_size=6,
    ).filter(lambda stages: any(level for _, _, level in stages)),
    peak=st.integers(1, 300),
    burstiness=st.sampled_from([1, 1.01, 3, 200]),
    seed=st.integers(0, 2**63 - 1),
)
def test_every_plan_ascends_within_the_run_and_keeps_clear_of_quiet_stages(stages, peak, burstiness, seed):
    text = ", ".join(f"{{for: {ms}ms, {word}: {level}%}}" for word, ms, level in stages)
    scenario = scenario_of(f"peak: {peak}/s, curve: {{stages: [{text}]}}, burstiness: {burstiness}")

    plan = plan_schedule(scenario, seed=seed)

    assert np.all(np.diff(plan.intended_s) >= 0)
    assert np.all((plan.intended_s >= 0) & (plan.intended_s < plan.duration_s))
    assert sum(counts.sum() for counts in plan.planned_per_second().values()) == len(plan)
    start_s = 0.0
    last = 0
    for word, ms, level in stages:
        if level == 0 and (word == "at" or last == 0):
            inside = (plan.intended_s > start_s + 1e-6) & (plan.intended_s < start_s + ms / 1000 - 1e-6)
            assert not inside.any()
        start_s, last = start_s + ms / 1000, level


def test_a_plan_of_fourteen_million_arrivals_is_drawn_without_fuss():
    scenario = scenario_of("peak: 1000/s, curve: {stages: [{for: 14000s, at: 100%}]}, burstiness: 1.7")

    plan = plan_schedule(scenario)

    assert len(plan) == pytest.approx(14e6, rel=0.005)
    assert plan.intended_s.dtype == np.float64
    assert plan.channel_journey_index.dtype == np.uint16
    assert plan.arrival_index.dtype == np.int64


def test_the_bundled_peak_has_enough_buyers_for_statistics(bundled_folder):
    scenario = load_scenario("ms-christmas-2004", search=[bundled_folder])
    plan = plan_schedule(scenario)

    buyers = sum(
        np.count_nonzero(plan.channel_journey_index == i)
        for i, one in enumerate(plan.channel_journeys)
        if one.journey == "buy"
    )

    assert buyers >= 50
    assert 650 <= len(plan) <= 1000


@pytest.mark.parametrize("demand", [HILL, FLAT, HILL + ", burstiness: 3"])
def test_customers_are_counted_from_the_curve_exactly_as_the_schedule_has_them(demand):
    scenario = scenario_of(demand)
    for seed in range(5):
        seeded = override(scenario, seed=seed)
        assert count_customers(seeded) == len(plan_schedule(seeded))


def test_a_plan_that_would_need_gigabytes_is_refused_before_it_is_made():
    huge = scenario_of("peak: 820000/s, curve: {stages: [{for: 60s, at: 100%}]}")
    for plan in (count_customers, plan_schedule):
        with pytest.raises(ScenarioError, match="demand must plan at most 20,000,000 customers"):
            plan(huge)
