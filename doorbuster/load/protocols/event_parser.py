"""Parses a stream of server-sent events. No I/O: bytes in, events out.

Source: WHATWG HTML, section 9.2.6, "Interpreting an event stream". An event that the stream does not complete
with an empty line is dropped.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import orjson

MAX_EVENT_BYTES = 1024 * 1024


class EventTooLargeError(ValueError):
    """An event, or a line of one, exceeds MAX_EVENT_BYTES."""


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """kind: "message" unless the event names another one. id: of the last event that had one."""

    kind: str
    data: str
    id: str

    def json(self) -> object:
        """The data as JSON. Raises: ValueError."""
        return orjson.loads(self.data)


class EventParser:
    """Feed it the bytes of one stream, in pieces of any size."""

    def __init__(self) -> None:
        self.last_id = ""
        self._rest = b""
        self._is_first, self._skips_newline = True, False
        self._kind = ""
        self._data: list[str] = []
        self._size = 0

    def feed(self, data: bytes) -> Iterator[ServerEvent]:
        """The events that these bytes complete. Raises: EventTooLargeError."""
        if self._skips_newline and data:  # the second half of a line end
            data, self._skips_newline = data.removeprefix(b"\n"), False
        self._rest += data
        if self._is_first and len(self._rest) >= 3:
            self._rest, self._is_first = self._rest.removeprefix(b"\xef\xbb\xbf"), False
        while (end := _line_end(self._rest)) >= 0:
            line, self._rest = self._rest[:end], self._rest[end:]
            if self._rest.startswith(b"\r\n"):
                self._rest = self._rest[2:]
            else:
                self._skips_newline = self._rest == b"\r"
                self._rest = self._rest[1:]
            self._is_first = False
            yield from self._take(line.decode("utf-8", errors="replace"))
        if len(self._rest) > MAX_EVENT_BYTES:
            raise EventTooLargeError

    def _take(self, line: str) -> Iterator[ServerEvent]:
        if not line:
            if self._data:
                yield ServerEvent(self._kind or "message", "\n".join(self._data), self.last_id)
            self._kind, self._data, self._size = "", [], 0
            return
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "data":
            self._size += len(value)
            if self._size > MAX_EVENT_BYTES:
                raise EventTooLargeError
            self._data.append(value)
        elif field == "event":
            self._kind = value
        elif field == "id" and "\0" not in value:
            self.last_id = value


def _line_end(data: bytes) -> int:
    """Where the first line ends; -1 if it is not complete."""
    found = [at for at in (data.find(b"\n"), data.find(b"\r")) if at >= 0]
    return min(found, default=-1)
