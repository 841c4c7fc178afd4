"""The shop as a good team might have built it in 2004: every page runs all its queries every time.

It fails at a peak by design, not by a switch. Nothing is cached. Stock is read, checked and written back as a
computed number: correct for one customer at a time, but a lost update when two check out at once. The order
key is looked up first and inserted later, so a quick second click places a second order.
"""

from __future__ import annotations

import secrets
import time
from typing import Any

import orjson

from doorbuster.shop.designs.in_house_2004_service import check_sold_here, read_order, signed_in
from doorbuster.shop.domain import views
from doorbuster.shop.domain.dependencies import Dependencies
from doorbuster.shop.domain.orders import (
    GUEST_BASKET,
    INSERT_ORDER,
    OrderCustomer,
    OrderRequest,
    WantedLine,
    new_order_ref,
    order_row,
)
from doorbuster.shop.http_errors import BadRequest, EmptyBasket, FieldProblem, NoBasket, NotFound, SoldOut
from doorbuster.shop.infrastructure.database import Session

_CARD = "SELECT p.sku, p.name, p.tagline, p.art, p.hue, p.price_pence, p.was_pence FROM products p "
_IN_CATEGORIES = "JOIN categories c ON c.slug = p.category_slug "
_SHELF_SIZE = 12
_EVENTS = ("placed", "confirmed by e-mail", "sent to the warehouse")


