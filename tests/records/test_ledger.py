"""The audit: the orders that customers saw confirmed, against the shop's ledger."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from doorbuster.records.batch import OrderAttempt
from doorbuster.records.ledger import (
    EXAMPLES,
    Ledger,
    LedgerLine,
    LedgerOrder,
    LedgerStock,
    Oversold,
    StockMismatch,
    audit,
)


def attempt(key: str, answer: str = "acknowledged", ref: str | None = None, pence: int = 500) -> OrderAttempt:
    told = ref if ref is not None else (f"ref-{key}" if answer == "acknowledged" else "")
    return OrderAttempt(key, "web", "buy", 1.0, 2.0, answer, "", told, pence, (("sku1", 1, pence),))


def order(
    key: str, ref: str | None = None, pence: int = 500, sku: str = "sku1", units: int = 1
) -> LedgerOrder:
    return LedgerOrder(ref or f"ref-{key}", key, "web", pence, 1.5, None, (LedgerLine(sku, units, pence),))


def books(*orders: LedgerOrder, stock: tuple[LedgerStock, ...] | None = None) -> Ledger:
    """A ledger whose stock of sku1 follows from its orders, unless told otherwise."""
    sold = sum(line.quantity for o in orders for line in o.lines if line.sku == "sku1")
    return Ledger(orders, stock if stock is not None else (LedgerStock("sku1", 100, 100 - sold, sold),), 60.0)


def test_orders_confirmed_and_booked_once_have_no_findings():
    found = audit([attempt("r1:1"), attempt("r1:2")], books(order("r1:1"), order("r1:2")), run_id="r1")
    assert found.clean
    assert (
        found.attempted, found.acknowledged, found.booked, found.missing, found.duplicated,
        found.unacknowledged, found.wrong_total, found.oversold_units, found.foreign,
    ) == (2, 2, 2, 0, 0, 0, 0, 0, 0)  # fmt: skip


def test_an_acknowledged_order_that_is_not_in_the_ledger_is_missing():
    found = audit([attempt("r1:1"), attempt("r1:2")], books(order("r1:2")), run_id="r1")
    assert (found.missing, found.examples.missing, found.clean) == (1, ("r1:1",), False)


def test_a_refused_order_that_is_not_in_the_ledger_is_no_finding():
    assert audit([attempt("r1:1", "refused"), attempt("r1:2", "unknown")], books(), run_id="r1").clean


def test_one_key_booked_twice_is_duplicated_once():
    found = audit(
        [attempt("r1:1")], books(order("r1:1", "a"), order("r1:1", "b"), order("r1:1", "c")), run_id="r1"
    )
    assert (found.booked, found.duplicated, found.examples.duplicated) == (1, 1, ("r1:1",))


def test_one_key_answered_with_two_references_is_duplicated_even_if_one_is_booked():
    tries = [attempt("r1:1", ref="a"), attempt("r1:1", ref="b")]
    found = audit(tries, books(order("r1:1", "a")), run_id="r1")
    assert (found.attempted, found.duplicated, found.missing) == (1, 1, 0)


def test_a_retry_that_gets_the_same_reference_is_one_order():
    tries = [attempt("r1:1", "unknown"), attempt("r1:1"), attempt("r1:1")]
    assert audit(tries, books(order("r1:1")), run_id="r1").clean


def test_an_order_booked_without_a_confirmation_is_unacknowledged():
    tries = [attempt("r1:1", "unknown"), attempt("r1:2", "refused")]
    found = audit(tries, books(order("r1:1"), order("r1:2"), order("r1:3")), run_id="r1")
    assert (found.unacknowledged, found.examples.unacknowledged) == (3, ("r1:1", "r1:2", "r1:3"))


def test_only_a_confirmed_total_can_differ():
    tries = [attempt("r1:1", pence=500), attempt("r1:2", "unknown", pence=0)]
    found = audit(tries, books(order("r1:1", pence=499), order("r1:2", pence=700)), run_id="r1")
    assert (found.wrong_total, found.examples.wrong_total) == (1, ("r1:1",))


def test_orders_of_other_runs_are_counted_apart_but_take_stock():
    ledger = books(
        order("r1:1"), order("r10:1", units=2), order("", units=3), stock=(LedgerStock("sku1", 5, 0, 5),)
    )
    found = audit([attempt("r1:1"), attempt("r10:9")], ledger, run_id="r1")
    counts = (found.attempted, found.booked, found.foreign, found.missing, found.unacknowledged)
    assert counts == (1, 1, 2, 0, 0)
    assert (Oversold("sku1", 1),) == found.oversold


def test_overselling_is_the_largest_of_counter_negative_stock_and_orders():
    stock = (
        LedgerStock("by-counter", 10, 0, 12),
        LedgerStock("by-shelf", 10, -3, 10),
        LedgerStock("by-lines", 10, 0, 10),
        LedgerStock("fine", 10, 0, 10),
    )
    ledger = books(order("r1:1", sku="by-lines", units=14), order("r1:2", sku="fine", units=10), stock=stock)
    found = audit([attempt("r1:1"), attempt("r1:2")], ledger, run_id="r1")
    assert (Oversold("by-counter", 2), Oversold("by-lines", 4), Oversold("by-shelf", 3)) == found.oversold
    assert found.oversold_units == 9


def test_stock_that_does_not_follow_from_the_orders_is_named():
    ledger = books(
        order("r1:1", units=4), stock=(LedgerStock("sku1", 10, 7, 3), LedgerStock("sku2", 5, 5, 0))
    )
    found = audit([attempt("r1:1")], ledger, run_id="r1")
    assert (StockMismatch("sku1", 6, 7),) == found.stock_mismatch
    assert not found.clean


def test_products_without_known_stock_are_counted():
    found = audit([attempt("r1:1")], books(order("r1:1", sku="new"), stock=()), run_id="r1")
    assert (found.unstocked, found.oversold) == (1, ())


def test_only_the_first_few_keys_are_kept_as_examples():
    keys = [f"r1:{number}" for number in range(EXAMPLES + 5)]
    found = audit([attempt(key) for key in keys], books(), run_id="r1")
    assert (EXAMPLES + 5, tuple(keys[:EXAMPLES])) == (found.missing, found.examples.missing)


ANSWERS = st.sampled_from(["acknowledged", "refused", "unknown"])


@given(st.dictionaries(st.integers(0, 30), ANSWERS), st.dictionaries(st.integers(0, 30), st.integers(0, 3)))
def test_every_order_is_accounted_for_whatever_happened(answers: dict[int, str], bookings: dict[int, int]):
    tries = [attempt(f"r1:{key}", answer) for key, answer in answers.items()]
    orders = [
        order(f"r1:{key}", f"{key}-{copy}") for key, copies in bookings.items() for copy in range(copies)
    ]
    found = audit(tries, books(*orders), run_id="r1")
    assert found.acknowledged - found.missing == found.booked - found.unacknowledged
    assert found.duplicated == sum(copies > 1 for copies in bookings.values())
    assert found.booked == sum(copies > 0 for copies in bookings.values())
