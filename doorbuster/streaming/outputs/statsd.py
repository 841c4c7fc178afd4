"""StatsD over UDP, and DogStatsD, which adds tags.

Rules of this module:
- Counters are sent as increases since the last update, gauges as values, durations one by one in ms, so that
  the receiver's percentiles are those of single requests.
- Above `MAX_TIMINGS` durations an update, a random sample is sent with its sample rate (`|@0.5`).
- UDP gives no answer: a datagram that gets lost is not noticed, unless the receiver's machine refuses it.
- Plain StatsD has no tags: labels other than run_id become parts of the name.

Source: StatsD documentation, "Metric types"; DogStatsD documentation, "Datagram format".
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable, Iterator

import numpy as np

from doorbuster.records.histogram import Histogram
from doorbuster.streaming.metric import MIDDLE_S, Distribution, Labels, StreamedMetric, Update
from doorbuster.streaming.output import ReceiverUnavailable, UpdateRefused

MAX_TIMINGS = 5000  # of one series in one update
MAX_DATAGRAM = 1432  # bytes; fits into an Ethernet frame
_UNSAFE = re.compile(r"[^A-Za-z0-9_-]+")
_UNSAFE_IN_TAGS = re.compile(r"[^A-Za-z0-9_./-]+")


class StatsD:
    """A receiver of StatsD datagrams."""

    def __init__(self, host: str, port: int, *, tags: bool) -> None:
        self._address = (host, port)
        self._encoder = StatsDEncoder(tags=tags)
        self._socket: socket.socket | None = None

    def open(self) -> None:
        """Names are looked up when the first update is sent."""

    def send(self, update: Update) -> None:
        try:
            if self._socket is None:
                family, kind, protocol, _, address = socket.getaddrinfo(
                    *self._address, type=socket.SOCK_DGRAM
                )[0]
                self._socket = socket.socket(family, kind, protocol)
                self._socket.connect(address)
        except OSError as error:
            self.close()
            raise ReceiverUnavailable(error.strerror or str(error)) from error
        refused = False
        for datagram in datagrams(self._encoder.lines(update.metrics)):
            try:
                self._socket.send(datagram)
            except OSError:  # an earlier datagram was refused by the host; this one was not sent
                refused = True
        if refused:
            # Not tried again: increases that did arrive would count twice.
            raise UpdateRefused("no receiver listens at this address")

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


class StatsDEncoder:
    """Turns cumulative metrics into lines; remembers what it has already sent."""

    def __init__(self, *, tags: bool) -> None:
        self._tags = tags
        self._sent: dict[tuple[str, Labels], float] = {}
        self._counted: dict[tuple[str, Labels], Histogram] = {}
        self._rng = np.random.default_rng(0)

    def lines(self, metrics: Iterable[StreamedMetric]) -> Iterator[str]:
        """The lines of one update."""
        for metric in metrics:
            for point in metric.points:
                key, (name, tags) = (metric.name, point.labels), self._named(metric.name, point.labels)
                if isinstance(point.value, Distribution):
                    before = self._counted.get(key, Histogram.empty())
                    self._counted[key] = point.value.histogram
                    yield from self._timings(name, tags, point.value.histogram.counts - before.counts)
                elif metric.kind == "counter":
                    increase = point.value - self._sent.get(key, 0)
                    self._sent[key] = point.value
                    if increase:
                        yield f"{name}:{increase:g}|c{tags}"
                else:
                    yield f"{name}:{max(point.value, 0):.6g}|g{tags}"  # a sign would mean a change

    def _timings(self, name: str, tags: str, counts: np.ndarray) -> Iterator[str]:
        bins = np.flatnonzero(counts)
        n = int(counts[bins].sum())
        times_ms = np.repeat(MIDDLE_S[bins] * 1e3, counts[bins])
        rate = ""
        if n > MAX_TIMINGS:
            times_ms = self._rng.choice(times_ms, MAX_TIMINGS, replace=False)
            rate = f"|@{MAX_TIMINGS / n:.6g}"
        for time_ms in times_ms.tolist():
            yield f"{name}:{time_ms:g}|ms{rate}{tags}"

    def _named(self, name: str, labels: Labels) -> tuple[str, str]:
        """The name and the tags of a series."""
        name = name.replace("doorbuster_", "doorbuster.", 1)
        if self._tags:
            tags = ",".join(f"{key}:{_UNSAFE_IN_TAGS.sub('_', value)}" for key, value in labels)
            return name, f"|#{tags}" if tags else ""
        parts = [_UNSAFE.sub("_", value) for key, value in labels if key != "run_id"]
        return ".".join([name, *parts]), ""


def datagrams(lines: Iterable[str]) -> Iterator[bytes]:
    """Lines packed into datagrams of at most `MAX_DATAGRAM` bytes."""
    packed: list[bytes] = []
    size = 0
    for line in lines:
        encoded = line.encode("ascii", "replace")
        if packed and size + len(encoded) + 1 > MAX_DATAGRAM:
            yield b"\n".join(packed)
            packed, size = [], 0
        packed.append(encoded)
        size += len(encoded) + 1
    if packed:
        yield b"\n".join(packed)