class InHouse2004:
    """Uncached pages of many queries, check-then-write stock, check-then-insert order keys."""

    def __init__(self, dependencies: Dependencies) -> None:
        self._dependencies = dependencies

    def navigation(self, db: Session, basket: str | None) -> views.Navigation:
        db.row("SELECT status, channel FROM baskets WHERE basket = ?", basket)
        count = db.row("SELECT coalesce(sum(quantity), 0) FROM basket_lines WHERE basket = ?", basket)
        return views.Navigation(self._categories(db), count[0])

    def home(self, db: Session) -> views.Home:
        notice = db.row("SELECT text FROM notices ORDER BY id LIMIT 1")
        offers = db.rows(
            _CARD + "WHERE p.was_pence IS NOT NULL ORDER BY p.popularity DESC LIMIT ?", _SHELF_SIZE
        )
        new_in = db.rows(_CARD + "ORDER BY p.arrival DESC LIMIT ?", _SHELF_SIZE)
        best = db.rows(_CARD + "ORDER BY p.popularity DESC LIMIT ?", _SHELF_SIZE)
        voices = db.rows(
            "SELECT p.sku, p.name, r.author, r.rating, r.title, r.text, r.written_on FROM reviews r "
            "JOIN products p ON p.sku = r.sku WHERE r.rating >= 4 ORDER BY r.id DESC LIMIT 4"
        )
        cards = self._items(db, offers + new_in + best)
        first, second = len(offers), len(offers) + len(new_in)
        return views.Home(
            notice[0],
            cards[:first],
            cards[first:second],
            cards[second:],
            tuple(views.FeaturedReview(sku, name, views.Review(*review)) for sku, name, *review in voices),
        )

    def category(self, db: Session, slug: str, page: int) -> views.ListingView:
        found = db.row("SELECT slug, name, blurb, art FROM categories WHERE slug = ?", slug)
        if found is None:
            raise NotFound(f"there is no category {slug!r}")
        total = db.row("SELECT count(*) FROM products WHERE category_slug = ?", slug)[0]
        db.row("SELECT min(price_pence), max(price_pence) FROM products WHERE category_slug = ?", slug)
        rows = db.rows(
            _CARD + "WHERE p.category_slug = ? ORDER BY p.popularity DESC LIMIT ? OFFSET ?",
            slug,
            views.PAGE_SIZE,
            (page - 1) * views.PAGE_SIZE,
        )
        db.row("SELECT text FROM notices ORDER BY id DESC LIMIT 1")
        return views.ListingView(views.Category(*[*found, total]), None, page, total, self._items(db, rows))

    def search(self, db: Session, query: str, page: int) -> views.ListingView:
        self._dependencies.wait(db, "search")
        words = query.split()[:8]
        escaped = [word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") for word in words]
        patterns = [f"%{word}%" for word in escaped]
        likes = ["(p.name || ' ' || c.name || ' ' || p.sku) LIKE ? ESCAPE '\\'"] * len(patterns)
        where = "WHERE " + (" AND ".join(likes) or "0")
        total = db.row("SELECT count(*) FROM products p " + _IN_CATEGORIES + where, *patterns)[0]  # noqa: S608  constants only
        rows = db.rows(
            _CARD + _IN_CATEGORIES + where + " ORDER BY p.popularity DESC LIMIT ? OFFSET ?",
            *patterns,
            views.PAGE_SIZE,
            (page - 1) * views.PAGE_SIZE,
        )
        db.write("INSERT INTO search_log (query, found) VALUES (?, ?)", query, total)
        return views.ListingView(None, query, page, total, self._items(db, rows))

    def product(self, db: Session, sku: str) -> views.ProductView:
        row = db.row(_CARD + "WHERE p.sku = ?", sku)
        if row is None:
            raise NotFound(f"we do not sell {sku!r}")
        texts = db.row(
            "SELECT c.slug, c.name, p.description, p.details FROM products p "
            "JOIN categories c ON c.slug = p.category_slug WHERE p.sku = ?",
            sku,
        )
        self._dependencies.wait(db, "reviews")
        reviews = db.rows(
            "SELECT author, rating, title, text, written_on FROM reviews WHERE sku = ? "
            "ORDER BY id DESC LIMIT 8",
            sku,
        )
        questions = db.rows(
            "SELECT id, author, text, answer FROM questions WHERE sku = ? ORDER BY id DESC LIMIT 6", sku
        )
        related = self._related(db, sku)
        items = self._items(db, [row, *related])
        on_hand = db.row("SELECT on_hand FROM stock WHERE sku = ?", sku)[0]
        return views.ProductView(
            item=items[0],
            category_slug=texts[0],
            category_name=texts[1],
            description=tuple(texts[2].split("\n")),
            details=tuple((label, value) for label, value in orjson.loads(texts[3])),
            on_hand=on_hand,
            reviews=tuple(views.Review(*review) for review in reviews),
            questions=tuple(views.Question(*question) for question in questions),
            recommendations=items[1:],
        )

    def recommendations(self, db: Session, sku: str) -> tuple[views.Item, ...]:
        check_sold_here(db, sku)
        return self._items(db, self._related(db, sku))

    def landing(self, db: Session, code: str) -> views.ProductView:
        found = db.row("SELECT sku FROM print_codes WHERE code = ?", code)
        return self.product(db, found[0] if found else code)

    def new_basket(self, db: Session, channel: str) -> str:
        basket = secrets.token_urlsafe(16)
        db.write("INSERT INTO baskets VALUES (?, ?, 'open', 0)", basket, channel)
        return basket

    def find_account_basket(self, db: Session, session: str) -> str | None:
        email = signed_in(db, session)
        return None if email is None else self._find_basket(db, email)

    def open_account_basket(self, db: Session, session: str, channel: str) -> str | None:
        """Look up, then create: a customer who starts in two channels at once loses the first basket."""
        email = signed_in(db, session)
        if email is None:
            return None
        basket = self._find_basket(db, email)
        if basket is None:
            basket = self.new_basket(db, channel)
            db.write("INSERT OR REPLACE INTO account_baskets VALUES (?, ?)", email, basket)
        return basket

    def merge_guest_basket(self, db: Session, email: str, basket: str) -> str | None:
        """Merge a guest's basket into the account's, line by line."""
        own = self._find_basket(db, email)
        if db.row(GUEST_BASKET, basket) is None:
            return own
        if own is None:
            db.write("INSERT OR REPLACE INTO account_baskets VALUES (?, ?)", email, basket)
            return basket
        for sku, quantity in db.rows("SELECT sku, quantity FROM basket_lines WHERE basket = ?", basket):
            held = db.row("SELECT quantity FROM basket_lines WHERE basket = ? AND sku = ?", own, sku)
            units = quantity + (held[0] if held else 0)
            db.write("INSERT OR REPLACE INTO basket_lines VALUES (?, ?, ?)", own, sku, units)
        db.write("DELETE FROM basket_lines WHERE basket = ?", basket)
        return own

    def add(self, db: Session, basket: str, wanted: WantedLine) -> views.BasketView:
        self._session(db, basket)
        product = db.row("SELECT name, price_pence FROM products WHERE sku = ?", wanted.sku)
        if product is None:
            raise NotFound(f"we do not sell {wanted.sku!r}")
        self._dependencies.wait(db, "stock")
        on_hand = db.row("SELECT on_hand FROM stock WHERE sku = ?", wanted.sku)[0]
        held = db.row("SELECT quantity FROM basket_lines WHERE basket = ? AND sku = ?", basket, wanted.sku)
        quantity = wanted.quantity + (held[0] if held else 0)
        if on_hand < quantity:
            raise SoldOut(wanted.sku, product[0])
        db.write("INSERT OR REPLACE INTO basket_lines VALUES (?, ?, ?)", basket, wanted.sku, quantity)
        filled = self.basket(db, basket)
        db.write("UPDATE baskets SET total_pence = ? WHERE basket = ?", filled.total_pence, basket)
        return filled

    def basket(self, db: Session, basket: str) -> views.BasketView:
        channel = self._session(db, basket)
        lines = db.rows(
            "SELECT p.sku, p.name, p.art, p.hue, l.quantity, p.price_pence, s.on_hand FROM basket_lines l "
            "JOIN products p ON p.sku = l.sku JOIN stock s ON s.sku = l.sku WHERE l.basket = ? "
            "ORDER BY p.sku",
            basket,
        )
        return views.BasketView(basket, channel, tuple(views.BasketLineView(*line) for line in lines))

    def checkout(self, db: Session, basket: str) -> views.BasketView:
        found = self.basket(db, basket)
        db.row("SELECT count(*) FROM orders WHERE picked_at_unix_s IS NULL")
        db.row("SELECT text FROM notices ORDER BY id DESC LIMIT 1")
        return found

    def place(self, db: Session, request: OrderRequest) -> views.OrderView:
        placed = db.row("SELECT order_ref FROM orders WHERE idempotency_key = ?", request.key)
        if placed is not None:
            return read_order(db, placed[0])
        channel, wanted = self._wanted(db, request)
        self._dependencies.wait(db, "stock")
        lines = [self._check(db, line, sold=request.sold_at_unix_s is not None) for line in wanted]
        if request.paid_here:
            self._dependencies.wait(db, "payment")
        if request.customer is not None:
            self._count_order(db, request.customer)
        ref = self._insert(db, request, channel, lines)
        if request.basket is not None:
            db.write("DELETE FROM basket_lines WHERE basket = ?", request.basket)
            db.write("UPDATE baskets SET total_pence = 0 WHERE basket = ?", request.basket)
        if request.customer is not None:
            self._dependencies.wait(db, "mail")
        return read_order(db, ref)

    def order(self, db: Session, ref: str) -> views.OrderView:
        return read_order(db, ref)

    def _related(self, db: Session, sku: str) -> list[Any]:
        self._dependencies.wait(db, "recommendations")
        return db.rows(
            _CARD + "JOIN related r ON r.other_sku = p.sku WHERE r.sku = ? ORDER BY r.position", sku
        )

    def _categories(self, db: Session) -> tuple[views.Category, ...]:
        rows = db.rows(
            "SELECT c.slug, c.name, c.blurb, c.art, count(*) FROM categories c "
            "JOIN products p ON p.category_slug = c.slug GROUP BY c.slug ORDER BY c.position"
        )
        return tuple(views.Category(*row) for row in rows)

    def _find_basket(self, db: Session, email: str) -> str | None:
        found = db.row("SELECT basket FROM account_baskets WHERE email = ?", email)
        return None if found is None else str(found[0])

    def _session(self, db: Session, basket: str) -> str:
        row = db.row("SELECT channel FROM baskets WHERE basket = ?", basket)
        if row is None:
            raise NoBasket("this basket does not exist")
        return str(row[0])

    def _items(self, db: Session, rows: list[Any]) -> tuple[views.Item, ...]:
        """Cards with their ratings and availability: two more queries, whatever the number of cards."""
        skus = orjson.dumps([row[0] for row in rows]).decode()
        ratings = {
            sku: (rating, count)
            for sku, rating, count in db.rows(
                "SELECT sku, round(avg(rating), 1), count(*) FROM reviews "
                "WHERE sku IN (SELECT value FROM json_each(?)) GROUP BY sku",
                skus,
            )
        }
        stock = dict(
            db.rows("SELECT sku, on_hand FROM stock WHERE sku IN (SELECT value FROM json_each(?))", skus)
        )
        return tuple(views.Item(*[*row, *ratings.get(row[0], (0.0, 0)), stock[row[0]] > 0]) for row in rows)

    def _wanted(self, db: Session, request: OrderRequest) -> tuple[str, tuple[WantedLine, ...]]:
        if request.basket is None:
            return request.channel or "web", request.lines
        channel = self._session(db, request.basket)
        rows = db.rows("SELECT sku, quantity FROM basket_lines WHERE basket = ? ORDER BY sku", request.basket)
        if not rows:
            raise EmptyBasket("there is nothing in this basket to order")
        return request.channel or channel, tuple(WantedLine(*row) for row in rows)

    def _check(self, db: Session, line: WantedLine, *, sold: bool) -> tuple[views.OrderLine, int]:
        """The line with its price, and the stock to write back, computed from the stock read now.

        `sold` goods have left already, so the order cannot be refused.
        """
        product = db.row("SELECT name, price_pence FROM products WHERE sku = ?", line.sku)
        if product is None:
            raise BadRequest((FieldProblem("lines", f"must be products we sell (got {line.sku!r})"),))
        on_hand = db.row("SELECT on_hand FROM stock WHERE sku = ?", line.sku)[0]
        if on_hand < line.quantity and not sold:
            raise SoldOut(line.sku, product[0])
        return views.OrderLine(line.sku, product[0], line.quantity, product[1]), on_hand - line.quantity

    def _count_order(self, db: Session, customer: OrderCustomer) -> None:
        known = db.row("SELECT orders FROM customers WHERE email = ?", customer.email)
        db.write(
            "INSERT OR REPLACE INTO customers VALUES (?, ?, ?)",
            customer.email,
            customer.name,
            1 + (known[0] if known else 0),
        )

    def _insert(
        self, db: Session, request: OrderRequest, channel: str, lines: list[tuple[views.OrderLine, int]]
    ) -> str:
        ref = new_order_ref()
        total_pence = sum(line.quantity * line.unit_pence for line, _ in lines)
        account = None if request.session is None else signed_in(db, request.session)
        row = order_row(
            request, ref, channel=channel, account=account, total_pence=total_pence, now_unix_s=time.time()
        )
        order_id = db.write(INSERT_ORDER, *row)
        for line, left in lines:
            db.write(
                "INSERT INTO order_lines VALUES (?, ?, ?, ?)",
                order_id,
                line.sku,
                line.quantity,
                line.unit_pence,
            )
            db.write(
                "INSERT INTO stock_journal (sku, order_ref, quantity) VALUES (?, ?, ?)",
                line.sku,
                ref,
                line.quantity,
            )
            db.write("UPDATE stock SET on_hand = ? WHERE sku = ?", left, line.sku)
        for event in _EVENTS:
            db.write("INSERT INTO order_events (order_ref, event) VALUES (?, ?)", ref, event)
        return ref
