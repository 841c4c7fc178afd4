"""Delimited text in blocks of columns: the shape that most load generators write.

Rules of this module:
- Blocks without quotation marks, which are nearly all, are cut at their delimiters by NumPy; columns become
  text only when they are asked for. The csv module reads the others.
- A row of another width, such as a last one that was cut off, is left out and counted.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from doorbuster.errors import UsageError
from doorbuster.importers.input_file import InputFile

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Skip = Callable[[int, str], None]

MAX_FIELD = 16 << 20
MAX_QUOTED_BYTES = 64 << 20  # of a block that ends inside a quotation
_NEWLINE, _CARRIAGE_RETURN, _ZERO, _NINE = 10, 13, 48, 57
_MAX_DIGITS = 18
MAX_KNOWN = 100_000


class TableBlock(Protocol):
    """Some rows of a table, by column; `line` is the number of its first line."""

    line: int
    names: tuple[str, ...]

    def __len__(self) -> int: ...

    def text(self, name: str) -> Sequence[str]:
        """The column of this name; empty texts if the table has none."""

    def numbers(self, name: str) -> Floats | None:
        """The column as numbers, NaN for other texts; None if the table has no such column."""

    def keys(self, names: Sequence[str]) -> Sequence[Hashable]:
        """For each row, a value that is equal for rows with equal texts in these columns."""


class ParsedRows:
    """Rows that the csv module has read."""

    def __init__(self, line: int, names: tuple[str, ...], rows: Sequence[Sequence[str]]) -> None:
        self.line, self.names = line, names
        self._columns = list(zip(*rows, strict=True))

    def __len__(self) -> int:
        return len(self._columns[0])

    def text(self, name: str) -> Sequence[str]:
        return self._columns[self.names.index(name)] if name in self.names else ("",) * len(self)

    def numbers(self, name: str) -> Floats | None:
        return numbers(self.text(name)) if name in self.names else None

    def keys(self, names: Sequence[str]) -> Sequence[Hashable]:
        return list(zip(*(self.text(name) for name in names), strict=True))


class SlicedRows:
    """Rows of plain ASCII, cut at their delimiters.

    Args: bounds: shape (rows, columns + 1), the position before each column, and that of the row's end.
    """

    def __init__(self, line: int, names: tuple[str, ...], content: bytes, bounds: Ints) -> None:
        self.line, self.names = line, names
        self._bytes = np.frombuffer(content, dtype=np.uint8)
        self._text = content.decode("ascii")
        self._bounds = bounds

    def __len__(self) -> int:
        return int(self._bounds.shape[0])

    def text(self, name: str) -> Sequence[str]:
        if name not in self.names:
            return ("",) * len(self)
        starts, ends = self._edges(name)
        text = self._text
        return [text[start:end] for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]

    def numbers(self, name: str) -> Floats | None:
        if name not in self.names:
            return None
        found = _whole(self._bytes, *self._edges(name))
        return numbers(self.text(name)) if found is None else found

    def keys(self, names: Sequence[str]) -> Sequence[Hashable]:
        places = sorted(self.names.index(name) for name in names if name in self.names)
        if not places or places[-1] - places[0] > len(places):
            return list(zip(*(self.text(name) for name in names), strict=True))
        # Neighbouring columns: one slice of the row stands for all of them.
        starts, ends = self._bounds[:, places[0]] + 1, self._bounds[:, places[-1] + 1]
        text = self._text
        return [text[start:end] for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]

    def _edges(self, name: str) -> tuple[Ints, Ints]:
        place = self.names.index(name)
        return self._bounds[:, place] + 1, self._bounds[:, place + 1]


def _whole(data: NDArray[np.uint8], starts: Ints, ends: Ints) -> Floats | None:
    """The digits between these positions as numbers; None if there is anything but digits."""
    widths = ends - starts
    if not widths.size or int(widths.min()) < 1 or int(widths.max()) > _MAX_DIGITS:
        return None
    total = np.zeros(widths.size, np.int64)
    for place in range(int(widths.max())):
        inside = widths > place
        digit = data[np.where(inside, ends - 1 - place, 0)]
        if bool((inside & ((digit < _ZERO) | (digit > _NINE))).any()):
            return None
        total += np.where(inside, digit.astype(np.int64) - _ZERO, 0) * 10**place
    return total.astype(np.float64)


def table_blocks(
    file: InputFile, *, delimiter: str, names: Sequence[str] | None, skip: Skip, quoted: bool = True
) -> Iterator[TableBlock]:
    """The rows of a table.

    Args:
        names: of the columns; None when the first row holds them.
        skip: receives rows of another width.
    Raises: UsageError when the text is not a table.
    """
    csv.field_size_limit(MAX_FIELD)
    line = 1
    header = None if names is None else tuple(names)
    for content in _whole_records(file, quoted=quoted):
        if header is None:
            content = content.removeprefix(b"\xef\xbb\xbf")
            first, header = _header(content, delimiter, file)
            line, content = line + first.count(b"\n"), content[len(first) :]
        if not header:
            return
        block: TableBlock | None = None
        if not quoted or b'"' not in content:
            block = _sliced(content, delimiter, header, line)
        if block is None:
            block = _parsed(content, delimiter, header, line, skip, file, quoted=quoted)
        if block is not None and len(block):
            yield block
        line += content.count(b"\n")


def _whole_records(file: InputFile, *, quoted: bool) -> Iterator[bytes]:
    """Blocks of whole lines that do not end inside a quotation."""
    held = b""
    for block in file.line_blocks():
        held += block
        if quoted and held.count(b'"') % 2:
            if len(held) > MAX_QUOTED_BYTES:
                raise UsageError(f"{file.path}: a quotation mark is missing: a field never ends")
            continue
        yield held
        held = b""
    if held:
        yield held


def _header(content: bytes, delimiter: str, file: InputFile) -> tuple[bytes, tuple[str, ...]]:
    """The bytes of the first record, and its cells."""
    end = content.find(b"\n") + 1 or len(content)
    while content.count(b'"', 0, end) % 2 and (more := content.find(b"\n", end) + 1):
        end = more
    return content[:end], _cells(content[:end], delimiter, file)


def _cells(record: bytes, delimiter: str, file: InputFile) -> tuple[str, ...]:
    try:
        row = next(
            csv.reader(io.StringIO(record.decode("utf-8", "replace"), newline=""), delimiter=delimiter), []
        )
    except csv.Error as error:
        raise UsageError(f"{file.path}:1: the header cannot be read ({error})") from error
    return tuple(cell.strip() for cell in row)


def _sliced(content: bytes, delimiter: str, names: tuple[str, ...], line: int) -> SlicedRows | None:
    """The rows of a block in which every line has all columns; None for any other block."""
    if not content.isascii():
        return None
    if b"\r" in content:
        content = content.replace(b"\r\n", b"\n")
    if not content.endswith(b"\n"):
        content += b"\n"
    data = np.frombuffer(content, dtype=np.uint8)
    if bool((data == _CARRIAGE_RETURN).any()):
        return None
    cuts = np.flatnonzero((data == ord(delimiter)) | (data == _NEWLINE))
    if cuts.size % len(names):
        return None
    ends = cuts.reshape(-1, len(names))
    breaks = np.flatnonzero(data == _NEWLINE)
    if breaks.size != ends.shape[0] or not np.array_equal(ends[:, -1], breaks):
        return None
    before = np.concatenate(([-1], breaks[:-1]))
    return SlicedRows(line, names, content, np.column_stack((before, ends)))


def _parsed(
    content: bytes,
    delimiter: str,
    names: tuple[str, ...],
    line: int,
    skip: Skip,
    file: InputFile,
    *,
    quoted: bool,
) -> ParsedRows | None:
    """The rows of a block by the csv module; those of another width go to `skip`."""
    text = io.StringIO(content.decode("utf-8", "replace"), newline="")
    reader = csv.reader(text, delimiter=delimiter, quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE)
    rows, odd = [], []
    try:
        for row in reader:
            if len(row) == len(names):
                rows.append(row)
            elif any(row):
                odd.append((line + reader.line_num - 1, len(row)))
    except csv.Error as error:
        raise UsageError(
            f"{file.path}:{line + reader.line_num}: cannot be read as a table ({error}); a quotation "
            "mark may be missing"
        ) from error
    if odd:
        at, width = odd[0]
        more = f", and {len(odd) - 1} more" if len(odd) > 1 else ""
        skip(len(odd), f"Line {at}: a row of {width} instead of {len(names)} columns was left out{more}.")
    return ParsedRows(line, names, rows) if rows else None


def numbered(
    block: TableBlock, names: Sequence[str], known: dict[Hashable, int], number: Callable[..., int]
) -> Ints:
    """A number for each row by the texts of some columns.

    Args: known: numbers of earlier blocks. number: gives that of new texts, one argument for each column.
    """
    if len(known) > MAX_KNOWN:  # some texts, such as those of errors, differ in every row
        known.clear()
    keys = block.keys(names)
    columns: list[Sequence[str]] = []
    for key, place in dict(zip(keys, range(len(keys)), strict=True)).items():
        if key not in known:
            columns = columns or [block.text(name) for name in names]
            known[key] = number(*(column[place] for column in columns))
    return np.fromiter(map(known.__getitem__, keys), np.int64, len(keys))


def numbers(texts: Sequence[str]) -> Floats:
    """Numbers of a column of text; NaN for other texts."""
    try:
        return np.array(texts, dtype=np.float64)
    except ValueError:
        return np.array([_number(text) for text in texts])


def _number(text: str) -> float:
    try:
        return float(text.strip().strip('"'))
    except ValueError:
        return float("nan")


def microseconds(values: Floats, factor: float) -> Ints:
    """Times in us; -1 for NaN and infinity, which the builder then leaves out."""
    scaled = values * factor
    return np.where(np.isfinite(scaled) & (np.abs(scaled) < 1e15), np.rint(scaled), -1).astype(np.int64)


def whole_numbers(values: Floats | None) -> Ints | None:
    """Counts and sizes; 0 for other texts."""
    if values is None:
        return None
    good = np.isfinite(values) & (np.abs(values) < 1e15)
    return np.where(good, values, 0).astype(np.int64)


def required(block: TableBlock, name: str) -> Floats:
    """The column as numbers; NaN throughout if the table has no such column."""
    found = block.numbers(name)
    return np.full(len(block), np.nan) if found is None else found


def sniff_delimiter(head: bytes) -> str:
    """The delimiter of the first line: the most frequent of comma, tab, semicolon and pipe."""
    line = head.split(b"\n", 1)[0].decode("utf-8", "replace")
    return max(",\t;|", key=line.count)


def header_of(head: bytes, delimiter: str | None = None) -> tuple[str, ...]:
    """The cells of the first line; none for a binary file."""
    line = head.removeprefix(b"\xef\xbb\xbf").split(b"\n", 1)[0].decode("utf-8", "replace").strip("\r")
    try:
        row = next(csv.reader([line], delimiter=delimiter or sniff_delimiter(head)), [])
    except csv.Error:
        return ()
    return tuple(cell.strip() for cell in row)
