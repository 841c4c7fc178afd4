"""Reads the shop's ledger after the run, for the order-integrity audit.

An overloaded shop may record orders after the last customer has left, so the ledger is read until two
readings agree.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf
from time import perf_counter, time

import gevent

from doorbuster.load.target.shop_clock import MARGIN_S, RESOLUTION_S, ledger_since
from doorbuster.records.ledger import Ledger, LedgerLine, LedgerOrder, LedgerStock
from doorbuster.storefronts import Client, LedgerSnapshot, StockRow, Storefront

SETTLE_INTERVAL_S = 1.0


@dataclass(frozen=True, slots=True)
class LedgerBaseline:
    """The ledger before the first customer; its orders do not belong to this run."""

    order_refs: frozenset[str]
    stock: Mapping[str, StockRow]
    clock_ahead_s: float  # the shop's clock minus the generator's


def read_baseline(
    driver: type[Storefront], client: Client, *, started_unix_s: float, clock: Callable[[], float] = time
) -> LedgerBaseline | None:
    """Stock and latest orders before the first customer; None if the shop exposes no ledger.

    Raises:
        storefronts.Rejected: the shop does not answer.
    """
    found = ledger_since(driver, client, since_unix_s=started_unix_s, clock=clock)
    if found is None:
        return None
    ledger, ahead_s = found
    return LedgerBaseline(
        order_refs=frozenset(order.ref for order in ledger.orders),
        stock={row.sku: row for row in ledger.stock},
        clock_ahead_s=ahead_s,
    )


def read_ledger(
    driver: type[Storefront],
    client: Client,
    baseline: LedgerBaseline,
    *,
    started_unix_s: float,
    settle_s: float,
    run_id: str = "",
    clock: Callable[[], float] = time,
    on_clock_set: Callable[[float], object] = lambda _: None,
) -> Ledger | None:
    """The shop's ledger once two readings agree, or the last one after `settle_s`; None if there is none.

    Orders of the baseline and the units that they sold are left out; times are converted to the generator's
    clock.

    Args:
        run_id: keys of the run's own orders start with it.
        clock: the generator's, in Unix seconds.
        on_clock_set: called with the seconds by which the shop's clock was set since the baseline, if it was.

    Raises:
        storefronts.Rejected: the shop does not answer.
    """
    give_up_at = perf_counter() + settle_s
    before: LedgerSnapshot | None = None
    while True:
        found = ledger_since(
            driver, client, since_unix_s=started_unix_s, clock=clock, earlier_ahead_s=baseline.clock_ahead_s
        )
        if found is None:
            return None
        ledger, ahead_s = found
        is_settled = before is not None and len(before.orders) == len(ledger.orders)
        if is_settled or perf_counter() >= give_up_at:
            set_by_s = ahead_s - baseline.clock_ahead_s
            if abs(set_by_s) <= 2 * RESOLUTION_S:
                times = _OrderTimes(started_unix_s, ahead_s, ahead_s, inf)
            else:
                on_clock_set(set_by_s)
                times = _OrderTimes(
                    started_unix_s, baseline.clock_ahead_s, ahead_s, clock() - started_unix_s + MARGIN_S
                )
            return _as_ledger(ledger, baseline, times, run_id, clock() - started_unix_s)
        before = ledger
        gevent.sleep(SETTLE_INTERVAL_S)


def merge(ledgers: Mapping[str, Ledger]) -> Ledger:
    """Merge the ledgers of several merchants; SKUs are prefixed with the merchant: `north:12345A`."""
    return Ledger(
        orders=tuple(
            order._replace(
                lines=tuple(line._replace(sku=_prefixed(merchant, line.sku)) for line in order.lines)
            )
            for merchant, ledger in ledgers.items()
            for order in ledger.orders
        ),
        stock=tuple(
            row._replace(sku=_prefixed(merchant, row.sku))
            for merchant, ledger in ledgers.items()
            for row in ledger.stock
        ),
        read_at_s=max(ledger.read_at_s for ledger in ledgers.values()),
    )


def _prefixed(merchant: str, sku: str) -> str:
    return f"{merchant}:{sku}" if merchant else sku


@dataclass(frozen=True, slots=True)
class _OrderTimes:
    """Converts times of the shop, whose clock may have been set between the baseline and the reading.

    until_s: latest possible time of an order, in seconds since the start of the run.
    """

    started_unix_s: float
    ahead_before_s: float
    ahead_after_s: float
    until_s: float

    def is_before_the_step(self, placed_at_unix_s: float) -> bool:
        """Whether it is a time of the run by the clock as it was at the baseline."""
        at_s = placed_at_unix_s - self.started_unix_s - self.ahead_before_s
        return -MARGIN_S <= at_s <= self.until_s

    def is_foreign(self, placed_at_unix_s: float) -> bool:
        """Whether an order without a key of the run may be older: the clock was set back over its time."""
        return self.ahead_after_s < self.ahead_before_s and not self.is_before_the_step(placed_at_unix_s)

    def run_s(self, unix_s: float, placed_at_unix_s: float) -> float:
        """Seconds since the start of the run, by the clock that the shop had when the order was placed."""
        ahead_s = self.ahead_after_s
        if self.is_before_the_step(placed_at_unix_s):
            ahead_s = self.ahead_before_s
        return unix_s - self.started_unix_s - ahead_s


def _as_ledger(
    ledger: LedgerSnapshot, baseline: LedgerBaseline, times: _OrderTimes, run_id: str, read_at_s: float
) -> Ledger:
    return Ledger(
        orders=tuple(
            LedgerOrder(
                order_ref=order.ref,
                idempotency_key=order.idempotency_key,
                channel=order.channel,
                total_pence=order.total_pence,
                placed_at_s=times.run_s(order.placed_at_unix_s, order.placed_at_unix_s),
                picked_at_s=None
                if order.picked_at_unix_s is None
                else times.run_s(order.picked_at_unix_s, order.placed_at_unix_s),
                lines=tuple(LedgerLine(line.sku, line.quantity, line.unit_pence) for line in order.lines),
            )
            for order in ledger.orders
            if order.ref not in baseline.order_refs
            and (
                not times.is_foreign(order.placed_at_unix_s)
                or (bool(run_id) and str(order.idempotency_key).startswith(f"{run_id}:"))
            )
        ),
        stock=tuple(_stock(row, baseline.stock.get(row.sku)) for row in ledger.stock),
        read_at_s=read_at_s,
    )


def _stock(row: StockRow, before: StockRow | None) -> LedgerStock:
    """Stock and sales since the baseline; a SKU added later counts from its own opening stock."""
    if before is None:
        return LedgerStock(row.sku, row.opening, row.on_hand, row.sold)
    return LedgerStock(row.sku, before.on_hand, row.on_hand, row.sold - before.sold)
