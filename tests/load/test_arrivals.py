"""Open arrivals and closed-loop users: when customers start, and the effect of dropped customers."""

from __future__ import annotations

from time import perf_counter

import gevent
import numpy as np
import pytest

from doorbuster.load.engine.arrivals import FULL_PAUSE_S, ClosedLoopUser, OpenArrivals
from doorbuster.scenario import Schedule
from doorbuster.scenario.planning.schedule import ChannelJourney

pytestmark = pytest.mark.alone


def schedule(intended_s: list[float]) -> Schedule:
    n = len(intended_s)
    return Schedule(
        duration_s=1.0,
        channel_journeys=(ChannelJourney("web", "browse"),),
        intended_s=np.array(intended_s),
        channel_journey_index=np.zeros(n, dtype=np.uint16),
        arrival_index=np.arange(n, dtype=np.int64),
    )


def closed_loop_user(
    admit, *, opens_in_s: float = 0.0, open_for_s: float = 0.3, pacing_s: float = 0.0
) -> ClosedLoopUser:
    now = perf_counter()
    return ClosedLoopUser(
        "phone", 3, {"phone_order": 1.0}, now + opens_in_s, now + opens_in_s + open_for_s, 7, pacing_s, admit
    )


def test_each_customer_starts_at_its_intended_time():
    plan, seen = schedule([0.0, 0.01, 0.01, 0.05, 0.12]), []
    started_at = perf_counter() + 0.02
    OpenArrivals(plan, np.arange(5), started_at, lambda arrival: seen.append((arrival, perf_counter()))).run()
    assert [arrival.name for arrival, _ in seen] == ["0", "1", "2", "3", "4"]
    late_s = [at - arrival.intended_at for arrival, at in seen]
    assert min(late_s) >= -0.001
    assert np.median(late_s) < 0.02


def test_arrivals_that_are_stopped_early_list_the_remaining_ones():
    plan, seen = schedule([0.0, 0.0, 30.0, 40.0]), []
    arrivals = OpenArrivals(plan, np.array([0, 2, 3]), perf_counter(), seen.append)
    running = gevent.spawn(arrivals.run)
    while not seen:
        gevent.sleep(0)
    running.kill()
    assert [arrival.name for arrival in arrivals.remaining()] == ["2", "3"]


def test_a_closed_loop_user_runs_one_customer_at_a_time():
    inside = [0, 0]  # current and maximum

    def visit():
        inside[0] += 1
        inside[1] = max(inside)
        gevent.sleep(0.02)
        inside[0] -= 1

    calls = []
    closed_loop_user(lambda arrival: calls.append(arrival.name) or gevent.spawn(visit)).run()
    assert inside[1] == 1
    assert calls[:3] == ["phone-3-1", "phone-3-2", "phone-3-3"]


def test_pacing_is_the_minimum_time_between_two_arrivals():
    came_at = []

    def admit(arrival):
        came_at.append(arrival.intended_at)
        return gevent.spawn(lambda: None)

    closed_loop_user(admit, pacing_s=0.1).run()
    assert 2 <= len(came_at) <= 4
    assert min(np.diff(came_at)) >= 0.1


def test_a_closed_loop_user_pauses_after_a_dropped_customer():
    tries = []
    started_at = perf_counter()
    closed_loop_user(lambda arrival: tries.append(arrival.name), open_for_s=0.2).run()
    assert len(tries) == 1
    assert perf_counter() - started_at >= FULL_PAUSE_S


def test_a_closed_loop_user_starts_customers_only_while_it_is_open():
    came_at = []
    phone = closed_loop_user(
        lambda arrival: came_at.append(arrival.intended_at) or gevent.spawn(gevent.sleep, 0.05),
        opens_in_s=0.1,
    )
    phone.run()
    assert phone.opens_at <= min(came_at)
    assert max(came_at) < phone.closes_at
