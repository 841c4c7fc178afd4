"""The shop's own books after a run, and the audit: did every customer get what the shop promised?

Rules of this module:
- Pure: attempts and a ledger in, an audit out.
- Keys and references of this run only (keys that start with "<run id>:") are judged; orders from elsewhere
  are counted as foreign, but they do take stock, so they count for overselling.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from doorbuster.records.batch import OrderAttempt

EXAMPLES = 10  # keys or SKUs named per finding


class LedgerLine(NamedTuple):
    """One line of a booked order."""

    sku: str
    quantity: int
    unit_pence: int


class LedgerOrder(NamedTuple):
    """One order in the shop's books; seconds since the start of the run, None when not picked yet."""

    order_ref: str
    idempotency_key: str
    channel: str
    total_pence: int
    placed_at_s: float
    picked_at_s: float | None
    lines: tuple[LedgerLine, ...]


class LedgerStock(NamedTuple):
    """Stock of one SKU: units at the start of the run, units left, units the shop says it sold."""

    sku: str
    opening: int
    on_hand: int
    sold: int


@dataclass(frozen=True, slots=True)
class Ledger:
    """The order system's books, read once after the run; `read_at_s` counts from the start of the run."""

    orders: tuple[LedgerOrder, ...]
    stock: tuple[LedgerStock, ...]
    read_at_s: float


class Oversold(NamedTuple):
    """Units of one SKU that were sold and never existed."""

    sku: str
    units: int


class StockMismatch(NamedTuple):
    """A SKU whose stock does not follow from its orders: expected = opening - units in ledger lines."""

    sku: str
    expected: int
    on_hand: int


class AuditExamples(NamedTuple):
    """The first keys of each finding, in order of the attempts or of the ledger."""

    lost: tuple[str, ...] = ()
    duplicated: tuple[str, ...] = ()
    unacknowledged: tuple[str, ...] = ()
    wrong_total: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Audit:
    """What became of the orders of a run.

    attempted       distinct orders tried (idempotency keys)
    acknowledged    of these, told to the customer as placed
    booked          of these, in the ledger at least once
    lost            acknowledged, but not in the ledger
    duplicated      in the ledger under more than one order, or answered with more than one reference
    unacknowledged  in the ledger, but the customer was never told
    wrong_total     acknowledged and in the ledger, with another total than the customer was told
    oversold        units per SKU that were sold and never existed
    stock_mismatch  SKUs whose stock on hand does not follow from the ledger's lines
    unstocked       SKUs in ledger lines whose stock the shop did not tell: overselling cannot be judged
    foreign         ledger orders that are not of this run
    """

    attempted: int
    acknowledged: int
    booked: int
    lost: int
    duplicated: int
    unacknowledged: int
    wrong_total: int
    oversold: tuple[Oversold, ...]
    stock_mismatch: tuple[StockMismatch, ...]
    unstocked: int
    foreign: int
    examples: AuditExamples

    @property
    def oversold_units(self) -> int:
        """Units sold that never existed, over all SKUs."""
        return sum(finding.units for finding in self.oversold)

    @property
    def clean(self) -> bool:
        """Every promise kept, nothing sold twice; an order booked without telling anybody is not clean."""
        findings = self.lost + self.duplicated + self.unacknowledged + self.wrong_total
        return findings == 0 and not self.oversold and not self.stock_mismatch


def audit(attempts: Iterable[OrderAttempt], ledger: Ledger, *, run_id: str) -> Audit:
    """What customers were told, held against what the shop booked.

    Args:
        attempts: every order customers tried; several with one key (a retry) are one order.
        ledger: the shop's books after the run.
        run_id: attempts and ledger orders whose key does not start with "<run_id>:" are not judged.
    """
    prefix = f"{run_id}:"
    told: defaultdict[str, list[OrderAttempt]] = defaultdict(list)
    for attempt in attempts:
        if attempt.idempotency_key.startswith(prefix):
            told[attempt.idempotency_key].append(attempt)
    booked: defaultdict[str, list[LedgerOrder]] = defaultdict(list)
    for order in ledger.orders:
        if order.idempotency_key.startswith(prefix):
            booked[order.idempotency_key].append(order)

    units = _units_booked(ledger)
    acknowledged = {t.idempotency_key for tries in told.values() for t in tries if t.answer == "acknowledged"}
    lost = [key for key in told if key in acknowledged and key not in booked]
    duplicated = [
        key
        for key in dict.fromkeys((*told, *booked))
        if len(booked.get(key, ())) > 1 or _numbered_twice(told.get(key, ()))
    ]
    unacknowledged = [key for key in booked if key not in acknowledged]
    wrong_total = [key for key, orders in booked.items() if _totals_differ(told.get(key, ()), orders)]
    return Audit(
        attempted=len(told),
        acknowledged=len(acknowledged),
        booked=len(booked),
        lost=len(lost),
        duplicated=len(duplicated),
        unacknowledged=len(unacknowledged),
        wrong_total=len(wrong_total),
        oversold=_oversold(ledger, units),
        stock_mismatch=_stock_mismatch(ledger, units),
        unstocked=len(units.keys() - {item.sku for item in ledger.stock}),
        foreign=len(ledger.orders) - sum(len(orders) for orders in booked.values()),
        examples=AuditExamples(
            lost=tuple(lost[:EXAMPLES]),
            duplicated=tuple(duplicated[:EXAMPLES]),
            unacknowledged=tuple(unacknowledged[:EXAMPLES]),
            wrong_total=tuple(wrong_total[:EXAMPLES]),
        ),
    )


def _numbered_twice(tries: Sequence[OrderAttempt]) -> bool:
    return len(tries) > 1 and len({attempt.order_ref for attempt in tries if attempt.order_ref}) > 1


def _totals_differ(tries: Sequence[OrderAttempt], orders: Sequence[LedgerOrder]) -> bool:
    """Only an acknowledged order has a total that was promised to somebody."""
    promised = {attempt.total_pence for attempt in tries if attempt.answer == "acknowledged"}
    return bool(promised) and any(order.total_pence not in promised for order in orders)


def _units_booked(ledger: Ledger) -> Counter[str]:
    units: Counter[str] = Counter()
    for order in ledger.orders:
        for line in order.lines:
            units[line.sku] += line.quantity
    return units


def _oversold(ledger: Ledger, units: Counter[str]) -> tuple[Oversold, ...]:
    """The worst of three witnesses per SKU: the sold counter, a negative shelf, the lines of the orders."""
    findings = (
        Oversold(item.sku, max(item.sold - item.opening, -item.on_hand, units[item.sku] - item.opening))
        for item in ledger.stock
    )
    return tuple(sorted(finding for finding in findings if finding.units > 0))


def _stock_mismatch(ledger: Ledger, units: Counter[str]) -> tuple[StockMismatch, ...]:
    findings = (
        StockMismatch(item.sku, item.opening - units[item.sku], item.on_hand) for item in ledger.stock
    )
    return tuple(sorted(finding for finding in findings if finding.expected != finding.on_hand))
