"""Makes the values of reports and of the shop's ledger storable, whatever a shop, a driver or a journey sent.

Rules:
- Text without a meaning in UTF-8, such as half of a surrogate pair, is kept with escapes; other objects
  become text. Long text is cut.
- A row with a number that is not finite or too large is refused, with its table and the reason.
- One bad row never affects another one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from math import isfinite
from typing import Any, NamedTuple, TypeVar

from doorbuster.records.batch import Batch, Event
from doorbuster.records.ledger import Ledger, LedgerLine, LedgerOrder, LedgerStock

MAX_CHARACTERS = 16_384
MAX_AMOUNT = 10**15  # of money and units; larger numbers lose digits in other programs
MAX_TIME_S = 1e11  # in the year 5138
ROW_REFUSED = "row_refused"
LEDGER_REFUSED = "ledger_row_refused"
_MAX_INT = 2**63 - 1
_SCALARS = ("worker", "seq", "final")
_BINS = frozenset({"response", "service", "first_byte", "lateness", "durations"})  # the fields with bytes
_SHOWN = 60

Row = TypeVar("Row", bound=tuple[Any, ...])


class UnstorableError(ValueError):
    """A value that cannot be stored; the message states it."""


class StorableLedger(NamedTuple):
    """A ledger that can be stored, and a sentence for each value that was left out."""

    ledger: Ledger
    problems: tuple[str, ...]


def storable_batch(batch: Batch) -> Batch:
    """The batch with storable values; refused rows are replaced by one event for each table and reason."""
    refused: Counter[str] = Counter()
    changes: dict[str, Any] = {
        name: tuple(_storable_rows(name, getattr(batch, name), refused))
        for name in Batch.__slots__
        if name not in _SCALARS
    }
    at_s = float(max((row.second for row in batch.health), default=0))
    changes["events"] += tuple(
        Event(at_s, ROW_REFUSED, f"{n} × {reason}" if n > 1 else reason) for reason, n in refused.items()
    )
    return replace(batch, **changes)


def _storable_rows(table: str, rows: Iterable[Row], refused: Counter[str]) -> Iterator[Row]:
    for row in rows:
        try:
            yield storable_row(row)
        except UnstorableError as error:
            refused[f"{table}: {error}"] += 1


def storable_row(row: Row) -> Row:
    """The row itself if all its values are storable, else one of the same type.

    Raises: UnstorableError.
    """
    fields = getattr(row, "_fields", ())
    values = [
        _text_of_bytes(value)
        if type(value) is bytes and fields and fields[at] not in _BINS
        else storable(value)
        for at, value in enumerate(row)
    ]
    if all(new is old for new, old in zip(values, row, strict=True)):
        return row
    make = getattr(type(row), "_make", type(row))
    made: Row = make(values)
    return made


def storable(value: Any) -> Any:
    """A value that msgpack, JSON and SQLite can hold. Raises: UnstorableError for a number."""
    match value:
        case None | bool() | bytes():
            return value
        case str():
            return storable_text(value)
        case int():
            if not -_MAX_INT <= value <= _MAX_INT:
                raise UnstorableError(f"the number {_shown(value)} is too large")
            return value
        case float():
            if not isfinite(value):
                raise UnstorableError(f"{value} is not a finite number")
            return value
        case tuple():
            return storable_row(value)
        case _:
            return storable_text(_text_of(value))


def _text_of_bytes(value: bytes) -> str:
    return storable_text(value[:MAX_CHARACTERS].decode("utf-8", "backslashreplace"))


def storable_text(text: str) -> str:
    """The text itself if it is valid and short, else with escapes, and cut."""
    if len(text) > MAX_CHARACTERS:
        text = text[: MAX_CHARACTERS - 1] + "…"
    try:
        if text.isascii() or text.encode():
            return text if type(text) is str else str(text)
    except UnicodeEncodeError:
        pass
    return text.encode("utf-8", "backslashreplace").decode()


def amount(value: Any, what: str, *, least: int = -MAX_AMOUNT) -> int:
    """A whole number of pence or units. Raises: UnstorableError that names it."""
    if isinstance(value, float) and isfinite(value) and value == int(value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= MAX_AMOUNT:
        raise UnstorableError(f"{what} is {_shown(value)}, which is not a usable number")
    return value


def reference(value: Any, what: str) -> str:
    """A reference or SKU as text, from text or a number. Raises: UnstorableError that names it."""
    if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
        text = storable_text(str(value))
        if text.strip():
            return text
    raise UnstorableError(f"{what} is {_shown(value)}, which is not a reference")


def storable_ledger(ledger: Ledger) -> StorableLedger:
    """The ledger without values that cannot be used.

    An order stays, because a missing one would be held against the shop: an unusable total becomes 0, an
    unusable time the time of the reading. Lines and stock rows are left out, and a SKU whose stock is stated
    differently in several rows has no known stock.
    """
    problems: Counter[str] = Counter()
    orders = tuple(_order(order, ledger.read_at_s, problems) for order in ledger.orders)
    stock: dict[str, LedgerStock] = {}
    ambiguous: set[str] = set()
    for row in ledger.stock:
        found = _stock(row, problems)
        if found is not None and stock.setdefault(found.sku, found) != found:
            ambiguous.add(found.sku)
            problems[f"the stock of {_shown(found.sku)} is stated differently in several rows"] += 1
    for sku in ambiguous:
        del stock[sku]
    sentences = tuple(f"{text} ({n} times)" if n > 1 else text for text, n in problems.items())
    return StorableLedger(Ledger(orders, tuple(stock.values()), ledger.read_at_s), sentences)


def _order(order: LedgerOrder, read_at_s: float, problems: Counter[str]) -> LedgerOrder:
    ref = storable_text(_text_of(order.order_ref))
    name = f"order {_shown(ref)}"
    lines = []
    for line in order.lines:
        try:
            lines.append(
                LedgerLine(
                    reference(line.sku, f"{name}: the SKU of a line"),
                    amount(line.quantity, f"{name}: a quantity"),
                    amount(line.unit_pence, f"{name}: a price"),
                )
            )
        except UnstorableError as error:
            problems[str(error)] += 1
    try:
        total_pence = amount(order.total_pence, f"{name}: the total")
    except UnstorableError as error:
        problems[str(error)] += 1
        total_pence = 0
    placed_at_s = order.placed_at_s
    if not _is_time(placed_at_s):
        problems[f"{name}: the time {_shown(placed_at_s)} is not usable"] += 1
        placed_at_s = read_at_s
    picked_at_s = order.picked_at_s
    if picked_at_s is not None and not _is_time(picked_at_s):
        problems[f"{name}: the picking time {_shown(picked_at_s)} is not usable"] += 1
        picked_at_s = None
    return LedgerOrder(
        order_ref=ref,
        idempotency_key=storable_text(_text_of(order.idempotency_key)),
        channel=storable_text(_text_of(order.channel)),
        total_pence=total_pence,
        placed_at_s=float(placed_at_s),
        picked_at_s=picked_at_s,
        lines=tuple(lines),
    )


def _stock(row: LedgerStock, problems: Counter[str]) -> LedgerStock | None:
    try:
        sku = reference(row.sku, "a SKU of the stock")
        name = f"the stock of {_shown(sku)}"
        return LedgerStock(sku, amount(row.opening, name), amount(row.on_hand, name), amount(row.sold, name))
    except UnstorableError as error:
        problems[str(error)] += 1
        return None


def _is_time(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= MAX_TIME_S


def _text_of(value: Any) -> str:
    """A value as text; "" for None."""
    if value is None:
        return ""
    try:
        return str(value)
    except Exception as error:  # noqa: BLE001  an object of a driver whose conversion raises
        return f"<{type(value).__name__}: {type(error).__name__}>"


def _shown(value: Any) -> str:
    if isinstance(value, int) and abs(value) > _MAX_INT:
        return f"a number of {value.bit_length()} bits"
    text = storable_text(repr(value))
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
