"""Reads log files, in pieces and by several processes, into page views.

Files may come in any order. What is wrong with them is found before anything is written: a log without
requests, lines of another format, times far from all others.
"""

from __future__ import annotations

import gc
import os
import re
import signal
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from doorbuster.access_logs.formats.detection import detect_log
from doorbuster.access_logs.log_map import LogMap
from doorbuster.access_logs.log_requests import LogFormat, LogRequests
from doorbuster.access_logs.page_events import (
    EVENT,
    EventReader,
    Events,
    EventStore,
    PieceCounts,
    join_first_pages,
)
from doorbuster.access_logs.page_paths import SampledRequest, split_request
from doorbuster.access_logs.page_table import PageTable
from doorbuster.access_logs.visitors import IS_PROGRAM, VisitorHash
from doorbuster.errors import UsageError
from doorbuster.importers.input_file import InputFile

PIECE_BYTES = 16 << 20
SMALL_BYTES = 48 << 20  # below, other processes cost more than they save
PART_BYTES = 400 << 20  # of log per part of the store
MAX_PARTS = 128
SAMPLE_BYTES = 1 << 20
SAMPLE_PLACES = 8
SAMPLED_FILES = 24
BLOCK_BYTES = 4 << 20
MAX_BAD_RATIO, MIN_BAD = 0.02, 5
BACKWARDS_S = 15 * 60.0  # a request may be logged that long after it began
FIRST_TIME_S = 631_152_000.0  # 1990
_COMPRESSED = (b"\x1f\x8b", b"\x28\xb5\x2f\xfd")


@dataclass(frozen=True, slots=True)
class LogOptions:
    """How to read logs. processes: 0 for as many as there are cores, at most 4. unsorted: times may jump."""

    log_map: LogMap = field(default_factory=LogMap)
    zone: tzinfo | None = None
    processes: int = 0
    unsorted: bool = False


@dataclass(frozen=True, slots=True)
class ReadLog:
    """What was read of all files: the page views, the counts, and the pages that were learnt."""

    form: LogFormat
    table: PageTable
    counts: PieceCounts
    store: EventStore
    first_s: float
    last_s: float
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Piece:
    """A part of a file: of a compressed one all of it, of a plain one the lines that begin in these bytes."""

    path: Path
    start: int
    end: int
    is_compressed: bool


@dataclass(frozen=True, slots=True)
class _PieceResult:
    """`jump_line`: the line before which the clock goes back furthest, by `jump_s`; 0 if it never does."""

    piece: _Piece
    events: Events
    counts: PieceCounts
    first_s: float
    last_s: float
    begins_s: float
    ends_s: float
    jump_s: float
    jump_line: int
    bad: tuple[tuple[int, str], ...]
    truncated: bool


def read_logs(
    files: Sequence[Path], options: LogOptions, on_progress: Callable[[int], object] = lambda _: None
) -> ReadLog:
    """Read all files.

    Args: on_progress: called with the bytes read since the last call.
    Raises: UsageError for a file that is no usable access log; says where and why.
    """
    try:
        return _read_logs(files, options, on_progress)
    except OSError as error:
        what = error.filename or f"temporary files in {tempfile.gettempdir()}"
        raise UsageError(
            f"{what}: {error.strerror}; TMPDIR names another folder for temporary files"
        ) from error


