"""The clocks by which channels of a scenario peak: its demand, and each channel's own. Pure.

peak  the whole seconds (or longer buckets) in which a clock plans 90 % of its highest rate or more.
calm  those in which every clock that is ever calm plans a third of its highest or less. Of these the ones
      before the peak, if they last ten seconds: a queue outlives its peak.
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

    rates_per_s: shape (buckets,), planned mean rate in each. peak, calm: numbers of such buckets.
    """

    channels: tuple[str, ...]
    rates_per_s: Floats
    peak: NDArray[np.intp]
    calm: NDArray[np.intp]

    @property
    def name(self) -> str:
        return " and ".join(self.channels)

    def rise(self, of: Floats) -> float:
        """How much more of another rate is planned in this clock's peak than in its calm."""
        calm = float(of[self.calm].mean())
        return float(of[self.peak].mean()) / calm if calm else math.inf


def group_demands(scenario: Scenario, width_s: int) -> tuple[DemandGroup, ...]:
    """The clocks of a scenario, their rates as means of buckets of whole seconds."""
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
