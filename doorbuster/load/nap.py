"""Sleeping until a moment at half the price of `gevent.sleep`, because customers do little else but think.

Rule: only the timer and whoever throws into the greenlet end a nap, so it needs none of gevent's waiters.
"""

from __future__ import annotations

from time import perf_counter

import gevent
from greenlet import getcurrent  # type: ignore[import-untyped]


def nap_until(moment: float) -> None:
    """Give way to the others until `perf_counter` reads `moment`; at least once, if it has passed."""
    hub = gevent.get_hub()
    timer = hub.loop.timer(max(moment - perf_counter(), 0.0))
    try:
        timer.start(getcurrent().switch)
        hub.switch()
    finally:
        timer.stop()
        timer.close()