def _read_logs(files: Sequence[Path], options: LogOptions, on_progress: Callable[[int], object]) -> ReadLog:
    form = _one_format(files, options)
    key = os.urandom(32)
    table = PageTable(_sample(files, form, key), options.log_map)
    size = sum(path.stat().st_size for path in files)
    pieces = [piece for path in files for piece in _pieces(path)]
    store = EventStore(min(MAX_PARTS, max(1, size // PART_BYTES)))
    counts, first_s, last_s = PieceCounts(), np.inf, -np.inf
    ends: dict[Path, tuple[float, int]] = {}
    notes: list[str] = []
    first_bad: tuple[Path, tuple[int, str]] | None = None
    for result in _results(pieces, (form, table, key), _processes(options, size, len(pieces))):
        piece = result.piece
        on_progress(piece.end - piece.start)
        _check_bad_lines(result, form, ends.get(piece.path, (0.0, 0))[1])
        if result.counts.requests:
            _check_clock(result, options, ends.get(piece.path))
            first_s, last_s = min(first_s, result.first_s), max(last_s, result.last_s)
        lines = ends.get(piece.path, (0.0, 0))[1] + result.counts.lines
        ends[piece.path] = (
            result.ends_s if result.counts.requests else ends.get(piece.path, (0.0, 0))[0],
            lines,
        )
        first_bad = first_bad or (piece.path, result.bad[0]) if result.bad else first_bad
        counts.add(result.counts)
        store.add(result.events)
        if result.truncated:
            notes.append(f"{piece.path.name} ends early: its compression is cut off or damaged")
    if not counts.requests:
        raise UsageError(_no_request(files, form, counts.lines, first_bad))
    return ReadLog(form, table, counts, store, float(first_s), float(last_s), tuple(notes))


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
                f"{path}:1: is {_article(form.description)}, but {found[0][0]} is "
                f"{_article(first.description)}; read logs of one format at a time"
            )
    return max((form for _, form in found), key=lambda form: form.has_agents)


def _article(description: str) -> str:
    return f"an {description}" if description[:1] in "AEIOU" else f"a {description}"


def _pieces(path: Path) -> Iterator[_Piece]:
    size = path.stat().st_size
    with path.open("rb") as file:
        is_compressed = file.read(4).startswith(_COMPRESSED)
    if is_compressed:
        yield _Piece(path, 0, size, is_compressed=True)
        return
    for start in range(0, size, PIECE_BYTES):
        yield _Piece(path, start, min(size, start + PIECE_BYTES), is_compressed=False)


def _processes(options: LogOptions, size: int, pieces: int) -> int:
    wanted = options.processes or min(os.cpu_count() or 1, 4)
    return 1 if size < SMALL_BYTES else max(1, min(wanted, pieces))


def _results(pieces: Sequence[_Piece], work: _Work, processes: int) -> Iterator[_PieceResult]:
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
        waiting: deque[Future[_PieceResult]] = deque()
        left = iter(pieces)
        try:
            for piece in left:
                with _without_interrupts():
                    waiting.append(pool.submit(_read_piece, piece))
                if len(waiting) >= 2 * processes:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BrokenProcessPool as error:
            raise UsageError(
                "a process that reads was killed, perhaps for lack of memory; try again with --processes 1"
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
    gc.disable()  # millions of texts and no circles: collecting would only take time


def _read_piece(piece: _Piece) -> _PieceResult:
    worker = _WORKER[0]
    counts, parts, places = PieceCounts(), [], []
    bad: list[tuple[int, str]] = []
    first_s, last_s, begins_s, ends_s = np.inf, -np.inf, 0.0, 0.0
    jump_s, jump_line, truncated = 0.0, 0, False
    with InputFile(piece.path) as file:
        blocks = file.line_blocks() if piece.is_compressed else _plain_blocks(piece)
        for content in blocks:
            block = worker.form.parse(content)
            if len(block) and not counts.requests:
                begins_s = ends_s = float(block.time_s[0])
            back_s, row = _furthest_back(block, ends_s)
            if back_s > jump_s:
                jump_s, jump_line = back_s, counts.lines + row + 1
            bad += [(counts.lines + one.line, one.text) for one in block.bad[: 20 - len(bad)]]
            events, who = worker.reader.read(block, counts)
            parts.append(events)
            places.append(who)
            if len(block):
                first_s, last_s = min(first_s, block.time_s.min()), max(last_s, block.time_s.max())
                ends_s = float(block.time_s[-1])
        truncated = file.truncated
    events = np.concatenate(parts) if parts else np.empty(0, EVENT)
    if worker.form.has_cookies and events.size:
        join_first_pages(events, np.concatenate(places))
    return _PieceResult(
        piece,
        events,
        counts,
        float(first_s),
        float(last_s),
        begins_s,
        ends_s,
        jump_s,
        jump_line,
        tuple(bad),
        truncated,
    )


def _furthest_back(block: LogRequests, before_s: float) -> tuple[float, int]:
    """How far the clock goes back at most from one line to the next, and at which row."""
    if not len(block):
        return 0.0, 0
    steps = np.diff(block.time_s, prepend=before_s or block.time_s[0])
    row = int(steps.argmin())
    return max(0.0, -float(steps[row])), row


def _plain_blocks(piece: _Piece) -> Iterator[bytes]:
    """The lines that begin inside the piece."""
    with piece.path.open("rb") as file:
        if piece.start:
            file.seek(piece.start - 1)
            file.readline()  # it began in the piece before
        while (at := file.tell()) < piece.end:
            content = file.read(min(BLOCK_BYTES, piece.end - at))
            if content[-1:] != b"\n":
                content += file.readline()
            yield content


# ---- the sample from which pages are learnt


def _sample(files: Sequence[Path], form: LogFormat, key: bytes) -> list[SampledRequest]:
    """Requests of people in evenly spread places of the log."""
    visitor_hash = VisitorHash(key, has_agents=form.has_agents)
    chosen = files if len(files) <= SAMPLED_FILES else files[:: len(files) // SAMPLED_FILES + 1]
    found = []
    for path in chosen:
        for content in _sample_blocks(path, max(1, SAMPLE_PLACES // len(chosen))):
            block = form.parse(content)
            people = zip(block.addresses, block.agents, block.cookies, strict=True)
            for request, who, time_s in zip(block.requests, people, block.time_s.tolist(), strict=True):
                visitor = visitor_hash(*who)
                if not visitor & IS_PROGRAM:
                    found.append(SampledRequest(*split_request(request), visitor, time_s))
    return found


def _sample_blocks(path: Path, places: int) -> Iterator[bytes]:
    pieces = list(_pieces(path))
    if pieces and pieces[0].is_compressed:
        with InputFile(path) as file:
            yield next(file.line_blocks(), b"")
        return
    size = path.stat().st_size
    for place in range(places):
        start = size * place // places
        end = min(start + SAMPLE_BYTES, size * (place + 1) // places)
        yield from _plain_blocks(_Piece(path, start, end, is_compressed=False))


# ---- what is wrong with a log


def _no_request(
    files: Sequence[Path], form: LogFormat, lines: int, bad: tuple[Path, tuple[int, str]] | None
) -> str:
    counted = "1 line" if lines == 1 else f"{lines:,} lines"
    if bad is None:
        names = ", ".join(str(path) for path in files)
        return f"{names}: no request found in {counted}; is this the right log?"
    path, (line, text) = bad
    return (
        f"{path}:{line}: no request found in {counted}: not a line of {_article(form.description)}: "
        f"its shape is {_shape(text)!a}"
    )


def _check_bad_lines(result: _PieceResult, form: LogFormat, lines_before: int) -> None:
    counts = result.counts
    if counts.bad <= max(MIN_BAD, MAX_BAD_RATIO * counts.lines):
        return
    line, text = result.bad[0]
    raise UsageError(
        f"{result.piece.path}:{lines_before + line}: not a line of {_article(form.description)}: "
        f"its shape is {_shape(text)!a}; {counts.bad:,} of {counts.lines:,} lines are not. "
        "Split a file that mixes formats"
    )


def _shape(text: str) -> str:
    """A line without what may be personal: letters become a, digits 0."""
    return re.sub(r"[0-9]", "0", re.sub(r"[^\W\d_]", "a", text[:60]))


def _check_clock(result: _PieceResult, options: LogOptions, before: tuple[float, int] | None) -> None:
    path, lines_before = result.piece.path, before[1] if before else 0
    if result.first_s < FIRST_TIME_S or result.last_s > time.time() + 86_400.0:
        wrong_s = result.first_s if result.first_s < FIRST_TIME_S else result.last_s
        raise UsageError(
            f"{path}: has the time {_clock(wrong_s)}, when no log of a shop was written; the server's clock "
            "was wrong, or the column is no time"
        )
    if options.unsorted:
        return
    jump_s, line = result.jump_s, result.jump_line
    if before and before[0] and before[0] - result.begins_s > jump_s:
        jump_s, line = before[0] - result.begins_s, 1
    if jump_s > BACKWARDS_S:
        raise UsageError(
            f"{path}:{lines_before + line}: the clock goes back by {jump_s / 60:,.0f} min; correct the times "
            "if the server's clock was set, or add --unsorted if the lines are in no order"
        )


def _clock(unix_s: float) -> str:
    try:
        return f"{datetime.fromtimestamp(unix_s, UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (OverflowError, ValueError, OSError):
        return f"{unix_s:g} s"
