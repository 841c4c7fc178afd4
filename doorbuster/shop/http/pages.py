"""Renders the HTML pages; templates are compiled once and escape all user input."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import jinja2
import orjson
from markupsafe import Markup

from doorbuster.shop.domain.orders import STORES
from doorbuster.shop.domain.views import (
    BasketView,
    Home,
    ListingView,
    Navigation,
    OpenQuestion,
    OrderView,
    PastOrder,
    ProductView,
)
from doorbuster.shop.domain.waiting_room import QueuePosition
from doorbuster.shop.http_errors import Refusal
from doorbuster.shop_settings import WaitingRoomSettings

_TEMPLATES = (
    "home", "listing", "product", "basket", "checkout", "order", "problem", "sign_in", "account", "questions",
    "waiting",
)  # fmt: skip
# Placeholder for the basket quantity; user text cannot contain it, because "<" is escaped.
QUANTITY_PLACEHOLDER = b"<!--basket-quantity-->"
_JSON_ESCAPES = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"}


class PageRenderer:
    """Renders views with the compiled templates."""

    def __init__(self) -> None:
        environment = jinja2.Environment(
            loader=jinja2.PackageLoader("doorbuster.shop"),
            autoescape=True,
            auto_reload=False,
            trim_blocks=True,
            lstrip_blocks=True,
            undefined=jinja2.StrictUndefined,
        )
        environment.filters["money"] = _money
        environment.filters["stars"] = _stars
        self._templates = {name: environment.get_template(f"{name}.html") for name in _TEMPLATES}
        static = files("doorbuster.shop") / "static"
        self.style = (static / "shop.css").read_bytes()
        self.icon = (static / "icon.svg").read_bytes()

    def home(self, navigation: Navigation, home: Home) -> bytes:
        return self._render("home", navigation, home=home)

    def listing(self, navigation: Navigation, listing: ListingView) -> bytes:
        return self._render("listing", navigation, listing=listing)

    def product(self, navigation: Navigation, product: ProductView, *, code: str | None = None) -> bytes:
        """`code`: the printed QR code that leads to this page, whose orders belong to the print channel."""
        return self._render("product", navigation, product=product, code=code, json_ld=_json_ld(product))

    def basket(self, navigation: Navigation, basket: BasketView) -> bytes:
        return self._render("basket", navigation, basket=basket)

    def checkout(
        self,
        navigation: Navigation,
        basket: BasketView,
        *,
        key: str,
        values: dict[str, str],
        refusal: Refusal | None,
    ) -> bytes:
        return self._render(
            "checkout",
            navigation,
            basket=basket,
            idempotency_key=key,
            values=values,
            refusal=refusal,
            stores=STORES,
        )

    def order(self, navigation: Navigation, order: OrderView) -> bytes:
        return self._render("order", navigation, order=order)

    def sign_in(self, navigation: Navigation, *, code: str | None) -> bytes:
        """`code`: the reset code of a mail, for the form that sets a new password."""
        return self._render("sign_in", navigation, code=code)

    def account(self, navigation: Navigation, orders: tuple[PastOrder, ...]) -> bytes:
        return self._render("account", navigation, orders=orders)

    def questions(self, navigation: Navigation, questions: tuple[OpenQuestion, ...]) -> bytes:
        return self._render("questions", navigation, questions=questions)

    def waiting(self, settings: WaitingRoomSettings, queued: QueuePosition) -> bytes:
        poll_s, style = f"{settings.poll_s:g}", settings.style
        return self._render("waiting", None, position=queued.position, poll_s=poll_s, style=style)

    def problem(self, refusal: Refusal) -> bytes:
        return self._render("problem", None, refusal=refusal)

    def _render(self, name: str, navigation: Navigation | None, **values: Any) -> bytes:
        return self._templates[name].render(navigation=navigation, **values).encode()


def _money(pence: int) -> str:
    return f"£{pence // 100:,}.{pence % 100:02d}"


def _stars(rating: float) -> str:
    whole = round(rating)
    return "★" * whole + "☆" * (5 - whole)


def _json_ld(product: ProductView) -> Markup:
    """schema.org Product with its Offer; safe inside a script element."""
    item = product.item
    document: dict[str, Any] = {
        "@context": "https://schema.org",
        "@type": "Product",
        "sku": item.sku,
        "name": item.name,
        "category": product.category_name,
        "description": product.description[0],
        "offers": {
            "@type": "Offer",
            "price": f"{item.price_pence / 100:.2f}",
            "priceCurrency": "GBP",
            "availability": "https://schema.org/InStock" if item.available else "https://schema.org/SoldOut",
        },
    }
    if item.reviews:
        document["aggregateRating"] = {
            "@type": "AggregateRating",
            "ratingValue": item.rating,
            "reviewCount": item.reviews,
        }
    text = orjson.dumps(document).decode()
    for character, escape in _JSON_ESCAPES.items():
        text = text.replace(character, escape)
    return Markup(text)  # noqa: S704  every character that could end the script element is escaped above
