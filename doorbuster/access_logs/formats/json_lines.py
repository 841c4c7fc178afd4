"""Logs of one JSON object per line: nginx, Cloudflare, Fastly, Caddy, Traefik, Envoy, or with other names.

A prefix before the object, as syslog and container logs write it, is passed over. Lines of other objects,
such as Caddy's messages, are not requests.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import orjson

from doorbuster.access_logs.formats.named_fields import NamedFields, find_fields
from doorbuster.access_logs.formats.records import NamedFieldsLog, RecordReader, flat_names, nested
from doorbuster.access_logs.formats.stamps import StampReader
from doorbuster.access_logs.log_requests import LogRequests, RowColumns, read_rows

_SAMPLE_LINES = 200
_MAX_PREFIX = 200


@dataclass(frozen=True, slots=True)
class JsonLinesLog(NamedFieldsLog):
    """JSON lines with these fields."""

    resolution_s: float
    name: str = "json"

    @property
    def description(self) -> str:
        product = self.reader.fields.product
        return f"JSON lines{f' of {product}' if product else ''}"

    def parse(self, content: bytes) -> LogRequests:
        return read_rows(content, self._read)

    def _read(self, line: bytes, columns: RowColumns) -> bool | None:
        record = _record(line)
        if record is None:
            return False
        return self.reader.add(lambda name: nested(record, name), columns) or None


def detect_json(head: bytes, fields: NamedFields | None, read_time: StampReader) -> JsonLinesLog | None:
    """The format of a log that begins like this; None if it is not JSON lines.

    Args: fields: names that the user gives.
    Raises: KeyError: with the names found, if they do not tell what is what.
    """
    lines = [line for line in head.split(b"\n")[:-1][:_SAMPLE_LINES] or [head] if line.strip()]
    records = [record for line in lines if (record := _record(line)) is not None]
    if not records or len(records) < 0.5 * len(lines):
        return None
    present = [flat_names(record) for record in records]
    if fields is None:
        found = Counter(found for names in present if (found := _key(names)) is not None)
        if not found:
            raise KeyError(", ".join(sorted({name for names in present for name in names})[:30]))
        best = found.most_common(1)[0][0]
        fields = find_fields(next(names for names in present if _key(names) == best))
    assert fields is not None, "one was found"
    reader = RecordReader(fields, read_time)
    stamps = [str(nested(record, fields.names["time"]) or "") for record in records]
    return JsonLinesLog(reader, 1e-3 if any("." in stamp for stamp in stamps) else 1.0)


def _key(names: list[str]) -> tuple[tuple[str, str], ...] | None:
    found = find_fields(names)
    return None if found is None else tuple(sorted(found.names.items()))


def _record(line: bytes) -> dict[str, object] | None:
    start = line.find(b"{", 0, _MAX_PREFIX)
    if start < 0:
        return None
    try:
        record = orjson.loads(line[start:])
    except orjson.JSONDecodeError:
        return None
    return record if isinstance(record, dict) else None
