"""What a shop does for customers beside selling: accounts, collection, returns, questions; and for its staff.

`CustomerService` is the second half of the contract of both profiles; the first half is `orders.Design`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from doorbuster.shop.domain.credentials import Secret

if TYPE_CHECKING:
    from doorbuster.shop.domain.views import FeedRow, Item, OpenQuestion, OrderView, PastOrder, Review
    from doorbuster.shop.infrastructure.database import Session

HISTORY = 20
OPEN_QUESTIONS = 20
REVIEWS = 50
FEED_ROWS = 500


@dataclass(frozen=True, slots=True)
class NewReview:
    author: str
    rating: int
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class NewQuestion:
    author: str
    text: str


@dataclass(frozen=True, slots=True)
class NewAnswer:
    author: str
    text: str


@dataclass(frozen=True, slots=True)
class Asked:
    """A question that was put, and how many earlier buyers were told about it."""

    question: int
    notified: int


@dataclass(frozen=True, slots=True)
class Account:
    """`expired`: of the time before the new platform; its password no longer works and must be set anew."""

    email: str
    name: str
    secret: Secret
    expired: bool = False


class CustomerService(Protocol):
    """Every method runs on a database worker and may raise a Refusal."""

    # accounts; a session is the secret that a cookie or a token carries
    def account(self, db: Session, email: str) -> Account | None: ...
    def add_account(self, db: Session, account: Account) -> None: ...
    def open_session(self, db: Session, email: str) -> str: ...
    def ask_reset(self, db: Session, email: str) -> str: ...
    def reset_for(self, db: Session, code: str) -> str: ...
    def set_password(self, db: Session, code: str, secret: Secret) -> str: ...
    def history(self, db: Session, session: str) -> tuple[PastOrder, ...]: ...

    # after the sale
    def pickup(self, db: Session, ref: str) -> OrderView: ...
    def take_back(self, db: Session, ref: str) -> OrderView: ...
    def cancel(self, db: Session, ref: str) -> OrderView: ...

    # what customers tell each other
    def reviews(self, db: Session, sku: str) -> tuple[Review, ...]: ...
    def review(self, db: Session, sku: str, review: NewReview) -> None: ...
    def recommendations(self, db: Session, sku: str) -> tuple[Item, ...]: ...
    def question(self, db: Session, sku: str, question: NewQuestion) -> Asked: ...
    def open_questions(self, db: Session) -> tuple[OpenQuestion, ...]: ...
    def answer(self, db: Session, question: int, answer: NewAnswer) -> str: ...

    # partners and staff
    def feed(self, db: Session, after: str, limit: int) -> tuple[FeedRow, ...]: ...
    def change_price(self, db: Session, sku: str, price_pence: int) -> None: ...
    def change_stock(self, db: Session, sku: str, on_hand: int) -> None: ...
