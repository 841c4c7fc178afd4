"""Rows of one table in an SQL dump: INSERT statements (MySQL, SQLite, pg_dump --inserts) and COPY blocks.

Values are read as text; nothing in the dump is executed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

from doorbuster.errors import UsageError
from doorbuster.forecast.input.table_rows import TableRows, read_bytes

_NAME = r'(?:[`"\[]?[\w$]+[`"\]]?\.)?[`"\[]?([\w$]+)[`"\]]?'
_CREATE = re.compile(rf"CREATE\s+TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?{_NAME}\s*\(", re.IGNORECASE)
_INSERT = re.compile(rf"INSERT\s+(?:IGNORE\s+)?INTO\s+{_NAME}\s*(?:\(([^)]*)\))?\s*VALUES\s*", re.IGNORECASE)
_COPY = re.compile(rf"COPY\s+{_NAME}\s*\(([^)]*)\)\s+FROM\s+stdin", re.IGNORECASE)
_COLUMN = re.compile(r'\s*[`"\[]?([A-Za-z_][\w$ ]*?)[`"\]]?\s+[A-Za-z]')
_NOT_COLUMNS = {"primary", "key", "unique", "constraint", "foreign", "index", "check", "fulltext"}
_VALUE = re.compile(r"\s*(?:N?'((?:[^'\\]|\\.|'')*)'|([^,()']+))\s*([,)])", re.DOTALL)
_ESCAPES = {"n": "\n", "t": "\t", "0": "", "r": "\r"}
_WAY_OUT = "name one with --table"
Row = tuple[int, Sequence[str]]


def read_sql_rows(path: Path, table: str | None) -> TableRows:
    """The rows of a table of the dump; `table` may be None if only one table of the dump has rows.

    Raises: UsageError if the dump has no such table, or several and none is named.
    """
    tables: dict[str, tuple[tuple[str, ...], list[Iterator[Row]]]] = {}
    text = read_bytes(path).decode("utf-8", "replace")
    columns = {match[1].lower(): _created_columns(text, match.end()) for match in _CREATE.finditer(text)}
    for match in _INSERT.finditer(text):
        name = match[1].lower()
        named = _names(match[2]) if match[2] else columns.get(name, ())
        tables.setdefault(name, (named, []))[1].append(_inserted(text, match.end()))
    for match in _COPY.finditer(text):
        name = match[1].lower()
        tables.setdefault(name, (_names(match[2]), []))[1].append(_copied(text, match.end()))
    if not tables:
        raise UsageError(f"{path}: has no INSERT or COPY with rows; dump the table of orders with its data")
    wanted = table.lower() if table else next(iter(tables))
    if wanted not in tables or (table is None and len(tables) > 1):
        which = f"has no rows for a table {table}" if table else "has rows for several tables"
        raise UsageError(f"{path}: {which}; {_WAY_OUT}: {', '.join(sorted(tables))}")
    named, parts = tables[wanted]
    if not named:
        raise UsageError(f"{path}: does not name the columns of {wanted}; dump it with CREATE TABLE")
    return TableRows(str(path), named, chain.from_iterable(parts))


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip().strip('`"[]') for part in text.split(","))


def _created_columns(text: str, start: int) -> tuple[str, ...]:
    """The columns of CREATE TABLE, whose definitions begin at `start`."""
    depth, begin, parts = 1, start, []
    for match in re.compile(r"[(),]").finditer(text, start):
        depth += {"(": 1, ")": -1}.get(match[0], 0)
        if depth == 0 or (depth == 1 and match[0] == ","):
            parts.append(text[begin : match.start()])
            begin = match.end()
        if depth == 0:
            break
    found = (_COLUMN.match(part) for part in parts)
    return tuple(match[1] for match in found if match and match[1].lower() not in _NOT_COLUMNS)


def _inserted(text: str, at: int) -> Iterator[Row]:
    """The rows after VALUES: (…), (…);"""
    line = text.count("\n", 0, at) + 1
    seen = at
    while True:
        opening = re.compile(r"\s*,?\s*\(").match(text, at)
        if opening is None:
            return
        at = opening.end()
        line += text.count("\n", seen, at)
        seen = at
        row: list[str] = []
        while True:
            value = _VALUE.match(text, at)
            if value is None:
                return  # a function call or a cut-off file: the rest of this statement is unreadable
            row.append(_unescaped(value[1]) if value[1] is not None else _plain(value[2]))
            at = value.end()
            if value[3] == ")":
                break
        yield line, row


def _copied(text: str, at: int) -> Iterator[Row]:
    """The tab-separated rows of a COPY block, to the line with a backslash and a dot."""
    line = text.count("\n", 0, at) + 1
    at = text.find("\n", at) + 1
    while 0 < at < len(text):
        line += 1
        end = text.find("\n", at)
        end = len(text) if end < 0 else end
        row = text[at:end].rstrip("\r")
        if row == "\\.":
            return
        yield line, ["" if cell == "\\N" else cell for cell in row.split("\t")]
        at = end + 1


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", lambda found: _ESCAPES.get(found[1], found[1]), text.replace("''", "'"))


def _plain(text: str) -> str:
    text = text.strip()
    return "" if text.upper() == "NULL" else text
