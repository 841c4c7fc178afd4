"""Observes the machine itself: processors, run queue, memory, disks, network."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from doorbuster.observe.sample import TargetSample, counter, gauge

MBIT_PER_S = 125_000.0  # bytes per second


class MachineSource:
    """This machine; in a container, what the container sees of it."""

    def __init__(self, **_: Any) -> None:
        self._busy_ms: dict[str, float] = {}
        self._bytes: dict[str, float] = {}
        self._at = time.perf_counter()
        psutil.cpu_percent()  # the first call has nothing to compare with

    def read(self) -> Iterator[TargetSample]:
        now = time.perf_counter()
        elapsed_s, self._at = max(now - self._at, 1e-3), now
        yield gauge("utilisation", psutil.cpu_percent() / 100.0, resource="processors")
        yield gauge("saturation", max(_runnable() - (psutil.cpu_count() or 1), 0), resource="processors")
        yield gauge("load_1min", psutil.getloadavg()[0])
        memory, swap = psutil.virtual_memory(), psutil.swap_memory()
        yield gauge("memory_available_bytes", memory.available)
        yield gauge("utilisation", 1.0 - memory.available / memory.total, resource="memory")
        yield counter("swapped_bytes_total", swap.sin + swap.sout)
        yield from self._disks(elapsed_s)
        yield from self._network(elapsed_s)

    def close(self) -> None:
        """Nothing is held."""

    def _disks(self, elapsed_s: float) -> Iterator[TargetSample]:
        for name, disk in (psutil.disk_io_counters(perdisk=True) or {}).items():
            yield counter("disk_read_bytes_total", disk.read_bytes, disk=name)
            yield counter("disk_written_bytes_total", disk.write_bytes, disk=name)
            busy_ms = float(getattr(disk, "busy_time", 0.0))
            if name in self._busy_ms:
                ratio = min((busy_ms - self._busy_ms[name]) / 1e3 / elapsed_s, 1.0)
                yield gauge("utilisation", ratio, resource=f"disk {name}")
            self._busy_ms[name] = busy_ms

    def _network(self, elapsed_s: float) -> Iterator[TargetSample]:
        speeds = {name: found.speed for name, found in psutil.net_if_stats().items()}
        for name, card in psutil.net_io_counters(pernic=True).items():
            yield counter("network_sent_bytes_total", card.bytes_sent, interface=name)
            yield counter("network_received_bytes_total", card.bytes_recv, interface=name)
            yield counter("network_drops_total", card.dropin + card.dropout, interface=name)
            most = float(max(card.bytes_sent, card.bytes_recv))
            if speeds.get(name) and name in self._bytes:
                used = (most - self._bytes[name]) / elapsed_s / (speeds[name] * MBIT_PER_S)
                yield gauge("utilisation", min(used, 1.0), resource=f"network {name}")
            self._bytes[name] = most


def _runnable() -> int:
    """Threads of the machine that run or wait for a processor."""
    try:
        return int(Path("/proc/loadavg").read_text().split()[3].partition("/")[0])
    except (OSError, ValueError, IndexError):
        return 0
