"""Visits from page views: pages of one visitor without a gap of 30 minutes, and what happens in them.

Rules:
- A page to which a changing request has redirected belongs to that request.
- A visit is a program's if it reads robots.txt, if it opens 30 or more pages with less than a second between
  them, if it opens more than 500 pages, or if it opens one page ten times or more at even intervals.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from doorbuster.access_logs.overlaps import Overlap, without_repeats
from doorbuster.access_logs.page_events import UNKNOWN_MS, Events, EventStore
from doorbuster.access_logs.page_table import PageTable
from doorbuster.access_logs.time_sample import TimeSample

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

GAPS_MIN = (5, 10, 15, 20, 30, 45, 60)
MAX_SAMPLED_GAPS = 400_000
MAX_SAMPLED_VISITS = 30_000
_MATRICES_AT_ONCE = 20_000
_REDIRECTED_WITHIN_MS = 3_000
_AT_ONCE_MS = 1_000
_FAST_PAGES, _FAST_MS = 30, 1_000.0
_MANY_PAGES = 500
_PROBE_PAGES, _PROBE_SPREAD = 10, 0.05


@dataclass(frozen=True, slots=True)
class Visits:
    """All visits of people: shape (visits,).

    end_ms: the end of the last response, where known. pages: page views. device: number in DEVICES.
    added_to_basket, ordered: whether that happened; orders: number of orders.
    """

    start_ms: Ints
    end_ms: Ints
    pages: Ints
    device: Ints
    added_to_basket: Bools
    ordered: Bools
    orders: Ints

    def __len__(self) -> int:
        return int(self.start_ms.size)


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What people do in their visits.

    kinds: names of the pages. transitions: counts, shape (kinds + 1, kinds + 1): row 0 is the entry, the last
    column is leaving, so cell [i + 1, j] counts kind j after kind i.
    think_s: a sample of the times from a response to the next page. visit_counts: a sample of visits as such
    matrices, flat, shape (visits, (kinds + 1) ** 2).
    visits_at_gap: number of visits with each length of the gap, in minutes. views: by number of the page.
    """

    kinds: tuple[str, ...]
    visits: Visits
    transitions: Ints
    think_s: NDArray[np.float64]
    think_by_kind: Mapping[str, NDArray[np.float64]]
    visit_counts: Ints
    visits_at_gap: Mapping[int, int]
    program_visits: int
    program_pages: int
    views: Mapping[int, int]

    @property
    def pages(self) -> int:
        """Page views of people."""
        return sum(self.views.values())


@dataclass(slots=True)
class _VisitSums:
    transitions: Ints
    thinks: TimeSample  # rows of the pause and the kind of the page before
    matrices: TimeSample
    visits: list[Visits] = field(default_factory=list)
    at_gap: dict[int, int] = field(default_factory=lambda: dict.fromkeys(GAPS_MIN, 0))
    program_visits: int = 0
    program_pages: int = 0
    views: Counter[int] = field(default_factory=Counter)


def find_visits(
    store: EventStore, overlaps: Sequence[Overlap], table: PageTable, steps: Sequence[str], *, gap_s: float
) -> Behaviour:
    """The visits in the page views.

    Args: overlaps: files whose common page views count once.
        steps: the step of each page of the table; equal names become one kind of page.
    """
    kinds = tuple(dict.fromkeys(name for name in steps if name))
    kind_of = np.array([kinds.index(name) if name else -1 for name in steps], np.int64)
    changes = np.array([page.use.method != "GET" for page in table.pages])
    size = len(kinds) + 1
    found = _VisitSums(
        np.zeros((size, size), np.int64),
        TimeSample(MAX_SAMPLED_GAPS, 2),
        TimeSample(MAX_SAMPLED_VISITS, size * size),
    )
    for events in store.parts():
        _read_part(without_repeats(events, overlaps), table, kinds, kind_of, changes, gap_s, found)
    think_ms, think_from = found.thinks.rows().T
    by_kind = {name: think_ms[think_from == number] / 1e3 for number, name in enumerate(kinds)}
    seen = found.transitions.sum(axis=0)[:-1] > 0
    rows, columns = np.append(True, seen), np.append(seen, True)
    matrices = found.matrices.rows().reshape(-1, size, size)[:, rows][:, :, columns]
    shown = tuple(name for name, is_seen in zip(kinds, seen, strict=True) if is_seen)
    return Behaviour(
        kinds=shown,
        visits=_join_visits(found.visits),
        transitions=found.transitions[rows][:, columns],
        think_s=think_ms / 1e3,
        think_by_kind={name: by_kind[name] for name in shown},
        visit_counts=matrices.reshape(len(matrices), rows.sum() * columns.sum()),
        visits_at_gap=found.at_gap,
        program_visits=found.program_visits,
        program_pages=found.program_pages,
        views=found.views,
    )


