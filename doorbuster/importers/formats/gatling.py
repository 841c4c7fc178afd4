"""Gatling's simulation.log: text of versions 2.0 to 3.12, and binary since 3.13.

Rules of this module:
- Text is read by the number of fields in a line, not by the version in its header.
- A request without a response has an end before its start: it failed, and its latency is unknown.
- Groups repeat the requests inside them and are not counted.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from doorbuster.errors import UsageError
from doorbuster.importers.causes import failure_cause
from doorbuster.importers.format import Format
from doorbuster.importers.input_file import InputFile
from doorbuster.importers.options import ImportOptions
from doorbuster.importers.results import LabelTable, Provenance, RequestBlock
from doorbuster.importers.run_builder import RunBuilder

_ROWS_AT_ONCE = 50_000
_KINDS = (b"RUN\t", b"ASSERTION\t", b"USER\t", b"REQUEST\t", b"GROUP\t", b"ERROR\t")


class _Request(NamedTuple):
    group: str
    name: str
    start_ms: int
    end_ms: int
    ok: bool
    message: str


def _add(run: RunBuilder, requests: Iterator[_Request]) -> None:
    """Add requests in blocks."""
    rows: list[tuple[int, int, int]] = []
    without_end = 0
    for request in requests:
        latency_ms = request.end_ms - request.start_ms
        if latency_ms < 0:
            without_end += 1
            latency_ms = 0
        rows.append((request.start_ms, latency_ms, _label(run.labels, request)))
        if len(rows) >= _ROWS_AT_ONCE:
            run.add(_block(rows))
            rows = []
    if rows:
        run.add(_block(rows))
    if without_end:
        run.note(f"{without_end:,} requests have no end: they are counted as failed, with a latency of 0.")


def _block(rows: Sequence[tuple[int, int, int]]) -> RequestBlock:
    start_ms, latency_ms, label = np.array(rows, dtype=np.int64).T
    return RequestBlock(start_ms / 1e3, latency_ms * 1000, label)


def _label(labels: LabelTable, request: _Request) -> int:
    message = request.message.strip()
    if request.ok and request.end_ms >= request.start_ms:
        return labels.number("", request.group, request.name, "")
    found = [word for word in message.replace("(", " ").split() if word.isdigit() and len(word) == 3]
    status = int(found[-1]) if found and "status" in message else 0
    return labels.number("", request.group, request.name, failure_cause(status, message), message[:500])


# ---- text


def _is_text(head: bytes) -> bool:
    return head.startswith(_KINDS) or head[:200].split(b"\t")[2:3] == [b"RUN"]


def _read_text(file: InputFile, run: RunBuilder, _: ImportOptions) -> None:
    run.begin(file.path, Provenance(tool="Gatling", format="Gatling text log", resolution_ms=1.0))
    run.note("Gatling lists redirects and resources as requests of their own.")

    def requests() -> Iterator[_Request]:
        number = 0
        for block in file.line_blocks():
            for line in block.split(b"\n"):
                number += 1
                if b"REQUEST\t" in line:
                    found = _text_request(line)
                    if found is None:
                        run.skip(1, f"Line {number}: a request that cannot be read was left out.")
                    else:
                        yield found

    _add(run, requests())


def _text_request(line: bytes) -> _Request | None:
    """The request of a line; its layout is known by the fields around OK or KO."""
    fields = line.decode("utf-8", "replace").rstrip("\r\n").split("\t")
    place = next((at for at in range(len(fields) - 1, 3, -1) if fields[at] in ("OK", "KO")), None)
    if place is None:
        return None
    numbers = [at for at in range(2, place) if fields[at].lstrip("-").isdigit()]
    if len(numbers) < 2:
        return None
    # 2.0 writes four times (sent first and last, received first and last); later versions write two.
    first = (
        place - 4
        if len(fields) > place - 4 >= 4 and all(at in numbers for at in range(place - 4, place))
        else place - 2
    )
    if first not in numbers or place - 1 not in numbers or first < 2:
        return None
    return _Request(
        group=fields[first - 2],
        name=fields[first - 1],
        start_ms=int(fields[first]),
        end_ms=int(fields[place - 1]),
        ok=fields[place] == "OK",
        message=" ".join(fields[place + 1 : place + 2]),
    )


# ---- binary


def _is_binary(head: bytes) -> bool:
    """A Run record: byte 0, the length of a short version, the version with its coder."""
    if len(head) < 12 or head[0] != 0:
        return False
    (length,) = struct.unpack(">i", head[1:5])
    return 3 <= length <= 40 and head[5 : 5 + length][:1].isdigit() and head[5 : 5 + length].isascii()


def _read_binary(file: InputFile, run: RunBuilder, _: ImportOptions) -> None:
    run.begin(file.path, Provenance(tool="Gatling", format="Gatling binary log", resolution_ms=1.0))
    run.note("Gatling lists redirects and resources as requests of their own.")
    log = _BinaryLog(file)
    try:
        log.read_header()
    except (EOFError, struct.error, _Damaged) as error:
        raise UsageError(
            f"{file.path}: the header of this binary Gatling log is cut off or damaged"
        ) from error
    _add(run, log.requests())
    if log.damage:
        run.skip(1, log.damage)


class _BinaryLog:
    """Reads records; strings are cached under an index that grows from 1."""

    MAX_STRING = 1 << 20

    def __init__(self, file: InputFile) -> None:
        self._chunks = file.chunks()
        self._data = b""
        self._at = 0
        self._passed = 0
        self._cache: dict[int, str] = {}
        self._start_ms = 0
        self.damage = ""

    def read_header(self) -> None:
        """The Run record: start of the run, scenarios, assertions."""
        self._take(1)
        self._string()
        self._string()
        (self._start_ms,) = struct.unpack(">q", self._take(8))
        self._string()
        for _ in range(self._size()):
            self._string()
        for _ in range(self._size()):
            self._take(self._size())

    def requests(self) -> Iterator[_Request]:
        """All requests up to the end of the file, or to its first damaged record."""
        while True:
            position = self._passed + self._at
            try:
                kind = self._take(1)[0]
            except EOFError:
                return
            try:
                if kind == 1:
                    yield self._request()
                elif kind == 2:
                    self._take(9)
                elif kind == 3:
                    self._groups()
                    self._take(13)
                elif kind == 4:
                    self._cached()
                    self._take(4)
                else:
                    self.damage = f"Byte {position:,}: an unknown record; everything before it was read."
                    return
            except (EOFError, struct.error):
                self.damage = "The file ends inside a record; everything before it was read."
                return
            except _Damaged:
                self.damage = f"Byte {position:,}: a damaged record; everything before it was read."
                return

    def _request(self) -> _Request:
        group = self._groups()
        name = self._cached()
        start, end, ok = struct.unpack(">ii?", self._take(9))
        message = self._cached()
        return _Request(group, name, self._start_ms + start, self._start_ms + end, ok, message)

    def _groups(self) -> str:
        return " / ".join(self._cached() for _ in range(self._size()))

    def _cached(self) -> str:
        (index,) = struct.unpack(">i", self._take(4))
        if index < 0:
            if -index not in self._cache:
                raise _Damaged
            return self._cache[-index]
        text = self._cache[index] = self._string()
        return text

    def _string(self) -> str:
        length = self._size()
        if not length:
            return ""
        if length > self.MAX_STRING:
            raise _Damaged
        data, coder = self._take(length), self._take(1)
        return data.decode("utf-16-le" if coder == b"\1" else "latin-1", "replace")

    def _size(self) -> int:
        (size,) = struct.unpack(">i", self._take(4))
        if not 0 <= size <= self.MAX_STRING:
            raise _Damaged
        return int(size)

    def _take(self, count: int) -> bytes:
        while len(self._data) - self._at < count:
            chunk = next(self._chunks, b"")
            if not chunk:
                raise EOFError
            self._passed += self._at
            self._data = self._data[self._at :] + chunk
            self._at = 0
        self._at += count
        return self._data[self._at - count : self._at]


class _Damaged(Exception):  # noqa: N818 -- says what it is
    """A length or an index that no valid log has."""


FORMATS = (
    Format("gatling-text", "Gatling", "Gatling simulation.log, text (up to 3.12)", _is_text, _read_text),
    Format(
        "gatling-binary", "Gatling", "Gatling simulation.log, binary (since 3.13)", _is_binary, _read_binary
    ),
)
