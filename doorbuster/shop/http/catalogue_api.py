"""Home, categories, search, products and landing pages, as HTML and JSON."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from doorbuster.shop.domain.views import Home, Item, ListingView, Navigation, ProductView
from doorbuster.shop.http.open_shop import OPEN_SHOP, check_page_exists, page_number, search_query
from doorbuster.shop.http.responses import show, show_document
from doorbuster.shop.infrastructure.database import Session


async def home(request: web.Request) -> web.Response:
    shop = request.app[OPEN_SHOP]
    return await show(request, "home", (), shop.design.home, shop.pages.home, _home_json)


async def category(request: web.Request) -> web.Response:
    shop, slug, page = request.app[OPEN_SHOP], request.match_info["slug"], page_number(request)

    def work(db: Session) -> ListingView:
        return check_page_exists(shop.design.category(db, slug, page))

    return await show(request, "category", (slug, str(page)), work, shop.pages.listing, _listing_json)


async def search(request: web.Request) -> web.Response:
    shop, words, page = request.app[OPEN_SHOP], search_query(request), page_number(request)

    def work(db: Session) -> ListingView:
        return check_page_exists(shop.design.search(db, words, page))

    return await show(request, "search", (words, str(page)), work, shop.pages.listing, _listing_json)


async def product(request: web.Request) -> web.Response:
    shop, sku = request.app[OPEN_SHOP], request.match_info["sku"]

    def work(db: Session) -> ProductView:
        return shop.design.product(db, sku)

    return await show(
        request, "product", (sku,), work, shop.pages.product, _product_json, omit=ProductView.without
    )


async def landing(request: web.Request) -> web.Response:
    """The product behind a printed code."""
    shop, code = request.app[OPEN_SHOP], request.match_info["code"]

    def work(db: Session) -> ProductView:
        return shop.design.landing(db, code)

    def page(navigation: Navigation, view: ProductView) -> bytes:
        return shop.pages.product(navigation, view, code=code)

    return await show(request, "landing", (code,), work, page, _product_json, omit=ProductView.without)


async def recommendations(request: web.Request) -> web.Response:
    shop, sku = request.app[OPEN_SHOP], request.match_info["sku"]
    return await show_document(
        request,
        "recommendations",
        (sku,),
        lambda db: shop.design.recommendations(db, sku),
        lambda items: {"sku": sku, "products": [_item_json(item) for item in items]},
    )


def _item_json(item: Item) -> dict[str, Any]:
    return {
        "sku": item.sku,
        "name": item.name,
        "tagline": item.tagline,
        "price_pence": item.price_pence,
        "was_pence": item.was_pence,
        "rating": item.rating,
        "review_count": item.reviews,
        "availability": "in_stock" if item.available else "sold_out",
    }


def _home_json(home: Home) -> dict[str, Any]:
    return {
        "notice": home.notice,
        "offers": [_item_json(item) for item in home.offers],
        "new_in": [_item_json(item) for item in home.new_in],
        "best_sellers": [_item_json(item) for item in home.best_sellers],
        "voices": home.voices,
    }


def _listing_json(listing: ListingView) -> dict[str, Any]:
    return {
        "category": listing.category,
        "query": listing.query,
        "page": listing.page,
        "pages": listing.pages,
        "total": listing.total,
        "products": [_item_json(item) for item in listing.items],
    }


def _product_json(product: ProductView) -> dict[str, Any]:
    return {
        **_item_json(product.item),
        "category": {"slug": product.category_slug, "name": product.category_name},
        "description": product.description,
        "details": dict(product.details),
        "on_hand": product.on_hand,
        "reviews_shown": product.reviews,
        "questions": product.questions,
        "recommendations": [_item_json(item) for item in product.recommendations],
    }
