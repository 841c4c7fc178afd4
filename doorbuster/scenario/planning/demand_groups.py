"""Channels grouped by demand: the scenario's demand, and each channel's own. Pure.

peak  the time buckets in which a group's planned rate is 90 % of its maximum or more.
calm  the buckets in which the rate of every group that is ever calm is a third of its maximum or less. Only
      those before the peak count, if they last ten seconds, because queues outlast a peak.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from doorbuster.scenario.demand.phases import BASELINE_RATIO, PEAK_RATIO
from doorbuster.scenario.model import Scenario

MIN_CALM_S = 10

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class DemandGroup:
    """Channels whose arrivals follow one curve.

    rates_per_s: shape (buckets,), planned mean rates. peak, calm: indices of buckets.
    """

    channels: tuple[str, ...]
    rates_per_s: Floats
    peak: NDArray[np.intp]
    calm: NDArray[np.intp]

    @property
    def name(self) -> str:
        return " and ".join(self.channels)

    def rise(self, of: Floats) -> float:
        """Ratio of another rate in this group's peak to the same rate in its calm."""
        calm = float(of[self.calm].mean())
        return float(of[self.peak].mean()) / calm if calm else math.inf


def group_demands(scenario: Scenario, width_s: int) -> tuple[DemandGroup, ...]:
    """The groups of a scenario, with mean rates in buckets of whole seconds."""
    buckets = math.ceil(scenario.demand.duration_s / width_s)
    edges_s = np.minimum(np.arange(buckets + 1) * float(width_s), scenario.demand.duration_s)
    shared = tuple(name for name, one in scenario.channels.items() if one.share_ratio is not None)
    rates_of = [
        ((own,) if own else shared, np.diff(demand.rate_curve.cumulative(edges_s)) / np.diff(edges_s))
        for own, demand in scenario.demands.items()
    ]
    quiet = [rates <= BASELINE_RATIO * rates.max() for _, rates in rates_of]
    all_quiet = np.logical_and.reduce([mask for mask in quiet if mask.any()] or [np.zeros(buckets, bool)])
    found = []
    for (names, rates), mask in zip(rates_of, quiet, strict=True):
        peak = np.flatnonzero(rates >= PEAK_RATIO * rates.max())
        calm = np.flatnonzero(mask & all_quiet)
        before = calm[calm < peak[0]] if peak.size else calm
        calm = before if before.size * width_s >= MIN_CALM_S else calm
        found.append(DemandGroup(names, rates, peak, calm))
    return tuple(found)
