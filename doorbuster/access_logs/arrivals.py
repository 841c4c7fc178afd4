"""When visits begin: per minute, in the busiest window, and how many are in the shop at once.

Rules:
- A minute is censored if the log shows what was served, not what was offered: 5 % or more of its requests
  failed (429, 500 and above), its geometric mean response time was three times the log's median or more, or
  it has no request where 20 or more are usual. At least 20 requests are needed for the first two.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from doorbuster.access_logs.page_events import MinuteLoad
from doorbuster.access_logs.sessions import Visits
from doorbuster.stats.dispersion import DispersionEstimate, dispersion
from doorbuster.stats.littles_law import LittleCheck, check_little

Ints = NDArray[np.int64]

FAILED_RATIO, SLOW_FACTOR, MIN_REQUESTS = 0.05, 3.0, 20
MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000
_MINUTES_AROUND = 15
_LEVEL_S = 900  # the mean rate is taken over this time
_MAX_MINUTES = 1_100_000  # two years
_LITTLE_TOLERANCE = 0.02


@dataclass(frozen=True, slots=True)
class CensoredStretch:
    """Consecutive minutes in which the log shows served, not offered load."""

    start_ms: int
    end_ms: int
    reason: str


@dataclass(frozen=True, slots=True)
class Window:
    """The busiest window of the log. `censored_ms`: how much of it is censored."""

    start_ms: int
    end_ms: int
    visits: int
    censored_ms: int

    @property
    def length_s(self) -> float:
        return (self.end_ms - self.start_ms) / 1e3

    @property
    def rate_per_s(self) -> float:
        return self.visits / self.length_s


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Arrivals of visits.

    window_counts: in the steps of the curve. peak_hour_share: of the visits of its day; peak_minute_share: of
    the visits of the busiest hour; None for logs shorter than a day or an hour.
    by_second, by_minute: index of dispersion in the busiest window. littles_law: visits in the shop then.
    """

    first_ms: int
    last_ms: int
    window: Window
    window_counts: Ints
    peak_hour_share: float | None
    peak_minute_share: float | None
    by_second: DispersionEstimate
    by_minute: DispersionEstimate
    censored: tuple[CensoredStretch, ...]
    littles_law: LittleCheck
    most_at_once: int


