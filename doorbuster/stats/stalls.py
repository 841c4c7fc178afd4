"""Seconds in which a target answered nothing while most users of a closed workload waited for it.

A closed workload sends nothing while its users wait, so a stall adds few requests to a percentile however
long it lasts ("coordinated omission"). It shows in the seconds themselves: no request was answered, and at
least half of the users waited through the whole second.
Source: G. Tene (2015), How NOT to Measure Latency.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

WAITING_RATIO = 0.5
MIN_STALL_S = 5
LONGER_THAN_P95 = 3.0  # a slow target has long percentiles; a stalled one has pauses far beyond them


@dataclass(frozen=True, slots=True)
class Stall:
    """Whole seconds from `start_s` to `end_s` (exclusive) without an answer."""

    start_s: int
    end_s: int

    @property
    def length_s(self) -> int:
        return self.end_s - self.start_s


def find_stalls(
    answered: NDArray[np.int64], waiting: NDArray[np.int64], users: NDArray[np.float64]
) -> tuple[Stall, ...]:
    """All stalls, in order of time.

    Args: shape (n,), by second of the run: requests answered, requests that waited through it, users running.
    """
    n = max(answered.size, waiting.size, users.size)
    answers, waits, running = (
        np.pad(values.astype(float), (0, n - values.size)) for values in (answered, waiting, users)
    )
    stalled = (answers == 0) & (waits >= np.maximum(1.0, WAITING_RATIO * running))
    edges = np.flatnonzero(np.diff(np.concatenate(([False], stalled, [False])).astype(np.int8)))
    return tuple(Stall(int(start), int(end)) for start, end in zip(edges[::2], edges[1::2], strict=True))


def hides_from_percentiles(stall: Stall, p95_s: float | None) -> bool:
    """Whether a stall is so long, compared with the p95 latency, that the percentiles do not show it."""
    return stall.length_s >= MIN_STALL_S and (p95_s is None or stall.length_s > LONGER_THAN_P95 * p95_s)
