"""Books as CSV files: what a good pair of files becomes, and what is said of every kind of bad one."""

from __future__ import annotations

import pytest

from doorbuster.errors import UsageError
from doorbuster.records.batch import OrderAttempt
from doorbuster.records.ledger import Ledger, LedgerLine, LedgerOrder, LedgerStock, Oversold, audit
from doorbuster.records.ledger_csv import read_ledger_csv

STARTED = 1_795_766_400.0  # 2026-11-27T08:00:00Z
ORDERS = """\
order_ref,idempotency_key,channel,placed_at,picked_at,total_pence,sku,quantity,unit_pence
1001,r1:1:1,web,2026-11-27T08:00:03Z,,2500,LAMP,1,500
1001,r1:1:1,web,2026-11-27T08:00:03Z,,2500,CHAIR,2,1000

1002,,store,1795766404.5,2026-11-27T09:01:00+01:00,500,LAMP,1,500
"""
STOCK = "sku,opening,on_hand\nLAMP,1,-1\nCHAIR,9,7\n"


def attempt(key: str, ref: str, answer: str = "acknowledged") -> OrderAttempt:
    return OrderAttempt(key, "web", "buy", 1.0, 2.0, answer, "", ref, 500, (("LAMP", 1, 500),))


@pytest.fixture
def read(tmp_path):
    """The ledger in these texts, for run r1."""

    def call(
        orders: str | bytes, stock: str | None = None, attempts: tuple[OrderAttempt, ...] = ()
    ) -> Ledger:
        book, shelf = tmp_path / "orders.csv", tmp_path / "stock.csv"
        book.write_bytes(orders if isinstance(orders, bytes) else orders.encode())
        if stock is not None:
            shelf.write_text(stock, encoding="utf-8")
        return read_ledger_csv(
            book, None if stock is None else shelf, run_id="r1", attempts=attempts,
            started_at_unix_s=STARTED, read_at_unix_s=STARTED + 90,
        )  # fmt: skip

    return call


def test_rows_become_orders_with_their_lines_and_a_stock(read):
    assert read(ORDERS, STOCK) == Ledger(
        orders=(
            LedgerOrder(
                "1001", "r1:1:1", "web", 2500, 3.0, None,
                (LedgerLine("LAMP", 1, 500), LedgerLine("CHAIR", 2, 1000)),
            ),
            LedgerOrder("1002", "", "store", 500, 4.5, 60.0, (LedgerLine("LAMP", 1, 500),)),
        ),
        stock=(LedgerStock("LAMP", 1, -1, 2), LedgerStock("CHAIR", 9, 7, 2)),
        read_at_s=90.0,
    )  # fmt: skip


def test_columns_may_come_in_any_order_and_a_spreadsheet_may_have_saved_them(read):
    text = "total_pence, placed_at ,order_ref\r\n500,1795766401,1001\r\n".encode("utf-8-sig")
    assert read(text).orders == (LedgerOrder("1001", "", "", 500, 1.0, None, ()),)


def test_an_order_without_a_key_is_matched_by_its_confirmed_number(read):
    attempts = (attempt("r1:7:1", "1002"), attempt("other:7:1", "1001"), attempt("r1:8:1", "", "unknown"))
    ledger = read(ORDERS.replace("r1:1:1", ""), STOCK, attempts)
    assert [order.idempotency_key for order in ledger.orders] == ["", "r1:7:1"]


def test_orders_of_others_from_before_the_run_are_left_out_and_our_own_never(read):
    early = "order_ref,idempotency_key,placed_at,total_pence\n1,r1:1:1,1795766399,5\n2,,1795766399,5\n"
    assert [order.order_ref for order in read(early).orders] == ["1"]


def test_the_audit_finds_the_problems_of_an_imported_ledger(read):
    attempts = (attempt("r1:1:1", "1001"), attempt("r1:2:1", "1009"))
    found = audit(attempts, read(ORDERS, STOCK, attempts), run_id="r1")
    assert (found.acknowledged, found.booked, found.missing, found.wrong_total) == (2, 1, 1, 1)
    assert found.oversold == (Oversold("LAMP", 1),)
    assert found.foreign == 1


