"""What is noted beside the steps: counters, think times, stays, connecting, and what the shop says of itself.

Rules of this module:
- On the path of a customer a note is one `append` or one addition; what it means is worked out once a second.
- Server-Timing headers are kept as they came and only some are read: of every `stride`-th step, so that a
  busy second costs no more than a quiet one, and at most SAMPLES a report for each series. Each says how many
  it stands for.
- An entry with a duration keeps no description (it is chatter, such as "3 queries"); one without keeps it.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from doorbuster.load.http.exchange import Exchange
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

SAMPLES = 8  # headers read per series and report
KEPT = 160  # headers kept for a report, about
MAX_ENTRIES = 60  # distinct entries of one worker; a shop that puts identifiers there must not fill the file
MORE_ENTRIES = "(more)"
_LONGEST_NAME = 40
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
    """The entries of a Server-Timing header, or of several joined with commas; damaged ones are left out.

    Source: W3C Server Timing, section 2.1: 1#(name *(";" parameter)), `dur` in ms.
    """
    found: list[Entry] = []
    name, description, duration_us = "", "", None
    known: set[str] = set()
    for separator, word, value in [*_ITEM.findall(header), (",", "", "")]:
        if separator == ";":
            word = word.lower()
            if word not in known:  # the first of a kind holds
                known.add(word)
                if word == "dur":
                    duration_us = _us_of_ms(value.strip('"'))
                elif word == "desc":
                    description = value.strip('"')
            continue
        if name:
            kept = "" if duration_us is not None else description[:_LONGEST_NAME]
            found.append(Entry(name[:_LONGEST_NAME], kept, duration_us))
        name, description, duration_us = word, "", None
        known.clear()
    return tuple(found)


def _us_of_ms(text: str) -> int | None:
    try:
        duration_ms = float(text)
    except ValueError:
        return None
    return round(duration_ms * _US_PER_MS) if math.isfinite(duration_ms) and duration_ms >= 0 else None


def _thinks(second: int, channel: str, drawn_s: list[float]) -> ThinkTimeSecond:
    return ThinkTimeSecond(second, channel, pack(np.rint(np.array(drawn_s) * _US_PER_S).astype(np.int64)))


class SideMetricsSnapshot(NamedTuple):
    """The notes of one report, as rows of a batch."""

    counters: tuple[CounterSecond, ...]
    think_times: tuple[ThinkTimeSecond, ...]
    visit_durations: tuple[VisitDurationSecond, ...]
    connect_times: tuple[ConnectTimeSecond, ...]
    subsequent_requests: tuple[SubsequentRequestsSecond, ...]
    server_timings: tuple[ServerTimingSecond, ...]
    freshness: tuple[FreshnessReading, ...]


class SideMetrics:
    """Gathers one worker's notes; `take_notes` empties them.

    `connects` takes (series number, intended start, seconds spent connecting) of each step that opened a
    connection for its first request, `later` (series number, intended start, exchanges) of each step that
    made several requests, `told` (series number, intended start, Server-Timing header) of every
    `stride`-th step, if its answer has one. Starts are readings of the clock of `started_at`. `readings` are
    those of the watch over what is changed (see `freshness`). `pause` is called between stretches of work.
    """

    def __init__(self, started_at: float, pause: Callable[[], Any]) -> None:
        self.connects: list[tuple[int, float, float]] = []
        self.later: list[tuple[int, float, list[Exchange]]] = []
        self.told: list[tuple[int, float, str]] = []
        self.readings: list[FreshnessReading] = []
        self.stride = 1
        self._zero = started_at
        self._pause = pause
        self._counters: Counter[tuple[int, str, str]] = Counter()
        self._thinks: defaultdict[str, list[float]] = defaultdict(list)
        self._stays: defaultdict[tuple[int, str], list[int]] = defaultdict(list)
        self._entries: set[tuple[str, str]] = set()

    def count(self, second: int, channel: str, name: str, n: int = 1) -> None:
        """Count something that happened `n` times: retries, reloads, queue_polls, or a new name."""
        self._counters[second, channel, name] += n

    def thought(self, channel: str, think_s: float) -> None:
        """Record how long a customer of this channel thinks before the next step."""
        self._thinks[channel].append(think_s)

    def stayed(self, second: int, channel: str, stay_us: int) -> None:
        """Record how long a customer was in the shop, from the intended arrival in `second` to leaving."""
        self._stays[second, channel].append(stay_us)

    def take_notes(self, second: int, keys: list[SeriesKey]) -> SideMetricsSnapshot:
        """Everything since the last call; `second` is that of the report, `keys` the series by number.

        The notes are taken before the first pause: what is noted meanwhile belongs to the next report.
        """
        counters, self._counters = self._counters, Counter()
        thinks, self._thinks = self._thinks, defaultdict(list)
        stays, self._stays = self._stays, defaultdict(list)
        connects, self.connects = self.connects, []
        later, self.later = self.later, []
        told, self.told = self.told, []
        readings, self.readings = self.readings, []
        stride, self.stride = self.stride, max(1, self.stride * len(told) // KEPT)
        self._pause()
        told_thinks = tuple(_thinks(second, channel, drawn_s) for channel, drawn_s in thinks.items())
        told_stays = tuple(VisitDurationSecond(*key, pack(us)) for key, us in stays.items())
        self._pause()
        told_connects = self._connects(connects, keys)
        self._pause()
        return SideMetricsSnapshot(
            counters=tuple(CounterSecond(*key, n) for key, n in counters.items()),
            think_times=told_thinks,
            visit_durations=told_stays,
            connect_times=told_connects,
            subsequent_requests=tuple(self._later(later, keys)),
            server_timings=tuple(self._server_timings(told, stride, keys)),
            freshness=tuple(readings),
        )

    def _connects(
        self, rows: list[tuple[int, float, float]], keys: list[SeriesKey]
    ) -> tuple[ConnectTimeSecond, ...]:
        if not rows:
            return ()
        numbers, intended_at, connect_s = (np.array(column) for column in zip(*rows, strict=True))
        second = np.floor(intended_at - self._zero).astype(np.int64)
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

    def _later(
        self, rows: list[tuple[int, float, list[Exchange]]], keys: list[SeriesKey]
    ) -> Iterable[SubsequentRequestsSecond]:
        cells: defaultdict[tuple[int, int], list[list[Exchange]]] = defaultdict(list)
        for number, intended_at, exchanges in rows:
            cells[int(intended_at - self._zero), number].append(exchanges)
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

    def _server_timings(
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
                    cells[int(intended_at - self._zero), name, description].append(duration_us)
            for (second, name, description), times_us in cells.items():
                n = len(times_us)
                yield ServerTimingSecond(
                    second, keys[number], name, description, n, n * every, sum(times_us) * every,
                    pack(times_us),
                )  # fmt: skip

    def _of_step(self, header: str) -> dict[tuple[str, str], int]:
        """Time in us by entry; a step of several requests names an entry several times, its times add up."""
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
