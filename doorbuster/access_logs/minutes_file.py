"""Visits and orders per minute as CSV, which `doorbuster demand forecast` reads.

Times are UTC. Minutes without a visit are left out; censored ones show what was served, not what was offered.
"""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np

from doorbuster.access_logs.demand_model import DemandModel

_MINUTE_MS = 60_000


def minutes_text(model: DemandModel) -> str:
    """The text of the file: minute,visits,orders,censored."""
    visits = model.behaviour.visits
    minutes, place = np.unique(visits.start_ms // _MINUTE_MS, return_inverse=True)
    began = np.bincount(place, minlength=len(minutes))
    orders = np.bincount(place, weights=visits.orders, minlength=len(minutes))
    lines = ["minute,visits,orders,censored"]
    for minute, count, ordered in zip(minutes.tolist(), began.tolist(), orders.tolist(), strict=True):
        start_ms = minute * _MINUTE_MS
        held = any(
            one.start_ms < start_ms + _MINUTE_MS and one.end_ms > start_ms for one in model.arrivals.censored
        )
        stamp = datetime.fromtimestamp(start_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%MZ")
        lines.append(f"{stamp},{count},{ordered:.0f},{int(held)}")
    return "\n".join(lines) + "\n"
