"""One bad value never ends a recording: it is escaped, or its row is refused with a reason."""

from __future__ import annotations

import msgpack
import pytest

from doorbuster.records.batch import (
    Batch,
    CustomerCount,
    Event,
    Exemplar,
    ObservedValue,
    OrderAttempt,
    SeriesKey,
)
from doorbuster.records.browser import BrowserPage, BrowserRecords, BrowserVisit
from doorbuster.records.ledger import Ledger, LedgerLine, LedgerOrder, LedgerStock
from doorbuster.records.reader import Run
from doorbuster.records.storable import (
    MAX_CHARACTERS,
    UnstorableError,
    amount,
    reference,
    storable_batch,
    storable_ledger,
)
from doorbuster.records.writer import RunWriter

SERIES = SeriesKey("web", "buy", "checkout", "failed", "cut \ud83d")
GOOD = OrderAttempt("r:1:1", "web", "buy", 1.0, 1.5, "acknowledged", "", "R1", 5, (("a", 1, 5),))


def batch(**rows) -> Batch:
    return Batch("w", 0, **rows)


@pytest.fixture
def run_writer_of(tmp_path, make_meta):
    """A function to a writer and a reader of one new run file."""
    opened = []

    def make():
        writer = RunWriter.create(tmp_path / "run", make_meta(), {})
        opened.append(writer)
        opened.append(Run.open(tmp_path / "run"))
        return tuple(opened)

    yield make
    for one in opened:
        one.close()


class Unprintable:
    def __str__(self) -> str:
        raise RuntimeError("no text")


@pytest.mark.parametrize("value", ["\ud83d", "a" * 99_999, None, b"\xff", Unprintable(), 3, [1]])
def test_any_value_in_a_text_column_can_be_sent_and_stored(value, run_writer_of):
    made = storable_batch(batch(exemplars=(Exemplar("error", 0, SERIES, 1, "id", value),)))
    msgpack.packb(made.to_wire())
    assert len(str(made.exemplars[0].detail)) <= MAX_CHARACTERS
    writer, run = run_writer_of()
    writer.write([made])
    assert len(run.exemplars()) == 1 or value is None  # the column is NOT NULL: left out by SQLite's rule


@pytest.mark.parametrize("value", [10**30, float("nan"), float("inf"), -(2**70)])
def test_a_number_that_cannot_be_stored_costs_one_row_and_is_said(value):
    bad = GOOD._replace(total_pence=value, idempotency_key="r:2:1")
    made = storable_batch(batch(orders=(GOOD, bad, GOOD)))
    assert made.orders == (GOOD, GOOD)
    (event,) = made.events
    assert event.kind == "row_refused"
    assert event.text.startswith("orders: ")


def test_a_storable_batch_is_not_copied_row_by_row():
    made = storable_batch(batch(orders=(GOOD,), events=(Event(0.0, "kind", "text"),)))
    assert made.orders[0] is GOOD


def test_rows_that_only_sqlite_refuses_are_left_out_one_by_one(run_writer_of):
    """As a hostile worker would send them, past its own border."""
    writer, run = run_writer_of()
    served = CustomerCount(0, "web", "buy", "served", "", "", 1, None, 2)
    bad = (
        served._replace(channel="\ud83d"),
        served._replace(n=2**70),
        served._replace(journey=None),
        served._replace(step=object()),
    )
    surrogate = Exemplar("error", 0, SERIES, 1, "id", "x")
    writer.write([batch(customers=(served, *bad, served), exemplars=(surrogate,), orders=(GOOD,))])
    assert sum(row.n for row in run.customers()) == 8  # texts are escaped, whatever they were
    assert [order.order_ref for order in run.orders()] == ["R1"]
    refused = [event.text for event in run.events() if event.kind == "row_refused"]
    assert len(refused) == 2
    writer.write([Batch("w", 1, customers=(served,))])
    assert sum(row.n for row in run.customers()) == 10


def page(**values) -> BrowserPage:
    """A page that a browser probe recorded."""
    plain = {
        "probe": 1, "visit": 1, "at_s": 1.0, "page": "home", "outcome": "ok", "status": 200, "detail": "",
        "load_ms": 1.0, "ttfb_ms": 1.0, "fcp_ms": 1.0, "lcp_ms": 1.0, "inp_ms": None, "cls": 0.0,
        "long_tasks": 0, "long_task_ms": 0.0, "failed_resources": 0, "console_errors": 0, "blocked": 0,
    }  # fmt: skip
    return BrowserPage(**plain | values)


def test_what_a_page_makes_its_browser_say_costs_that_page_at_most(run_writer_of):
    writer, run = run_writer_of()
    visit = BrowserVisit(1, 1, 1.0, "complete", 3.0, 1.0)
    odd = (page(load_ms=float("inf")), page(status=2**70), page(cls=-1.0), page(page=None))
    writer.write_browsers(BrowserRecords((visit,), (page(detail="\ud83d"), *odd, page(page="cart")), ()))
    assert [one.page for one in run.browsers().pages] == ["home", "cart"]
    refused = [event.text for event in run.events()]
    assert len(refused) == 4
    assert all(text.startswith("browser_pages: ") for text in refused)


def test_events_and_values_of_the_target_are_escaped(run_writer_of):
    writer, run = run_writer_of()
    odd = ObservedValue(1, "db", "rows", '{"table": "\\ud83d"}', 1.0)
    writer.write(
        (), (Event(1.0, "ledger_unreadable", "cut \ud83d"),), (odd, odd._replace(value=float("nan")))
    )
    (series,) = run.observed()
    assert dict(series.labels) == {"table": "\\ud83d"}
    texts = [event.text for event in run.events()]
    assert texts == ["observed: UnstorableError: nan is not a finite number", "cut \\ud83d"]


def test_amounts_and_references():
    assert amount(12.0, "x") == 12
    assert reference(77, "x") == "77"
    for value in (None, "5", True, float("nan"), 1.5, 10**16, [1]):
        with pytest.raises(UnstorableError, match="the total is"):
            amount(value, "the total")
    for value in (None, "", " ", True, 1.5, ["R"]):
        with pytest.raises(UnstorableError, match="the reference is"):
            reference(value, "the reference")


def test_a_ledger_with_nonsense_keeps_its_orders_and_names_the_rest():
    good = LedgerOrder("R1", "r:1:1", "web", 5, 1.0, None, (LedgerLine("a", 1, 5),))
    odd = LedgerOrder(None, 7, "web", float("inf"), float("nan"), "soon", (LedgerLine(None, 1, 5),))
    stock = (
        LedgerStock("a", 9, 8, 1),
        LedgerStock("a", 9, 8, 1),  # the same twice
        LedgerStock("b", 9, 8, 1),
        LedgerStock("b", 9, 7, 2),  # stated differently
        LedgerStock("c", 10**40, 0, 0),
    )
    ledger, problems = storable_ledger(Ledger((good, odd), stock, 20.0))
    assert ledger.orders == (good, LedgerOrder("", "7", "web", 0, 20.0, None, ()))
    assert ledger.stock == (LedgerStock("a", 9, 8, 1),)
    assert len(problems) == 6
    assert "a number of 133 bits" in problems[-2] + problems[-1]