def _read_part(
    events: Events,
    table: PageTable,
    kinds: tuple[str, ...],
    kind_of: Ints,
    changes: Bools,
    gap_s: float,
    found: _VisitSums,
) -> None:
    if not events.size:
        return
    events = events[np.lexsort((events["time_ms"], events["visitor"]))]
    events = _without_companions(events[~_redirect_targets(events, changes)], table.telling_ranks)
    number, starts = _number_visits(events, gap_s)
    is_program = _program_visits(events, starts, table)
    found.program_visits += int(is_program.sum())
    found.program_pages += int(is_program[number].sum())
    people = ~is_program[number]
    events = events[people & (kind_of[events["page"]] >= 0)]
    if not events.size:
        return
    _count_gaps(events, found)
    number, starts = _number_visits(events, gap_s)
    kind = kind_of[events["page"]]
    found.views.update(events["page"].tolist())
    found.visits.append(_visits(events, starts, kind, kinds))
    _count_transitions(events, number, starts, kind, len(kinds), found)


def _redirect_targets(events: Events, changes: Bools) -> Bools:
    """Pages that a changing request before them has redirected to."""
    same = events["visitor"][1:] == events["visitor"][:-1]
    soon = np.diff(events["time_ms"]) <= _REDIRECTED_WITHIN_MS
    status = events["status"][:-1]
    sent_away = changes[events["page"][:-1]] & (status >= 300) & (status < 400)
    return np.concatenate(([False], same & soon & sent_away & ~changes[events["page"][1:]]))


def _without_companions(events: Events, ranks: Ints) -> Events:
    """Page views without the GraphQL operations of a page beside the one that tells most.

    Args: events: by visitor and time. ranks: of each page, the lowest tells most; -1 always stays.
    """
    rank = ranks[events["page"]]
    if not (rank >= 0).any():
        return events
    alone = rank < 0
    new = np.ones(events.size, bool)
    new[1:] = (events["visitor"][1:] != events["visitor"][:-1]) | (np.diff(events["time_ms"]) > _AT_ONCE_MS)
    new[1:] |= alone[1:] | alone[:-1]
    page = np.cumsum(new)
    order = np.lexsort((rank, page))
    kept = order[np.unique(page[order], return_index=True)[1]]
    return events[np.sort(kept)]


def _number_visits(events: Events, gap_s: float) -> tuple[Ints, Ints]:
    """The number of the visit of each page view, and where each visit starts."""
    new = np.ones(events.size, bool)
    new[1:] = (events["visitor"][1:] != events["visitor"][:-1]) | (np.diff(events["time_ms"]) > gap_s * 1e3)
    return np.cumsum(new) - 1, np.flatnonzero(new)


def _program_visits(events: Events, starts: Ints, table: PageTable) -> Bools:
    count = np.diff(np.append(starts, events.size))
    time_ms = events["time_ms"].astype(np.float64)
    last = np.append(starts[1:], events.size) - 1
    span_ms = time_ms[last] - time_ms[starts]
    mean_ms = span_ms / np.maximum(count - 1, 1)
    gaps = np.diff(time_ms, prepend=time_ms[0])
    gaps[starts] = 0.0
    squares = np.add.reduceat(gaps**2, starts)
    variance = np.maximum(squares / np.maximum(count - 1, 1) - mean_ms**2, 0.0)
    page = events["page"].astype(np.int64)
    other = np.concatenate(([False], page[1:] != page[:-1]))
    other[starts] = False
    one_page = ~np.logical_or.reduceat(other, starts)
    robots = np.logical_or.reduceat(page == table.robots, starts)
    even = one_page & (count >= _PROBE_PAGES) & (np.sqrt(variance) <= _PROBE_SPREAD * mean_ms)
    fast = (count >= _FAST_PAGES) & (mean_ms < _FAST_MS)
    found: Bools = robots | even | fast | (count > _MANY_PAGES)
    return found


