"""What customers submit besides orders: accounts, reviews, questions and answers."""

from __future__ import annotations

from dataclasses import dataclass

from doorbuster.shop.domain.credentials import Secret

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
