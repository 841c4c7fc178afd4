"""The shop's order ledger after a run, and the audit that compares it with the customers' order attempts.

Rules of this module:
- Pure: attempts and a ledger in, an audit out.
- Only orders of this run (keys that start with "<run id>:") are audited; other orders count as foreign. They
  take stock, so they count for overselling.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from doorbuster.records.batch import OrderAttempt

EXAMPLES = 10  # keys or SKUs named per finding


class LedgerLine(NamedTuple):
    """One line of an order in the ledger."""

    sku: str
    quantity: int
    unit_pence: int


class LedgerOrder(NamedTuple):
    """One order in the ledger; times in seconds since the start of the run, None when not picked yet."""

    order_ref: str
    idempotency_key: str
    channel: str
    total_pence: int
    placed_at_s: float
    picked_at_s: float | None
    lines: tuple[LedgerLine, ...]


class LedgerStock(NamedTuple):
    """Stock of one SKU: units at the start of the run, units left, units sold by the shop's own count."""

    sku: str
    opening: int
    on_hand: int
    sold: int


@dataclass(frozen=True, slots=True)
class Ledger:
    """The ledger as read once after the run; `read_at_s` counts from the start of the run."""

    orders: tuple[LedgerOrder, ...]
    stock: tuple[LedgerStock, ...]
    read_at_s: float


class Oversold(NamedTuple):
    """Units of one SKU sold beyond its stock."""

    sku: str
    units: int


class StockMismatch(NamedTuple):
    """A SKU whose stock does not match its orders: expected = opening - units in ledger lines."""

    sku: str
    expected: int
    on_hand: int


class AuditExamples(NamedTuple):
    """The first keys of each finding, in order of the attempts or of the ledger."""

    missing: tuple[str, ...] = ()
    duplicated: tuple[str, ...] = ()
    unacknowledged: tuple[str, ...] = ()
    wrong_total: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Audit:
    """Result of the audit of a run's orders.

    attempted       distinct orders tried (idempotency keys)
    acknowledged    of these, confirmed to the customer
    booked          of these, in the ledger at least once
    missing         acknowledged, but not in the ledger
    duplicated      several orders in the ledger, or several order references
    unacknowledged  in the ledger, but never confirmed to the customer
    wrong_total     acknowledged and in the ledger, with another total than confirmed
    oversold        units per SKU sold beyond its stock
    stock_mismatch  SKUs whose stock on hand does not match the ledger's lines
    unstocked       SKUs in ledger lines without known stock: overselling cannot be detected
    foreign         ledger orders of other runs or customers
    """

    attempted: int
    acknowledged: int
    booked: int
    missing: int
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
        """Units sold beyond stock, over all SKUs."""
        return sum(finding.units for finding in self.oversold)

    @property
    def clean(self) -> bool:
        """Whether there are no findings; an unacknowledged order is one."""
        findings = self.missing + self.duplicated + self.unacknowledged + self.wrong_total
        return findings == 0 and not self.oversold and not self.stock_mismatch


def audit(attempts: Iterable[OrderAttempt], ledger: Ledger, *, run_id: str) -> Audit:
    """Compare the order attempts of customers with the ledger.

    Args:
        attempts: all order attempts; several with one key (retries) are one order.
        ledger: the shop's ledger after the run.
        run_id: attempts and ledger orders whose key does not start with "<run_id>:" are foreign.
    """
    prefix = f"{run_id}:"
    by_key: defaultdict[str, list[OrderAttempt]] = defaultdict(list)
    for attempt in attempts:
        if attempt.idempotency_key.startswith(prefix):
            by_key[attempt.idempotency_key].append(attempt)
    booked: defaultdict[str, list[LedgerOrder]] = defaultdict(list)
    for order in ledger.orders:
        if order.idempotency_key.startswith(prefix):
            booked[order.idempotency_key].append(order)

    units = _units_booked(ledger)
    acknowledged = {
        t.idempotency_key for tries in by_key.values() for t in tries if t.answer == "acknowledged"
    }
    missing = [key for key in by_key if key in acknowledged and key not in booked]
    duplicated = [
        key
        for key in dict.fromkeys((*by_key, *booked))
        if len(booked.get(key, ())) > 1 or _numbered_twice(by_key.get(key, ()))
    ]
    unacknowledged = [key for key in booked if key not in acknowledged]
    wrong_total = [key for key, orders in booked.items() if _totals_differ(by_key.get(key, ()), orders)]
    return Audit(
        attempted=len(by_key),
        acknowledged=len(acknowledged),
        booked=len(booked),
        missing=len(missing),
        duplicated=len(duplicated),
        unacknowledged=len(unacknowledged),
        wrong_total=len(wrong_total),
        oversold=_oversold(ledger, units),
        stock_mismatch=_stock_mismatch(ledger, units),
        unstocked=len(units.keys() - {item.sku for item in ledger.stock}),
        foreign=len(ledger.orders) - sum(len(orders) for orders in booked.values()),
        examples=AuditExamples(
            missing=tuple(missing[:EXAMPLES]),
            duplicated=tuple(duplicated[:EXAMPLES]),
            unacknowledged=tuple(unacknowledged[:EXAMPLES]),
            wrong_total=tuple(wrong_total[:EXAMPLES]),
        ),
    )


def _numbered_twice(tries: Sequence[OrderAttempt]) -> bool:
    return len(tries) > 1 and len({attempt.order_ref for attempt in tries if attempt.order_ref}) > 1


def _totals_differ(tries: Sequence[OrderAttempt], orders: Sequence[LedgerOrder]) -> bool:
    """Only acknowledged orders have a confirmed total."""
    confirmed = {attempt.total_pence for attempt in tries if attempt.answer == "acknowledged"}
    return bool(confirmed) and any(order.total_pence not in confirmed for order in orders)


def _units_booked(ledger: Ledger) -> Counter[str]:
    units: Counter[str] = Counter()
    for order in ledger.orders:
        for line in order.lines:
            units[line.sku] += line.quantity
    return units


def _oversold(ledger: Ledger, units: Counter[str]) -> tuple[Oversold, ...]:
    """The largest of three counts per SKU: the sold counter, negative stock, the lines of the orders."""
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
