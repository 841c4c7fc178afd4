"""Receives StatsD and DogStatsD messages by UDP on loopback: c, g, ms, h, d, with sample rates and tags."""

from __future__ import annotations

import re
import socket
import threading
import time
from typing import Any

from doorbuster.observe.name_values import metric_name
from doorbuster.observe.sample import TargetSample, counter, sorted_labels
from doorbuster.observe.sources.received import LOOPBACK, MAX_TOTALS, ReceivedSamples, Totals

_MESSAGE = re.compile(r"([^:|]+):([+-]?[\d.eE+-]+)\|(c|g|ms|h|d)(?:\|@([\d.]+))?(?:\|#(.*))?")
MAX_DATAGRAM = 65_535
MAX_LINES_PER_S = 20_000  # parsed; the others are counted, so that a flood takes no processor from the load


class StatsdSource:
    """One UDP port. Timings become <name>_ms_sum and <name>_ms_count, and so a mean of each interval."""

    def __init__(self, *, port: int, **_: Any) -> None:
        self._received = ReceivedSamples()
        self._totals = Totals()
        self._gauges: dict[tuple[str, Any], float] = {}
        self._turn = threading.Lock()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((LOOPBACK, port))
        threading.Thread(target=self._receive, daemon=True).start()

    def read(self) -> list[TargetSample]:
        with self._turn:
            gauges = [TargetSample(name, labels, value) for (name, labels), value in self._gauges.items()]
            refused = counter("statsd_refused_total", self._received.refused)
            return [*self._totals.samples(), *gauges, refused]

    def close(self) -> None:
        self._socket.close()

    def _receive(self) -> None:
        second, n = 0, 0
        while True:
            try:
                message = self._socket.recv(MAX_DATAGRAM)
            except OSError:  # closed
                return
            now = int(time.monotonic())
            second, n = (second, n) if now == second else (now, 0)
            lines = message.count(b"\n") + 1
            n += lines
            if n > MAX_LINES_PER_S:
                self._received.refuse(lines)
                continue
            with self._turn:
                for line in message.decode("utf-8", "replace").splitlines():
                    if not self._take(line):
                        self._received.refuse()

    def _take(self, line: str) -> bool:
        """Whether the line has a meaning and its series found room."""
        found = _MESSAGE.fullmatch(line.strip())
        try:
            value = float(found[2]) if found else None
            share = float(found[4] or 1.0) if found else 0.0
        except ValueError:
            value = None
        if found is None or value is None or not share:
            return False
        pairs = (part.partition(":") for part in (found[5] or "").split(",") if part)
        name, labels = metric_name(found[1]), sorted_labels({key: text for key, _, text in pairs})
        if found[3] == "c":
            return self._totals.add(name, labels, value / share)
        if found[3] == "g":
            if (name, labels) not in self._gauges and len(self._gauges) >= MAX_TOTALS:
                return False
            before = self._gauges.get((name, labels), 0.0) if found[2][0] in "+-" else 0.0
            self._gauges[name, labels] = before + value
            return True
        unit = "_ms" if found[3] == "ms" else ""
        has_room = self._totals.add(f"{name}{unit}_sum", labels, value / share)
        return self._totals.add(f"{name}{unit}_count", labels, 1.0 / share) and has_room
