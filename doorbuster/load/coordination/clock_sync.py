"""Offset of another machine's clocks, from messages to it and back.

offset = its reading - the middle of the own readings at sending and receiving; the error is at most half the
round trip. The exchange with the shortest round trip is the best one.
Source: D. L. Mills, RFC 5905 (NTPv4), section 8, clock offset and round-trip delay.

Every machine has two clocks. The wall clock is the one that people compare, so its offset is reported; but it
may be set at any time. The counter (`time.perf_counter`) is never set, so the start of a run is sent as a
counter reading: a clock that is wrong, set or too fast does not move an arrival.
"""

from __future__ import annotations

from collections.abc import Iterable
from time import perf_counter, time
from typing import NamedTuple


class ClockReading(NamedTuple):
    """The clocks of one machine at one moment."""

    wall_s: float  # Unix seconds
    counter_s: float  # `perf_counter` of one process


class ClockExchange(NamedTuple):
    """One message and its answer: own clocks at sending, the other machine's, own clocks at receiving."""

    sent: ClockReading
    there: ClockReading
    received: ClockReading

    @property
    def round_trip_s(self) -> float:
        return self.received.counter_s - self.sent.counter_s


class ClockOffset(NamedTuple):
    """The other machine's clocks minus the own ones, with the largest possible error."""

    wall_s: float
    counter_s: float
    uncertainty_s: float

    def __str__(self) -> str:
        return f"{self.wall_s * 1e3:+.1f} ms ± {self.uncertainty_s * 1e3:.1f} ms"


def read_clocks() -> ClockReading:
    """Both clocks of this process."""
    return ClockReading(time(), perf_counter())


def clock_offset(exchanges: Iterable[ClockExchange]) -> ClockOffset | None:
    """The offset from the fastest exchange; None without any."""
    best = min(exchanges, key=lambda exchange: exchange.round_trip_s, default=None)
    if best is None:
        return None
    wall_s, counter_s = (
        there - (sent + received) / 2.0
        for sent, there, received in zip(best.sent, best.there, best.received, strict=True)
    )
    return ClockOffset(wall_s, counter_s, best.round_trip_s / 2.0)
