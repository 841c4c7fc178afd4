"""Common and combined logs of Apache and nginx, also with virtual host, request time, forwarded address.

The fields of a line are found by its quotation marks, for a block of lines at once with NumPy; the layout of
the fields is learnt from the first lines of a file. Times are those of the request for Apache's %t and of the
line, which is written at the end, for nginx's $time_local.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from doorbuster.access_logs.log_requests import Floats, Ints, LogRequests, Stamp, UnreadableLine

Bytes = NDArray[np.uint8]

TIME = re.compile(rb"\[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\]")
_LINE = re.compile(rb"^(?:\S+ ){2,12}?" + TIME.pattern + rb' "[^"]*" (?:\d{3}|-) ')
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|\[[^\]]*\]|[^\s"\[,]+(?:, ?[^\s"\[,]+)*')
_ADDRESS = re.compile(rb"[0-9a-fA-F.:%]+(?:, ?[0-9a-fA-F.:%]+)*|-")
_FRONT = re.compile(rb'"[^"]*"|[^\s",]+(?:, ?[^\s",]+)*')  # a word, a quotation or a list of proxies
_NUMBER = re.compile(rb"\d+(?:\.\d+)?|-")
_SAMPLE_LINES = 400
_TIME_WIDTH = 29  # from the bracket to the quotation mark of the request
_DIGITS = np.array([1, 2, 8, 9, 10, 11, 13, 14, 16, 17, 19, 20])  # of day, year, hour, minute, second
_HIGHEST = np.array([31, 23, 59, 60])  # day, hour, minute, second
_ZONE_DIGITS = np.array([23, 24, 25, 26])
_ZERO, _NINE, _QUOTE, _NEWLINE, _SPACE, _BACKSLASH, _MINUS = 48, 57, 34, 10, 32, 92, 45
_MONTHS = {name: number for number, name in enumerate(
    (b"an", b"eb", b"ar", b"pr", b"ay", b"un", b"ul", b"ug", b"ep", b"ct", b"ov", b"ec"), 1)}  # fmt: skip
MICROSECONDS_FROM = (
    200  # a median of whole numbers from here on is of microseconds, as Apache's %D writes them
)


@dataclass(frozen=True, slots=True)
class FieldPlace:
    """Where a field is: inside quotation number `quoted`, or word `word` of the text after that quotation."""

    quoted: int
    word: int = -1


@dataclass(frozen=True, slots=True)
class CombinedLog:
    """A layout of the combined format.

    addresses: words of the text before the time that may name the visitor, the surest first. lead: number of
    quotation marks before the time. agent, forwarded, duration: None if the log has none.
    """

    quotes: int
    addresses: tuple[int, ...]
    has_lists: bool
    lead: int
    agent: FieldPlace | None
    forwarded: FieldPlace | None
    duration: FieldPlace | None
    duration_unit_s: float
    name: str
    description: str
    stamp: Stamp
    resolution_s: float = 1.0
    has_cookies: bool = False

    @property
    def has_agents(self) -> bool:
        return self.agent is not None

    @property
    def has_durations(self) -> bool:
        return self.duration is not None

    def parse(self, content: bytes) -> LogRequests:
        data = np.frombuffer(content, np.uint8)
        ends = np.flatnonzero(data == _NEWLINE)
        if not data.size or data[-1] != _NEWLINE:
            ends = np.append(ends, data.size)
        starts = np.concatenate(([0], ends[:-1] + 1))
        quotes = _quotes(data, content)
        first = np.searchsorted(quotes, starts)
        count = np.searchsorted(quotes, ends) - first
        usable = _usable(data, quotes, first + self.lead, count - self.lead, starts, self.quotes - self.lead)
        rows = np.flatnonzero(usable)
        unreadable = [
            UnreadableLine(int(row) + 1, content[starts[row] : ends[row]][:160].decode("utf-8", "replace"))
            for row in np.flatnonzero(~usable & (ends > starts + 1))
        ]
        first, starts, ends = first[rows], starts[rows], ends[rows]
        opening = quotes[first + self.lead] if rows.size else first
        closing = quotes[first + self.lead + 1] if rows.size else first
        status = _three_digits(data, closing + 2)
        empty: list[bytes] = [b""] * rows.size
        durations = np.full(rows.size, np.nan)
        if self.duration is not None and rows.size:
            durations = self._durations(content, quotes, first, ends)
        addresses = self._addresses(content, starts, opening, data)
        if self.forwarded is not None and rows.size:
            through = _slices(content, quotes, first, self.forwarded, ends)
            addresses = [
                near if far in (b"-", b"") else far.partition(b",")[0]
                for near, far in zip(addresses, through, strict=True)
            ]
        return LogRequests(
            time_s=_times(data, opening - _TIME_WIDTH),
            duration_s=durations,
            status=status,
            addresses=addresses,
            agents=empty if self.agent is None else _slices(content, quotes, first, self.agent, ends),
            cookies=empty,
            requests=_cut(content, opening + 1, closing),
            lines=int(usable.size),
            unreadable=unreadable,
        )

    def _addresses(self, content: bytes, starts: Ints, opening: Ints, data: Bytes) -> list[bytes]:
        if self.has_lists or self.addresses != (0,):
            return [self._address(text) for text in _cut(content, starts, opening)]
        spaces = np.flatnonzero(data == _SPACE)
        ends = spaces[np.searchsorted(spaces, starts)] if starts.size else starts
        return _cut(content, starts, ends)

    def _address(self, before: bytes) -> bytes:
        """The first address that is known, in the text before the time; of a list of proxies the first."""
        words = _FRONT.findall(before)
        for place in self.addresses:
            found: bytes = words[place].strip(b'"').partition(b",")[0] if place < len(words) else b"-"
            if found not in (b"-", b""):
                return found
        return b"-"

    def _durations(self, content: bytes, quotes: Ints, first: Ints, ends: Ints) -> Floats:
        assert self.duration is not None, "the caller has asked"
        texts = _slices(content, quotes, first, self.duration, ends)
        found = np.array([_number(text) for text in texts])
        return found * self.duration_unit_s


def detect_combined(head: bytes) -> CombinedLog | None:
    """The layout of a log that begins like this; None if it is not a combined log."""
    lines = [line for line in head.split(b"\n")[:_SAMPLE_LINES] if line.strip()]
    if head[-1:] != b"\n" and len(lines) > 1:
        lines = lines[:-1]  # it may be cut off by the end of the sample
    matching = [line for line in lines if _LINE.match(line)]
    if len(matching) < max(1, 0.5 * len(lines)):
        return None
    rows = [_TOKEN.findall(line) for line in matching]
    width = Counter(map(len, rows)).most_common(1)[0][0]
    rows = [row for row in rows if len(row) == width]
    columns = list(zip(*rows, strict=True))
    time = next(place for place, column in enumerate(columns) if TIME.fullmatch(column[0]))
    quoted = [place for place, column in enumerate(columns) if all(text[:1] == b'"' for text in column)]
    request = next(place for place in quoted if place > time)
    later = [place for place in quoted if place > request]
    agent = _agent_column(columns, later)
    duration, unit_s = _duration_column(columns, range(request + 3, width))
    behind = later[1:]  # the first is the referer, which may be - in every line
    forwarded = next((place for place in behind if place != agent and _is_address(columns[place])), None)
    kind = "combined" if agent is not None else "common"
    return CombinedLog(
        quotes=2 * len(quoted),
        addresses=_address_columns(columns[:time]),
        has_lists=any(b"," in text or text[:1] == b'"' for column in columns[:time] for text in column),
        lead=2 * sum(place < time for place in quoted),
        agent=None if agent is None else FieldPlace(quoted.index(agent)),
        forwarded=None if forwarded is None else FieldPlace(quoted.index(forwarded)),
        duration=None if duration is None else _place(duration, quoted),
        duration_unit_s=unit_s,
        name=kind,
        description=f"Apache or nginx {kind} log" + (" with request times" if duration is not None else ""),
        # nginx writes times with decimals, at the end of the request; Apache stamps its start
        stamp="end"
        if duration is not None and unit_s == 1.0 and _has_decimals(columns[duration])
        else "start",
    )


def _address_columns(columns: list[tuple[bytes, ...]]) -> tuple[int, ...]:
    """The columns before the time that hold addresses, that with the most different ones first.

    A proxy has a few addresses, visitors have many; the host that was asked for is a name.
    """
    found = [place for place, column in enumerate(columns) if _is_address(column) and _has_addresses(column)]
    found.sort(key=lambda place: (-len(set(columns[place])), place))
    return tuple(found) or (0,)


def _has_addresses(column: tuple[bytes, ...]) -> bool:
    """Whether all that is stated has dots or colons: users may be called cafe."""
    stated = [text for text in column if text.strip(b'"') != b"-"]
    return bool(stated) and all(b"." in text or b":" in text for text in stated)


def _agent_column(columns: list[tuple[bytes, ...]], places: list[int]) -> int | None:
    """The user agents: the second quoted field behind the request, after the referer; None if unknown."""
    likely = {place: sum(map(_is_agent, columns[place])) for place in places}
    if not likely:
        return None
    best = max(likely, key=lambda place: likely[place])
    if not likely[best]:
        best = places[1] if len(places) > 1 else -1
    return None if best < 0 or set(columns[best]) == {b'"-"'} else best


def _is_agent(text: bytes) -> bool:
    return b"Mozilla/" in text or (b"/" in text and b"://" not in text[:12])


def _duration_column(columns: list[tuple[bytes, ...]], places: range) -> tuple[int | None, float]:
    """A numeric column behind status and size, and the unit of its numbers."""
    for place in places:
        texts = [text.strip(b'"') for text in columns[place]]
        if not all(_NUMBER.fullmatch(text) for text in texts) or all(text == b"-" for text in texts):
            continue
        values = [float(text) for text in texts if text != b"-"]
        if any(b"." in text for text in texts):
            return place, 1.0
        return place, 1e-6 if float(np.median(values)) >= MICROSECONDS_FROM else 1.0
    return None, 1.0


def _has_decimals(column: tuple[bytes, ...]) -> bool:
    return any(b"." in text for text in column)


def _is_address(column: tuple[bytes, ...]) -> bool:
    return all(_ADDRESS.fullmatch(text.strip(b'"')) for text in column)


def _place(column: int, quoted: list[int]) -> FieldPlace:
    if column in quoted:
        return FieldPlace(quoted.index(column))
    before = max(number for number, place in enumerate(quoted) if place < column)
    return FieldPlace(before, column - quoted[before] - 1)


def _quotes(data: Bytes, content: bytes) -> Ints:
    """Positions of quotation marks that are not escaped by a backslash."""
    quotes = np.flatnonzero(data == _QUOTE)
    if b'\\"' not in content:
        return quotes
    behind = quotes[data[np.maximum(quotes - 1, 0)] == _BACKSLASH]
    escaped = [place for place in behind.tolist() if _is_escaped(content, place)]
    return quotes[~np.isin(quotes, escaped)] if escaped else quotes


def _is_escaped(content: bytes, place: int) -> bool:
    start = place
    while start and content[start - 1] == _BACKSLASH:
        start -= 1
    return (place - start) % 2 == 1


def _usable(
    data: Bytes, quotes: Ints, first: Ints, count: Ints, starts: Ints, needed: int
) -> NDArray[np.bool_]:
    """Lines with all quotations, a time in brackets before the first, and a status behind it."""
    usable = count >= max(needed, 2)
    if not usable.any():
        return usable
    opening = quotes[np.where(usable, first, 0)]
    closing = quotes[np.where(usable, first + 1, 0)]
    usable &= (opening - _TIME_WIDTH >= starts) & (closing + 5 < data.size)
    start = np.where(usable, opening - _TIME_WIDTH, 0)
    behind = np.where(usable, closing, 0)
    usable &= (data[start] == ord("[")) & (data[start + 27] == ord("]"))
    digits = data[start[:, None] + _DIGITS]
    usable &= ((digits >= _ZERO) & (digits <= _NINE)).all(axis=1)
    usable &= _MONTH_TABLE[data[start + 5].astype(np.int64) * 256 + data[start + 6]] > 0
    tens, ones = digits[:, [0, 6, 8, 10]].astype(np.int64) - _ZERO, digits[:, [1, 7, 9, 11]] - _ZERO
    usable &= (tens * 10 + ones <= _HIGHEST).all(axis=1)
    status = data[behind[:, None] + np.array([2, 3, 4])]
    usable &= ((status >= _ZERO) & (status <= _NINE)).all(axis=1)
    return usable


def _times(data: Bytes, start: Ints) -> Floats:
    """Unix seconds of [22/Jan/2019:03:56:14 +0330] at these positions."""
    if not start.size:
        return np.empty(0)
    digit = data[start[:, None] + _DIGITS].astype(np.int64) - _ZERO
    day = digit[:, 0] * 10 + digit[:, 1]
    year = digit[:, 2] * 1000 + digit[:, 3] * 100 + digit[:, 4] * 10 + digit[:, 5]
    clock = (digit[:, 6] * 10 + digit[:, 7]) * 3600 + (digit[:, 8] * 10 + digit[:, 9]) * 60
    clock += digit[:, 10] * 10 + digit[:, 11]
    month = _MONTH_TABLE[data[start + 5].astype(np.int64) * 256 + data[start + 6]]
    dates = ((year - 1970) * 12 + month - 1).astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    zone = data[start[:, None] + _ZONE_DIGITS].astype(np.int64) - _ZERO
    offset = (zone[:, 0] * 10 + zone[:, 1]) * 3600 + (zone[:, 2] * 10 + zone[:, 3]) * 60
    offset = np.where(data[start + 22] == _MINUS, -offset, offset)
    found: Floats = ((dates + day - 1) * 86_400 + clock - offset).astype(np.float64)
    return found


def _month_table() -> Ints:
    table = np.zeros(65_536, np.int64)
    for letters, number in _MONTHS.items():
        table[letters[0] * 256 + letters[1]] = number
    return table


_MONTH_TABLE = _month_table()


def _three_digits(data: Bytes, start: Ints) -> Ints:
    if not start.size:
        return start
    digit = data[start[:, None] + np.arange(3)].astype(np.int64) - _ZERO
    found: Ints = digit @ np.array([100, 10, 1])
    return found


def _cut(content: bytes, starts: Ints, ends: Ints) -> list[bytes]:
    return [content[start:end] for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]


def _slices(content: bytes, quotes: Ints, first: Ints, place: FieldPlace, ends: Ints) -> list[bytes]:
    """The texts of a field."""
    if place.word < 0:
        return _cut(content, quotes[first + 2 * place.quoted] + 1, quotes[first + 2 * place.quoted + 1])
    behind = 2 * place.quoted + 1
    after = np.append(quotes, ends[-1])
    stop = np.minimum(after[np.minimum(first + behind + 1, quotes.size)], ends)
    texts = (text.split() for text in _cut(content, quotes[first + behind] + 1, stop))
    return [words[place.word] if len(words) > place.word else b"" for words in texts]


def _number(text: bytes) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")
