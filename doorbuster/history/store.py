"""The history file: one SQLite database over hundreds or thousands of runs.

Rules of this module:
- A run is identified by its run id, so that adding or merging it again changes nothing.
- A run is added in one transaction: an interrupted `add` leaves whole runs only.
- Values keep the interval that the run itself showed; nothing about requests is copied. The history replaces
  no run file.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from doorbuster.errors import RecordError
from doorbuster.history.identity import TimelineKey
from doorbuster.output import one_line

_WAY_OUT = "name another file, or copy this one again"
APPLICATION_ID = 0x44424849  # "DBHI"
SCHEMA_VERSION = 1
_MAX_UNIX_NS = 4_000_000_000 * 10**9  # in the year 2096
_MAX_TEXT = 1_000_000
_MAX_VALUE = 1e15


def _text(column: str) -> str:
    return f"{column} TEXT NOT NULL CHECK (length({column}) <= {_MAX_TEXT})"


# STRICT tables with checks: `PRAGMA integrity_check` then proves that readers find what they expect.
_SCHEMA = f"""
CREATE TABLE timelines (
  id INTEGER PRIMARY KEY, {_text("scenario")} CHECK (trim(scenario) != ''), {_text("target")},
  {_text("machine")}, {_text("branch")}, UNIQUE (scenario, target, machine, branch)) STRICT;
CREATE TABLE runs (
  id INTEGER PRIMARY KEY, {_text("run_id")} UNIQUE, timeline INTEGER NOT NULL REFERENCES timelines,
  started_at_unix_ns INTEGER NOT NULL CHECK (started_at_unix_ns BETWEEN 0 AND {_MAX_UNIX_NS}),
  {_text("git_commit")}, {_text("verdict")}, {_text("unusable")}, {_text("folder")}) STRICT;
CREATE INDEX runs_by_time ON runs (timeline, started_at_unix_ns);
CREATE TABLE metrics (
  id INTEGER PRIMARY KEY, {_text("key")} UNIQUE, {_text("unit")},
  better TEXT NOT NULL CHECK (better IN ('lower', 'higher', '')),
  headline INTEGER NOT NULL CHECK (headline IN (0, 1))) STRICT;
CREATE TABLE samples (
  metric INTEGER NOT NULL REFERENCES metrics, run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
  value REAL NOT NULL CHECK (abs(value) <= {_MAX_VALUE}), low REAL CHECK (abs(low) <= {_MAX_VALUE}),
  high REAL CHECK (abs(high) <= {_MAX_VALUE}), n INTEGER NOT NULL CHECK (n >= 0),
  PRIMARY KEY (metric, run)) STRICT, WITHOUT ROWID;
CREATE TABLE notes (
  id INTEGER PRIMARY KEY, {_text("git_commit")}, {_text("text")}, UNIQUE (git_commit, text)) STRICT;
