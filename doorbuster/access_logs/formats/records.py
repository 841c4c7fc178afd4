"""One request from a record of named values, whatever the syntax of the log."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from doorbuster.access_logs.formats.named_fields import NamedFields
from doorbuster.access_logs.formats.stamps import StampReader, ZoneUnknownError
from doorbuster.access_logs.graphql_operations import operation_in
from doorbuster.access_logs.log_requests import RowColumns, Stamp

Lookup = Callable[[str], Any]


@dataclass(frozen=True, slots=True)
class RecordReader:
    """Turns a record into a row of a block."""

    fields: NamedFields
    read_time: StampReader

    def add(self, value: Lookup, columns: RowColumns) -> bool:
        """Whether the record is a request; `value` gives the field of a name, None if it has none.

        Raises: ZoneUnknownError.
        """
        names = self.fields.names
        stamp = value(names["time"])
        line = _request_line(value, names)
        if stamp is None or stamp == "" or not line:
            return False
        try:
            time_s = self.read_time(stamp)
            status = int(value(names["status"])) if "status" in names else 200
        except ZoneUnknownError:
            raise
        except (TypeError, ValueError, OverflowError):
            return False
        columns.add(
            time_s,
            self._duration_s(value, time_s),
            status,
            _text(value(names["address"])).partition(b",")[0].strip() if "address" in names else b"",
            _text(value(names["agent"])) if "agent" in names else b"",
            _text(value(names["cookie"])) if "cookie" in names else b"",
            line,
        )
        return True

    def _duration_s(self, value: Lookup, time_s: float) -> float:
        names = self.fields.names
        if "end" in names:
            try:
                return max(self.read_time(value(names["end"])) - time_s, 0.0)
            except (TypeError, ValueError):
                return float("nan")
        if "duration" not in names:
            return float("nan")
        raw = value(names["duration"])
        try:
            if isinstance(raw, str) and raw.endswith("s") and not raw.endswith("ms"):  # "0.123s"
                return float(raw[:-1])
            found = float(raw) * self.fields.unit_s
        except (TypeError, ValueError):
            return float("nan")
        return found if found >= 0 else float("nan")


@dataclass(frozen=True, slots=True)
class NamedFieldsLog:
    """What formats whose fields have names have in common."""

    reader: RecordReader

    @property
    def stamp(self) -> Stamp:
        return self.reader.fields.stamp

    @property
    def has_agents(self) -> bool:
        return "agent" in self.reader.fields.names

    @property
    def has_cookies(self) -> bool:
        return "cookie" in self.reader.fields.names

    @property
    def has_durations(self) -> bool:
        return bool({"duration", "end"} & set(self.reader.fields.names))


def _request_line(value: Lookup, names: Mapping[str, str]) -> bytes:
    """b"GET /path?query", with the operation of GraphQL in the query if a field has it."""
    line = _plain_line(value, names)
    if "operation" not in names or not (operation := operation_in(_first(value(names["operation"])))):
        return line
    target, space, protocol = line.partition(b" HTTP/")
    joint = b"&" if b"?" in target else b"?"
    return target + joint + b"operationName=" + operation.encode() + space + protocol


def _plain_line(value: Lookup, names: Mapping[str, str]) -> bytes:
    if "path" not in names:
        return _text(value(names["request"]))
    address = value(names["path"])
    if not isinstance(address, str) or not address:
        return b""
    if "://" in address[:12]:
        parts = urlsplit(address)
        address = parts.path + (f"?{parts.query}" if parts.query else "")
    if "query" in names and "?" not in address and (query := value(names["query"])) not in (None, "", "-"):
        address = f"{address}?{str(query).removeprefix('?')}"
    method = value(names["method"]) if "method" in names else "GET"
    return f"{method} {address}".encode()


def _first(raw: Any) -> Any:
    """The first value of a list, such as those of a header."""
    return (raw[0] if raw else "") if isinstance(raw, list) else raw


def _text(raw: Any) -> bytes:
    raw = _first(raw)
    if raw in (None, "-"):
        return b""
    return str(raw).encode("utf-8", "replace")


def nested(record: Mapping[str, Any], name: str) -> Any:
    """The value at a dotted name; None if there is none."""
    if name in record:
        return record[name]
    found: Any = record
    for part in name.split("."):
        if not isinstance(found, dict):
            return None
        found = found.get(part)
    return found


def flat_names(record: Mapping[str, Any], prefix: str = "") -> list[str]:
    """All dotted names of a record."""
    names = []
    for key, value in record.items():
        names.append(prefix + str(key))
        if isinstance(value, dict):
            names += flat_names(value, f"{prefix}{key}.")
    return names