def describe_arrivals(
    visits: Visits, minutes: Mapping[int, MinuteLoad], first_s: float, last_s: float, *, window_s: float
) -> Arrivals:
    """The arrivals of a log with at least one visit; the window is `window_s` long, or all of the log."""
    first_ms = min(int(first_s * 1e3), int(visits.start_ms[0]))
    last_ms = max(int(last_s * 1e3) + 1, int(visits.start_ms[-1]) + 1, first_ms + 1_000)
    censored = _censored(minutes)
    window = _busiest(visits, first_ms, last_ms, window_s, censored)
    seconds = _counts(visits, window, 1_000)
    day = _counts_between(visits, first_ms // DAY_MS * DAY_MS, last_ms, HOUR_MS)
    return Arrivals(
        first_ms,
        last_ms,
        window,
        _counts(visits, window, _bin_ms(window)),
        _peak_hour_share(day) if last_ms - first_ms >= DAY_MS else None,
        _peak_minute_share(visits, window),
        dispersion(seconds, window_s=1.0, level_windows=_LEVEL_S),
        dispersion(_per_minute_around(visits, window, first_ms, last_ms), window_s=60.0, level_windows=31),
        censored,
        *_concurrency(visits, window),
    )


def _busiest(
    visits: Visits, first_ms: int, last_ms: int, window_s: float, censored: tuple[CensoredStretch, ...]
) -> Window:
    length_ms = min(int(window_s * 1e3), last_ms - first_ms)
    step_ms = MINUTE_MS if length_ms >= 10 * MINUTE_MS else 1_000
    starts = np.arange(first_ms, last_ms - length_ms + 1, step_ms)
    begun = np.searchsorted(visits.start_ms, starts)
    count = np.searchsorted(visits.start_ms, starts + length_ms) - begun
    best = int(count.argmax())
    start, end = int(starts[best]), int(starts[best]) + length_ms
    hidden = sum(max(0, min(end, one.end_ms) - max(start, one.start_ms)) for one in censored)
    return Window(start, end, int(count[best]), hidden)


def _bin_ms(window: Window) -> int:
    """Width of the steps of the curve: at least 200 visits on average in each, at most 60 steps."""
    steps = max(1, min(60, window.visits // 200))
    return max(1, (window.end_ms - window.start_ms + steps - 1) // steps)


def _counts(visits: Visits, window: Window, width_ms: int) -> Ints:
    return _counts_between(visits, window.start_ms, window.end_ms, width_ms)


def _counts_between(visits: Visits, start_ms: int, end_ms: int, width_ms: int) -> Ints:
    edges = np.append(np.arange(start_ms, end_ms, width_ms), end_ms)
    return np.diff(np.searchsorted(visits.start_ms, edges))


def _per_minute_around(visits: Visits, window: Window, first_ms: int, last_ms: int) -> Ints:
    """Whole minutes of six hours around the window, because an hour has too few."""
    start = max(first_ms, window.start_ms - 2 * HOUR_MS - HOUR_MS // 2)
    end = min(last_ms, window.end_ms + 2 * HOUR_MS + HOUR_MS // 2)
    whole = (end - start) // MINUTE_MS * MINUTE_MS
    return _counts_between(visits, start, start + whole, MINUTE_MS) if whole else np.empty(0, np.int64)


def _peak_hour_share(hours: Ints) -> float | None:
    days = np.pad(hours, (0, -hours.size % 24)).reshape(-1, 24)
    busiest = days[int(days.max(axis=1).argmax())]
    return float(busiest.max() / busiest.sum()) if busiest.sum() else None


def _peak_minute_share(visits: Visits, window: Window) -> float | None:
    if window.end_ms - window.start_ms < HOUR_MS or not window.visits:
        return None
    return float(_counts(visits, window, MINUTE_MS).max() / window.visits)


def _concurrency(visits: Visits, window: Window) -> tuple[LittleCheck, int]:
    """Visits in the shop, counted every second, against arrivals times duration."""
    at = np.arange(window.start_ms, window.end_ms, 1_000)
    in_shop = np.searchsorted(visits.start_ms, at, "right") - np.searchsorted(
        np.sort(visits.end_ms), at, "right"
    )
    left = (visits.end_ms >= window.start_ms) & (visits.end_ms < window.end_ms)
    stays_s = (visits.end_ms - visits.start_ms)[left].sum() / 1e3
    edge = float(in_shop[0] + in_shop[-1]) / max(int(left.sum()), 1)
    check = check_little(
        in_shop.astype(np.float64),
        finished=int(left.sum()),
        time_sum_s=float(stays_s),
        window_s=window.length_s,
        tolerance_ratio=_LITTLE_TOLERANCE + edge,
    )
    return check, int(in_shop.max())


def _censored(minutes: Mapping[int, MinuteLoad]) -> tuple[CensoredStretch, ...]:
    """The stretches of censored minutes."""
    if not minutes:
        return ()
    first, last = min(minutes), max(minutes)
    if last - first > _MAX_MINUTES:
        return ()
    requests, failed, timed, logs = (np.zeros(last - first + 1) for _ in range(4))
    for minute, load in minutes.items():
        place = minute - first
        requests[place], failed[place] = load.requests, load.failed
        timed[place], logs[place] = load.timed, load.log_duration_sum
    enough = requests >= MIN_REQUESTS
    failing = enough & (failed >= FAILED_RATIO * requests)
    mean = np.divide(logs, timed, out=np.full(logs.size, np.nan), where=timed >= MIN_REQUESTS)
    usual = float(np.nanmedian(mean)) if np.isfinite(mean).any() else np.nan
    slow = np.nan_to_num(mean, nan=-np.inf) >= usual + np.log(SLOW_FACTOR) if np.isfinite(usual) else failing
    silent = (requests == 0) & (_usual_requests(requests) >= MIN_REQUESTS)
    found = [
        *_stretches(failing, first, f"{FAILED_RATIO:.0%} or more of the requests failed"),
        *_stretches(slow & ~failing, first, f"responses took {SLOW_FACTOR:g} times as long as usual"),
        *_stretches(silent, first, "no request was logged"),
    ]
    return tuple(sorted(found, key=lambda one: one.start_ms))


def _usual_requests(requests: NDArray[np.float64]) -> NDArray[np.float64]:
    """The smaller of the mean requests per minute before and after each minute, over those that have any."""
    has = (requests > 0).astype(np.float64)
    width = _MINUTES_AROUND
    kernel = np.ones(width)

    def mean_before(values: NDArray[np.float64], some: NDArray[np.float64]) -> NDArray[np.float64]:
        total = np.concatenate(([0.0], np.convolve(values, kernel)[: values.size - 1]))
        count = np.concatenate(([0.0], np.convolve(some, kernel)[: values.size - 1]))
        return np.divide(total, count, out=np.zeros(values.size), where=count > 0)

    before = mean_before(requests, has)
    after = mean_before(requests[::-1], has[::-1])[::-1]
    return np.minimum(before, after)


def _stretches(flags: NDArray[np.bool_], first_minute: int, reason: str) -> list[CensoredStretch]:
    edges = np.flatnonzero(np.diff(np.concatenate(([False], flags, [False])).astype(np.int8)))
    return [
        CensoredStretch((first_minute + start) * MINUTE_MS, (first_minute + end) * MINUTE_MS, reason)
        for start, end in edges.reshape(-1, 2).tolist()
    ]
