"""Checks a run file once, when it is opened, so that its readers need no checks.

A run file may come from anybody: cut off in transit, edited by hand, or made to mislead. SQLite checks the
pages; the tables must be those of the format; every value must have the type and range of its column, every
reference a row, and the arrays that readers make must be in proportion to the file.

All checks are queries that stream through a table once: time grows with the size of the file, memory does
not. Packed bins are checked where they are decoded (`histogram.unpack`).
"""

from __future__ import annotations

import json
import math
import re
import sqlite3
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, get_type_hints

from pydantic import TypeAdapter, ValidationError

from doorbuster.errors import RecordError
from doorbuster.output import one_line
from doorbuster.records.browser import MOMENTS
from doorbuster.records.histogram import PACKED
from doorbuster.records.metadata import RunMeta
from doorbuster.records.outcome import Outcome, RequestOutcome

WAY_OUT: Final = "copy it again from where it was recorded"
MAX_SECOND: Final = 62 * 86_400  # longer than any run
MAX_COUNT: Final = 10**12
MAX_OBSERVED_SERIES: Final = 100_000
MAX_TEXT: Final = 10_000_000  # characters, of a story or a traceback
_FREE_ARRAY_BYTES: Final = 256 * 2**20
_ARRAY_BYTES_PER_FILE_BYTE: Final = 4
_MAX_UNIX_NS: Final = 4_000_000_000 * 10**9  # in the year 2096
_KINDS = ("response", "service", "first_byte")


def _whole(low: int, high: int, *, null: bool = False) -> str:
    checks = f"typeof({{0}}) = 'integer' AND {{0}} BETWEEN {low} AND {high}"
    return f"({{0}} IS NULL OR ({checks}))" if null else f"({checks})"


def _real(low: float, high: float, *, null: bool = False) -> str:
    checks = f"typeof({{0}}) IN ('real', 'integer') AND {{0}} BETWEEN {low:.17g} AND {high:.17g}"
    return f"({{0}} IS NULL OR ({checks}))" if null else f"({checks})"


def _one_of(values: object) -> str:
    listed = ", ".join(f"'{value}'" for value in values)  # type: ignore[attr-defined]
    return f"({{0}} IN ({listed}))"


