"""Health of the generator itself: CPU, event-loop lag, memory, connections, once a second.

A run counts against the shop only if the generator was healthy; `gate` decides this with these figures.
"""

from __future__ import annotations

from contextlib import suppress
from time import perf_counter, process_time

import gevent
import psutil

from doorbuster.records.batch import HealthSecond

PROBE_INTERVAL_S = 0.05


class HealthProbe:
    """Watches this process; `reading` covers the time since the last reading."""

    def __init__(self) -> None:
        self.connections_opened = 0
        self.reconnects = 0
        self.pool_wait_s = 0.0
        self._process = psutil.Process()
        self._rss_bytes = 0
        self._cpu_s, self._read_at = process_time(), perf_counter()
        self._worst_lag_s = 0.0
        self._greenlet = gevent.spawn(self._watch_loop)

    def reading(self, second: int, in_flight: int) -> HealthSecond:
        """The health since the last reading; the recorder adds the lateness histogram."""
        cpu_s, now = process_time(), perf_counter()
        health = HealthSecond(
            second=second,
            cpu_ratio=(cpu_s - self._cpu_s) / max(now - self._read_at, 1e-9),
            loop_lag_ms=self._worst_lag_s * 1e3,
            in_flight=in_flight,
            connections_opened=self.connections_opened,
            reconnects=self.reconnects,
            rss_bytes=self._used_bytes(),
            lateness=b"",
            pool_wait_ms=self.pool_wait_s * 1e3,
        )
        self._cpu_s, self._read_at = cpu_s, now
        self._worst_lag_s = 0.0
        self.connections_opened = self.reconnects = 0
        self.pool_wait_s = 0.0
        return health

    def stop(self) -> None:
        self._greenlet.kill(block=False)

    def _used_bytes(self) -> int:
        """Resident memory; the last known value if it cannot be read, as without a free file descriptor."""
        with suppress(OSError, psutil.Error, MemoryError):
            self._rss_bytes = self._process.memory_info().rss
        return self._rss_bytes

    def _watch_loop(self) -> None:
        while True:
            due_at = perf_counter() + PROBE_INTERVAL_S
            gevent.sleep(PROBE_INTERVAL_S)
            self._worst_lag_s = max(self._worst_lag_s, perf_counter() - due_at)
