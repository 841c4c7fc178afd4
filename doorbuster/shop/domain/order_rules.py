"""What both designs agree on: which order may go where, and the statements that mean the same in both."""

from __future__ import annotations

from typing import Any

from doorbuster.shop.domain.credentials import Secret
from doorbuster.shop.domain.customer_service import Account, NewReview
from doorbuster.shop.domain.views import OrderView
from doorbuster.shop.refusals import WrongState

INSERT_REVIEW = """
INSERT INTO reviews (sku, author, rating, title, text, written_on) VALUES (?, ?, ?, ?, ?, 'Today')
"""
ACCOUNT = "SELECT email, name, salt, digest, expired FROM accounts WHERE email = ?"
FEED = """
SELECT p.sku, p.name, p.price_pence, s.on_hand FROM products p JOIN stock s ON s.sku = p.sku
WHERE p.sku > ? ORDER BY p.sku LIMIT ?
"""
# Who bought it before: the latest orders of it, and whoever reviewed it, which only buyers do.
BUYERS = """
SELECT * FROM (SELECT DISTINCT coalesce(o.account, o.email) FROM order_lines l
  JOIN orders o ON o.id = l.order_id WHERE l.sku = ? AND o.email IS NOT NULL LIMIT ?) UNION ALL
SELECT * FROM (SELECT author FROM reviews WHERE sku = ? ORDER BY id DESC LIMIT ?) LIMIT ?
"""


def account_from(row: Any) -> Account | None:
    return None if row is None else Account(row[0], row[1], Secret(row[2], row[3]), bool(row[4]))


def may_pick_up(order: OrderView) -> None:
    """Raises WrongState unless the order waits for collection in a store."""
    if order.state != "placed":
        raise WrongState(order.state, f"order {order.order_ref} is {_said(order)}")
    if order.store is None:
        raise WrongState("placed", f"order {order.order_ref} is delivered, not collected")


def may_return(order: OrderView) -> None:
    """Raises WrongState for an order that is back, or was never sent."""
    if order.state in ("returned", "cancelled"):
        raise WrongState(order.state, f"order {order.order_ref} is {_said(order)}")


def may_cancel(order: OrderView) -> bool:
    """Whether there is anything to undo; raises WrongState when the goods have left."""
    if order.state in ("collected", "returned"):
        raise WrongState(order.state, f"order {order.order_ref} is {_said(order)}")
    return order.state != "cancelled"


def review_row(sku: str, review: NewReview) -> tuple[Any, ...]:
    """The parameters of INSERT_REVIEW."""
    return (sku, review.author, review.rating, review.title, review.text)


def _said(order: OrderView) -> str:
    return order.state.replace("_", " ") + " already"
