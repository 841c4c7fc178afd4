"""Sleeping greenlets: none wakes early, each wakes once, and killing one does not affect the others."""

from __future__ import annotations

from time import perf_counter

import gevent
import pytest

from doorbuster.load.runtime.sleep_scheduler import sleep_until


def test_no_greenlet_wakes_early_on_a_busy_loop():
    early = []

    def sleeper(number: int) -> None:
        for turn in range(20):
            until = perf_counter() + (number + turn) % 7 * 1e-4
            sleep_until(until)
            early.append(perf_counter() < until)
            while perf_counter() < until + 3e-4:  # the loop's time becomes outdated
                pass

    gevent.joinall([gevent.spawn(sleeper, number) for number in range(5)], timeout=20, raise_error=True)

    assert early == [False] * 100


def test_greenlets_wake_in_the_order_of_their_times():
    woken = []
    now = perf_counter()

    def sleeper(number: int) -> None:
        sleep_until(now + number * 1e-3)
        woken.append(number)

    gevent.joinall([gevent.spawn(sleeper, number) for number in (3, 1, 2, 0)], timeout=20)

    assert woken == [0, 1, 2, 3]


def test_sleeping_until_a_past_time_still_yields():
    done = []
    other = gevent.spawn(done.append, "other")

    sleep_until(perf_counter() - 1.0)

    assert other.dead
    assert done == ["other"]


def test_killing_one_sleeping_greenlet_does_not_wake_another():
    woken = []

    def sleeper(name: str, until: float) -> None:
        sleep_until(until)
        woken.append(name)

    now = perf_counter()
    first = gevent.spawn(sleeper, "first", now + 0.005)
    second = gevent.spawn(sleeper, "second", now + 0.010)
    gevent.sleep(0)
    first.kill()
    second.join(timeout=20)

    assert woken == ["second"]
    assert perf_counter() >= now + 0.010


def test_a_greenlet_that_raises_on_waking_does_not_stop_the_others(capsys):
    def crash(until: float) -> None:
        sleep_until(until)
        raise ValueError("on the wrong foot")

    now = perf_counter()
    crashing = gevent.spawn(crash, now + 0.002)
    sound = gevent.spawn(sleep_until, now + 0.004)
    gevent.joinall([crashing, sound], timeout=20)

    assert sound.successful()
    with pytest.raises(ValueError, match="on the wrong foot"):
        crashing.get()
    assert "on the wrong foot" in capsys.readouterr().err


def test_repeated_sleeps_of_no_time_do_not_starve_other_greenlets():
    """Late arrivals do so all the time; the hub's timers and other greenlets must get their turn."""
    heard, woke, starved = [], [], []

    def sleepless():
        for _ in range(100_000):
            if heard and len(woke) == 3:
                return
            sleep_until(0.0)
        starved.append(True)

    def sleeper():
        for _ in range(3):
            sleep_until(perf_counter() + 0.001)
            woke.append(True)

    gevent.spawn_later(0.002, heard.append, True)
    gevent.joinall([gevent.spawn(sleepless), gevent.spawn(sleeper)])
    assert not starved
