"""The plan follows from the costs: numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from doorbuster.errors import UsageError
from doorbuster.scenario import read_scenario
from doorbuster.sizing.fleet import MAX_WORKERS, peak_load, plan_fleet, safety_problems
from doorbuster.sizing.generator_cost import GeneratorCost

SCENARIO = """
title: Ten a second
target: {url: "http://127.0.0.1:1"}
demand: {peak: 10 customers/s, curve: {stages: [{for: 10m, at: 100%}]}}
journeys: {look: {description: look twice, steps: {home: 1, category: 1}}}
channels:
  web: {share: 100%, journeys: {look: 1}, think: {constant: 9.9s}, patience: none}
safety: {max_rate: 100 requests/s, max_in_flight: 5000}
"""  # a visit: two requests of 0.1 s and one think time of 9.9 s, 10.1 s


def cost(**changes) -> GeneratorCost:
    values = {
        "cpu_base_ratio": 0.1, "cpu_s_per_request": 400e-6, "cpu_s_per_customer": 200e-6,
        "resamples": np.array([[0.1, 400e-6, 200e-6]]), "memory_base_bytes": 100e6,
        "memory_bytes_per_customer": 20e3, "memory_is_measured": True, "bytes_sent_per_request": 500.0,
        "bytes_received_per_request": 10_000.0, "connections_per_customer": 1.0, "seconds": 20,
        "requests": 1000,
    }  # fmt: skip
    return GeneratorCost(**{**values, **changes})


def load(**options):
    return peak_load(read_scenario(SCENARIO), **{"response_s": 0.1, **options})


def test_the_load_is_the_scenarios():
    found = load()
    assert (found.customers_per_s, found.requests_per_s) == pytest.approx((10, 20))
    assert found.customers_at_once == pytest.approx(101)


def test_a_slow_shop_keeps_more_customers_at_once():
    assert load(response_s=1.1).customers_at_once == pytest.approx(10 * (2 * 1.1 + 9.9))


def test_the_peak_may_be_a_rate_or_a_number_of_customers_at_once():
    assert load(peak_per_s=1000.0).requests_per_s == pytest.approx(2000)
    assert load(customers_at_once=10_100.0).customers_per_s == pytest.approx(1000)


def test_workers_follow_from_processor_time():
    fleet = plan_fleet(load(peak_per_s=1000.0), cost())
    # 2,000 x 400 us + 1,000 x 200 us = 1 core; each worker has 0.6 - 0.1 of a core for it
    assert (fleet.workers, fleet.limited_by) == (2, "processor time")
    assert fleet.cores.estimate == pytest.approx(1.2)
    assert fleet.cpu_ratio == pytest.approx(0.6)


def test_an_uncertain_cost_takes_more_workers():
    uncertain = cost(resamples=np.array([[0.1, 400e-6, 200e-6], [0.1, 900e-6, 400e-6]]))
    assert plan_fleet(load(peak_per_s=1000.0), uncertain).workers == 5  # the upper end is near 2.2 cores


def test_many_idle_customers_are_limited_by_memory_and_ports():
    fleet = plan_fleet(load(customers_at_once=60_600.0), cost(cpu_s_per_request=0.0, cpu_s_per_customer=0.0,
                       resamples=np.zeros((1, 3))))  # fmt: skip
    assert (fleet.workers, fleet.limited_by) == (5, "customers at once in a process")
    assert fleet.ports_total == pytest.approx(60_600 + 6000 * 60)  # open, and closed within the last minute
    assert fleet.source_addresses == 31
    assert fleet.descriptors_per_worker > 60_600 / 5


def test_bandwidth_includes_the_headers_of_the_network():
    fleet = plan_fleet(load(), cost())
    assert fleet.received_bits_per_s == pytest.approx(20 * 10_000 * 8 * 1.08)
    assert fleet.sent_bits_per_s == pytest.approx(20 * 500 * 8 * 1.08)


def test_more_workers_than_a_master_serves_are_several_runs():
    (problem,) = plan_fleet(load(customers_at_once=5e6), cost()).problems
    assert f"one master serves about {MAX_WORKERS} workers" in problem
    assert plan_fleet(load(), cost()).problems == ()


def test_limits_of_the_scenario_are_named():
    scenario = read_scenario(SCENARIO)
    assert safety_problems(scenario, load()) == ()
    found = safety_problems(scenario, load(peak_per_s=1000.0))
    assert [text.partition(" is ")[0] for text in found] == ["safety.max_rate", "safety.max_in_flight"]


def test_seats_cannot_be_scaled_by_a_rate():
    seats = read_scenario(SCENARIO.replace("share: 100%", "seats: 5"))
    assert peak_load(seats, response_s=0.1).customers_at_once == pytest.approx(5, rel=0.6)
    with pytest.raises(UsageError, match="only seats"):
        peak_load(seats, response_s=0.1, peak_per_s=10.0)


def test_a_busy_machine_cannot_be_planned_for():
    with pytest.raises(UsageError, match="took 70% of a core"):
        plan_fleet(load(), cost(cpu_base_ratio=0.7))