"""


@dataclass(frozen=True, slots=True)
class HistoryRun:
    """One run of the history. `unusable` says why its values do not count; "" when they do."""

    run_id: str
    started_at_unix_ns: int
    git_commit: str
    verdict: str
    unusable: str = ""
    folder: str = ""


@dataclass(frozen=True, slots=True)
class StoredMetric:
    """A metric of the history. `headline`: of a threshold, or one that `show` prints by default."""

    key: str
    unit: str
    better: str
    headline: bool


@dataclass(frozen=True, slots=True)
class Sample:
    """The value of a metric in one run, with its interval within the run and the number of observations."""

    value: float
    low: float | None = None
    high: float | None = None
    n: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class MetricValues:
    """The values of one metric: `at` are places in the runs of the timeline; NaN is an unknown end."""

    metric: StoredMetric
    at: NDArray[np.int64]
    value: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


class History:
    """An open history file. Use as a context manager."""

    def __init__(self, path: Path, db: sqlite3.Connection) -> None:
        self.path = path
        self._db = db

    @classmethod
    def open(cls, path: Path, *, create: bool = False) -> Self:
        """Open a history file.

        Raises: RecordError when it is missing (unless `create`), damaged or not a history.
        """
        if not create and not path.is_file():
            raise RecordError(f"{path}: there is no history; add a run with `doorbuster history add RUN`")
        with _errors(path):
            if create:
                path.parent.mkdir(parents=True, exist_ok=True)
            db = sqlite3.connect(path, isolation_level=None, timeout=30.0)
            try:
                _prepare(path, db)
            except BaseException:
                db.close()
                raise
        return cls(path, db)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def has(self, run_id: str) -> bool:
        """Whether the run is in the history."""
        return bool(self._rows("SELECT 1 FROM runs WHERE run_id = ?", run_id))

    def add(self, key: TimelineKey, run: HistoryRun, samples: Mapping[StoredMetric, Sample]) -> bool:
        """Add a run; False when it was there already."""
        if self.has(run.run_id):
            return False
        with self._transaction():
            self._db.execute("INSERT OR IGNORE INTO timelines VALUES (NULL, ?, ?, ?, ?)", key)
            (timeline,) = self._db.execute(
                "SELECT id FROM timelines WHERE (scenario, target, machine, branch) = (?, ?, ?, ?)", key
            ).fetchone()
            run_number = self._db.execute(
                "INSERT INTO runs VALUES (NULL, ?, ?, ?, ?, ?, ?, ?)",
                (run.run_id, timeline, run.started_at_unix_ns, run.git_commit, run.verdict, run.unusable,
                 run.folder),
            ).lastrowid  # fmt: skip
            self._db.executemany(
                "INSERT INTO metrics VALUES (NULL, ?, ?, ?, ?)"
                " ON CONFLICT (key) DO UPDATE SET headline = max(headline, excluded.headline)",
                [(metric.key, metric.unit, metric.better, metric.headline) for metric in samples],
            )
            self._db.executemany(
                "INSERT INTO samples SELECT id, ?, ?, ?, ?, ? FROM metrics WHERE key = ?",
                [
                    (run_number, sample.value, sample.low, sample.high, sample.n, metric.key)
                    for metric, sample in samples.items()
                ],
            )
        return True

    def timelines(self) -> dict[TimelineKey, int]:
        """All timelines with their number of runs, the largest first."""
        rows = self._rows(
            "SELECT scenario, target, machine, branch, count(*) AS n FROM timelines"
            " JOIN runs ON timeline = timelines.id GROUP BY timelines.id ORDER BY n DESC, scenario"
        )
        return {TimelineKey(*row[:4]): row[4] for row in rows}

    def runs(self, key: TimelineKey, *, last: int | None = None) -> tuple[HistoryRun, ...]:
        """The runs of a timeline in order of their start; the last ones only, if a number is given."""
        return tuple(HistoryRun(*row[1:]) for row in self._run_rows(key, last))

    def values(
        self, key: TimelineKey, *, metrics: Sequence[str] = (), headlines: bool = False,
        last: int | None = None,
    ) -> Iterator[MetricValues]:  # fmt: skip
        """The values of each metric in the usable runs of a timeline, one metric at a time.

        Args: metrics: keys; all when empty. headlines: only headline metrics. last: as for `runs`.
        """
        rows = self._run_rows(key, last)
        numbers = np.array([row[0] for row in rows], np.int64)
        usable = np.array([not row[5] for row in rows], np.bool_)
        order = np.argsort(numbers)
        for number, metric in self._metrics(metrics, headlines=headlines):
            found = self._rows("SELECT run, value, low, high FROM samples WHERE metric = ?", number)
            table = np.array(found, np.float64).reshape(-1, 4)
            sample_runs = table[:, 0].astype(np.int64)
            place = np.searchsorted(numbers[order], sample_runs)
            place = order[np.minimum(place, len(order) - 1)]
            here = (numbers[place] == sample_runs) & usable[place]
            if here.any():
                by_time = np.argsort(place[here], kind="stable")
                kept = table[here][by_time]
                yield MetricValues(metric, place[here][by_time], kept[:, 1], kept[:, 2], kept[:, 3])

    def metrics(self) -> tuple[StoredMetric, ...]:
        """All metrics, in the order in which they were first added."""
        return tuple(metric for _, metric in self._metrics((), headlines=False))

    def notes(self) -> dict[str, tuple[str, ...]]:
        """Notes by commit."""
        found: dict[str, tuple[str, ...]] = {}
        for commit, text in self._rows("SELECT git_commit, text FROM notes ORDER BY id"):
            found[commit] = (*found.get(commit, ()), text)
        return found

    def annotate(self, commit: str, text: str) -> str:
        """Attach a note to a commit of the history, which may be abbreviated; returns the whole commit.

        Raises: RecordError when no run, or more than one commit, begins like that.
        """
        commits = [
            row[0]
            for row in self._rows("SELECT DISTINCT git_commit FROM runs WHERE git_commit != ''")
            if row[0].startswith(commit) or commit.startswith(row[0])
        ]
        if len(commits) != 1:
            which = f"{len(commits)} commits begin" if commits else "no commit of a run begins"
            raise RecordError(f"{self.path}: {which} with {commit!r}; `doorbuster history show` lists them")
        with self._transaction():
            self._db.execute("INSERT OR IGNORE INTO notes VALUES (NULL, ?, ?)", (commits[0], text))
        return str(commits[0])

    def merge(self, other: History) -> int:
        """Add the runs and notes of another history; returns the number of runs that were new."""
        added = 0
        for key in other.timelines():
            for run in other.runs(key):
                if not self.has(run.run_id):
                    added += self.add(key, run, other.samples(run.run_id))
        with self._transaction():
            self._db.executemany(
                "INSERT OR IGNORE INTO notes VALUES (NULL, ?, ?)",
                [(commit, text) for commit, texts in other.notes().items() for text in texts],
            )
        return added

    def samples(self, run_id: str) -> dict[StoredMetric, Sample]:
        """All values of one run."""
        rows = self._rows(
            "SELECT key, unit, better, headline, value, low, high, n FROM metrics"
            " JOIN samples ON metric = metrics.id WHERE run = (SELECT id FROM runs WHERE run_id = ?)"
            " ORDER BY metrics.id",
            run_id,
        )
        return {StoredMetric(row[0], row[1], row[2], bool(row[3])): Sample(*row[4:]) for row in rows}

    def prune(self, *, keep: int | None = None, before_unix_ns: int | None = None) -> int:
        """Remove all but the newest `keep` runs of each timeline, and those started before a time."""
        with self._transaction():
            doomed: set[int] = set()
            for key in self.timelines():
                rows = self._run_rows(key, None)
                doomed |= {row[0] for row in rows[: max(0, len(rows) - keep)]} if keep is not None else set()
                doomed |= {row[0] for row in rows if before_unix_ns is not None and row[2] < before_unix_ns}
            places = [(number,) for number in doomed]
            self._db.executemany("DELETE FROM samples WHERE run = ?", places)
            self._db.executemany("DELETE FROM runs WHERE id = ?", places)
            self._db.execute("DELETE FROM timelines WHERE id NOT IN (SELECT timeline FROM runs)")
        with _errors(self.path):
            self._db.execute("VACUUM")
        return len(doomed)

    def _run_rows(self, key: TimelineKey, last: int | None) -> list[tuple[int, str, int, str, str, str, str]]:
        rows = self._rows(
            "SELECT id, run_id, started_at_unix_ns, git_commit, verdict, unusable, folder FROM runs"
            " WHERE timeline = (SELECT id FROM timelines"
            " WHERE (scenario, target, machine, branch) = (?, ?, ?, ?))"
            " ORDER BY started_at_unix_ns DESC, id DESC LIMIT ?",
            *key, -1 if last is None else last,
        )  # fmt: skip
        return rows[::-1]

    def _metrics(self, keys: Sequence[str], *, headlines: bool) -> list[tuple[int, StoredMetric]]:
        rows = self._rows("SELECT id, key, unit, better, headline FROM metrics ORDER BY id")
        return [
            (row[0], StoredMetric(row[1], row[2], row[3], bool(row[4])))
            for row in rows
            if (not keys or row[1] in keys) and (row[4] or not headlines)
        ]

    def _rows(self, sql: str, *parameters: object) -> list[tuple]:  # type: ignore[type-arg]
        with _errors(self.path):
            return self._db.execute(sql, parameters).fetchall()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with _errors(self.path):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")


def _prepare(path: Path, db: sqlite3.Connection) -> None:
    """Check the format of the file; create the tables of a new one."""
    (application,) = db.execute("PRAGMA application_id").fetchone()
    (version,) = db.execute("PRAGMA user_version").fetchone()
    (tables,) = db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if not tables and not application:
        db.executescript(
            f"BEGIN; {_SCHEMA} PRAGMA application_id = {APPLICATION_ID};"
            f" PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"
        )
    elif application != APPLICATION_ID:
        raise RecordError(f"{path}: this SQLite database is not a history; name another file")
    elif version != SCHEMA_VERSION:
        raise RecordError(
            f"{path}: a history of format {version}, this doorbuster reads format {SCHEMA_VERSION};"
            " use the doorbuster that wrote it"
        )
    elif _tables(db) != _expected_tables():
        raise RecordError(f"{path}: its tables are not those of a history; {_WAY_OUT}")
    elif (found := _damage(db)) is not None:
        raise RecordError(f"{path}: damaged: {one_line(found, 200)}; {_WAY_OUT}")
    db.execute("PRAGMA foreign_keys = ON")


def _tables(db: sqlite3.Connection) -> set[tuple[str, str]]:
    return set(db.execute("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL"))


@cache
def _expected_tables() -> set[tuple[str, str]]:
    with closing(sqlite3.connect(":memory:")) as db:
        db.executescript(_SCHEMA)
        return _tables(db)


def _damage(db: sqlite3.Connection) -> str | None:
    """The first fault in the pages, types, values or references; None if there is none."""
    (found,) = db.execute("PRAGMA integrity_check(1)").fetchone()
    if found != "ok":
        return str(found)
    broken = db.execute("PRAGMA foreign_key_check").fetchone()
    return None if broken is None else f"a row of {broken[0]} refers to a missing row of {broken[2]}"


@contextmanager
def _errors(path: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError, UnicodeError) as error:
        reason = one_line(str(error), 200)
        raise RecordError(f"{path}: cannot use the history: {reason}; {_WAY_OUT}") from error
