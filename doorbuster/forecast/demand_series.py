"""Counts of orders or visits over time, as read from files.

Rules of this module:
- Times are wall-clock times of the shop: its days and hours are those that customers live in.
- A day without a count is a day on which the shop was closed or not recorded; it is absent, not zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Measure = Literal["orders", "visits"]
Grain = Literal["day", "hour", "minute"]
Moments = NDArray[np.datetime64]
Counts = NDArray[np.float64]

HOURS = 24
_LATE_HOURS = 2.0  # a last day that ends this much earlier than usual is incomplete
_RECENT_DAYS = 14
_WEEK_DAYS = 7


@dataclass(frozen=True, slots=True, eq=False)
class DailyDemand:
    """One count for each open day. `days`: shape (n,), increasing; `counts`: shape (n,), above 0."""

    days: Moments
    counts: Counts

    def between(self, first: np.datetime64, end: np.datetime64) -> DailyDemand:
        """The days from `first`, before `end`."""
        inside = (self.days >= first) & (self.days < end)
        return DailyDemand(self.days[inside], self.counts[inside])

    def __len__(self) -> int:
        return len(self.days)


@dataclass(frozen=True, slots=True, eq=False)
class DemandSeries:
    """Counts by moment, in time order; `moments` are starts of minutes, hours or days.

    `saturated`: moments at which the shop was at its limit, so that the count is what it served, at least.
    """

    measure: Measure
    grain: Grain
    moments: Moments
    counts: Counts
    saturated: NDArray[np.bool_]
    source: str
    notes: tuple[str, ...] = ()

    def daily(self) -> DailyDemand:
        """Counts per open day, without an incomplete last day."""
        days = self.moments.astype("datetime64[D]")
        found, place = np.unique(days, return_inverse=True)
        totals = np.bincount(place, weights=self.counts, minlength=len(found)).astype(np.float64)
        complete = np.ones(len(found), np.bool_)
        if self.grain != "day" and len(found) > 1:
            complete[-1] = not self.last_day_is_incomplete()
        kept = complete & (totals > 0)
        return DailyDemand(found[kept], totals[kept])

    def saturated_days(self) -> frozenset[np.datetime64]:
        """Days with at least one saturated moment."""
        return frozenset(np.unique(self.moments[self.saturated].astype("datetime64[D]")))

    def last_day_is_incomplete(self) -> bool:
        """Whether the record of the last day ends hours earlier than that of the days before it."""
        days = self.moments.astype("datetime64[D]")
        hours = (self.moments - days).astype("timedelta64[m]").astype(np.float64) / 60
        found = np.unique(days)[-_RECENT_DAYS:]
        ends = np.array([hours[days == day].max() for day in found])
        return bool(len(ends) > _WEEK_DAYS and ends[-1] < np.median(ends[:-1]) - _LATE_HOURS)

    def by_hour(self, days: Moments) -> NDArray[np.float64]:
        """Counts by day and hour, shape (days, 24), for a series of hours or minutes."""
        table = np.zeros((len(days), HOURS))
        when = self.moments.astype("datetime64[D]")
        hour = (self.moments - when).astype("timedelta64[h]").astype(np.int64)
        place = np.searchsorted(days, when)
        place = np.minimum(place, len(days) - 1)
        here = days[place] == when
        np.add.at(table, (place[here], hour[here]), self.counts[here])
        return table

    def minutes_of(self, moment: np.datetime64) -> Counts:
        """The 60 counts of an hour, for a series of minutes."""
        start = moment.astype("datetime64[m]")
        first, end = np.searchsorted(self.moments, [start, start + np.timedelta64(60, "m")])
        row = np.zeros(60)
        offset = (self.moments[first:end] - start).astype("timedelta64[m]").astype(np.int64)
        np.add.at(row, offset, self.counts[first:end])
        return row
