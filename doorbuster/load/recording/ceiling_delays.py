"""Records what the ceiling on requests, `safety.max_rate`, delayed."""

from __future__ import annotations

from collections.abc import Callable

from doorbuster.load.http.send_limit import RequestCeiling
from doorbuster.records.outcome import CEILING_DELAYED, CEILING_DELAYED_MS, CEILING_REFUSED


def count_delays(ceiling: RequestCeiling, count: Callable[[int, str, str, int], None], second: int) -> None:
    """Count the delays since the last call in the generator's counters of `second`."""
    delays = ceiling.take_delays()
    for name, n in (
        (CEILING_DELAYED, delays.delayed),
        (CEILING_DELAYED_MS, round(delays.total_s * 1e3)),
        (CEILING_REFUSED, delays.refused),
    ):
        if n:
            count(second, "", name, n)
