"""Reads a shop's ledger from CSV files, for order systems without a driver.

Orders: one row per line of an order; the columns of the order itself are repeated and must agree.

    order_ref,placed_at,total_pence            always
    idempotency_key                            empty or absent: the order is identified by its number
    channel, picked_at                         optional
    sku,quantity,unit_pence                    all three, or none for an order without lines

Stock: `sku,opening,on_hand` and optionally `sold`, which defaults to opening - on_hand.

Rules: UTF-8, commas, a header of these names in any order. Money is whole pence or other smallest units. A
time is ISO 8601 with a time zone, or Unix seconds. Nothing is guessed; all problems are reported at once,
with their lines.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from doorbuster.errors import FileProblem, UsageError, problem_lines
from doorbuster.records.batch import OrderAttempt
from doorbuster.records.ledger import Ledger, LedgerLine, LedgerOrder, LedgerStock
from doorbuster.records.storable import MAX_AMOUNT

_LINE = ("sku", "quantity", "unit_pence")
_ORDER = ("order_ref", "idempotency_key", "channel", "placed_at", "picked_at", "total_pence")
_ORDER_COLUMNS = (*_ORDER, *_LINE)
_ORDER_NEEDS = ("order_ref", "placed_at", "total_pence")
_STOCK_COLUMNS = ("sku", "opening", "on_hand", "sold")
_STOCK_NEEDS = ("sku", "opening", "on_hand")


def read_ledger_csv(
    orders: Path,
    stock: Path | None,
    *,
    run_id: str,
    attempts: Iterable[OrderAttempt],
    started_at_unix_s: float,
    read_at_unix_s: float,
) -> Ledger:
    """The ledger in these files, for the audit of a run.

    An order without a key takes the key of the attempt that was acknowledged with its number. Orders that are
    not of this run and were placed before it started are left out: the opening stock does not include them.

    Args: started_at_unix_s, read_at_unix_s: start of the run, and time the ledger was exported.
    Raises: UsageError with every problem of both files.
    """
    keys = {
        attempt.order_ref: attempt.idempotency_key
        for attempt in attempts
        if attempt.answer == "acknowledged" and attempt.idempotency_key.startswith(f"{run_id}:")
    }
    book, shelf = _Orders(orders), None if stock is None else _Stock(stock)
    problems = [*book.problems, *(shelf.problems if shelf else ())]
    if problems:
        raise UsageError(problem_lines(sorted(problems)))
    rows = (order.as_ledger(keys, started_at_unix_s) for order in book.orders.values())
    return Ledger(
        orders=tuple(
            row for row in rows if row.placed_at_s >= 0 or row.idempotency_key.startswith(f"{run_id}:")
        ),
        stock=tuple(shelf.by_sku.values()) if shelf else (),
        read_at_s=read_at_unix_s - started_at_unix_s,
    )


@dataclass(slots=True)
class _Order:
    """One order of the file; `repeated` holds the values that all its rows must share."""

    repeated: tuple[Any, ...]
    ref: str
    key: str
    channel: str
    total_pence: int
    placed_at_unix_s: float
    picked_at_unix_s: float | None
    lines: list[LedgerLine] = field(default_factory=list)

    def as_ledger(self, keys: Mapping[str, str], started_at_unix_s: float) -> LedgerOrder:
        picked = self.picked_at_unix_s
        return LedgerOrder(
            order_ref=self.ref,
            idempotency_key=self.key or keys.get(self.ref, ""),
            channel=self.channel,
            total_pence=self.total_pence,
            placed_at_s=self.placed_at_unix_s - started_at_unix_s,
            picked_at_s=None if picked is None else picked - started_at_unix_s,
            lines=tuple(self.lines),
        )


class _Sheet:
    """One CSV file: its rows as mappings, and its problems."""

    def __init__(self, path: Path, columns: tuple[str, ...], needs: tuple[str, ...]) -> None:
        self.path = path
        self.problems: list[FileProblem] = []
        self._columns = columns
        self._needs = needs
        self._line = 0
        self._header: list[str] = []

    def wrong(self, column: str, rule: str, got: str = "", way_out: str = "") -> None:
        place = self._header.index(column) + 1 if column in self._header else 1
        self.problems.append(FileProblem(str(self.path), self._line, place, column, rule, got, way_out))

    def rows(self) -> Iterator[dict[str, str]]:
        """Each row, stripped; rows of a wrong width are problems, empty rows are skipped."""
        try:
            with self.path.open(encoding="utf-8-sig", newline="") as file:
                reader = csv.reader(file, strict=True)
                header = self._header = [name.strip() for name in next(reader, [])]
                self._line = reader.line_num
                if not self._header_is_good(header):
                    return
                for cells in reader:
                    self._line = reader.line_num
                    if len(cells) != len(header) and any(cells):
                        self.wrong("", f"must have {len(header)} columns", str(len(cells)))
                    elif any(cells):
                        yield {name: cell.strip() for name, cell in zip(header, cells, strict=True)}
        except OSError as error:
            self.wrong("", f"cannot be read: {error.strerror}")
        except UnicodeDecodeError:
            self._line, byte = _first_not_utf_8(self.path)
            self.wrong("", "must be CSV in UTF-8", f"byte {byte:#04x}")
        except csv.Error as error:
            self._line += 1
            self.wrong("", "must be CSV in UTF-8", str(error))

    def _header_is_good(self, header: list[str]) -> bool:
        before = len(self.problems)
        if len(header) == 1 and ";" in header[0]:
            self.wrong("", "must have commas between its columns", header[0][:60])
            return False
        for name in header:
            if name not in self._columns:
                near = get_close_matches(name, self._columns, n=1)
                known = f"did you mean {near[0]}?" if near else f"known are {', '.join(self._columns)}"
                self.wrong("", "is not a column of this file", name, known)
        for name in sorted(set(header)):
            if header.count(name) > 1:
                self.wrong(name, "must appear in the header once", str(header.count(name)))
        for name in self._needs:
            if name not in header:
                self.wrong(name, "is missing from the header", ", ".join(header)[:120])
        return len(self.problems) == before

    def text(self, row: Mapping[str, str], column: str) -> str:
        value = row.get(column, "")
        if not value:
            self.wrong(column, "must not be empty")
        return value

    def whole(self, row: Mapping[str, str], column: str, *, least: int | None = 0) -> int:
        value = row[column]
        with suppress(ValueError):
            number = int(value)
            if value.isascii() and "_" not in value and (least is None or number >= least):
                if abs(number) <= MAX_AMOUNT:
                    return number
                self.wrong(column, f"must be at most {MAX_AMOUNT:,}", value)
                return 0
        pence = " of the currency's smallest unit" if column.endswith("_pence") else ""
        rule = f"must be a whole number{pence}" + ("" if least is None else f", {least} or more")
        way_out = "in pounds or euros, multiply by 100" if pence and "." in value else ""
        self.wrong(column, rule, value or "nothing", way_out)
        return 0

    def moment(self, row: Mapping[str, str], column: str) -> float:
        """Unix seconds."""
        value = row[column]
        with suppress(ValueError):
            seconds = float(value)
            if 1e9 <= seconds < 1e10:
                return seconds
        with suppress(ValueError, OverflowError):
            moment = datetime.fromisoformat(value)
            if moment.tzinfo is not None:
                return moment.timestamp()
            self.wrong(column, "must have a time zone", value, f"write {value}Z if it is UTC")
            return 0.0
        self.wrong(column, "must be a time such as 2026-11-27T08:00:03Z, or Unix seconds", value or "nothing")
        return 0.0


def _first_not_utf_8(path: Path) -> tuple[int, int]:
    """Line and value of the first byte that is not UTF-8."""
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                line.decode()
            except UnicodeDecodeError as error:
                return number, line[error.start]
    return 1, 0


class _Orders(_Sheet):
    """The orders by number."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, _ORDER_COLUMNS, _ORDER_NEEDS)
        self.orders: dict[str, _Order] = {}
        for row in self.rows():
            self._take(row)

    def _take(self, row: dict[str, str]) -> None:
        ref = self.text(row, "order_ref")
        if not ref:
            return
        repeated = tuple(row.get(name, "") for name in _ORDER)
        order = self.orders.get(ref)
        if order is None:
            picked = self.moment(row, "picked_at") if row.get("picked_at") else None
            order = self.orders[ref] = _Order(
                repeated, ref, row.get("idempotency_key", ""), row.get("channel", ""),
                self.whole(row, "total_pence"), self.moment(row, "placed_at"), picked,
            )  # fmt: skip
        elif order.repeated != repeated:
            other = next(
                name
                for name, *both in zip(_ORDER, order.repeated, repeated, strict=True)
                if both[0] != both[1]
            )
            self.wrong(other, f"must be the same in all rows of order {ref}", row[other])
        given = [name for name in _LINE if row.get(name)]
        if len(given) == len(_LINE):
            quantity = self.whole(row, "quantity", least=1)
            order.lines.append(LedgerLine(row["sku"], quantity, self.whole(row, "unit_pence")))
        elif given:
            missing = next(name for name in _LINE if name not in given)
            self.wrong(missing, "must not be empty where the row has a line of the order")


class _Stock(_Sheet):
    """The stock by SKU."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, _STOCK_COLUMNS, _STOCK_NEEDS)
        self.by_sku: dict[str, LedgerStock] = {}
        for row in self.rows():
            self._take(row)

    def _take(self, row: dict[str, str]) -> None:
        sku = self.text(row, "sku")
        opening, on_hand = self.whole(row, "opening"), self.whole(row, "on_hand", least=None)
        sold = self.whole(row, "sold", least=None) if row.get("sold") else opening - on_hand
        if sku in self.by_sku:
            self.wrong("sku", "must appear in the file once", sku)
        self.by_sku[sku] = LedgerStock(sku, opening, on_hand, sold)
