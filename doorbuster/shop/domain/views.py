"""The content of pages as plain values: read by a design, rendered as HTML or JSON."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

PAGE_SIZE = 24


@dataclass(frozen=True, slots=True)
class Category:
    slug: str
    name: str
    blurb: str
    art: str
    products: int


@dataclass(frozen=True, slots=True)
class Item:
    """One product as a card in a listing; `rating` is the mean of its reviews, 0 without any."""

    sku: str
    name: str
    tagline: str
    art: str
    hue: int
    price_pence: int
    was_pence: int | None
    rating: float
    reviews: int
    available: bool


@dataclass(frozen=True, slots=True)
class Review:
    author: str
    rating: int
    title: str
    text: str
    written_on: str


@dataclass(frozen=True, slots=True)
class Question:
    question: int
    author: str
    text: str
    answer: str | None


@dataclass(frozen=True, slots=True)
class FeaturedReview:
    """A recent review on the home page, with the product it is about."""

    sku: str
    name: str
    review: Review


@dataclass(frozen=True, slots=True)
class Navigation:
    """The navigation of every page; a `basket_quantity` of None is filled in from the visitor's cookie."""

    categories: tuple[Category, ...]
    basket_quantity: int | None


@dataclass(frozen=True, slots=True)
class Home:
    notice: str
    offers: tuple[Item, ...]
    new_in: tuple[Item, ...]
    best_sellers: tuple[Item, ...]
    voices: tuple[FeaturedReview, ...]


@dataclass(frozen=True, slots=True)
class ListingView:
    """One page of a category (`category` set) or of a search (`query` set)."""

    category: Category | None
    query: str | None
    page: int
    total: int
    items: tuple[Item, ...]

    @property
    def pages(self) -> int:
        return max(1, -(-self.total // PAGE_SIZE))


@dataclass(frozen=True, slots=True)
class ProductView:
    item: Item
    category_slug: str
    category_name: str
    description: tuple[str, ...]
    details: tuple[tuple[str, str], ...]
    on_hand: int
    reviews: tuple[Review, ...]
    questions: tuple[Question, ...]
    recommendations: tuple[Item, ...]

    def without(self, parts: frozenset[str]) -> ProductView:
        """The product without what these services provide."""
        return replace(
            self,
            recommendations=() if "recommendations" in parts else self.recommendations,
            reviews=() if "reviews" in parts else self.reviews,
        )


@dataclass(frozen=True, slots=True)
class BasketLineView:
    sku: str
    name: str
    art: str
    hue: int
    quantity: int
    unit_pence: int
    on_hand: int


@dataclass(frozen=True, slots=True)
class BasketView:
    basket: str
    channel: str
    lines: tuple[BasketLineView, ...]

    @property
    def total_pence(self) -> int:
        return sum(line.quantity * line.unit_pence for line in self.lines)

    @property
    def quantity(self) -> int:
        return sum(line.quantity for line in self.lines)

    def as_json(self) -> dict[str, Any]:
        return {
            "basket": self.basket,
            "channel": self.channel,
            "quantity": self.quantity,
            "total_pence": self.total_pence,
            "lines": [
                {
                    "sku": line.sku,
                    "name": line.name,
                    "quantity": line.quantity,
                    "unit_pence": line.unit_pence,
                }
                for line in self.lines
            ],
        }


@dataclass(frozen=True, slots=True)
class OrderLine:
    sku: str
    name: str
    quantity: int
    unit_pence: int


@dataclass(frozen=True, slots=True)
class OrderView:
    """`state`: placed, collected, returned or cancelled; `store` None: delivered."""

    order_ref: str
    channel: str
    total_pence: int
    placed_at_unix_s: float
    picked_at_unix_s: float | None
    state: str
    store: str | None
    lines: tuple[OrderLine, ...]

    def as_json(self) -> dict[str, Any]:
        return {
            "order_ref": self.order_ref,
            "channel": self.channel,
            "total_pence": self.total_pence,
            "placed_at_unix_s": self.placed_at_unix_s,
            "picked_at_unix_s": self.picked_at_unix_s,
            "state": self.state,
            "store": self.store,
            "lines": [
                {"sku": line.sku, "quantity": line.quantity, "unit_pence": line.unit_pence}
                for line in self.lines
            ],
        }


@dataclass(frozen=True, slots=True)
class PastOrder:
    """One order in the history of an account."""

    order_ref: str
    placed_at_unix_s: float
    total_pence: int
    state: str


@dataclass(frozen=True, slots=True)
class OpenQuestion:
    """A question without an answer."""

    question: int
    sku: str
    author: str
    text: str


@dataclass(frozen=True, slots=True)
class FeedRow:
    """One product in the partner feed: master data, not the data on pages."""

    sku: str
    name: str
    price_pence: int
    on_hand: int
