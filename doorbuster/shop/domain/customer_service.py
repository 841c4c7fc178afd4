"""What customers submit besides orders: accounts, reviews, questions and answers."""

from __future__ import annotations

from dataclasses import dataclass

from doorbuster.shop.domain.credentials import PasswordHash

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
class AskedQuestion:
    """The number of a new question, and how many earlier buyers were notified."""

    question: int
    notified: int


@dataclass(frozen=True, slots=True)
class Account:
    """`expired`: an account of the old platform, whose password must be set again."""

    email: str
    name: str
    secret: PasswordHash
    expired: bool = False
