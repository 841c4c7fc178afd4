"""Thresholds as bound distances of the capacity search, against the counts of a real run file."""

from __future__ import annotations

import numpy as np
import pytest

from doorbuster.capacity.bound_distance import Count, Latencies, Ratio
from doorbuster.capacity.scenario_bound_distances import binding_thresholds, bound_distances
from doorbuster.scenario.thresholds.language import read_thresholds


def bound_distance(run, subject, expression, *, first=20, seconds=20):
    (found,) = bound_distances(run, read_thresholds({subject: expression}), first=first, seconds=seconds)
    return found


def test_only_promises_that_more_customers_can_break_take_part():
    found = read_thresholds(
        {
            "can_order": ["rate>=99%", "rate<=100%"],
            "http_req_duration": ["p(95)<1s", "min>0"],
            "customers": "count>100",
            "lateness": "p(99)<50ms",
            "can_browse{phase:peak}": "rate>=99%",
            "latency.apdex": "value>0.9",
            "orders_missing": "count==0",
            "abandoned": {"threshold": "rate<1%", "severity": "warn"},
        }
    )
    assert [str(threshold) for threshold in binding_thresholds(found)] == [
        "can_order: rate>=99%", "http_req_duration: p(95)<1s", "orders_missing: count==0"
    ]  # fmt: skip


def test_latencies_are_those_of_the_judged_seconds(open_peak):
    run = open_peak()
    found = bound_distance(run, "http_req_duration{channel:web}", "p(95)<1s")
    assert isinstance(found, Latencies)
    expected = run.histogram(match=lambda s: s.channel == "web", seconds=(20, 40))
    assert found.count.sum() + found.abandoned.sum() == expected.n
    assert (found.bound, found.limit_ratio) == (1000.0, pytest.approx(0.05))
    assert 0 <= found.second.min() <= found.second.max() < 20


def test_a_failed_request_was_not_answered_in_time_unless_another_promise_counts_it(open_peak):
    run = open_peak()
    thresholds = read_thresholds({"http_req_duration{expected_response:true}": "p(95)<1s"})
    failed = run.histogram(match=lambda s: s.outcome == "failed", seconds=(20, 40)).n
    left = run.histogram(match=lambda s: s.outcome == "abandoned", seconds=(20, 40)).n
    assert failed > 0
    slow = read_thresholds({"abandoned": "rate<5%"})  # counts who was too slow, not who was refused
    assert (
        bound_distances(run, [*thresholds, *slow], first=20, seconds=20)[0].abandoned.sum() == failed + left
    )
    (alone,) = bound_distances(run, thresholds, first=20, seconds=20)
    assert alone.abandoned.sum() == failed + left
    beside, _ = bound_distances(
        run, [*thresholds, *read_thresholds({"can_order": "rate>=99%"})], first=20, seconds=20
    )
    assert beside.abandoned.sum() == 0


def test_a_success_rate_is_read_as_its_failures(open_peak):
    run = open_peak()
    found = bound_distance(run, "can_order", "rate>=99%")
    rows = [row for row in run.customers() if 20 <= row.second < 40 and row.order is not None]
    assert isinstance(found, Ratio)
    assert found.limit == pytest.approx(0.01)
    assert found.counts.sum() == sum(row.n for row in rows)
    assert found.sums.sum() == sum(row.n for row in rows if row.order == 0)


def test_failed_requests_and_averages_are_ratios(open_peak):
    run = open_peak()
    failed = bound_distance(run, "http_req_failed", "rate<1%")
    assert failed.counts.sum() == run.histogram(seconds=(20, 40)).n
    mean = bound_distance(run, "service_time", "avg<1s")
    assert np.all(mean.counts >= 0)
    assert mean.limit == 1000.0


def test_what_must_never_happen_is_a_count(open_peak):
    run = open_peak(lost=2)
    assert bound_distance(run, "orders_missing", "count==0") == Count("orders_missing: count==0", 0.0, 2.0)
    assert isinstance(bound_distance(run, "can_order", "rate>=100%"), Count)
    assert isinstance(bound_distance(run, "http_req_duration", "max<10s"), Count)
