"""Comparisons of simulated queues, whose truth is known: false alarms, power, equivalence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from compared_queues import decisions_at_asked_runs, false_alarms, sequential_answers
from recorded_queues import Queue

pytestmark = pytest.mark.truth


@pytest.mark.parametrize("rho", [0.5, 0.8])
def test_one_run_against_another_of_the_same_queue_is_called_worse_in_at_most_5_percent(tmp_path, rho):
    found = false_alarms(tmp_path / "runs", Queue(rho=rho, steps=40), runs=1, comparisons=400, seed=1)
    print(f"rho {rho}, 400 comparisons of one run with one, 40 steps: {dict(found)}")
    assert found["worse"] <= 0.05 * 400


@pytest.mark.parametrize("rho", [0.5, 0.8])
def test_five_runs_against_five_of_the_same_queue_are_called_worse_in_at_most_5_percent(tmp_path, rho):
    found = false_alarms(tmp_path / "runs", Queue(rho=rho, steps=4), runs=5, comparisons=200, seed=2)
    print(f"rho {rho}, 200 comparisons of five runs with five, 4 steps: {dict(found)}")
    assert found["worse"] <= 0.05 * 200


@pytest.mark.parametrize("slowdown", [1.10, 1.03])
@pytest.mark.parametrize("pilot", [2, 3, 5])
def test_a_slower_service_is_found_with_the_runs_that_a_comparison_asked_for(slowdown, pilot):
    queue = Queue(rho=0.5)
    before, after, asked = decisions_at_asked_runs(
        queue, replace(queue, slowdown=slowdown), pilot=pilot, comparisons=200, seed=3, tolerance=0.05
    )
    print(f"service {slowdown}, pilot {pilot}: {dict(before)}, asked for {asked:.0f}: {dict(after)}")
    assert before["same"] <= 0.05 * 200
    assert after["worse"] >= 0.80 * after.total()


@pytest.mark.parametrize("pilot", [2, 3, 5])
def test_equal_queues_are_proven_the_same_with_the_runs_that_a_comparison_asked_for(pilot):
    queue = Queue(rho=0.5)
    before, after, asked = decisions_at_asked_runs(
        queue, queue, pilot=pilot, comparisons=200, seed=4, tolerance=0.05
    )
    print(f"equal queues, pilot {pilot}: {dict(before)}, asked for {asked:.0f}: {dict(after)}")
    assert after["same"] >= 0.80 * after.total()


@pytest.mark.parametrize("pilot", [3, 5])
def test_a_difference_of_the_tolerance_is_called_the_same_in_at_most_5_percent(pilot):
    queue = Queue(rho=0.5)
    slower = replace(queue, service_ms=queue.service_ms * 1.05, rho=queue.rho)  # every time is 5 % longer
    before, after, asked = decisions_at_asked_runs(
        queue, slower, pilot=pilot, comparisons=600, seed=5, tolerance=0.05
    )
    print(f"5 % longer, pilot {pilot}: {dict(before)}, asked for {asked:.0f}: {dict(after)}")
    assert after["same"] <= 0.05 * after.total()
    assert after["worse"] >= 0.80 * after.total()


@pytest.mark.parametrize("rho", [0.5, 0.8])
def test_looking_after_every_pair_raises_at_most_5_percent_false_alarms(rho):
    answers = sequential_answers(
        lambda _arm, _pair: Queue(rho=rho, requests=1500), pairs=12, sessions=400, seed=6
    )
    print(f"rho {rho}, 400 sessions of up to 12 pairs of the same queue: {dict(answers)}")
    assert answers["regression"] <= 0.05 * 400


def drifting(slower_b: float) -> Callable[[str, int], Queue]:
    """Both builds get 20 % slower over the session."""

    def queue_of(arm: str, pair: int) -> Queue:
        slower = slower_b if arm == "b" else 1.0
        return Queue(rho=0.5, requests=1500, slowdown=slower * (1 + 0.20 * (pair - 1) / 11))

    return queue_of


def test_a_drift_of_both_builds_is_no_regression():
    answers = sequential_answers(drifting(1.0), pairs=12, sessions=200, seed=7)
    print(f"200 sessions while both builds get 20 % slower: {dict(answers)}")
    assert answers["regression"] <= 0.05 * 200


def test_a_slower_build_is_found_in_spite_of_a_drift():
    answers = sequential_answers(drifting(1.10), pairs=12, sessions=100, seed=8)
    print(f"100 drifting sessions with a service 10 % slower in one build: {dict(answers)}")
    assert answers["regression"] >= 0.80 * 100
