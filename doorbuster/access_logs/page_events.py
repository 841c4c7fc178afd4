"""Page views of a log as compact numbers: hash of the visitor, time, page, status and duration.

Nothing else of a request is kept.
"""

from __future__ import annotations

import tempfile
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from doorbuster.access_logs.log_requests import LogRequests, Stamp
from doorbuster.access_logs.page_table import ASSET_PAGE, IGNORED_PAGE, NO_REQUEST, PageTable
from doorbuster.access_logs.visitors import FLAG_BITS, IS_PROGRAM, MAX_KNOWN, VisitorHash

EVENT = np.dtype(
    [
        ("visitor", "u8"),
        ("time_ms", "i8"),
        ("page", "u2"),
        ("status", "u2"),
        ("duration_ms", "i4"),
        ("file", "u2"),
    ]
)  # file: its number among those that are read
Events = NDArray[np.void]
Hashes = NDArray[np.uint64]
UNKNOWN_MS = -1
_REDIRECTS = (301, 302, 303, 307, 308)
_NOT_SHOWN = (400, 401, 403, 404, 405, 410, 414, 416)  # the visitor saw no page of the shop


@dataclass(slots=True)
class MinuteLoad:
    """All requests that began in one minute, pages or not."""

    requests: int = 0
    failed: int = 0  # status 429 and 500 or above
    timed: int = 0
    log_duration_sum: float = 0.0  # of the natural logarithm, in seconds


