"""Accounts, collection, returns and questions as the team of 2004 built them: one statement after the other.

Nothing is a transaction. What was read may have changed when it is written, so two members of staff can hand
over the same parcel at the same moment, and units come back to a stock that somebody else has just changed.
Mails are sent while the customer waits.
"""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING

from doorbuster.shop.domain.credentials import Secret
from doorbuster.shop.domain.customer_service import (
    HISTORY,
    OPEN_QUESTIONS,
    REVIEWS,
    Account,
    Asked,
    NewAnswer,
    NewQuestion,
    NewReview,
)
from doorbuster.shop.domain.order_rules import (
    ACCOUNT,
    BUYERS,
    FEED,
    INSERT_REVIEW,
    account_from,
    may_cancel,
    may_pick_up,
    may_return,
    review_row,
)
from doorbuster.shop.domain.views import FeedRow, OpenQuestion, OrderView, PastOrder, Review
from doorbuster.shop.infrastructure.database import Session
from doorbuster.shop.refusals import AccountExists, NotFound, SignedOut

if TYPE_CHECKING:
    from doorbuster.shop.domain.dependencies import Dependencies


class InHouse2004Service:
    """The half of the in-house design that is not selling; the other half reads orders."""

    def __init__(self, parts: Dependencies, *, notify: int) -> None:
        self._parts = parts
        self._notify = notify

    def order(self, db: Session, ref: str) -> OrderView:
        raise NotImplementedError

    # ---- accounts

    def account(self, db: Session, email: str) -> Account | None:
        return account_from(db.row(ACCOUNT, email))

    def add_account(self, db: Session, account: Account) -> None:
        if db.row("SELECT 1 FROM accounts WHERE email = ?", account.email) is not None:
            raise AccountExists(f"{account.email} has an account already; sign in, or set a new password")
        db.write(
            "INSERT OR REPLACE INTO accounts VALUES (?, ?, ?, ?, 0)",
            account.email,
            account.name,
            *account.secret,
        )

    def open_session(self, db: Session, email: str) -> str:
        session = secrets.token_urlsafe(24)
        db.write("INSERT INTO sessions VALUES (?, ?)", session, email)
        return session

    def ask_reset(self, db: Session, email: str) -> str:
        if db.row("SELECT 1 FROM accounts WHERE email = ?", email) is None:
            raise NotFound(f"there is no account of {email}")
        code = secrets.token_urlsafe(24)
        db.write("INSERT INTO resets VALUES (?, ?)", code, email)
        self._parts.wait(db, "mail")
        return code

    def reset_for(self, db: Session, code: str) -> str:
        found = db.row("SELECT email FROM resets WHERE code = ?", code)
        if found is None:
            raise NotFound("this link was used already, or was never sent")
        return str(found[0])

    def set_password(self, db: Session, code: str, secret: Secret) -> str:
        email = self.reset_for(db, code)
        db.write("UPDATE accounts SET salt = ?, digest = ?, expired = 0 WHERE email = ?", *secret, email)
        db.write("DELETE FROM resets WHERE code = ?", code)
        return email

    def history(self, db: Session, session: str) -> tuple[PastOrder, ...]:
        email = self._signed_in(db, session)
        if email is None:
            raise SignedOut("sign in to see your orders")
        rows = db.rows(
            "SELECT order_ref, placed_at_unix_s, total_pence, state FROM orders WHERE account = ? "
            "ORDER BY id DESC LIMIT ?",
            email,
            HISTORY,
        )
        return tuple(PastOrder(*row) for row in rows)

    def _signed_in(self, db: Session, session: str) -> str | None:
        found = db.row("SELECT email FROM sessions WHERE session = ?", session)
        return None if found is None else str(found[0])

    # ---- after the sale

    def pickup(self, db: Session, ref: str) -> OrderView:
        order = self.order(db, ref)
        may_pick_up(order)
        db.write(
            "UPDATE orders SET state = 'collected', picked_at_unix_s = coalesce(picked_at_unix_s, ?) "
            "WHERE order_ref = ?",
            time.time(),
            ref,
        )
        return self.order(db, ref)

    def take_back(self, db: Session, ref: str) -> OrderView:
        order = self.order(db, ref)
        may_return(order)
        return self._undo(db, order, "returned")

    def cancel(self, db: Session, ref: str) -> OrderView:
        order = self.order(db, ref)
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
        return self.order(db, order.order_ref)

    # ---- what customers tell each other

    def reviews(self, db: Session, sku: str) -> tuple[Review, ...]:
        self._exists(db, sku)
        self._parts.wait(db, "reviews")
        rows = db.rows(
            "SELECT author, rating, title, text, written_on FROM reviews WHERE sku = ? "
            "ORDER BY id DESC LIMIT ?",
            sku,
            REVIEWS,
        )
        return tuple(Review(*row) for row in rows)

    def review(self, db: Session, sku: str, review: NewReview) -> None:
        self._exists(db, sku)
        self._parts.wait(db, "reviews")
        db.write(INSERT_REVIEW, *review_row(sku, review))

    def question(self, db: Session, sku: str, question: NewQuestion) -> Asked:
        """Every earlier buyer gets a line and a mail before the customer hears that it worked."""
        self._exists(db, sku)
        number = db.write(
            "INSERT INTO questions (sku, author, text) VALUES (?, ?, ?)", sku, question.author, question.text
        )
        buyers = db.rows(BUYERS, sku, self._notify, sku, self._notify, self._notify)
        for (buyer,) in buyers:
            db.write("INSERT INTO notifications (question_id, buyer) VALUES (?, ?)", number, buyer)
            self._parts.wait(db, "mail")
        return Asked(number, len(buyers))

    def open_questions(self, db: Session) -> tuple[OpenQuestion, ...]:
        rows = db.rows(
            "SELECT id, sku, author, text FROM questions WHERE answer IS NULL ORDER BY id DESC LIMIT ?",
            OPEN_QUESTIONS,
        )
        return tuple(OpenQuestion(*row) for row in rows)

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

    def feed(self, db: Session, after: str, limit: int) -> tuple[FeedRow, ...]:
        return tuple(FeedRow(*row) for row in db.rows(FEED, after, limit))

    def change_price(self, db: Session, sku: str, price_pence: int) -> None:
        self._exists(db, sku)
        db.write("UPDATE products SET price_pence = ? WHERE sku = ?", price_pence, sku)

    def change_stock(self, db: Session, sku: str, on_hand: int) -> None:
        self._exists(db, sku)
        db.write(
            "UPDATE stock SET opening = opening + ?1 - on_hand, on_hand = ?1 WHERE sku = ?2", on_hand, sku
        )

    def _exists(self, db: Session, sku: str) -> None:
        if db.row("SELECT 1 FROM products WHERE sku = ?", sku) is None:
            raise NotFound(f"we do not sell {sku!r}")
