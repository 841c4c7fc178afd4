"""Some requests of an access log, by column: what every format is turned into."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Stamp = Literal["start", "end"]


@dataclass(frozen=True, slots=True)
class UnreadableLine:
    """A line that is not of the format: its number, counted from 1 in its piece of the file, and its text."""

    line: int
    text: str


@dataclass(frozen=True, slots=True)
class LogRequests:
    """Requests in the order of the file.

    time_s: Unix seconds of the stamp; NaN never. duration_s: NaN where unknown.
    requests: b"GET /path?query" or with a protocol behind. agents, cookies: empty if the log has none.
    lines: number of lines read. unreadable: those that are not of the format.
    """

    time_s: Floats
    duration_s: Floats
    status: Ints
    addresses: Sequence[bytes]
    agents: Sequence[bytes]
    cookies: Sequence[bytes]
    requests: Sequence[bytes]
    lines: int
    unreadable: Sequence[UnreadableLine] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.requests)


class LogFormat(Protocol):
    """One way to write an access log. `stamp`: whether its times are those of the start or end of requests.

    has_agents, has_cookies, has_durations: what the log knows of each request.
    """

    @property
    def name(self) -> str: ...
    @property
    def description(self) -> str: ...
    @property
    def stamp(self) -> Stamp: ...
    @property
    def resolution_s(self) -> float: ...
    @property
    def has_agents(self) -> bool: ...
    @property
    def has_cookies(self) -> bool: ...
    @property
    def has_durations(self) -> bool: ...

    def parse(self, content: bytes) -> LogRequests:
        """The requests in whole lines. Raises: ValueError for a time without a zone."""


@dataclass(frozen=True, slots=True)
class RowColumns:
    """Builds a block from rows that are read one by one."""

    times: list[float] = field(default_factory=list)
    durations: list[float] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    addresses: list[bytes] = field(default_factory=list)
    agents: list[bytes] = field(default_factory=list)
    cookies: list[bytes] = field(default_factory=list)
    requests: list[bytes] = field(default_factory=list)

    def add(
        self, time_s: float, duration_s: float, status: int, address: bytes, agent: bytes, cookie: bytes,
        request: bytes,
    ) -> None:  # fmt: skip
        self.times.append(time_s)
        self.durations.append(duration_s)
        self.statuses.append(status)
        self.addresses.append(address)
        self.agents.append(agent)
        self.cookies.append(cookie)
        self.requests.append(request)

    def block(self, lines: int, unreadable: Sequence[UnreadableLine]) -> LogRequests:
        return LogRequests(
            np.array(self.times, np.float64),
            np.array(self.durations, np.float64),
            np.array(self.statuses, np.int64),
            self.addresses,
            self.agents,
            self.cookies,
            self.requests,
            lines,
            unreadable,
        )


def read_rows(content: bytes, read_row: Callable[[bytes, RowColumns], bool | None]) -> LogRequests:
    """A block from a function that reads one line: True for a request, False for a line that is not of
    the format, None for one to skip, such as a comment.
    """
    columns, unreadable = RowColumns(), []
    lines = content.split(b"\n")
    if not lines[-1]:
        lines.pop()
    for number, line in enumerate(lines, 1):
        if line.strip() and read_row(line, columns) is False:
            unreadable.append(UnreadableLine(number, line[:160].decode("utf-8", "replace")))
    return columns.block(len(lines), unreadable)
