"""Which orders and units of a shop's ledger belong to a run: none that were there before it."""

from __future__ import annotations

from doorbuster.load.target.ledger_reader import merge, read_baseline, read_ledger
from doorbuster.records.ledger import audit
from doorbuster.storefronts import BasketLine, BookedOrder, LedgerSnapshot, StockRow

STARTED = 1_000.0


class Shop:
    """A driver whose ledger a test sets; it leaves out orders before `since`, as shops do."""

    def __init__(self, *readings: LedgerSnapshot | None) -> None:
        self.readings = list(readings)

    def read_ledger(self, client, *, since_unix_s):
        books = self.readings.pop(0)
        if books is None:
            return None
        return LedgerSnapshot(
            tuple(order for order in books.orders if order.placed_at_unix_s >= since_unix_s), books.stock
        )


def order(ref: str, key: str, placed_at: float, units: int = 1) -> BookedOrder:
    return BookedOrder(ref, key, "web", 100 * units, placed_at, None, (BasketLine("tea", units, 100),))


def ledger_of(before: LedgerSnapshot, after: LedgerSnapshot):
    shop = Shop(before, after, after)
    opening = read_baseline(shop, None, started_unix_s=STARTED)
    return read_ledger(shop, None, opening, started_unix_s=STARTED, settle_s=0.0)


def test_orders_just_before_the_run_do_not_count_as_oversold():
    earlier = tuple(order(f"E{number}", "other:1:1", STARTED - 10) for number in range(5))
    before = LedgerSnapshot(earlier, (StockRow("tea", opening=5, on_hand=0, sold=5),))
    ledger = ledger_of(before, before)
    found = audit([], ledger, run_id="run")
    assert ledger.orders == ()
    assert found.clean
    assert found.oversold == ()


def test_only_sales_of_the_run_count_in_a_shop_with_earlier_sales():
    before = LedgerSnapshot((), (StockRow("tea", opening=1000, on_hand=40, sold=960),))
    after = LedgerSnapshot((order("N1", "run:1:1", STARTED + 1, 5),), (StockRow("tea", 1000, 35, 965),))
    ledger = ledger_of(before, after)
    assert [(row.opening, row.on_hand, row.sold) for row in ledger.stock] == [(40, 35, 5)]
    assert audit([], ledger, run_id="run").oversold == ()


def test_units_sold_beyond_the_stock_at_the_start_are_oversold():
    before = LedgerSnapshot((), (StockRow("tea", opening=1000, on_hand=3, sold=997),))
    after = LedgerSnapshot((order("N1", "run:1:1", STARTED + 1, 5),), (StockRow("tea", 1000, -2, 1002),))
    found = audit([], ledger_of(before, after), run_id="run")
    assert [(finding.sku, finding.units) for finding in found.oversold] == [("tea", 2)]


def test_an_order_dated_before_the_start_by_a_slow_shop_clock_belongs_to_the_run():
    before = LedgerSnapshot((), (StockRow("tea", 10, 10, 0),))
    after = LedgerSnapshot((order("N1", "run:1:1", STARTED - 30),), (StockRow("tea", 10, 9, 1),))
    assert [row.order_ref for row in ledger_of(before, after).orders] == ["N1"]


def test_a_sku_added_during_the_run_counts_from_its_own_opening_stock():
    before = LedgerSnapshot((), ())
    after = LedgerSnapshot((), (StockRow("tea", opening=10, on_hand=9, sold=1),))
    assert ledger_of(before, after).stock == (("tea", 10, 9, 1),)


def test_a_shop_without_a_ledger_has_no_baseline():
    assert read_baseline(Shop(None), None, started_unix_s=STARTED) is None


def test_the_same_sku_of_two_merchants_is_two_products():
    """North has sold one unit too many; south still has five of a product with the same number."""
    sold_out = (
        LedgerSnapshot((), (StockRow("tea", 1, 1, 0),)),
        LedgerSnapshot((order("N1", "run:1:1", STARTED, 2),), (StockRow("tea", 1, -1, 2),)),
    )
    plenty = LedgerSnapshot((), (StockRow("tea", 5, 5, 0),)), LedgerSnapshot((), (StockRow("tea", 5, 5, 0),))
    both = merge({"north": ledger_of(*sold_out), "south": ledger_of(*plenty)})
    assert [line.sku for order in both.orders for line in order.lines] == ["north:tea"]
    assert audit([], both, run_id="run").oversold == (("north:tea", 1),)


def test_the_ledger_of_a_single_merchant_is_unchanged():
    alone = ledger_of(LedgerSnapshot((), ()), LedgerSnapshot((order("N1", "run:1:1", STARTED),), ()))
    assert merge({"": alone}) == alone
