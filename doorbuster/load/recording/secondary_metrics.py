"""Secondary metrics: counters, think times, visit durations, connect times, Server-Timing headers.

Rules of this module:
- Recording costs a customer one `append` or one addition; the evaluation happens once a second.
- Server-Timing headers are stored unparsed and sampled: of every `stride`-th step, so a busy second costs
  no more than a quiet one, and at most SAMPLES per report and series. Each sample has a weight.
- An entry with a duration loses its description (often variable, such as "3 queries"); one without keeps it.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from doorbuster.load.exchange import Exchange
from doorbuster.records.batch import (
    ConnectTimeSecond,
    CounterSecond,
    FreshnessReading,
    SeriesKey,
    ServerTimingSecond,
    SubsequentRequestsSecond,
    ThinkTimeSecond,
    VisitDurationSecond,
)
from doorbuster.records.histogram import pack, pack_groups

SAMPLES = 8  # headers evaluated per series and report
KEPT = 160  # headers kept per report, approximately
MAX_ENTRIES = 60  # distinct entries of one worker; identifiers in the header must not fill the run file
MORE_ENTRIES = "(more)"
_MAX_NAME = 40
_WORD = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_VALUE = rf'"(?:[^"\\]|\\.)*"|{_WORD}'
_ITEM = re.compile(rf"([,;]?)\s*({_WORD})\s*(?:=\s*({_VALUE})?)?\s*")  # separator, name, value
_US_PER_MS = 1e3
_US_PER_S = 1e6


class Entry(NamedTuple):
    """One entry of a Server-Timing header; `duration_us` is None where none was given."""

    name: str
    description: str
    duration_us: int | None


def server_timing(header: str) -> tuple[Entry, ...]:
    """The entries of a Server-Timing header, or of several joined with commas; invalid ones are left out.

    Source: W3C Server Timing, section 2.1: 1#(name *(";" parameter)), `dur` in ms.
    """
    found: list[Entry] = []
    name, description, duration_us = "", "", None
    known: set[str] = set()
    for separator, word, value in [*_ITEM.findall(header), (",", "", "")]:
        if separator == ";":
            word = word.lower()
            if word not in known:  # the first occurrence counts
                known.add(word)
                if word == "dur":
                    duration_us = _us_of_ms(value.strip('"'))
                elif word == "desc":
                    description = value.strip('"')
            continue
        if name:
            kept = "" if duration_us is not None else description[:_MAX_NAME]
            found.append(Entry(name[:_MAX_NAME], kept, duration_us))
        name, description, duration_us = word, "", None
        known.clear()
    return tuple(found)


def _us_of_ms(text: str) -> int | None:
    try:
        duration_ms = float(text)
    except ValueError:
        return None
    return round(duration_ms * _US_PER_MS) if math.isfinite(duration_ms) and duration_ms >= 0 else None


def _think_times(second: int, channel: str, drawn_s: list[float]) -> ThinkTimeSecond:
    return ThinkTimeSecond(second, channel, pack(np.rint(np.array(drawn_s) * _US_PER_S).astype(np.int64)))


class SecondaryMetricsSnapshot(NamedTuple):
    """The secondary metrics of one report, as rows of a batch."""

    counters: tuple[CounterSecond, ...]
    think_times: tuple[ThinkTimeSecond, ...]
    visit_durations: tuple[VisitDurationSecond, ...]
    connect_times: tuple[ConnectTimeSecond, ...]
    subsequent_requests: tuple[SubsequentRequestsSecond, ...]
    server_timings: tuple[ServerTimingSecond, ...]
    freshness: tuple[FreshnessReading, ...]


class SecondaryMetrics:
    """Collects one worker's secondary metrics; `take` empties them.

    connects: (series number, intended start, connect time in s) of each step whose first request opened a
    connection. subsequent: (series number, intended start, exchanges) of each step with several requests.
    server_timings: (series number, intended start, Server-Timing header) of every `stride`-th step, if its
    response has one. Starts are readings of the clock of `started_at`. readings: those of the freshness
    watch. pause: called between parts of the work.
    """

    def __init__(self, started_at: float, pause: Callable[[], Any]) -> None:
        self.connects: list[tuple[int, float, float]] = []
        self.subsequent: list[tuple[int, float, list[Exchange]]] = []
        self.server_timings: list[tuple[int, float, str]] = []
        self.readings: list[FreshnessReading] = []
        self.stride = 1
        self._started_at = started_at
        self._pause = pause
        self._counters: Counter[tuple[int, str, str]] = Counter()
        self._think_times: defaultdict[str, list[float]] = defaultdict(list)
        self._durations: defaultdict[tuple[int, str], list[int]] = defaultdict(list)
        self._entries: set[tuple[str, str]] = set()

    def count(self, second: int, channel: str, name: str, n: int = 1) -> None:
        """Add `n` to a counter, such as retries, reloads or queue_polls; any name may be used."""
        self._counters[second, channel, name] += n

    def think_time(self, channel: str, think_s: float) -> None:
        """Record a think time of a customer of this channel."""
        self._think_times[channel].append(think_s)

    def visit_duration(self, second: int, channel: str, duration_us: int) -> None:
        """Record the duration of a visit, from the intended arrival in `second` to its end."""
        self._durations[second, channel].append(duration_us)

    def take(self, second: int, keys: list[SeriesKey]) -> SecondaryMetricsSnapshot:
        """Everything since the last call; `second` is that of the report, `keys` the series by number.

        All lists are taken before the first pause: what is recorded meanwhile belongs to the next report.
        """
        counters, self._counters = self._counters, Counter()
        think_times, self._think_times = self._think_times, defaultdict(list)
        durations, self._durations = self._durations, defaultdict(list)
        connects, self.connects = self.connects, []
        subsequent, self.subsequent = self.subsequent, []
        headers, self.server_timings = self.server_timings, []
        readings, self.readings = self.readings, []
        stride, self.stride = self.stride, max(1, self.stride * len(headers) // KEPT)
        self._pause()
        think_rows = tuple(_think_times(second, *one) for one in think_times.items())
        duration_rows = tuple(VisitDurationSecond(*key, pack(us)) for key, us in durations.items())
        self._pause()
        connect_rows = self._connects(connects, keys)
        self._pause()
        return SecondaryMetricsSnapshot(
            counters=tuple(CounterSecond(*key, n) for key, n in counters.items()),
            think_times=think_rows,
            visit_durations=duration_rows,
            connect_times=connect_rows,
            subsequent_requests=tuple(self._subsequent(subsequent, keys)),
            server_timings=tuple(self._evaluate_headers(headers, stride, keys)),
            freshness=tuple(readings),
        )

    def _connects(
        self, rows: list[tuple[int, float, float]], keys: list[SeriesKey]
    ) -> tuple[ConnectTimeSecond, ...]:
        if not rows:
            return ()
        numbers, intended_at, connect_s = (np.array(column) for column in zip(*rows, strict=True))
        second = np.floor(intended_at - self._started_at).astype(np.int64)
        cells, group, n = np.unique(second * len(keys) + numbers, return_inverse=True, return_counts=True)
        times_us = np.rint(connect_s * _US_PER_S).astype(np.int64)
        longest_us = np.zeros(len(cells), np.int64)
        np.maximum.at(longest_us, group, times_us)
        sums_us = np.bincount(group, weights=times_us).astype(np.int64)
        blobs = pack_groups(group, times_us, len(cells))
        return tuple(
            ConnectTimeSecond(cell // len(keys), keys[cell % len(keys)], count, total_us, most_us, blob)
            for cell, count, total_us, most_us, blob in zip(
                cells.tolist(), n.tolist(), sums_us.tolist(), longest_us.tolist(), blobs, strict=True
            )
        )

    def _subsequent(
        self, rows: list[tuple[int, float, list[Exchange]]], keys: list[SeriesKey]
    ) -> Iterable[SubsequentRequestsSecond]:
        cells: defaultdict[tuple[int, int], list[list[Exchange]]] = defaultdict(list)
        for number, intended_at, exchanges in rows:
            cells[int(intended_at - self._started_at), number].append(exchanges)
        for (second, number), steps in cells.items():
            more = [one for exchanges in steps for one in exchanges[1:]]
            connect_s = sum(one.connect_s for one in more)
            until_byte_s = sum(one.first_byte_at - one.started_at for one in more)
            body_s = sum(one.ended_at - one.first_byte_at for one in more)
            elapsed_us = [round((last[-1].ended_at - last[0].ended_at) * _US_PER_S) for last in steps]
            yield SubsequentRequestsSecond(
                second, keys[number], len(steps), len(more), round(connect_s * _US_PER_S),
                round((until_byte_s - connect_s) * _US_PER_S), round(body_s * _US_PER_S), pack(elapsed_us),
            )  # fmt: skip

    def _evaluate_headers(
        self, rows: list[tuple[int, float, str]], stride: int, keys: list[SeriesKey]
    ) -> Iterable[ServerTimingSecond]:
        by_series: defaultdict[int, list[tuple[float, str]]] = defaultdict(list)
        for number, intended_at, header in rows:
            by_series[number].append((intended_at, header))
        for number, answers in by_series.items():
            sampled = answers[:: math.ceil(len(answers) / SAMPLES)]
            every = stride * len(answers) / len(sampled)
            cells: defaultdict[tuple[int, str, str], list[int]] = defaultdict(list)
            for intended_at, header in sampled:
                for (name, description), duration_us in self._of_step(header).items():
                    cells[int(intended_at - self._started_at), name, description].append(duration_us)
            for (second, name, description), times_us in cells.items():
                n = len(times_us)
                yield ServerTimingSecond(
                    second, keys[number], name, description, n, n * every, sum(times_us) * every,
                    pack(times_us),
                )  # fmt: skip

    def _of_step(self, header: str) -> dict[tuple[str, str], int]:
        """Time in us by entry, added up over the requests of the step."""
        found: defaultdict[tuple[str, str], int] = defaultdict(int)
        for name, description, duration_us in server_timing(header):
            entry = (name, description)
            if entry not in self._entries:
                if len(self._entries) >= MAX_ENTRIES:
                    entry = (MORE_ENTRIES, "")
                else:
                    self._entries.add(entry)
            found[entry] += duration_us or 0
        return found
