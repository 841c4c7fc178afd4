"""Tables of small load generators: hey, oha, ApacheBench, h2load and Yandex.Tank.

Rules of this module:
- A tool that lists successful requests only is said to hide failures.
- Each of these tools but Yandex.Tank keeps a fixed number of connections busy: the workload is closed.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Hashable, Sequence

import numpy as np

from doorbuster.errors import UsageError
from doorbuster.importers.causes import status_cause
from doorbuster.importers.format import Format
from doorbuster.importers.input_file import InputFile
from doorbuster.importers.options import ImportOptions
from doorbuster.importers.results import LabelTable, Provenance, RequestBlock
from doorbuster.importers.run_builder import RunBuilder
from doorbuster.importers.tables import (
    Floats,
    header_of,
    microseconds,
    numbered,
    required,
    table_blocks,
    whole_numbers,
)

_ALL = "all requests"
_NO_ERRORS = "The tool lists no request without a response: the failure rate is a lower bound."


def _labels_by_status(labels: LabelTable, statuses: Floats) -> np.ndarray:
    """The label of each request by its status; NaN and 0 mean no response."""
    whole = whole_numbers(statuses)
    assert whole is not None
    found = np.empty(whole.size, np.int64)
    for status in np.unique(whole).tolist():
        cause = status_cause(status) if status >= 100 else "no_response"
        found[whole == status] = labels.number("", "", _ALL, cause, f"HTTP {status}" if cause else "")
    return found


# ---- hey


def _is_hey(head: bytes) -> bool:
    names = header_of(head, ",")
    return names[:1] == ("response-time",) and "Response-delay" in names


def _read_hey(file: InputFile, run: RunBuilder, _: ImportOptions) -> None:
    has_offset = "offset" in header_of(file.head, ",")
    run.begin(
        file.path,
        Provenance(
            tool="hey",
            format="hey CSV",
            resolution_ms=0.1,
            times=has_offset,
            workload="closed",
            hides_failures=True,
        ),
    )
    run.note(_NO_ERRORS)
    rows = 0
    for block in table_blocks(file, delimiter=",", names=None, skip=run.skip):
        statuses = block.numbers("status-code")
        size = len(block)
        rows += size
        start = block.numbers("offset")
        first_byte = block.numbers("Response-delay")
        run.add(
            RequestBlock(
                np.zeros(size) if start is None else start,
                microseconds(required(block, "response-time"), 1e6),
                _labels_by_status(run.labels, np.full(size, 200.0) if statuses is None else statuses),
                first_byte_us=None if first_byte is None else np.maximum(microseconds(first_byte, 1e6), 0),
            )
        )
    if rows >= 1_000_000:
        run.note("hey keeps the first 1,000,000 requests only.")
    if not has_offset:
        run.note("This version of hey writes no time of a request: charts over time show nothing.")


# ---- oha


def _is_oha_csv(head: bytes) -> bool:
    return header_of(head, ",")[:1] == ("request-start",) and b"request-duration" in head[:200].lower()


def _read_oha_csv(file: InputFile, run: RunBuilder, _: ImportOptions) -> None:
    run.begin(
        file.path,
        Provenance(tool="oha", format="oha CSV", workload="closed", hides_failures=True),
    )
    run.note(_NO_ERRORS)
    for block in table_blocks(file, delimiter=",", names=None, skip=run.skip):
        block.names = tuple(name.lower() for name in block.names)
        run.add(
            RequestBlock(
                required(block, "request-start"),
                microseconds(required(block, "request-duration"), 1e6),
                _labels_by_status(run.labels, required(block, "status")),
                whole_numbers(block.numbers("bytes")),
            )
        )


def _is_oha_sqlite(head: bytes) -> bool:
    return head.startswith(b"SQLite format 3\0") and b"start_latency_correction" in head


def _read_oha_sqlite(file: InputFile, run: RunBuilder, _: ImportOptions) -> None:
    run.begin(
        file.path,
        Provenance(tool="oha", format="oha SQLite", workload="closed", hides_failures=True),
    )
    run.note(_NO_ERRORS)
    try:
        database = sqlite3.connect(f"{file.path.resolve().as_uri()}?mode=ro&immutable=1", uri=True)
        with database:
            columns = [row[1] for row in database.execute("PRAGMA table_info(oha)")]
            corrected = "start_latency_correction" in columns
            start = "coalesce(start_latency_correction, start)" if corrected else "start"
            runs = (
                database.execute("SELECT count(DISTINCT run) FROM oha").fetchone()[0]
                if "run" in columns
                else 1
            )
            select = f'SELECT {start}, "end" - {start}, status, len_bytes, url FROM oha'  # noqa: S608 -- constants
            rows = database.execute(select)
            while found := rows.fetchmany(50_000):
                first, took, status, size, url = zip(*found, strict=True)
                run.add(
                    RequestBlock(
                        _floats(first),
                        microseconds(_floats(took), 1e6),
                        _url_labels(run.labels, url, status),
                        whole_numbers(_floats(size)),
                    )
                )
        database.close()
    except sqlite3.Error as error:
        raise UsageError(f"{file.path}: the database of oha cannot be read: {error}") from error
    if runs > 1:
        run.note(f"The database holds {runs} runs of oha, shown as if they had run at the same time.")


def _floats(values: Sequence[object]) -> Floats:
    return np.array(
        [value if isinstance(value, int | float) else np.nan for value in values], dtype=np.float64
    )


def _url_labels(labels: LabelTable, urls: Sequence[object], statuses: Sequence[object]) -> np.ndarray:
    known: dict[tuple[object, object], int] = {}
    found = []
    for key in zip(urls, statuses, strict=True):
        if key not in known:
            status = key[1] if isinstance(key[1], int) else 0
            cause = status_cause(status) if status >= 100 else "no_response"
            known[key] = labels.number("", "", str(key[0]), cause, f"HTTP {status}" if cause else "")
        found.append(known[key])
    return np.array(found, dtype=np.int64)


# ---- ApacheBench


def _is_ab(head: bytes) -> bool:
    return header_of(head, "\t") == ("starttime", "seconds", "ctime", "dtime", "ttime", "wait")


def _read_ab(file: InputFile, run: RunBuilder, _: ImportOptions) -> None:
    run.begin(
        file.path,
        Provenance(
            tool="ApacheBench", format="ab -g", resolution_ms=1.0, workload="closed", hides_failures=True
        ),
    )
    run.note("ab -g leaves out failed requests and does not write status codes: the failure rate is unknown.")
    run.note("ab -g writes start times in whole seconds: charts are exact to one second.")
    label = run.labels.number("", "", _ALL, "")
    for block in table_blocks(file, delimiter="\t", names=None, skip=run.skip, quoted=False):
        wait = block.numbers("wait")
        run.add(
            RequestBlock(
                required(block, "seconds"),
                microseconds(required(block, "ttime"), 1e3),
                np.full(len(block), label),
                first_byte_us=None if wait is None else np.maximum(microseconds(wait, 1e3), 0),
            )
        )


# ---- h2load

_H2LOAD = re.compile(rb"^\d{16}\t-?\d{1,3}\t\d+\r?$")


def _is_h2load(head: bytes) -> bool:
    lines = head.split(b"\n")[:-1] or [head]
    return all(_H2LOAD.match(line) for line in lines[:5])


def _read_h2load(file: InputFile, run: RunBuilder, _: ImportOptions) -> None:
    run.begin(file.path, Provenance(tool="h2load", format="h2load log", workload="closed"))
    names = ("start", "status", "latency")
    for block in table_blocks(file, delimiter="\t", names=names, skip=run.skip, quoted=False):
        run.add(
            RequestBlock(
                required(block, "start") / 1e6,
                microseconds(required(block, "latency"), 1.0),
                _labels_by_status(run.labels, required(block, "status")),
            )
        )


# ---- Yandex.Tank

_PHOUT = re.compile(rb"^\d+\.\d{1,6}\t[^\t]*(\t-?\d+){10}\r?$")
_PHOUT_NAMES = (
    "start",
    "tag",
    "interval_real",
    "connect_time",
    "send_time",
    "latency",
    "receive_time",
    "interval_event",
    "size_out",
    "size_in",
    "net_code",
    "proto_code",
)
_ERRNO = {
    "110": "total_timeout",
    "104": "reset",
    "111": "connect_refused",
    "32": "reset",
    "99": "generator_limit",
    "113": "connect_timeout",
    "24": "generator_limit",
}


def _is_phout(head: bytes) -> bool:
    return _PHOUT.match(head.split(b"\n", 1)[0]) is not None


def _read_phout(file: InputFile, run: RunBuilder, _: ImportOptions) -> None:
    run.begin(file.path, Provenance(tool="Yandex.Tank", format="phout", workload="open"))
    known: dict[Hashable, int] = {}

    def number(tag: str, net: str, proto: str) -> int:
        return _phout_label(run.labels, tag.partition("#")[0], net, proto.strip())

    for block in table_blocks(file, delimiter="\t", names=_PHOUT_NAMES, skip=run.skip, quoted=False):
        labels = numbered(block, ("tag", "net_code", "proto_code"), known, number)
        times = {name: required(block, name) for name in ("connect_time", "send_time", "latency")}
        first_byte = sum(times.values(), np.zeros(len(block)))
        run.add(
            RequestBlock(
                required(block, "start"),
                microseconds(required(block, "interval_real"), 1.0),
                labels,
                whole_numbers(block.numbers("size_in")),
                whole_numbers(block.numbers("size_out")),
                np.maximum(microseconds(first_byte, 1.0), 0),
            )
        )


def _phout_label(labels: LabelTable, tag: str, net: str, proto: str) -> int:
    status = int(proto) if proto.isdigit() else 0
    cause = _ERRNO.get(net, "other") if net not in ("0", "") else status_cause(status)
    detail = f"network error {net}" if net not in ("0", "") else f"HTTP {status}"
    return labels.number("", "", tag or _ALL, cause, detail if cause else "")


FORMATS = (
    Format("hey", "hey", "hey -o csv", _is_hey, _read_hey),
    Format("oha-csv", "oha", "oha --output-format csv", _is_oha_csv, _read_oha_csv),
    Format("oha-sqlite", "oha", "oha --db-url", _is_oha_sqlite, _read_oha_sqlite),
    Format("ab", "ApacheBench", "ab -g", _is_ab, _read_ab),
    Format("h2load", "h2load", "h2load --log-file", _is_h2load, _read_h2load),
    Format("phout", "Yandex.Tank", "Yandex.Tank phout", _is_phout, _read_phout),
)
