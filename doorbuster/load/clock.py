"""How far another machine's clock is from ours, from messages there and back.

offset = their reading - the middle of our sending and receiving; it is wrong by at most half the round trip.
The exchange with the shortest round trip is the best one.
Source: D. L. Mills, RFC 5905 (NTPv4), section 8, clock offset and round-trip delay.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Exchange(NamedTuple):
    """One question and answer; all in Unix seconds, `there_s` by the other clock."""

    sent_s: float
    there_s: float
    received_s: float


class ClockOffset(NamedTuple):
    """Their clock minus ours in seconds, and by how much that may be wrong."""

    offset_s: float
    uncertainty_s: float

    def __str__(self) -> str:
        return f"{self.offset_s * 1e3:+.1f} ms ± {self.uncertainty_s * 1e3:.1f} ms"


def clock_offset(exchanges: Iterable[Exchange]) -> ClockOffset | None:
    """The offset by the quickest exchange; None without any."""
    best = min(exchanges, key=lambda exchange: exchange.received_s - exchange.sent_s, default=None)
    if best is None:
        return None
    round_trip_s = best.received_s - best.sent_s
    return ClockOffset(best.there_s - (best.sent_s + best.received_s) / 2.0, round_trip_s / 2.0)
