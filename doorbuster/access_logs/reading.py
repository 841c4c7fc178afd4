"""Reads log files, in pieces and by several processes, into page views.

Files may come in any order. What is wrong with them is found before anything is written: a log without
requests, lines of another format, times far from all others.
"""

from __future__ import annotations

import gc
import os
import signal
import tempfile
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import tzinfo
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from doorbuster.access_logs.formats.detection import detect_log
from doorbuster.access_logs.log_checks import check_bad_lines, check_clock, clock, no_request, with_article
from doorbuster.access_logs.log_map import LogMap
from doorbuster.access_logs.log_pieces import LogPiece, PieceResult, is_compressed, split_file
from doorbuster.access_logs.log_requests import LogFormat, LogRequests
from doorbuster.access_logs.log_sample import sample_requests
from doorbuster.access_logs.overlaps import Overlap, find_overlaps
from doorbuster.access_logs.page_events import (
    EVENT,
    EventReader,
    EventStore,
    PieceCounts,
    join_first_pages,
)
from doorbuster.access_logs.page_table import PageTable
from doorbuster.access_logs.visitors import VisitorHash
from doorbuster.errors import UsageError

SMALL_BYTES = 48 << 20  # below, other processes cost more than they save
PART_BYTES = 400 << 20  # of log per part of the store
USUAL_COMPRESSION = 10  # size of a log over that of its compressed file
MAX_PARTS = 128
_SHOWN_OVERLAPS = 5


@dataclass(frozen=True, slots=True)
class LogOptions:
    """How to read logs. processes: 0 for as many as there are cores, at most 4. unsorted: times may jump."""

    log_map: LogMap = field(default_factory=LogMap)
    zone: tzinfo | None = None
    processes: int = 0
    unsorted: bool = False


@dataclass(frozen=True, slots=True)
class ReadLog:
    """What was read of all files: the page views, the counts, and the pages that were learnt.

    overlaps: files with common page views, which the store has once for each file.
    """

    form: LogFormat
    table: PageTable
    counts: PieceCounts
    store: EventStore
    overlaps: Sequence[Overlap]
    first_s: float
    last_s: float
    notes: tuple[str, ...]


def read_logs(
    files: Sequence[Path], options: LogOptions, on_progress: Callable[[int], object] = lambda _: None
) -> ReadLog:
    """Read all files.

    Args: on_progress: called with the bytes read since the last call.
    Raises: UsageError for a file that is not a usable access log; says where and why.
    """
    try:
        return _read_logs(files, options, on_progress)
    except OSError as error:
        what = error.filename or f"temporary files in {tempfile.gettempdir()}"
        raise UsageError(
            f"{what}: {error.strerror}; TMPDIR names another folder for temporary files"
        ) from error


