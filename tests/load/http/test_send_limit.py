"""The ceiling on requests: what it admits, how it queues, how shares change."""

from __future__ import annotations

from math import inf
from time import perf_counter

import gevent
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorbuster.load.exchange import RequestFailed
from doorbuster.load.http.send_limit import RequestCeiling, SendLimit, share_of


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def most_in_a_second(sent_at) -> int:
    at = np.sort(np.array(sent_at, dtype=float))
    return int((np.searchsorted(at, at + 1.0, side="left") - np.arange(len(at))).max(initial=0))


@given(
    st.floats(0.2, 60.0),
    st.lists(st.floats(0.0, 0.3), max_size=400),
    st.lists(st.tuples(st.integers(0, 399), st.floats(0.0, 60.0)), max_size=4),
)
def test_no_second_has_more_sends_than_the_highest_limit(per_s, gaps, changes):
    clock = Clock()
    limit, sent = SendLimit(per_s, clock), []
    rates = dict(changes)
    for number, gap in enumerate(gaps):
        if number in rates:
            limit.set_rate(rates[number])
        clock.now += gap
        if limit.admit(clock.now):
            sent.append(clock.now)
    assert most_in_a_second(sent) <= max(1, int(max([per_s, *rates.values()])))


def test_a_lower_limit_holds_from_the_next_send_on():
    clock = Clock()
    limit = SendLimit(10, clock)
    assert [limit.admit(0.0) for _ in range(11)] == [True] * 10 + [False]
    limit.set_rate(3)
    assert not limit.admit(1.0)
    assert [limit.admit(1.1) for _ in range(4)] == [True] * 3 + [False]
    limit.set_rate(0)
    assert not limit.admit(100.0)


def test_nothing_is_sent_without_a_valid_share():
    clock = Clock()
    ceiling = RequestCeiling(10, clock)
    ceiling.valid_until(5.0)
    assert ceiling.sends.admit(4.9)
    assert not ceiling.sends.admit(5.1)
    ceiling.valid_until(9.0)
    ceiling.valid_until(7.0)  # an earlier answer that came late
    assert ceiling.sends.admit(8.9)


def test_sends_that_wait_leave_evenly_and_in_order():
    limit, left = SendLimit(50, perf_counter), []

    def send(number: int) -> None:
        limit.wait(inf)
        left.append((number, perf_counter()))

    gevent.joinall([gevent.spawn(send, number) for number in range(70)])
    numbers, at = zip(*left, strict=True)
    assert numbers == tuple(range(70))
    assert most_in_a_second(at) <= 50
    assert (limit.delayed, limit.refused, limit.waiting) == (20, 0, 0)
    assert 0.3 < at[-1] - at[50] < 3.0  # not at once


def test_a_send_that_would_come_too_late_is_refused_and_takes_no_place():
    limit = SendLimit(2, perf_counter)
    limit.wait(inf)
    limit.wait(inf)
    with pytest.raises(RequestFailed, match="rate_ceiling") as refused:
        limit.wait(perf_counter() + 0.05)
    assert refused.value.cause == "rate_ceiling"
    assert (limit.refused, limit.waiting) == (1, 0)


def test_a_killed_customer_leaves_the_queue():
    limit = SendLimit(1, perf_counter)
    limit.wait(inf)
    waiting = gevent.spawn(limit.wait, inf)
    gevent.sleep(0)
    assert limit.waiting == 1
    waiting.kill()
    assert limit.waiting == 0
    assert limit.wait(perf_counter() + 3.0) < 3.0


@given(st.floats(1.0, 5000.0), st.integers(1, 40))
def test_shares_are_whole_and_add_up_to_the_limit(limit, count):
    shares = [share_of(limit, index, count) for index in range(count)]
    assert sum(shares) == (limit if count == 1 else int(limit))
    assert max(shares) - min(shares) <= 1


def test_the_client_waits_for_a_token_and_states_the_actual_start(recorder, server):
    ceiling = RequestCeiling(2, perf_counter)
    client = recorder.client(server.url, ceiling=ceiling)
    for _ in range(3):
        assert client.get("/good").content == b"good"
    last = recorder.exchanges[-1]
    assert last.started_at - last.intended_at > 0.5  # waited for a token
    assert last.ended_at - last.started_at < 0.5  # the shop's part
    assert ceiling.take_delays().delayed == 1
    assert ceiling.take_delays().delayed == 0