@dataclass(slots=True)
class PieceCounts:
    """What was read of one piece of a log. Counts of several pieces are added."""

    lines: int = 0
    unreadable: int = 0
    requests: int = 0
    assets: int = 0
    ignored: int = 0
    redirects: int = 0
    refused: int = 0
    program_requests: int = 0
    minutes: dict[int, MinuteLoad] = field(default_factory=dict)

    def add(self, other: PieceCounts) -> None:
        for name in ("lines", "unreadable", "requests", "assets", "ignored", "redirects", "refused"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.program_requests += other.program_requests
        for minute, load in other.minutes.items():
            own = self.minutes.setdefault(minute, MinuteLoad())
            own.requests += load.requests
            own.failed += load.failed
            own.timed += load.timed
            own.log_duration_sum += load.log_duration_sum


_FIRST_COOKIE_WITHIN_MS = 60_000


def join_first_pages(events: Events, places: Hashes) -> None:
    """Give pages without a cookie to the visitor whose first page with one follows from the same place.

    A shop sets the cookie with its answer to the first page, so the log has none there.
    Args: places: hashes of address and user agent; equal to the visitor where there was no cookie.
    """
    order = np.lexsort((events["time_ms"], places))
    visitor, place = events["visitor"][order].copy(), places[order]
    time_ms = events["time_ms"][order]
    has_cookie = visitor != place
    by_time = np.argsort(events["time_ms"][order], kind="stable")
    is_first = np.zeros(order.size, bool)
    is_first[by_time[np.unique(visitor[by_time], return_index=True)[1]]] = True
    for row in np.flatnonzero(~has_cookie)[::-1].tolist():
        after = row + 1
        if after == order.size or place[after] != place[row] or not (has_cookie[after] and is_first[after]):
            continue
        if time_ms[after] - time_ms[row] <= _FIRST_COOKIE_WITHIN_MS:
            visitor[row], has_cookie[row], is_first[row] = visitor[after], True, True
    events["visitor"][order] = visitor


class EventReader:
    """Turns blocks of requests into page views."""

    def __init__(self, table: PageTable, visitor_hash: VisitorHash, stamp: Stamp) -> None:
        self._table, self._hash, self._stamp = table, visitor_hash, stamp
        self._numbers: dict[tuple[bytes, bytes, bytes], int] = {}  # of visitors, in the order of the hashes
        self._visitors, self._places = array("Q"), array("Q")

    def read(self, block: LogRequests, counts: PieceCounts) -> tuple[Events, Hashes]:
        """The page views of people in a block, and who sent them but for cookies; adds to the counts."""
        counts.lines += block.lines
        counts.unreadable += len(block.unreadable)
        n = len(block)
        counts.requests += n
        if not n:
            return np.empty(0, EVENT), np.empty(0, np.uint64)
        page = self._table.numbers(block.requests)
        visitor, sender = self._visitor_hashes(block)
        begun_s = block.time_s.copy()
        if self._stamp == "end":
            begun_s -= np.nan_to_num(block.duration_s)
        _count_minutes(begun_s, block, counts.minutes)
        status = np.clip(block.status, 0, 999)
        is_redirect = np.isin(status, _REDIRECTS)
        is_program = (visitor & np.uint64(IS_PROGRAM)).astype(bool)
        counts.assets += int((page == ASSET_PAGE).sum())
        counts.ignored += int(((page == IGNORED_PAGE) | (page == NO_REQUEST)).sum())
        counts.program_requests += int(is_program.sum())
        usable = (page >= 0) & ~is_program
        is_read = self._table.reads[np.maximum(page, 0)]
        counts.redirects += int((usable & is_redirect & is_read).sum())
        counts.refused += int((usable & np.isin(status, _NOT_SHOWN)).sum())
        usable &= ~(is_redirect & is_read) & ~np.isin(status, _NOT_SHOWN)
        events = np.empty(int(usable.sum()), EVENT)
        events["visitor"] = visitor[usable]
        events["time_ms"] = np.round(begun_s[usable] * 1e3)
        events["page"] = page[usable]
        events["status"] = status[usable]
        duration_ms = np.round(block.duration_s[usable] * 1e3)
        events["duration_ms"] = np.where(
            np.isnan(duration_ms), UNKNOWN_MS, np.clip(duration_ms, 0, 2**31 - 1)
        )
        return events, sender[usable]

    def _visitor_hashes(self, block: LogRequests) -> tuple[Hashes, Hashes]:
        """For each request the hash of the visitor, and that of the address and user agent alone."""
        if len(self._numbers) > MAX_KNOWN:
            self._numbers.clear()
            self._visitors, self._places = array("Q"), array("Q")
        keys = list(zip(block.addresses, block.agents, block.cookies, strict=True))
        found = list(map(self._numbers.get, keys))
        for place in [place for place, number in enumerate(found) if number is None]:
            found[place] = self._number(keys[place])
        number = np.array(found, np.int64)
        return np.frombuffer(self._visitors, np.uint64)[number], np.frombuffer(self._places, np.uint64)[
            number
        ]

    def _number(self, key: tuple[bytes, bytes, bytes]) -> int:
        """The number of a visitor, who may have come with an earlier line of the same block."""
        number = self._numbers.get(key)
        if number is None:
            address, agent, cookie = key
            visitor = self._hash(address, agent, cookie)
            self._visitors.append(visitor)
            self._places.append(self._hash(address, agent, b"") if cookie else visitor)
            number = self._numbers[key] = len(self._numbers)
        return number


def _count_minutes(begun_s: NDArray[np.float64], block: LogRequests, minutes: dict[int, MinuteLoad]) -> None:
    minute = (begun_s // 60).astype(np.int64)
    first = int(minute.min())
    place = minute - first
    if int(place.max()) > 10_000_000:
        return  # the clock check refuses such a log
    size = int(place.max()) + 1
    if size > 200_000:  # far apart: count by value
        values, place = np.unique(minute, return_inverse=True)
    else:
        values = np.arange(first, first + size)
    failed = (block.status >= 500) | (block.status == 429)
    timed = block.duration_s > 0
    logs = np.log(np.where(timed, block.duration_s, 1.0))
    totals = [
        np.bincount(place, weights=weight, minlength=values.size) for weight in (None, failed, timed, logs)
    ]
    for at in np.flatnonzero(totals[0]).tolist():
        load = minutes.setdefault(int(values[at]), MinuteLoad())
        load.requests += int(totals[0][at])
        load.failed += int(totals[1][at])
        load.timed += int(totals[2][at])
        load.log_duration_sum += float(totals[3][at])


class EventStore:
    """Page views in parts by visitor, so that one part at a time fits into memory.

    Large logs are kept in temporary files without a name, which vanish with the process.
    """

    def __init__(self, parts: int) -> None:
        self._files: list[IO[Any]] = []
        for _ in range(parts if parts > 1 else 0):
            self._files.append(tempfile.TemporaryFile())  # noqa: SIM115  open until it is read
        self._memory: list[Events] = []
        self.count = 0

    def add(self, events: Events) -> None:
        self.count += events.size
        if not self._files:
            self._memory.append(events)
            return
        part = (events["visitor"] >> np.uint64(FLAG_BITS)) % np.uint64(len(self._files))
        order = np.argsort(part, kind="stable")
        ends = np.searchsorted(part[order], np.arange(1, len(self._files) + 1))
        start = 0
        for file, end in zip(self._files, ends.tolist(), strict=True):
            if end > start:
                file.write(events[order[start:end]].tobytes())
            start = end

    def first_part(self) -> Events:
        """All page views of some visitors, or of all."""
        if not self._files:
            self._memory = [np.concatenate(self._memory) if self._memory else np.empty(0, EVENT)]
            return self._memory[0]
        return self._read(self._files[0])

    def parts(self) -> Iterator[Events]:
        """Each part once, all page views of a visitor together."""
        if not self._files:
            yield self.first_part()
            return
        for file in self._files:
            yield self._read(file)
            file.close()

    @staticmethod
    def _read(file: IO[Any]) -> Events:
        file.flush()
        file.seek(0)
        return np.frombuffer(file.read(), EVENT)