_TEXT = f"(typeof({{0}}) = 'text' AND length({{0}}) <= {MAX_TEXT})"
_BINS = f"(typeof({{0}}) = 'blob' AND length({{0}}) % {PACKED.itemsize} = 0)"
_COUNT = _whole(0, MAX_COUNT)
_SECOND = _whole(0, MAX_SECOND)
_ABOUT = _whole(-86_400, MAX_SECOND)  # a step may begin before the first second
_MINUTE = _whole(-1440, MAX_SECOND // 60)
_TIME = _real(-MAX_SECOND, MAX_SECOND)
_MONEY = _whole(-(2**53), 2**53)
_SUM = _whole(-(2**53), 2**53)
_COULD = "({0} IS NULL OR ({0} IN (0, 1) AND typeof({0}) = 'integer'))"
_MS = _real(0, 1e12, null=True)
MAX_PICTURE_BYTES: Final = 500_000
_JPEG = (  # the mark of every JPEG file
    f"(typeof({{0}}) = 'blob' AND length({{0}}) <= {MAX_PICTURE_BYTES} AND substr({{0}}, 1, 3) = x'FFD8FF')"
)
_LABELS = f"({_TEXT} AND json_valid({{0}}) AND json_type({{0}}) = 'object')"
_LINES = (
    "(typeof({0}) = 'text' AND json_valid({0}) AND json_type({0}) = 'array' AND NOT EXISTS (SELECT 1 FROM"
    " json_each({0}) AS line WHERE line.type <> 'array' OR json_array_length(line.value) <> 3"
    " OR json_type(line.value, '$[0]') <> 'text' OR json_type(line.value, '$[1]') <> 'integer'"
    " OR json_type(line.value, '$[2]') <> 'integer' OR abs(json_extract(line.value, '$[1]')) > 1e12"
    " OR abs(json_extract(line.value, '$[2]')) > 9e15))"
)

RULES: Final[Mapping[str, Mapping[str, str]]] = {
    "meta": {"key": _TEXT, "value": "(typeof({0}) IN ('text', 'integer'))"},
    "writer": {"host": _TEXT, "pid": _whole(0, 2**31), "process_started_at_unix_s": _real(0, 1e11),
               "heartbeat_unix_ns": _whole(0, _MAX_UNIX_NS)},
    "workers": {"name": _TEXT, "last_seq": _whole(-1, MAX_COUNT), "final": "({0} IN (0, 1))"},
    "batches": {"worker": _COUNT, "seq": _COUNT},
    "series": {"id": _whole(0, 1_000_000), "channel": _TEXT, "journey": _TEXT, "step": _TEXT, "cause": _TEXT,
               "outcome": _one_of(RequestOutcome)},
    "requests": {"second": _ABOUT, "n": _COUNT, "bytes_sent": _SUM, "bytes_received": _SUM,
                 **dict.fromkeys(_KINDS, _BINS)},
    "request_rollups": {"kind": _one_of(_KINDS), "second": _ABOUT, "width_s": _whole(0, 10 * MAX_SECOND),
                        "n": _COUNT, "bins": _BINS},
    "customers": {"second": _SECOND, "channel": _TEXT, "journey": _TEXT, "outcome": _one_of(Outcome),
                  "step": _TEXT, "cause": _TEXT, "could_browse": _COULD, "could_order": _COULD, "n": _COUNT},
    "plan": {"channel": _TEXT, "second": _SECOND, "n": _COUNT},
    "arrivals": {"second": _SECOND, "channel": _TEXT, "started": _COUNT, "dropped": _COUNT},
    "orders": {"idempotency_key": _TEXT, "channel": _TEXT, "journey": _TEXT, "intended_s": _TIME,
               "answered_s": _TIME, "answer": _TEXT,
               "cause": _TEXT, "order_ref": _TEXT, "total_pence": _MONEY, "lines": _LINES},
    "ledger_orders": {"order_ref": _TEXT, "idempotency_key": _TEXT, "channel": _TEXT, "total_pence": _MONEY,
                      "placed_at_s": _real(-2e11, 2e11), "picked_at_s": _real(-2e11, 2e11, null=True)},
    "ledger_lines": {"sku": _TEXT, "quantity": _SUM, "unit_pence": _MONEY},
    "ledger_stock": {"sku": _TEXT, "opening": _SUM, "on_hand": _SUM, "sold": _SUM},
    "exemplars": {"kind": _one_of(("slow", "traced", "error")), "second": _ABOUT, "response_us": _SUM,
                  "request_id": _TEXT, "detail": _TEXT, "url": _TEXT, "status": _whole(0, 999),
                  "trace_id": _TEXT},
    "health": {"second": _ABOUT, "cpu_ratio": _real(-1e6, 1e6), "loop_lag_ms": _real(-1e12, 1e12),
               "in_flight": _whole(-MAX_COUNT, MAX_COUNT), "connections_opened": _SUM, "reconnects": _SUM,
               "rss_bytes": _SUM, "lateness": _BINS, "pool_wait_ms": _real(-1e12, 1e12)},
    "events": {"at_s": _TIME, "kind": _TEXT, "text": _TEXT},
    "counters": {"second": _ABOUT, "channel": _TEXT, "name": _TEXT, "n": _COUNT},
    "think_times": {"minute": _MINUTE, "channel": _TEXT, "durations": _BINS},
    "visit_durations": {"minute": _MINUTE, "channel": _TEXT, "durations": _BINS},
    "connect_times": {"minute": _MINUTE, "n": _COUNT, "total_us": _SUM, "longest_us": _SUM,
                      "durations": _BINS},
    "subsequent_requests": {"minute": _MINUTE, "n": _COUNT, "requests": _COUNT, "connect_us": _SUM,
                            "wait_us": _SUM, "body_us": _SUM, "durations": _BINS},
    "server_timings": {"minute": _MINUTE, "entry": _TEXT, "description": _TEXT, "n": _whole(1, MAX_COUNT),
                       "weight": _real(0, 1e15), "total_us": _real(0, 1e18), "durations": _BINS},
    "freshness": {"at_s": _TIME, "sku": _TEXT, "channel": _TEXT, "what": _TEXT,
                  "outcome": _one_of(("seen", "stale", "not_seen", "cut_short", "refused")),
                  "delay_s": _real(-1e9, 1e9, null=True), "last_stale_s": _real(-1e9, 1e9, null=True),
                  "observations": _COUNT, "not_seen": _COUNT},
    "observed_series": {"id": _whole(0, MAX_OBSERVED_SERIES), "source": _TEXT, "name": _TEXT,
                        "labels": _LABELS},
    "observed": {"second": _ABOUT, "value": _real(-1e300, 1e300)},
    "browser_visits": {"probe": _COUNT, "visit": _COUNT, "at_s": _TIME, "outcome": _TEXT,
                       "journey_ms": _MS, "task_ms": _MS},
    "browser_pages": {"probe": _COUNT, "visit": _COUNT, "at_s": _TIME, "page": _TEXT, "outcome": _TEXT,
                      "status": _whole(0, 999), "detail": _TEXT,
                      **dict.fromkeys(("load_ms", "ttfb_ms", "fcp_ms", "lcp_ms", "inp_ms", "cls"), _MS),
                      "long_tasks": _COUNT, "long_task_ms": _real(0, 1e12), "failed_resources": _COUNT,
                      "console_errors": _COUNT, "blocked": _COUNT},
    "browser_pictures": {"moment": _one_of(MOMENTS), "probe": _COUNT, "visit": _COUNT, "at_s": _TIME,
                         "page": _TEXT, "seen_after_ms": _real(0, 1e12), "jpeg": _JPEG},
}  # fmt: skip
"""SQL condition of each column; {0} is its name."""

_OF_SERIES: Final = (
    "requests", "request_rollups", "exemplars", "connect_times", "subsequent_requests", "server_timings",
)  # fmt: skip
_OF_WORKERS: Final = ("requests", "health", "batches")


def with_checks(statement: str) -> str:
    """A statement that creates a table, with the table's rules as a constraint.

    So nothing is written that could not be opened again.
    """
    found = re.search(r"CREATE TABLE (\w+) \(", statement)
    if found is None:
        return statement
    rules = {  # a constraint holds no query
        column: _TEXT if "EXISTS" in rule else rule for column, rule in RULES[found[1]].items()
    }
    checks = " AND ".join(rule.format(column) for column, rule in rules.items())
    end = statement.rindex(")")
    return f"{statement[:end]}, CHECK ({checks}){statement[end:]}"


def check_schema(path: Path, db: sqlite3.Connection, tables: str) -> None:
    """Refuse a file whose tables do not have the columns of the format: a view could compute without end.

    Raises: RecordError.
    """
    for kind, name, sql in db.execute("SELECT type, name, sql FROM sqlite_schema"):
        if kind not in ("table", "index") or str(sql).upper().startswith("CREATE VIRTUAL"):
            raise RecordError(f"{path}: a run file has no {kind} {str(name)[:60]!r}; {WAY_OUT}")
    for table, columns in _expected(tables).items():
        if _columns(db, table) != columns:
            raise RecordError(f"{path}: the table {table} is not the one of this format; {WAY_OUT}")


def check_content(path: Path, db: sqlite3.Connection) -> None:
    """Check pages, values, references and proportions of a run file.

    Raises: RecordError with the first thing that is wrong; sqlite3.Error if the file cannot be read.
    """
    damage = str(db.execute("PRAGMA quick_check(1)").fetchone()[0])
    if damage != "ok":
        raise RecordError(f"{path}: the file is damaged ({' '.join(damage.split())[:120]}); {WAY_OUT}")
    for table, columns in RULES.items():
        _check_values(path, db, table, columns)
    for column, other, referring in (
        ("series", "series", _OF_SERIES),
        ("series", "observed_series", ("observed",)),
        ("worker", "workers", _OF_WORKERS),
    ):
        for table in referring:
            _check_reference(path, db, table, column, other)
    _check_meta(path, db)
    _check_proportions(path, db)


def _check_values(path: Path, db: sqlite3.Connection, table: str, columns: Mapping[str, str]) -> None:
    rules = [rule.format(column) for column, rule in columns.items()]
    which = " ".join(f"WHEN NOT {rule} THEN '{column}'" for column, rule in zip(columns, rules, strict=True))
    query = f"SELECT CASE {which} END FROM {table} WHERE NOT ({' AND '.join(rules)}) LIMIT 1"  # noqa: S608
    row = db.execute(query).fetchone()
    if row is None:
        return
    column = row[0] or "?"
    (shown,) = db.execute(
        f"SELECT substr(quote({column}), 1, 40) FROM {table} WHERE NOT ({' AND '.join(rules)}) LIMIT 1"  # noqa: S608
    ).fetchone()
    got = one_line(str(shown), 40)
    raise RecordError(f"{path}: {table}.{column} has a value that no run has (got {got}); {WAY_OUT}")


def _check_reference(path: Path, db: sqlite3.Connection, table: str, column: str, other: str) -> None:
    query = f"SELECT {column} FROM {table} WHERE {column} NOT IN (SELECT id FROM {other}) LIMIT 1"  # noqa: S608
    row = db.execute(query).fetchone()
    if row is not None:
        raise RecordError(
            f"{path}: {table}.{column} refers to row {one_line(str(row[0]), 40)} of {other}, which is "
            f"missing; {WAY_OUT}"
        )


def _check_meta(path: Path, db: sqlite3.Connection) -> None:
    if len(db.execute("SELECT 1 FROM writer LIMIT 2").fetchall()) != 1:
        raise RecordError(f"{path}: the table writer must have one row; {WAY_OUT}")
    rows = dict(db.execute("SELECT key, value FROM meta"))
    key = "meta"
    try:
        meta = RunMeta.from_rows(rows)
        for key, hint in get_type_hints(RunMeta).items():
            TypeAdapter(hint).validate_python(getattr(meta, key), strict=True)
        for key, value in meta.machine.items():
            allowed = (int, float) if key in _MACHINE_NUMBERS else (str, int, float)
            if value is not None and not isinstance(value, allowed):
                raise ValueError(f"of type {type(value).__name__}")
    except (ValidationError, TypeError, ValueError, RecursionError) as error:
        what = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
        raise RecordError(
            f"{path}: {key} has a value that no run has ({one_line(what, 120)}); {WAY_OUT}"
        ) from None
    for key, (low, high) in _META_RANGES.items():
        value = None if key not in rows else _json(rows[key])
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            got = one_line(str(rows[key]), 40)
            raise RecordError(f"{path}: {key} has a value that no run has (got {got}); {WAY_OUT}")


_MACHINE_NUMBERS: Final = ("memory_bytes", "cores", "cpu_count")  # reports calculate with them
_META_RANGES: Final[Mapping[str, tuple[float, float]]] = {
    "duration_s": (0.0, float(MAX_SECOND)), "started_at_unix_ns": (0.0, float(_MAX_UNIX_NS)),
    "finished_at_unix_ns": (0.0, float(_MAX_UNIX_NS)), "ledger_read_at_s": (-1e11, 1e11),
    "workers": (0.0, 1e6), "seed": (-(2.0**64), 2.0**64), "rollup_source_rows": (0.0, 1e18),
}  # fmt: skip


def _json(text: object) -> Any:
    try:
        value = json.loads(str(text))
    except (ValueError, RecursionError):
        return str(text)
    return math.inf if isinstance(value, float) and math.isnan(value) else value


def _check_proportions(path: Path, db: sqlite3.Connection) -> None:
    """Readers make one array over all seconds for each channel and counter.

    A short file could name a late second and many channels, and so take any amount of memory.
    """
    (seconds,) = db.execute(
        "SELECT max((SELECT ifnull(max(second), 0) FROM plan), (SELECT ifnull(max(second), 0) FROM arrivals),"
        " (SELECT ifnull(max(second), 0) FROM requests), (SELECT ifnull(max(second), 0) FROM counters),"
        " (SELECT ifnull(max(second), 0) FROM health), (SELECT ifnull(max(second), 0) FROM customers))"
    ).fetchone()
    duration = db.execute("SELECT value FROM meta WHERE key = 'duration_s'").fetchone()
    planned_s = _json(duration[0]) if duration is not None else 0
    seconds = max(seconds, planned_s if isinstance(planned_s, int | float) else 0)
    (arrays,) = db.execute(
        "SELECT 3 * (SELECT count(*) FROM (SELECT channel FROM plan UNION SELECT channel FROM arrivals))"
        " + (SELECT count(*) FROM (SELECT DISTINCT channel, name FROM counters))"
        " + min(50, (SELECT count(*) FROM series))"
        " + (SELECT count(*) FROM observed_series WHERE name IN ('utilisation', 'saturation', 'errors'))"
    ).fetchone()
    size = path.stat().st_size
    if arrays * seconds * 8 > max(_FREE_ARRAY_BYTES, _ARRAY_BYTES_PER_FILE_BYTE * size):
        raise RecordError(
            f"{path}: {arrays:,} series of {int(seconds):,} seconds are more than a file of {size:,} bytes "
            f"can hold; {WAY_OUT}"
        )


def _columns(db: sqlite3.Connection, table: str) -> list[tuple[Any, ...]]:
    """Name, type, whether it may be null, place in the key, and whether it is computed, of each column."""
    rows = db.execute(f"PRAGMA table_xinfo({table})").fetchall()
    return [(row[1], row[2], row[3], row[5], row[6]) for row in rows]


@lru_cache(maxsize=1)
def _expected(tables: str) -> dict[str, list[tuple[Any, ...]]]:
    db = sqlite3.connect(":memory:")
    try:
        db.executescript(tables)
        names = [row[0] for row in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        return {name: _columns(db, name) for name in names}
    finally:
        db.close()
