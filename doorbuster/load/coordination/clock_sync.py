"""How far another machine's clocks are from ours, from messages there and back.

offset = their reading - the middle of our readings at sending and receiving; it is wrong by at most half the
round trip. The exchange with the shortest round trip is the best one.
Source: D. L. Mills, RFC 5905 (NTPv4), section 8, clock offset and round-trip delay.

Every machine has two clocks. The wall clock is what people compare, so its offset is stated; but it may be
set at any moment. The counter (`time.perf_counter`) is never set, so the start of a run is told in it, and no
clock that is wrong, set or running too fast moves an arrival.
"""

from __future__ import annotations

from collections.abc import Iterable
from time import perf_counter, time
from typing import NamedTuple


class ClockReading(NamedTuple):
    """What the clocks of one machine show at one moment."""

    wall_s: float  # Unix seconds
    counter_s: float  # since a moment that only this process knows


class ClockExchange(NamedTuple):
    """One question and answer: our clocks at sending, theirs, ours at receiving."""

    sent: ClockReading
    there: ClockReading
    received: ClockReading

    @property
    def round_trip_s(self) -> float:
        return self.received.counter_s - self.sent.counter_s


class ClockOffset(NamedTuple):
    """Their clocks minus ours, and by how much that may be wrong."""

    wall_s: float
    counter_s: float
    uncertainty_s: float

    def __str__(self) -> str:
        return f"{self.wall_s * 1e3:+.1f} ms ± {self.uncertainty_s * 1e3:.1f} ms"


def read_clocks() -> ClockReading:
    """Both clocks of this process."""
    return ClockReading(time(), perf_counter())


def clock_offset(exchanges: Iterable[ClockExchange]) -> ClockOffset | None:
    """The offset by the quickest exchange; None without any."""
    best = min(exchanges, key=lambda exchange: exchange.round_trip_s, default=None)
    if best is None:
        return None
    wall_s, counter_s = (
        there - (sent + received) / 2.0
        for sent, there, received in zip(best.sent, best.there, best.received, strict=True)
    )
    return ClockOffset(wall_s, counter_s, best.round_trip_s / 2.0)
