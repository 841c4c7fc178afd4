"""Accounts, pickup, returns and questions of the rebuilt shop: each change is one transaction.

The state of an order is checked and changed in the same transaction, so a parcel is handed over once. The
read model is notified of every change that pages show.
"""

from __future__ import annotations

import secrets
import sqlite3
import time
from typing import TYPE_CHECKING, Any

from doorbuster.shop.domain.credentials import PasswordHash
from doorbuster.shop.domain.customer_service import (
    HISTORY,
    REVIEWS,
    Account,
    AskedQuestion,
    NewAnswer,
    NewQuestion,
    NewReview,
)
from doorbuster.shop.domain.order_rules import (
    BUYERS,
    INSERT_REVIEW,
    SharedService,
    may_cancel,
    may_pick_up,
    may_return,
    review_row,
)
from doorbuster.shop.domain.views import OrderLine, OrderView, PastOrder, Review
from doorbuster.shop.http_errors import AccountExists, NotFound, SignedOut
from doorbuster.shop.infrastructure.database import Session

if TYPE_CHECKING:
    from doorbuster.shop.designs.read_model import ReadModel

WRITE_QUERIES = 2
ASK_QUERIES = 3
UNDO_QUERIES = 3
SIGNED_IN = "SELECT email FROM sessions WHERE session = ?"
ORDER = """
SELECT o.order_ref, o.channel, o.total_pence, o.placed_at_unix_s, o.picked_at_unix_s, o.state, o.store,
  l.sku, p.name, l.quantity, l.unit_pence
FROM orders o JOIN order_lines l ON l.order_id = o.id JOIN products p ON p.sku = l.sku WHERE o.order_ref = ?
"""