def _count_gaps(events: Events, found: _VisitSums) -> None:
    """How many visits there would be with gaps of other lengths."""
    same = events["visitor"][1:] == events["visitor"][:-1]
    visitors = 1 + int((~same).sum())
    gaps_ms = np.diff(events["time_ms"])[same]
    for minutes in GAPS_MIN:
        found.at_gap[minutes] += visitors + int((gaps_ms > minutes * 60_000).sum())


def _visits(events: Events, starts: Ints, kind: Ints, kinds: tuple[str, ...]) -> Visits:
    time_ms = events["time_ms"].astype(np.int64)
    over_ms = time_ms + np.where(events["duration_ms"] == UNKNOWN_MS, 0, events["duration_ms"])
    orders = _sum_of(kind, starts, kinds, "checkout")
    return Visits(
        start_ms=time_ms[starts],
        end_ms=np.maximum.reduceat(over_ms, starts),
        pages=np.diff(np.append(starts, events.size)),
        device=(events["visitor"][starts] >> np.uint64(1) & np.uint64(3)).astype(np.int64),
        added_to_basket=_sum_of(kind, starts, kinds, "add_to_basket") > 0,
        ordered=orders > 0,
        orders=orders,
    )


def _sum_of(kind: Ints, starts: Ints, kinds: tuple[str, ...], name: str) -> Ints:
    if name not in kinds:
        return np.zeros(starts.size, np.int64)
    return np.add.reduceat((kind == kinds.index(name)).astype(np.int64), starts)


def _count_transitions(
    events: Events, number: Ints, starts: Ints, kind: Ints, kinds: int, found: _VisitSums
) -> None:
    size = kinds + 1
    before = np.empty(kind.size, np.int64)
    before[1:] = kind[:-1] + 1
    before[starts] = 0
    last = np.append(starts[1:], kind.size) - 1
    cell = np.concatenate((before * size + kind, (kind[last] + 1) * size + kinds))
    visit = np.concatenate((number, np.arange(starts.size)))
    found.transitions += np.bincount(cell, minlength=size * size).reshape(size, size)
    start_ms = events["time_ms"][starts].astype(np.int64)
    kept = np.flatnonzero(found.matrices.keeps(start_ms))
    for begin in range(0, kept.size, _MATRICES_AT_ONCE):
        chosen = kept[begin : begin + _MATRICES_AT_ONCE]
        row_of = np.full(starts.size, -1)
        row_of[chosen] = np.arange(chosen.size)
        inside = row_of[visit] >= 0
        matrix = np.zeros((chosen.size, size * size), np.int64)
        np.add.at(matrix, (row_of[visit[inside]], cell[inside]), 1)
        found.matrices.add(start_ms[chosen], matrix)
    follows = np.ones(kind.size, bool)
    follows[starts] = False
    place = np.flatnonzero(follows)
    answered = np.where(events["duration_ms"] == UNKNOWN_MS, 0, events["duration_ms"]).astype(np.int64)
    think = events["time_ms"][place] - events["time_ms"][place - 1] - answered[place - 1]
    found.thinks.add(
        events["time_ms"][place].astype(np.int64), np.column_stack((np.maximum(think, 0), kind[place - 1]))
    )


def _joined(parts: Sequence[Ints]) -> Ints:
    return np.concatenate(parts) if parts else np.empty(0, np.int64)


def _join_visits(parts: Sequence[Visits]) -> Visits:
    start_ms = _joined([part.start_ms for part in parts])
    order = np.argsort(start_ms, kind="stable")

    def column(name: str) -> Ints:
        return _joined([getattr(part, name) for part in parts])[order]

    return Visits(
        start_ms[order],
        column("end_ms"),
        column("pages"),
        column("device"),
        column("added_to_basket").astype(bool),
        column("ordered").astype(bool),
        column("orders"),
    )
