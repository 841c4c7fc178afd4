"""Greenlets that carry one customer after the other: counted, stopped and killed as if each had its own."""

from contextvars import ContextVar

import gevent
import pytest
from gevent.pool import Group

from doorbuster.load.engine import greenlet_pool as module
from doorbuster.load.engine.greenlet_pool import GreenletPool

mood = ContextVar("mood", default="calm")


class Walker:
    """Who is carried; does what it is told and notes how it ended."""

    def __init__(self, walk=lambda: None):
        self.walk = walk
        self.greenlet = None
        self.end = None

    def runs_in(self, greenlet, group):
        self.greenlet = greenlet

    def run_journey(self):
        try:
            self.walk()
            self.end = "through"
        except gevent.GreenletExit:
            self.end = "sent away"
            raise

    def drop(self):
        self.end = self.end or "never began"


@pytest.fixture
def group():
    return Group()


@pytest.fixture
def pool(group):
    own = GreenletPool(group)
    yield own
    own.end_idle()


def run_all(pool, *walkers):
    for walker in walkers:
        pool.start(walker)
    while any(walker.end is None for walker in walkers):
        gevent.sleep(0)


def test_one_greenlet_runs_customers_in_turn(pool):
    walkers = [Walker() for _ in range(5)]
    for walker in walkers:
        run_all(pool, walker)
    assert len({id(walker.greenlet) for walker in walkers}) == 1


def test_concurrent_customers_have_separate_greenlets(pool):
    walkers = [Walker(lambda: gevent.sleep(0.01)) for _ in range(3)]
    run_all(pool, *walkers)
    assert len({id(walker.greenlet) for walker in walkers}) == 3
    assert {walker.end for walker in walkers} == {"through"}


def test_only_greenlets_with_a_customer_are_in_the_group_of_locust(pool, group):
    for _ in range(2):
        walker = Walker()
        pool.start(walker)
        assert [greenlet.args[0] for greenlet in group] == [walker]  # before it begins
        gevent.sleep(0.001)
        assert walker.end == "through"
        assert len(group) == 0


@pytest.mark.parametrize("carried_before", [False, True])
def test_a_killed_customer_ends_with_its_greenlet(pool, carried_before):
    if carried_before:
        run_all(pool, Walker())
    victim = Walker(lambda: gevent.sleep(60))
    pool.start(victim)
    gevent.sleep(0.001)
    victim.greenlet.kill()
    assert victim.end == "sent away"
    assert victim.greenlet.dead
    follower = Walker()
    run_all(pool, follower)
    assert follower.end == "through"
    assert follower.greenlet is not victim.greenlet


def test_a_customer_killed_before_the_journey_is_dropped(pool, group):
    victim = Walker()
    pool.start(victim)
    victim.greenlet.kill()
    gevent.sleep(0.001)
    assert victim.end == "never began"
    assert len(group) == 0


def test_a_customer_killed_before_the_journey_in_a_reused_greenlet_is_dropped(pool, group):
    run_all(pool, Walker())
    victim = Walker(lambda: gevent.sleep(60))
    pool.start(victim)
    victim.greenlet.kill()
    gevent.sleep(0.001)
    assert victim.end in ("sent away", "never began")
    assert len(group) == 0


def test_a_greenlet_killed_while_idle_is_not_reused(pool):
    first, second = Walker(), Walker()
    run_all(pool, first)
    first.greenlet.kill()
    run_all(pool, second)
    assert second.greenlet is not first.greenlet


def test_each_customer_has_fresh_context_variables(pool):
    moods = []
    run_all(pool, Walker(lambda: (moods.append(mood.get()), mood.set("hurried"))))
    run_all(pool, Walker(lambda: moods.append(mood.get())))
    assert moods == ["calm", "calm"]


def test_the_number_of_idle_greenlets_is_limited(pool, monkeypatch):
    monkeypatch.setattr(module, "MAX_IDLE", 2)
    walkers = [Walker(lambda: gevent.sleep(0.001)) for _ in range(5)]
    run_all(pool, *walkers)
    gevent.sleep(0)
    assert sum(walker.greenlet.dead for walker in walkers) == 3


def test_end_idle_ends_the_greenlets_without_a_customer(pool):
    walker = Walker()
    run_all(pool, walker)
    assert not walker.greenlet.dead
    pool.end_idle()
    gevent.sleep(0)
    assert walker.greenlet.dead
