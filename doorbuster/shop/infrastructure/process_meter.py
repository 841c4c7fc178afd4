"""What the shop's process uses of its machine: processor, memory, descriptors, and its event loop.

The event loop is one thread: it is full when that thread runs, or waits for a processor, all the time. Linux
counts both (/proc/<pid>/task/<tid>/schedstat); elsewhere the processor time of the process stands for them.
"""

from __future__ import annotations

import asyncio
import resource
import threading
import time
from pathlib import Path

INTERVAL_S = 0.05
REMEMBERED_S = 1.0


class ProcessMeter:
    """Meters this process; created in the thread of the event loop, where `watch` runs."""

    def __init__(self) -> None:
        self._schedule = Path(f"/proc/self/task/{threading.get_native_id()}/schedstat")
        self._lag_s = 0.0
        self._lag_at = 0.0

    async def watch(self) -> None:
        """Measure how late timers of the event loop are, until cancelled."""
        while True:
            due_at = time.monotonic() + INTERVAL_S
            await asyncio.sleep(INTERVAL_S)
            now = time.monotonic()
            if now - due_at >= self._lag_s or now - self._lag_at > REMEMBERED_S:
                self._lag_s, self._lag_at = now - due_at, now

    @property
    def lag_s(self) -> float:
        """The longest delay of a timer in the last second; that of a timer overdue now counts."""
        overdue_s = time.monotonic() - self._lag_at - REMEMBERED_S - 2 * INTERVAL_S
        return max(self._lag_s, overdue_s)

    @property
    def loop_busy_s(self) -> float:
        """Seconds for which the event loop ran, or waited for a processor."""
        try:
            ran_ns, waited_ns, _ = self._schedule.read_text().split()
        except (OSError, ValueError):
            return time.process_time()
        return (int(ran_ns) + int(waited_ns)) / 1e9

    @staticmethod
    def samples() -> list[tuple[str, str, float]]:
        """Name, type and value of the metrics of a process, as Prometheus' client libraries name them."""
        found = [
            ("process_cpu_seconds_total", "counter", time.process_time()),
            ("process_threads", "gauge", float(threading.active_count())),
            ("process_max_fds", "gauge", float(resource.getrlimit(resource.RLIMIT_NOFILE)[0])),
        ]
        try:
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            found.append(("process_resident_memory_bytes", "gauge", float(pages * resource.getpagesize())))
            found.append(
                ("process_open_fds", "gauge", float(sum(1 for _ in Path("/proc/self/fd").iterdir())))
            )
        except OSError:  # no /proc
            pass
        return found


def connections_waiting(port: int) -> int:
    """Connections to a listening port that the system has accepted and this process has not; 0 if unknown."""
    found = 0
    for table in ("/proc/self/net/tcp", "/proc/self/net/tcp6"):
        try:
            rows = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for row in rows:
            fields = row.split()
            if fields[3] == _LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                found += int(fields[4].partition(":")[2], 16)
    return found


_LISTENING = "0A"
