"""The tables of a run file (SQLite), its format version, and readable messages for SQLite's errors.

Rules of this module:
- A change of the format raises SCHEMA_VERSION. docs/reference/run-file.md describes every column.
- Seconds and minutes are whole ones since the start of the run, the first is 0; a blob holds bins as packed
  by `histogram.pack`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from doorbuster.errors import RecordError
from doorbuster.output import one_line
from doorbuster.records.validation import check_content, check_schema

SCHEMA_VERSION = 1
APPLICATION_ID = 0x64626B72  # "dbkr", at byte 68 of the file: identifies a run file, also to `file`
FILE_NAME = "run.sqlite"
MAX_VALUE_BYTES = 512 * 2**20  # of one text or blob; a scan joins some megabytes
_MAGIC = b"SQLite format 3\0"

TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE writer (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  host TEXT NOT NULL, pid INTEGER NOT NULL, process_started_at_unix_s REAL NOT NULL,
  heartbeat_unix_ns INTEGER NOT NULL
);
CREATE TABLE workers (
  id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, last_seq INTEGER NOT NULL, final INTEGER NOT NULL
);
CREATE TABLE batches (worker INTEGER NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (worker, seq)) WITHOUT ROWID;
CREATE TABLE series (
  id INTEGER PRIMARY KEY,
  channel TEXT NOT NULL, journey TEXT NOT NULL, step TEXT NOT NULL,
  outcome TEXT NOT NULL, cause TEXT NOT NULL,
  UNIQUE (channel, journey, step, outcome, cause)
);
CREATE TABLE requests (
  second INTEGER NOT NULL, series INTEGER NOT NULL, worker INTEGER NOT NULL,
  n INTEGER NOT NULL, bytes_sent INTEGER NOT NULL, bytes_received INTEGER NOT NULL,
  response BLOB NOT NULL, service BLOB NOT NULL, first_byte BLOB NOT NULL
);
CREATE INDEX requests_by_second ON requests (second);
CREATE TABLE request_rollups (
  kind TEXT NOT NULL, second INTEGER NOT NULL, width_s INTEGER NOT NULL, series INTEGER NOT NULL,
  n INTEGER NOT NULL, bins BLOB NOT NULL
);
CREATE TABLE customers (
  second INTEGER NOT NULL, worker INTEGER NOT NULL, channel TEXT NOT NULL, journey TEXT NOT NULL,
  outcome TEXT NOT NULL, step TEXT NOT NULL, cause TEXT NOT NULL,
  could_browse INTEGER, could_order INTEGER, n INTEGER NOT NULL
);
CREATE TABLE plan (
  channel TEXT NOT NULL, second INTEGER NOT NULL, n INTEGER NOT NULL, PRIMARY KEY (channel, second)
) WITHOUT ROWID;
CREATE TABLE arrivals (
  second INTEGER NOT NULL, worker INTEGER NOT NULL, channel TEXT NOT NULL,
  started INTEGER NOT NULL, dropped INTEGER NOT NULL
);
CREATE TABLE orders (
  idempotency_key TEXT NOT NULL, worker INTEGER NOT NULL, channel TEXT NOT NULL, journey TEXT NOT NULL,
  intended_s REAL NOT NULL, answered_s REAL NOT NULL, answer TEXT NOT NULL, cause TEXT NOT NULL,
  order_ref TEXT NOT NULL, total_pence INTEGER NOT NULL, lines TEXT NOT NULL
);
CREATE TABLE ledger_orders (
  id INTEGER PRIMARY KEY, order_ref TEXT NOT NULL, idempotency_key TEXT NOT NULL, channel TEXT NOT NULL,
  total_pence INTEGER NOT NULL, placed_at_s REAL NOT NULL, picked_at_s REAL
);
CREATE TABLE ledger_lines (
  ledger_order INTEGER NOT NULL, sku TEXT NOT NULL, quantity INTEGER NOT NULL, unit_pence INTEGER NOT NULL
);
CREATE INDEX ledger_lines_by_order ON ledger_lines (ledger_order);
CREATE TABLE ledger_stock (
  sku TEXT PRIMARY KEY, opening INTEGER NOT NULL, on_hand INTEGER NOT NULL, sold INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE exemplars (
  kind TEXT NOT NULL, second INTEGER NOT NULL, series INTEGER NOT NULL, worker INTEGER NOT NULL,
  response_us INTEGER NOT NULL, request_id TEXT NOT NULL, detail TEXT NOT NULL,
  url TEXT NOT NULL, status INTEGER NOT NULL, trace_id TEXT NOT NULL
);
CREATE TABLE health (
  second INTEGER NOT NULL, worker INTEGER NOT NULL, cpu_ratio REAL NOT NULL, loop_lag_ms REAL NOT NULL,
  in_flight INTEGER NOT NULL, connections_opened INTEGER NOT NULL, reconnects INTEGER NOT NULL,
  rss_bytes INTEGER NOT NULL, lateness BLOB NOT NULL, pool_wait_ms REAL NOT NULL
);
CREATE TABLE events (at_s REAL NOT NULL, worker INTEGER, kind TEXT NOT NULL, text TEXT NOT NULL);
CREATE TABLE counters (
  second INTEGER NOT NULL, worker INTEGER NOT NULL, channel TEXT NOT NULL, name TEXT NOT NULL,
  n INTEGER NOT NULL
);
CREATE TABLE think_times (
  minute INTEGER NOT NULL, worker INTEGER NOT NULL, channel TEXT NOT NULL, durations BLOB NOT NULL,
  PRIMARY KEY (minute, worker, channel)
) WITHOUT ROWID;
CREATE TABLE visit_durations (
  minute INTEGER NOT NULL, worker INTEGER NOT NULL, channel TEXT NOT NULL, durations BLOB NOT NULL,
  PRIMARY KEY (minute, worker, channel)
) WITHOUT ROWID;
CREATE TABLE connect_times (
  minute INTEGER NOT NULL, series INTEGER NOT NULL, worker INTEGER NOT NULL,
  n INTEGER NOT NULL, total_us INTEGER NOT NULL, longest_us INTEGER NOT NULL, durations BLOB NOT NULL,
  PRIMARY KEY (minute, series, worker)
) WITHOUT ROWID;
CREATE TABLE subsequent_requests (
  minute INTEGER NOT NULL, series INTEGER NOT NULL, worker INTEGER NOT NULL,
  n INTEGER NOT NULL, requests INTEGER NOT NULL,
  connect_us INTEGER NOT NULL, wait_us INTEGER NOT NULL, body_us INTEGER NOT NULL, durations BLOB NOT NULL,
  PRIMARY KEY (minute, series, worker)
) WITHOUT ROWID;
CREATE TABLE server_timings (
  minute INTEGER NOT NULL, series INTEGER NOT NULL, worker INTEGER NOT NULL,
  entry TEXT NOT NULL, description TEXT NOT NULL, n INTEGER NOT NULL,
  weight REAL NOT NULL, total_us REAL NOT NULL, durations BLOB NOT NULL,
  PRIMARY KEY (minute, series, worker, entry, description)
) WITHOUT ROWID;
CREATE TABLE freshness (
  at_s REAL NOT NULL, worker INTEGER NOT NULL, sku TEXT NOT NULL, channel TEXT NOT NULL,
  outcome TEXT NOT NULL, delay_s REAL, last_stale_s REAL, observations INTEGER NOT NULL,
  not_seen INTEGER NOT NULL, what TEXT NOT NULL
);
CREATE TABLE observed_series (
  id INTEGER PRIMARY KEY, source TEXT NOT NULL, name TEXT NOT NULL, labels TEXT NOT NULL,
  UNIQUE (source, name, labels)
);
CREATE TABLE observed (
  series INTEGER NOT NULL, second INTEGER NOT NULL, value REAL NOT NULL, PRIMARY KEY (series, second)
) WITHOUT ROWID;
CREATE TABLE browser_visits (
  probe INTEGER NOT NULL, visit INTEGER NOT NULL, at_s REAL NOT NULL, outcome TEXT NOT NULL,
  journey_ms REAL, task_ms REAL
);
CREATE TABLE browser_pages (
  probe INTEGER NOT NULL, visit INTEGER NOT NULL, at_s REAL NOT NULL, page TEXT NOT NULL,
  outcome TEXT NOT NULL, status INTEGER NOT NULL, detail TEXT NOT NULL,
  load_ms REAL, ttfb_ms REAL, fcp_ms REAL, lcp_ms REAL, inp_ms REAL, cls REAL,
  long_tasks INTEGER NOT NULL, long_task_ms REAL NOT NULL,
  failed_resources INTEGER NOT NULL, console_errors INTEGER NOT NULL, blocked INTEGER NOT NULL
);
CREATE TABLE browser_pictures (
  moment TEXT NOT NULL, probe INTEGER NOT NULL, visit INTEGER NOT NULL, at_s REAL NOT NULL,
  page TEXT NOT NULL, seen_after_ms REAL NOT NULL, jpeg BLOB NOT NULL
);
"""

