"""Accounts, pickup, returns and questions of the in-house design: single statements without transactions.

Data may change between read and write, so two members of staff can hand over the same parcel at once, and a
return can overwrite a concurrent change of stock. Mail is sent while the customer waits.
"""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING

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
    from doorbuster.shop.domain.dependencies import Dependencies


class InHouse2004Service(SharedService):
    """Everything the in-house design does besides selling."""

    def __init__(self, dependencies: Dependencies, *, notify: int) -> None:
        self._dependencies = dependencies
        self._notify = notify

    # ---- accounts

    def add_account(self, db: Session, account: Account) -> None:
        if db.row("SELECT 1 FROM accounts WHERE email = ?", account.email) is not None:
            raise AccountExists(f"{account.email} has an account already; sign in, or set a new password")
        db.write(
            "INSERT OR REPLACE INTO accounts VALUES (?, ?, ?, ?, 0)",
            account.email,
            account.name,
            *account.secret,
        )

    def ask_reset(self, db: Session, email: str) -> str:
        if db.row("SELECT 1 FROM accounts WHERE email = ?", email) is None:
            raise NotFound(f"there is no account of {email}")
        code = secrets.token_urlsafe(24)
        db.write("INSERT INTO resets VALUES (?, ?)", code, email)
        self._dependencies.wait(db, "mail")
        return code

    def reset_for(self, db: Session, code: str) -> str:
        found = db.row("SELECT email FROM resets WHERE code = ?", code)
        if found is None:
            raise NotFound("this link was used already, or was never sent")
        return str(found[0])

    def set_password(self, db: Session, code: str, secret: PasswordHash) -> str:
        email = self.reset_for(db, code)
        db.write("UPDATE accounts SET salt = ?, digest = ?, expired = 0 WHERE email = ?", *secret, email)
        db.write("DELETE FROM resets WHERE code = ?", code)
        return email

    def history(self, db: Session, session: str) -> tuple[PastOrder, ...]:
        email = signed_in(db, session)
        if email is None:
            raise SignedOut("sign in to see your orders")
        rows = db.rows(
            "SELECT order_ref, placed_at_unix_s, total_pence, state FROM orders WHERE account = ? "
            "ORDER BY id DESC LIMIT ?",
            email,
            HISTORY,
        )
        return tuple(PastOrder(*row) for row in rows)

    # ---- after the sale

    def pickup(self, db: Session, ref: str) -> OrderView:
        order = read_order(db, ref)
        may_pick_up(order)
        db.write(
            "UPDATE orders SET state = 'collected', picked_at_unix_s = coalesce(picked_at_unix_s, ?) "
            "WHERE order_ref = ?",
            time.time(),
            ref,
        )
        return read_order(db, ref)

    def take_back(self, db: Session, ref: str) -> OrderView:
        order = read_order(db, ref)
        may_return(order)
        return self._undo(db, order, "returned")

    def cancel(self, db: Session, ref: str) -> OrderView:
        order = read_order(db, ref)
        return self._undo(db, order, "cancelled") if may_cancel(order) else order

    def _undo(self, db: Session, order: OrderView, state: str) -> OrderView:
        for line in order.lines:
            on_hand = db.row("SELECT on_hand FROM stock WHERE sku = ?", line.sku)[0]
            db.write("UPDATE stock SET on_hand = ? WHERE sku = ?", on_hand + line.quantity, line.sku)
            db.write(
                "INSERT INTO stock_journal (sku, order_ref, quantity) VALUES (?, ?, ?)",
                line.sku,
                order.order_ref,
                -line.quantity,
            )
        db.write("UPDATE orders SET state = ? WHERE order_ref = ?", state, order.order_ref)
        return read_order(db, order.order_ref)

    # ---- reviews and questions

    def reviews(self, db: Session, sku: str) -> tuple[Review, ...]:
        check_sold_here(db, sku)
        self._dependencies.wait(db, "reviews")
        rows = db.rows(
            "SELECT author, rating, title, text, written_on FROM reviews WHERE sku = ? "
            "ORDER BY id DESC LIMIT ?",
            sku,
            REVIEWS,
        )
        return tuple(Review(*row) for row in rows)

    def review(self, db: Session, sku: str, review: NewReview) -> None:
        check_sold_here(db, sku)
        self._dependencies.wait(db, "reviews")
        db.write(INSERT_REVIEW, *review_row(sku, review))

    def question(self, db: Session, sku: str, question: NewQuestion) -> AskedQuestion:
        """Every earlier buyer gets a row and a mail before the customer gets a response."""
        check_sold_here(db, sku)
        number = db.write(
            "INSERT INTO questions (sku, author, text) VALUES (?, ?, ?)", sku, question.author, question.text
        )
        buyers = db.rows(BUYERS, sku, self._notify, sku, self._notify, self._notify)
        for (buyer,) in buyers:
            db.write("INSERT INTO notifications (question_id, buyer) VALUES (?, ?)", number, buyer)
            self._dependencies.wait(db, "mail")
        return AskedQuestion(number, len(buyers))

    def answer(self, db: Session, question: int, answer: NewAnswer) -> str:
        found = db.row("SELECT sku, answer FROM questions WHERE id = ?", question)
        if found is None:
            raise NotFound(f"there is no question {question}")
        db.write(
            "INSERT INTO answers (question_id, author, text) VALUES (?, ?, ?)",
            question,
            answer.author,
            answer.text,
        )
        db.write("UPDATE questions SET answer = ? WHERE id = ?", found[1] or answer.text, question)
        return str(found[0])

    # ---- partners and staff

    def change_price(self, db: Session, sku: str, price_pence: int) -> None:
        check_sold_here(db, sku)
        db.write("UPDATE products SET price_pence = ? WHERE sku = ?", price_pence, sku)

    def change_stock(self, db: Session, sku: str, on_hand: int) -> None:
        check_sold_here(db, sku)
        db.write(
            "UPDATE stock SET opening = opening + ?1 - on_hand, on_hand = ?1 WHERE sku = ?2", on_hand, sku
        )


def signed_in(db: Session, session: str) -> str | None:
    """The e-mail address of the account that is signed in under this session."""
    found = db.row("SELECT email FROM sessions WHERE session = ?", session)
    return None if found is None else str(found[0])


def check_sold_here(db: Session, sku: str) -> None:
    """Raises NotFound for an unknown SKU."""
    if db.row("SELECT 1 FROM products WHERE sku = ?", sku) is None:
        raise NotFound(f"we do not sell {sku!r}")


def read_order(db: Session, ref: str) -> OrderView:
    row = db.row(
        "SELECT id, order_ref, channel, total_pence, placed_at_unix_s, picked_at_unix_s, "
        "state, store FROM orders WHERE order_ref = ?",
        ref,
    )
    if row is None:
        raise NotFound(f"there is no order {ref!r}")
    lines = db.rows(
        "SELECT l.sku, p.name, l.quantity, l.unit_pence FROM order_lines l "
        "JOIN products p ON p.sku = l.sku WHERE l.order_id = ?",
        row[0],
    )
    return OrderView(*[*row[1:], tuple(OrderLine(*line) for line in lines)])