def _read_logs(files: Sequence[Path], options: LogOptions, on_progress: Callable[[int], object]) -> ReadLog:
    twice = [path for path, count in Counter(path.resolve() for path in files).items() if count > 1]
    if twice:
        raise UsageError(f"{twice[0]}: is given twice, so its requests would count twice; name it once")
    form = _one_format(files, options)
    key = os.urandom(32)
    table = PageTable(sample_requests(files, form, key), options.log_map)
    size = sum(path.stat().st_size * (USUAL_COMPRESSION if is_compressed(path) else 1) for path in files)
    pieces = (piece for path in files for piece in split_file(path))
    store = EventStore(min(MAX_PARTS, max(1, size // PART_BYTES)))
    counts, first_s, last_s = PieceCounts(), np.inf, -np.inf
    number_of = {path: number for number, path in enumerate(files)}
    ends: dict[Path, tuple[float, int]] = {}
    notes: list[str] = []
    first_unreadable: tuple[Path, tuple[int, str]] | None = None
    for result in _results(pieces, (form, table, key), _processes(options, size)):
        piece = result.piece
        on_progress(piece.end - piece.start)
        check_bad_lines(result, form, ends.get(piece.path, (0.0, 0))[1])
        if result.counts.requests:
            check_clock(result, ends.get(piece.path), unsorted=options.unsorted)
            first_s, last_s = min(first_s, result.first_s), max(last_s, result.last_s)
        lines = ends.get(piece.path, (0.0, 0))[1] + result.counts.lines
        ends[piece.path] = (
            result.ends_s if result.counts.requests else ends.get(piece.path, (0.0, 0))[0],
            lines,
        )
        first_unreadable = (
            first_unreadable or (piece.path, result.unreadable[0]) if result.unreadable else first_unreadable
        )
        counts.add(result.counts)
        result.events["file"] = number_of[piece.path]
        store.add(result.events)
        if piece.ends_early:
            notes.append(f"{piece.path.name} ends early: its compression is cut off or damaged")
    if not counts.requests:
        raise UsageError(no_request(files, form, counts.lines, first_unreadable))
    overlaps = find_overlaps(store.first_part()) if len(files) > 1 else []
    notes += _notes_on_overlaps(overlaps, files) + _notes_on_pages(table)
    return ReadLog(form, table, counts, store, overlaps, float(first_s), float(last_s), tuple(notes))


def _notes_on_overlaps(overlaps: Sequence[Overlap], files: Sequence[Path]) -> list[str]:
    notes = [
        f"{files[one.first].name} and {files[one.second].name} overlap from {clock(one.from_ms / 1e3)} to "
        f"{clock(one.to_ms / 1e3)}: their common page views count once"
        for one in overlaps[:_SHOWN_OVERLAPS]
    ]
    more = len(overlaps) - len(notes)
    return [*notes, f"{more} more pairs of files overlap"] if more else notes


def _notes_on_pages(table: PageTable) -> list[str]:
    """What the addresses of the log cannot tell, and what to log instead."""
    if table.one_address is None:
        return []
    address, share = table.one_address
    cause = f"{100 * share:.0f} % of the requests are {address}, as with GraphQL"
    effect = (
        "so kinds of pages cannot be told apart: visits and arrivals are known, and all pages count as home"
    )
    way_out = "log the name of the operation, as ?operationName= of the address or a field of JSON lines"
    return [f"{cause}, {effect}; {way_out}"]


def _one_format(files: Sequence[Path], options: LogOptions) -> LogFormat:
    log_map = options.log_map
    found = [
        (path, detect_log(path, fields=log_map.columns, form=log_map.time_format, zone=options.zone,
                          delimiter=log_map.delimiter))
        for path in files
    ]  # fmt: skip
    first = found[0][1]
    for path, form in found:
        if form.description != first.description or form.has_durations != first.has_durations:
            raise UsageError(
                f"{path}:1: is {with_article(form.description)}, but {found[0][0]} is "
                f"{with_article(first.description)}; read logs of one format at a time"
            )
    return max((form for _, form in found), key=lambda form: form.has_agents)


def _processes(options: LogOptions, size: int) -> int:
    return 1 if size < SMALL_BYTES else options.processes or min(os.cpu_count() or 1, 4)


def _results(pieces: Iterable[LogPiece], work: _Work, processes: int) -> Iterator[PieceResult]:
    """The results in the order of the pieces, at most two per process ahead."""
    if processes == 1:
        _start_worker(*work)
        try:
            yield from map(_read_piece, pieces)
        finally:
            _WORKER.clear()
            gc.enable()
        return
    context = get_context("spawn")
    with ProcessPoolExecutor(processes, context, initializer=_start_worker, initargs=work) as pool:
        waiting: deque[Future[PieceResult]] = deque()
        try:
            for piece in pieces:
                with _without_interrupts():
                    waiting.append(pool.submit(_read_piece, piece))
                if len(waiting) >= 2 * processes:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BrokenProcessPool as error:
            raise UsageError(
                "a reading process was killed, perhaps for lack of memory; try again with --processes 1"
            ) from error
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Ctrl-C is for this process: those that it starts meanwhile inherit the blocked signal."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


# ---- inside a worker process

_Work = tuple[LogFormat, PageTable, bytes]


@dataclass(slots=True)
class _ReadingWorker:
    form: LogFormat
    reader: EventReader


_WORKER: list[_ReadingWorker] = []


def _start_worker(form: LogFormat, table: PageTable, key: bytes) -> None:
    reader = EventReader(table, VisitorHash(key, has_agents=form.has_agents), form.stamp)
    _WORKER[:] = [_ReadingWorker(form, reader)]
    gc.disable()  # millions of strings and no reference cycles: collection would only cost time


def _read_piece(piece: LogPiece) -> PieceResult:
    worker = _WORKER[0]
    counts, parts, places = PieceCounts(), [], []
    unreadable: list[tuple[int, str]] = []
    first_s, last_s, begins_s, ends_s = np.inf, -np.inf, 0.0, 0.0
    jump_s, jump_line = 0.0, 0
    for content in piece.blocks():
        block = worker.form.parse(content)
        if len(block) and not counts.requests:
            begins_s = ends_s = float(block.time_s[0])
        back_s, row = _furthest_back(block, ends_s)
        if back_s > jump_s:
            jump_s, jump_line = back_s, counts.lines + row + 1
        unreadable += [
            (counts.lines + one.line, one.text) for one in block.unreadable[: 20 - len(unreadable)]
        ]
        events, who = worker.reader.read(block, counts)
        parts.append(events)
        places.append(who)
        if len(block):
            first_s, last_s = min(first_s, block.time_s.min()), max(last_s, block.time_s.max())
            ends_s = float(block.time_s[-1])
    events = np.concatenate(parts) if parts else np.empty(0, EVENT)
    if worker.form.has_cookies and events.size:
        join_first_pages(events, np.concatenate(places))
    return PieceResult(
        replace(piece, content=None),
        events,
        counts,
        float(first_s),
        float(last_s),
        begins_s,
        ends_s,
        jump_s,
        jump_line,
        tuple(unreadable),
    )


def _furthest_back(block: LogRequests, before_s: float) -> tuple[float, int]:
    """How far the clock goes back at most from one line to the next, and at which row."""
    if not len(block):
        return 0.0, 0
    steps = np.diff(block.time_s, prepend=before_s or block.time_s[0])
    row = int(steps.argmin())
    return max(0.0, -float(steps[row])), row