_MEANING = {
    "SQLITE_FULL": "the disk is full; free some space and run again",
    "SQLITE_READONLY": "the folder or the file may not be written; choose another folder with --out",
    "SQLITE_CANTOPEN": "it cannot be opened; check that the folder exists and may be read and written",
    "SQLITE_PERM": "permission denied; check the rights of the folder",
    "SQLITE_NOTADB": "it is not a run file (no SQLite database); name a folder that `doorbuster run` wrote",
    "SQLITE_CORRUPT": "the file is damaged or cut off; copy it again from where it was recorded",
    "SQLITE_BUSY": "another process holds the file locked; end it, or copy the folder and open the copy",
    "SQLITE_IOERR": "the disk does not read or write (full, over quota, or broken); check it and run again",
}


def explain(error: sqlite3.Error) -> str:
    """The meaning of an SQLite error and the way out, as one clause."""
    name = getattr(error, "sqlite_errorname", None) or ""
    for prefix, meaning in _MEANING.items():
        if name.startswith(prefix):
            return meaning
    return f"SQLite reports: {one_line(str(error), 200)}"


@contextmanager
def wrap_errors(path: Path, doing: str) -> Iterator[None]:
    """Turn an error of SQLite or of the disk into a RecordError: file, operation, reason, way out."""
    try:
        yield
    except OSError as error:
        raise RecordError(f"{path}: cannot {doing}: {error.strerror or error}") from error
    except sqlite3.Error as error:
        raise RecordError(f"{path}: cannot {doing}: {explain(error)}") from error
    except UnicodeDecodeError as error:  # in an error message of SQLite, which quotes the file
        raise RecordError(f"{path}: cannot {doing}: {_MEANING['SQLITE_CORRUPT']}") from error