class ReplatformedService(SharedService):
    """Everything the rebuilt design does besides selling."""

    def __init__(self, model: ReadModel, *, notify: int) -> None:
        self._model = model
        self._notify = notify

    # ---- accounts

    def add_account(self, db: Session, account: Account) -> None:
        with db.transaction(queries=WRITE_QUERIES) as connection:
            made = connection.execute(
                "INSERT OR IGNORE INTO accounts VALUES (?, ?, ?, ?, 0)",
                (account.email, account.name, *account.secret),
            ).rowcount
            if not made:
                raise AccountExists(f"{account.email} has an account already; sign in, or set a new password")

    def ask_reset(self, db: Session, email: str) -> str:
        code = secrets.token_urlsafe(24)
        with db.transaction(queries=WRITE_QUERIES) as connection:
            if connection.execute("SELECT 1 FROM accounts WHERE email = ?", (email,)).fetchone() is None:
                raise NotFound(f"there is no account of {email}")
            connection.execute("INSERT INTO resets VALUES (?, ?)", (code, email))
        return code

    def reset_for(self, db: Session, code: str) -> str:
        return _reset_for(db.row("SELECT email FROM resets WHERE code = ?", code))

    def set_password(self, db: Session, code: str, secret: PasswordHash) -> str:
        with db.transaction(queries=WRITE_QUERIES) as connection:
            email = _reset_for(
                connection.execute("DELETE FROM resets WHERE code = ? RETURNING email", (code,)).fetchone()
            )
            connection.execute(
                "UPDATE accounts SET salt = ?, digest = ?, expired = 0 WHERE email = ?", (*secret, email)
            )
        return email

    def history(self, db: Session, session: str) -> tuple[PastOrder, ...]:
        rows = db.rows(
            "SELECT o.order_ref, o.placed_at_unix_s, o.total_pence, o.state FROM sessions s "
            "LEFT JOIN orders o ON o.account = s.email WHERE s.session = ? ORDER BY o.id DESC LIMIT ?",
            session,
            HISTORY,
        )
        if not rows:
            raise SignedOut("sign in to see your orders")
        return tuple(PastOrder(*row) for row in rows if row[0] is not None)

    # ---- after the sale

    def pickup(self, db: Session, ref: str) -> OrderView:
        with db.transaction(queries=WRITE_QUERIES) as connection:
            may_pick_up(read_order(connection, ref))
            connection.execute(
                "UPDATE orders SET state = 'collected', picked_at_unix_s = coalesce(picked_at_unix_s, ?) "
                "WHERE order_ref = ?",
                (time.time(), ref),
            )
            return read_order(connection, ref)

    def take_back(self, db: Session, ref: str) -> OrderView:
        with db.transaction(queries=UNDO_QUERIES) as connection:
            order = read_order(connection, ref)
            may_return(order)
            return self._undo(connection, order, "returned")

    def cancel(self, db: Session, ref: str) -> OrderView:
        with db.transaction(queries=UNDO_QUERIES) as connection:
            order = read_order(connection, ref)
            return self._undo(connection, order, "cancelled") if may_cancel(order) else order

    def _undo(self, connection: sqlite3.Connection, order: OrderView, state: str) -> OrderView:
        connection.execute("UPDATE orders SET state = ? WHERE order_ref = ?", (state, order.order_ref))
        connection.executemany(
            "UPDATE stock SET on_hand = on_hand + ? WHERE sku = ?",
            [(line.quantity, line.sku) for line in order.lines],
        )
        connection.executemany(
            "INSERT INTO stock_journal (sku, order_ref, quantity) VALUES (?, ?, ?)",
            [(line.sku, order.order_ref, -line.quantity) for line in order.lines],
        )
        for line in order.lines:
            self._model.stock_changed(line.sku)
        return read_order(connection, order.order_ref)

    # ---- reviews and questions

    def reviews(self, db: Session, sku: str) -> tuple[Review, ...]:
        rows = db.rows(
            "SELECT r.author, r.rating, r.title, r.text, r.written_on FROM products p "
            "LEFT JOIN reviews r ON r.sku = p.sku WHERE p.sku = ? ORDER BY r.id DESC LIMIT ?",
            sku,
            REVIEWS,
        )
        if not rows:
            raise NotFound(f"we do not sell {sku!r}")
        return tuple(Review(*row) for row in rows if row[0] is not None)

    def review(self, db: Session, sku: str, review: NewReview) -> None:
        with db.transaction(queries=WRITE_QUERIES) as connection:
            _exists(connection, sku)
            connection.execute(INSERT_REVIEW, review_row(sku, review))
            self._model.changed(connection, sku)

    def question(self, db: Session, sku: str, question: NewQuestion) -> AskedQuestion:
        with db.transaction(queries=ASK_QUERIES) as connection:
            _exists(connection, sku)
            number = connection.execute(
                "INSERT INTO questions (sku, author, text) VALUES (?, ?, ?)",
                (sku, question.author, question.text),
            ).lastrowid
            assert number is not None, "an inserted row has a number"
            notified = connection.execute(
                f"INSERT INTO notifications (question_id, buyer) SELECT ?, * FROM ({BUYERS})",  # noqa: S608
                (number, sku, self._notify, sku, self._notify, self._notify),
            ).rowcount
            self._model.changed(connection, sku)
        return AskedQuestion(number, notified)

    def answer(self, db: Session, question: int, answer: NewAnswer) -> str:
        with db.transaction(queries=WRITE_QUERIES) as connection:
            found = connection.execute(
                "UPDATE questions SET answer = coalesce(answer, ?) WHERE id = ? RETURNING sku",
                (answer.text, question),
            ).fetchone()
            if found is None:
                raise NotFound(f"there is no question {question}")
            connection.execute(
                "INSERT INTO answers (question_id, author, text) VALUES (?, ?, ?)",
                (question, answer.author, answer.text),
            )
            self._model.changed(connection, found[0])
        return str(found[0])

    # ---- partners and staff

    def change_price(self, db: Session, sku: str, price_pence: int) -> None:
        with db.transaction(queries=WRITE_QUERIES) as connection:
            _exists(connection, sku)
            connection.execute("UPDATE products SET price_pence = ? WHERE sku = ?", (price_pence, sku))
            self._model.changed(connection, sku)

    def change_stock(self, db: Session, sku: str, on_hand: int) -> None:
        with db.transaction(queries=WRITE_QUERIES) as connection:
            _exists(connection, sku)
            connection.execute(
                "UPDATE stock SET opening = opening + ?1 - on_hand, on_hand = ?1 WHERE sku = ?2",
                (on_hand, sku),
            )
            self._model.stock_changed(sku)


def read_order(connection: sqlite3.Connection, ref: str) -> OrderView:
    return as_order(connection.execute(ORDER, (ref,)).fetchall(), ref)


def as_order(rows: list[Any], ref: str) -> OrderView:
    """Raises NotFound when there are no rows."""
    if not rows:
        raise NotFound(f"there is no order {ref!r}")
    return OrderView(*[*rows[0][:7], tuple(OrderLine(*row[7:]) for row in rows)])


def _exists(connection: sqlite3.Connection, sku: str) -> None:
    if connection.execute("SELECT 1 FROM products WHERE sku = ?", (sku,)).fetchone() is None:
        raise NotFound(f"we do not sell {sku!r}")


def _reset_for(found: tuple[str] | None) -> str:
    if found is None:
        raise NotFound("this link was used already, or was never sent")
    return found[0]
