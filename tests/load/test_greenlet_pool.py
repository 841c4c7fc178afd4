"""Reused greenlets: counted, stopped and killed as if each customer had its own."""

from contextvars import ContextVar

import gevent
import pytest
from gevent.pool import Group

from doorbuster.load.engine import greenlet_pool as module
from doorbuster.load.engine.greenlet_pool import GreenletPool

variable = ContextVar("variable", default="default")


class PooledCustomer:
    """A customer that runs a function and records how it ended."""

    def __init__(self, journey=lambda: None):
        self.journey = journey
        self.greenlet = None
        self.end = None

    def runs_in(self, greenlet, group):
        self.greenlet = greenlet

    def run_journey(self):
        try:
            self.journey()
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


def run_all(pool, *customers):
    for customer in customers:
        pool.start(customer)
    while any(customer.end is None for customer in customers):
        gevent.sleep(0)


def test_one_greenlet_runs_customers_in_turn(pool):
    customers = [PooledCustomer() for _ in range(5)]
    for customer in customers:
        run_all(pool, customer)
    assert len({id(customer.greenlet) for customer in customers}) == 1


def test_concurrent_customers_have_separate_greenlets(pool):
    customers = [PooledCustomer(lambda: gevent.sleep(0.01)) for _ in range(3)]
    run_all(pool, *customers)
    assert len({id(customer.greenlet) for customer in customers}) == 3
    assert {customer.end for customer in customers} == {"through"}


def test_only_greenlets_with_a_customer_are_in_the_group_of_locust(pool, group):
    for _ in range(2):
        customer = PooledCustomer()
        pool.start(customer)
        assert [greenlet.args[0] for greenlet in group] == [customer]  # before the journey begins
        gevent.sleep(0.001)
        assert customer.end == "through"
        assert len(group) == 0


@pytest.mark.parametrize("carried_before", [False, True])
def test_a_killed_customer_ends_with_its_greenlet(pool, carried_before):
    if carried_before:
        run_all(pool, PooledCustomer())
    victim = PooledCustomer(lambda: gevent.sleep(60))
    pool.start(victim)
    gevent.sleep(0.001)
    victim.greenlet.kill()
    assert victim.end == "sent away"
    assert victim.greenlet.dead
    follower = PooledCustomer()
    run_all(pool, follower)
    assert follower.end == "through"
    assert follower.greenlet is not victim.greenlet


def test_a_customer_killed_before_the_journey_is_dropped(pool, group):
    victim = PooledCustomer()
    pool.start(victim)
    victim.greenlet.kill()
    gevent.sleep(0.001)
    assert victim.end == "never began"
    assert len(group) == 0


def test_a_customer_killed_before_the_journey_in_a_reused_greenlet_is_dropped(pool, group):
    run_all(pool, PooledCustomer())
    victim = PooledCustomer(lambda: gevent.sleep(60))
    pool.start(victim)
    victim.greenlet.kill()
    gevent.sleep(0.001)
    assert victim.end in ("sent away", "never began")
    assert len(group) == 0


def test_a_greenlet_killed_while_idle_is_not_reused(pool):
    first, second = PooledCustomer(), PooledCustomer()
    run_all(pool, first)
    first.greenlet.kill()
    run_all(pool, second)
    assert second.greenlet is not first.greenlet


def test_each_customer_has_fresh_context_variables(pool):
    seen = []
    run_all(pool, PooledCustomer(lambda: (seen.append(variable.get()), variable.set("changed"))))
    run_all(pool, PooledCustomer(lambda: seen.append(variable.get())))
    assert seen == ["default", "default"]


def test_the_number_of_idle_greenlets_is_limited(pool, monkeypatch):
    monkeypatch.setattr(module, "MAX_IDLE", 2)
    customers = [PooledCustomer(lambda: gevent.sleep(0.001)) for _ in range(5)]
    run_all(pool, *customers)
    gevent.sleep(0)
    assert sum(customer.greenlet.dead for customer in customers) == 3


def test_end_idle_ends_the_greenlets_without_a_customer(pool):
    customer = PooledCustomer()
    run_all(pool, customer)
    assert not customer.greenlet.dead
    pool.end_idle()
    gevent.sleep(0)
    assert customer.greenlet.dead