def open_for_reading(path: Path, *, own: bool = False) -> sqlite3.Connection:
    """A read-only connection to a run file that this version understands.

    Args: own: this program is recording it right now, so that its content needs no check.
    Raises: RecordError when it is damaged, not a run file, or of another format version.
    """
    with wrap_errors(path, "open the run"):
        connection = _connect(path)
        try:
            _check_format(path, connection)
            _check_length(path, connection)
            check_schema(path, connection, TABLES)
            if not own:
                check_content(path, connection)
        except BaseException:
            connection.close()
            raise
    return connection


def _connect(path: Path) -> sqlite3.Connection:
    """Open read-only, also where SQLite cannot create its -wal and -shm files."""
    with path.open("rb") as file:
        if file.read(len(_MAGIC)) != _MAGIC:
            # SQLite opens a file of a few bytes as an empty database.
            raise RecordError(f"{path}: cannot open the run: {_MEANING['SQLITE_NOTADB']}")
    uri = path.resolve().as_uri()
    connection = sqlite3.connect(f"{uri}?mode=ro", uri=True, isolation_level=None)
    try:
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("PRAGMA cell_size_check = ON")
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_VALUE_BYTES)
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    except sqlite3.OperationalError:
        connection.close()
        if Path(f"{path}-wal").exists():
            raise
        connection = sqlite3.connect(f"{uri}?mode=ro&immutable=1", uri=True, isolation_level=None)
    except BaseException:
        connection.close()
        raise
    return connection


def _check_length(path: Path, connection: sqlite3.Connection) -> None:
    """Detect a truncated file: SQLite does not, and reads zeros from the missing pages.

    With a write-ahead log, the file may be shorter than the database.
    """
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    (page_bytes,) = connection.execute("PRAGMA page_size").fetchone()
    if path.stat().st_size < pages * page_bytes and not Path(f"{path}-wal").exists():
        raise RecordError(f"{path}: cannot open the run: {_MEANING['SQLITE_CORRUPT']}")


def _check_format(path: Path, connection: sqlite3.Connection) -> None:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application != APPLICATION_ID:
        raise RecordError(
            f"{path}: this SQLite database is not a run file; name a folder that `doorbuster run` wrote"
        )
    if version != SCHEMA_VERSION:
        raise RecordError(
            f"{path}: recorded in format {version}, this doorbuster reads format {SCHEMA_VERSION};"
            " use the doorbuster that recorded it"
        )
