"""What both designs share: the allowed changes of an order's state, and identical statements."""

from __future__ import annotations

import secrets
from typing import Any

from doorbuster.shop.domain.credentials import PasswordHash
from doorbuster.shop.domain.customer_service import OPEN_QUESTIONS, Account, NewReview
from doorbuster.shop.domain.views import FeedRow, OpenQuestion, OrderView
from doorbuster.shop.http_errors import WrongState
from doorbuster.shop.infrastructure.database import Session

INSERT_REVIEW = """
INSERT INTO reviews (sku, author, rating, title, text, written_on) VALUES (?, ?, ?, ?, ?, 'Today')
"""
_ACCOUNT = "SELECT email, name, salt, digest, expired FROM accounts WHERE email = ?"
_FEED = """
SELECT p.sku, p.name, p.price_pence, s.on_hand FROM products p JOIN stock s ON s.sku = p.sku
WHERE p.sku > ? ORDER BY p.sku LIMIT ?
"""
# Earlier buyers of a product: those of its latest orders, then its reviewers.
BUYERS = """
SELECT * FROM (SELECT DISTINCT coalesce(o.account, o.email) FROM order_lines l
  JOIN orders o ON o.id = l.order_id WHERE l.sku = ? AND o.email IS NOT NULL LIMIT ?) UNION ALL
SELECT * FROM (SELECT author FROM reviews WHERE sku = ? ORDER BY id DESC LIMIT ?) LIMIT ?
"""


class SharedService:
    """The parts of customer service that both designs do alike."""

    def account(self, db: Session, email: str) -> Account | None:
        row = db.row(_ACCOUNT, email)
        return None if row is None else Account(row[0], row[1], PasswordHash(row[2], row[3]), bool(row[4]))

    def open_session(self, db: Session, email: str) -> str:
        session = secrets.token_urlsafe(24)
        db.write("INSERT INTO sessions VALUES (?, ?)", session, email)
        return session

    def open_questions(self, db: Session) -> tuple[OpenQuestion, ...]:
        rows = db.rows(
            "SELECT id, sku, author, text FROM questions WHERE answer IS NULL ORDER BY id DESC LIMIT ?",
            OPEN_QUESTIONS,
        )
        return tuple(OpenQuestion(*row) for row in rows)

    def feed(self, db: Session, after: str, limit: int) -> tuple[FeedRow, ...]:
        return tuple(FeedRow(*row) for row in db.rows(_FEED, after, limit))


def may_pick_up(order: OrderView) -> None:
    """Raises WrongState unless the order waits for collection in a store."""
    if order.state != "placed":
        raise WrongState(order.state, f"order {order.order_ref} is {_state_text(order)}")
    if order.store is None:
        raise WrongState("placed", f"order {order.order_ref} is delivered, not collected")


def may_return(order: OrderView) -> None:
    """Raises WrongState for a returned or cancelled order."""
    if order.state in ("returned", "cancelled"):
        raise WrongState(order.state, f"order {order.order_ref} is {_state_text(order)}")


def may_cancel(order: OrderView) -> bool:
    """Whether there is anything to undo; raises WrongState if the goods have left."""
    if order.state in ("collected", "returned"):
        raise WrongState(order.state, f"order {order.order_ref} is {_state_text(order)}")
    return order.state != "cancelled"


def review_row(sku: str, review: NewReview) -> tuple[Any, ...]:
    """The parameters of INSERT_REVIEW."""
    return (sku, review.author, review.rating, review.title, review.text)


def _state_text(order: OrderView) -> str:
    return order.state.replace("_", " ") + " already"
