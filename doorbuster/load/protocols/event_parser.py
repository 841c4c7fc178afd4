"""Parses a stream of server-sent events. No I/O: bytes in, events out.

Source: WHATWG HTML, section 9.2.6, "Interpreting an event stream". An event that the stream does not complete
with an empty line is dropped.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import orjson

MAX_EVENT_BYTES = 1024 * 1024
_LINE_END = re.compile(rb"\r\n|\n|\r")


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

    def feed(self, data: bytes) -> list[ServerEvent]:
        """The events that these bytes complete. Raises: EventTooLargeError."""
        if self._skips_newline and data:  # the second half of a line end
            data, self._skips_newline = data.removeprefix(b"\n"), False
        self._rest += data
        if self._is_first and len(self._rest) >= 3:
            self._rest, self._is_first = self._rest.removeprefix(b"\xef\xbb\xbf"), False
        text, at, events = self._rest, 0, list[ServerEvent]()
        for found in _LINE_END.finditer(text):
            line, at = text[at : found.start()], found.end()
            self._is_first = False
            self._skips_newline = found[0] == b"\r" and at == len(text)
            events += self._take(line.decode("utf-8", errors="replace"))
        self._rest = text[at:]
        if len(self._rest) > MAX_EVENT_BYTES:
            raise EventTooLargeError
        return events

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
