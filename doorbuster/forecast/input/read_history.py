"""Reads the files of a history into one series for each measure.

Rules of this module:
- Every problem of a file is reported, with its line, in one error.
- Rows of one moment add up, so a file may have one row for each channel, and channels may have files of
  their own. Files overlap if nine of ten counts in the time that both cover are the same; those count once.
- An order that has several rows, such as one for each article, counts once, at its first time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from doorbuster.errors import FileProblem, UsageError, problem_lines
from doorbuster.forecast.demand_series import DemandSeries, Grain, Measure
from doorbuster.forecast.input.columns import ColumnChoice, HistoryOptions, choose_columns
from doorbuster.forecast.input.parquet import read_parquet_rows
from doorbuster.forecast.input.sql_dump import read_sql_rows
from doorbuster.forecast.input.table_rows import TableRows, kind_of, read_csv_rows
from doorbuster.forecast.input.time_stamps import TimeStampParser, find_time_zone
from doorbuster.output.tracking import Advance, unseen

_SATURATED_WORDS = {"1", "true", "yes", "t"}
_LEAST_COMMON, _LEAST_SUM, _LEAST_RATIO = 5, 100, 0.9  # few small counts are equal by chance
ROWS_AT_ONCE = 5_000  # between two reports of progress
_GRAINS: dict[Grain, str] = {"day": "D", "hour": "h", "minute": "m"}


@dataclass(slots=True)
class _Collected:
    """The rows of one measure read so far."""

    counts: dict[datetime, float] = field(default_factory=lambda: defaultdict(float))
    first_times: dict[str, datetime] = field(default_factory=dict)
    saturated: set[datetime] = field(default_factory=set)
    events: bool = False


def read_history(
    paths: Sequence[Path], options: HistoryOptions, on_progress: Advance = unseen
) -> dict[Measure, DemandSeries]:
    """The series of orders, of visits, or both.

    Args: on_progress: takes the bytes of the files as they are read.
    Raises: UsageError with every unreadable row, or if the files hold nothing to count.
    """
    collected: dict[Measure, _Collected] = {}
    problems: list[FileProblem] = []
    notes: list[str] = []
    zone = find_time_zone(options.time_zone)
    for path in paths:
        parser = TimeStampParser(options.date_format, zone)
        table = _tracked(_open(path, options), path.stat().st_size, on_progress)
        part: dict[Measure, _Collected] = {}
        problems += _read(table, choose_columns(table.file, table.columns, options), parser, part)
        notes += _join(collected, part, path.name)
        problems += _doubts(table.file, parser)
        if parser.offsets and zone is None:
            notes.append(f"{path.name}: hours count as written, at UTC offset {', '.join(parser.offsets)}.")
    if problems:
        raise UsageError(problem_lines(sorted(problems)))
    source = ", ".join(path.name for path in paths)
    series = {measure: _series(measure, found, source, tuple(notes)) for measure, found in collected.items()}
    series = {measure: found for measure, found in series.items() if found.counts.sum() > 0}
    if not series:
        raise UsageError(
            f"{source}: has no counts above 0; export the table with its rows, or name another column"
        )
    return series


def _join(collected: dict[Measure, _Collected], part: dict[Measure, _Collected], name: str) -> list[str]:
    """Add a file to those before; returns what was counted once only."""
    notes = []
    for measure, own in part.items():
        before = collected.setdefault(measure, _Collected())
        equal = _repeated(before.counts, own.counts)
        if equal:
            repeated = f"{name} repeats {len(equal):,} counts of {measure} of the files before"
            notes.append(f"{repeated}, from {min(equal)} to {max(equal)}; they count once.")
        for when, count in own.counts.items():
            before.counts[when] += 0.0 if when in equal else count
        for identity, when in own.first_times.items():
            before.first_times[identity] = min(before.first_times.get(identity, when), when)
        before.saturated |= own.saturated
        before.events |= own.events
    return notes


def _repeated(before: Mapping[datetime, float], own: Mapping[datetime, float]) -> set[datetime]:
    """The moments that both have with the same count; none if the two do not overlap."""
    first, last = ({when for when, count in counts.items() if count} for counts in (before, own))
    if not first or not last:
        return set()
    start, end = max(min(first), min(last)), min(max(first), max(last))
    fewest = min(sum(start <= when <= end for when in moments) for moments in (first, last))
    equal = {when for when in first & last if before[when] == own[when]}
    by_chance = len(equal) < _LEAST_COMMON and sum(before[when] for when in equal) < _LEAST_SUM
    return set() if by_chance or len(equal) < _LEAST_RATIO * fewest else equal


def _tracked(table: TableRows, size: int, on_progress: Advance) -> TableRows:
    """The table, whose rows report how much of `size` was read."""

    def rows() -> Iterator[tuple[int, Sequence[str]]]:
        reported = 0.0
        for number, row in enumerate(table.rows, 1):
            yield row
            if number % ROWS_AT_ONCE == 0 and table.row_count:
                read = size * min(1.0, number / table.row_count)
                on_progress(read - reported)
                reported = read
        on_progress(size - reported)

    return replace(table, rows=rows())


def _open(path: Path, options: HistoryOptions) -> TableRows:
    if kind_of(path) == ".parquet":
        return read_parquet_rows(path, options.named_columns)
    if kind_of(path) == ".sql":
        return read_sql_rows(path, options.table)
    return read_csv_rows(path)


def _read(
    table: TableRows, choice: ColumnChoice, parser: TimeStampParser, into: dict[Measure, _Collected]
) -> list[FileProblem]:
    problems: list[FileProblem] = []
    wanted = [measure for measure, _ in choice.counts] or [choice.event]
    for measure in wanted:
        into.setdefault(measure, _Collected()).events |= not choice.counts
    first_day = parser.parse(table.first_day) if choice.is_nth_day else None
    last = max((choice.time, *(place for _, place in choice.counts), choice.identity or 0))
    for line, row in table.rows:
        if len(row) <= last:
            problems.append(FileProblem(table.file, line, 1, "", f"must have {len(table.columns)} columns"))
            continue
        text = row[choice.time].strip()
        if not text:
            continue  # the total of an export of analytics
        when = _nth(text, first_day) if choice.is_nth_day else parser.parse(text)
        if when is None:
            key = table.columns[choice.time]
            problems.append(
                FileProblem(
                    table.file, line, 1, key, "must be a time", text, "name its format with --date-format"
                )
            )
            continue
        if choice.counts:
            problems += _add_counts(table, line, row, choice, when, into)
        elif choice.identity is None:
            into[choice.event].counts[when] += 1.0
        else:
            known = into[choice.event].first_times
            identity = row[choice.identity]
            known[identity] = min(known.get(identity, when), when)
        if choice.saturated is not None and row[choice.saturated].strip().lower() in _SATURATED_WORDS:
            for measure in wanted:
                into[measure].saturated.add(when)
    return problems


def _add_counts(
    table: TableRows, line: int, row: Sequence[str], choice: ColumnChoice, when: datetime,
    into: dict[Measure, _Collected],
) -> list[FileProblem]:  # fmt: skip
    problems = []
    for measure, place in choice.counts:
        text = "".join(row[place].strip().strip("\"'").replace(",", "").split())  # 1,234 or 1 234
        try:
            count = float(text or 0)
        except ValueError:
            count = -1.0
        if not 0 <= count < 1e15:
            rule = "must be a count of 0 or more"
            problems.append(FileProblem(table.file, line, 1, table.columns[place], rule, row[place]))
            continue
        into[measure].counts[when] += count
    return problems


def _nth(text: str, first_day: datetime | None) -> datetime | None:
    """The day of "0007", counted from the start date of the export."""
    return first_day + timedelta(days=int(text)) if first_day and text.isdigit() else None


def _doubts(file: str, parser: TimeStampParser) -> list[FileProblem]:
    if parser.ambiguous and not parser.layout:
        rule, way_out = "has ambiguous dates", "add --date-format %d/%m/%Y or %m/%d/%Y"
        return [FileProblem(file, 0, 0, "", rule, parser.ambiguous, way_out)]
    if len(parser.offsets) > 2 and parser.zone is None:
        rule, way_out = "has more than two UTC offsets", "name the shop's zone, e.g. --timezone Europe/London"
        return [FileProblem(file, 0, 0, "", rule, ", ".join(sorted(parser.offsets)), way_out)]
    return []


def _series(measure: Measure, found: _Collected, source: str, notes: tuple[str, ...]) -> DemandSeries:
    for when in found.first_times.values():
        found.counts[when] += 1.0
    times = np.array(sorted(found.counts), "datetime64[s]")
    counts = np.array([found.counts[when] for when in sorted(found.counts)], np.float64)
    grain = _grain(times, events=found.events)
    moments, place = np.unique(times.astype(f"datetime64[{_GRAINS[grain]}]"), return_inverse=True)
    totals = np.bincount(place, weights=counts, minlength=len(moments)).astype(np.float64)
    held = np.array(sorted(found.saturated), "datetime64[s]").astype(moments.dtype)
    return DemandSeries(measure, grain, moments, totals, np.isin(moments, held), source, notes)


def _grain(times: np.ndarray, *, events: bool) -> Grain:
    """The coarsest grain that loses no time of day; single events are counted by the minute."""
    seconds = times.astype(np.int64)
    if not (seconds % 86_400).any():
        return "day"
    return "hour" if not events and not (seconds % 3600).any() else "minute"