HEAD = "order_ref,idempotency_key,placed_at,total_pence,sku,quantity,unit_pence\n"
ROW = "1001,r1:1:1,1795766401,500,LAMP,1,500\n"
BAD_ORDERS = {
    "no file content": ("", ["orders.csv: order_ref is missing from the header"]),
    "a column that is missing": (
        "order_ref,placed_at\n",
        ["orders.csv:1:1: total_pence is missing from the header"],
    ),
    "a column with a mistake": (
        "order_ref,placed_at,total_pence,order_key\n",
        ["orders.csv:1:1: is not a column of this file (got order_key); "],
    ),
    "a column twice": (
        HEAD.replace("sku", "order_ref"),
        ["order_ref must appear in the header once (got 2)"],
    ),
    "semicolons": (HEAD.replace(",", ";"), ["must have commas between its columns"]),
    "a row that is short": (HEAD + "1001,k\n", ["orders.csv:2:1: must have 7 columns (got 2)"]),
    "pounds": (
        HEAD + ROW.replace("500,LAMP", "5.00,LAMP"),
        [
            "orders.csv:2:4: total_pence must be a whole number of the currency's smallest unit, 0 or more",
            "(got 5.00); in pounds or euros, ",
            "multiply by 100",
        ],
    ),
    "no number": (
        HEAD + ROW.replace("1795766401", ""),
        ["placed_at must be a time such as 2026-11-27T08:00:03Z"],
    ),
    "no time zone": (
        HEAD + ROW.replace("1795766401", "2026-11-27 08:00:03"),
        [
            "orders.csv:2:3: placed_at must have a time zone (got 2026-11-27 08:00:03); ",
            "write 2026-11-27 08:00:03Z",
        ],
    ),
    "milliseconds": (
        HEAD + ROW.replace("1795766401", "1795766401000"),
        ["or Unix seconds (got 1795766401000)"],
    ),
    "no quantity": (
        HEAD + ROW.replace("LAMP,1,", "LAMP,0,"),
        ["quantity must be a whole number, 1 or more (got 0)"],
    ),
    "half a line": (
        HEAD + ROW.replace("LAMP,1,", "LAMP,,"),
        ["quantity must not be empty where the row has a line"],
    ),
    "no reference": (HEAD + ROW.replace("1001", " "), ["orders.csv:2:1: order_ref must not be empty"]),
    "an order that contradicts itself": (
        HEAD + ROW + ROW.replace(",500,LAMP", ",700,CHAIR"),
        ["orders.csv:3:4: total_pence must be the same in all rows of order 1001 (got 700)"],
    ),
    "another encoding": ((HEAD + ROW.replace("LAMP", "LÄMP")).encode("latin-1"), ["must be CSV in UTF-8"]),
    "an open quote": (HEAD + ROW.replace("LAMP", '"LAMP'), ["must be CSV in UTF-8"]),
}


@pytest.mark.parametrize("kind", BAD_ORDERS)
def test_bad_orders_are_refused_with_the_line_and_the_way_out(read, kind):
    text, told = BAD_ORDERS[kind]
    with pytest.raises(UsageError) as refusal:
        read(text)
    for words in told:
        assert words in str(refusal.value)


def test_all_problems_of_both_files_are_reported_at_once(read):
    orders = HEAD + "".join(ROW.replace("1001", str(n)).replace("500,LAMP", "x,LAMP") for n in range(3))
    with pytest.raises(UsageError) as refusal:
        read(orders, "sku,opening,on_hand\nA,1,1\nA,1,1\nB,-1,x\n")
    lines = str(refusal.value).splitlines()
    assert len(lines) == 6
    assert "stock.csv:3:1: sku must appear in the file once (got A)" in lines[3]
    assert "stock.csv:4:2: opening must be a whole number, 0 or more (got -1)" in lines[4]
    assert "stock.csv:4:3: on_hand must be a whole number (got x)" in lines[5]


def test_of_a_thousand_problems_the_first_forty_are_reported(read):
    with pytest.raises(UsageError) as refusal:
        read(HEAD + ROW.replace("500,LAMP", "x,LAMP") * 1000)
    assert len(str(refusal.value).splitlines()) <= 41


def test_a_number_beyond_64_bits_is_a_problem_with_its_place(read):
    with pytest.raises(
        UsageError, match=r"orders\.csv:2:6: total_pence must be at most 1,000,000,000,000,000"
    ):
        read(ORDERS.replace("2500", "99999999999999999999", 2))


def test_a_time_before_the_calendar_begins_is_a_problem(read):
    with pytest.raises(UsageError, match="placed_at must be a time such as"):
        read(ORDERS.replace("2026-11-27T08:00:03Z", "0000-01-01T00:00:00+14:00"))
    assert read(ORDERS.replace("2026-11-27T08:00:03Z", "9999-12-31T23:59:59-14:00")).orders


def test_a_byte_that_is_not_utf_8_has_its_line(read):
    text = ORDERS.encode() + b"\n" * 5000 + "1003,,caf\u00e9".encode("latin-1") + b"\n"
    with pytest.raises(UsageError, match=r"orders\.csv:5006:1: must be CSV in UTF-8 \(got byte 0xe9\)"):
        read(text)
