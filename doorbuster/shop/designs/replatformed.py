"""The rebuilt shop: pages from documents, and conditional stock reservations in one transaction per order.

A page takes one or two look-ups. An order is one transaction: it reserves stock only if there is enough, so
no unit is sold twice, and it stores the order under a unique key, so a repeated request finds the order
already placed. The navigation is read once, when the shop opens.
"""

from __future__ import annotations

import re
import secrets
import sqlite3
import time
from typing import TYPE_CHECKING, Any

import orjson

from doorbuster.shop.designs.replatformed_service import ORDER, SIGNED_IN, WRITE_QUERIES, as_order, read_order
from doorbuster.shop.domain import views
from doorbuster.shop.domain.orders import (
    GUEST_BASKET,
    INSERT_ORDER,
    OrderRequest,
    WantedLine,
    new_order_ref,
    order_row,
)
from doorbuster.shop.http_errors import (
    BadRequest,
    EmptyBasket,
    FieldProblem,
    KeyReused,
    NoBasket,
    NotFound,
    SoldOut,
)
from doorbuster.shop.infrastructure.database import Session

if TYPE_CHECKING:
    from doorbuster.shop.designs.read_model import ReadModel

ORDER_QUERIES = 4
_SHELF_SIZE = 12
_CARDS = "SELECT d.card, s.on_hand > 0 FROM documents d JOIN shown s ON s.sku = d.sku "
_SHELVES = f"""
SELECT * FROM ({_CARDS} WHERE d.offer = 1 ORDER BY d.popularity DESC LIMIT {_SHELF_SIZE}) UNION ALL
SELECT * FROM ({_CARDS} ORDER BY d.arrival DESC LIMIT {_SHELF_SIZE}) UNION ALL
SELECT * FROM ({_CARDS} ORDER BY d.popularity DESC LIMIT {_SHELF_SIZE})
"""  # noqa: S608  constants only
_WORD = re.compile(r"\w+")


class Replatformed:
    """Read model, atomic reservation, unique order keys."""

    def __init__(self, connection: sqlite3.Connection, model: ReadModel) -> None:
        self._model = model
        self._categories = tuple(
            views.Category(*row)
            for row in connection.execute(
                "SELECT c.slug, c.name, c.blurb, c.art, count(*) FROM categories c "
                "JOIN products p ON p.category_slug = c.slug GROUP BY c.slug ORDER BY c.position"
            )
        )
        self._by_slug = {category.slug: category for category in self._categories}

    def navigation(self, db: Session, basket: str | None) -> views.Navigation:  # noqa: ARG002  read when the shop opened
        return views.Navigation(self._categories, None)

    def home(self, db: Session) -> views.Home:
        shelves = db.rows(_SHELVES)
        voices = db.rows(
            "SELECT n.text, p.sku, p.name, r.author, r.rating, r.title, r.text, r.written_on FROM "
            "(SELECT text FROM notices ORDER BY id LIMIT 1) n, "
            "(SELECT * FROM reviews WHERE rating >= 4 ORDER BY id DESC LIMIT 4) r "
            "JOIN products p ON p.sku = r.sku"
        )
        items = _items(shelves)
        offers = len(items) - 2 * _SHELF_SIZE
        return views.Home(
            voices[0][0] if voices else "",
            items[:offers],
            items[offers : offers + _SHELF_SIZE],
            items[offers + _SHELF_SIZE :],
            tuple(views.FeaturedReview(sku, name, views.Review(*review)) for _, sku, name, *review in voices),
        )

    def category(self, db: Session, slug: str, page: int) -> views.ListingView:
        category = self._by_slug.get(slug)
        if category is None:
            raise NotFound(f"there is no category {slug!r}")
        rows = db.rows(
            _CARDS + "WHERE d.category_slug = ? ORDER BY d.popularity DESC LIMIT ? OFFSET ?",
            slug,
            views.PAGE_SIZE,
            (page - 1) * views.PAGE_SIZE,
        )
        return views.ListingView(category, None, page, category.products, _items(rows))

    def search(self, db: Session, query: str, page: int) -> views.ListingView:
        terms = " ".join(f'"{word}"*' for word in _WORD.findall(query)[:8])
        rows = db.rows(
            "SELECT d.card, s.on_hand > 0, count(*) OVER () FROM search_index i "
            "JOIN documents d ON d.sku = i.sku JOIN shown s ON s.sku = d.sku "
            "WHERE i.text MATCH ? ORDER BY d.popularity DESC LIMIT ? OFFSET ?",
            terms or '""',
            views.PAGE_SIZE,
            (page - 1) * views.PAGE_SIZE,
        )
        return views.ListingView(None, query, page, rows[0][2] if rows else 0, _items(rows))

    def product(self, db: Session, sku: str) -> views.ProductView:
        rows = db.rows(
            "SELECT d.card, s.on_hand > 0, s.on_hand, d.body, -1 AS position FROM documents d "
            "JOIN shown s ON s.sku = d.sku WHERE d.sku = ? UNION ALL "
            "SELECT d.card, s.on_hand > 0, 0, NULL, r.position FROM related r "
            "JOIN documents d ON d.sku = r.other_sku JOIN shown s ON s.sku = d.sku WHERE r.sku = ? "
            "ORDER BY position",
            sku,
            sku,
        )
        if not rows:
            raise NotFound(f"we do not sell {sku!r}")
        items, body = _items(rows), orjson.loads(rows[0][3])
        return views.ProductView(
            item=items[0],
            category_slug=body["category_slug"],
            category_name=body["category_name"],
            description=tuple(body["description"]),
            details=tuple((label, value) for label, value in body["details"]),
            on_hand=rows[0][2],
            reviews=tuple(views.Review(*review) for review in body["reviews"]),
            questions=tuple(views.Question(*question) for question in body["questions"]),
            recommendations=items[1:],
        )

    def recommendations(self, db: Session, sku: str) -> tuple[views.Item, ...]:
        rows = db.rows(
            "SELECT d.card, s.on_hand > 0 FROM related r JOIN documents d ON d.sku = r.other_sku "
            "JOIN shown s ON s.sku = d.sku WHERE r.sku = ? ORDER BY r.position",
            sku,
        )
        if not rows:
            raise NotFound(f"we do not sell {sku!r}, or it has no recommendations")
        return _items(rows)

    def landing(self, db: Session, code: str) -> views.ProductView:
        found = db.row("SELECT sku FROM print_codes WHERE code = ?", code)
        return self.product(db, found[0] if found else code)

    def new_basket(self, db: Session, channel: str) -> str:
        basket = secrets.token_urlsafe(16)
        db.write("INSERT INTO baskets VALUES (?, ?, 'open', 0)", basket, channel)
        return basket

    def find_account_basket(self, db: Session, session: str) -> str | None:
        found = db.row(_OWN_BASKET, session)
        return None if found is None else found[1]

    def open_account_basket(self, db: Session, session: str, channel: str) -> str | None:
        """One basket for each account: the second of two concurrent channels finds the first one's."""
        found = db.row(_OWN_BASKET, session)
        if found is None or found[1] is not None:
            return None if found is None else found[1]
        with db.transaction(queries=WRITE_QUERIES) as connection:
            made = secrets.token_urlsafe(16)
            connection.execute("INSERT OR IGNORE INTO account_baskets VALUES (?, ?)", (found[0], made))
            _, basket = connection.execute(_OWN_BASKET, (session,)).fetchone()
            connection.execute("INSERT OR IGNORE INTO baskets VALUES (?, ?, 'open', 0)", (basket, channel))
        return str(basket)

    def merge_guest_basket(self, db: Session, email: str, basket: str) -> str | None:
        """Merge a guest's basket into the account's, in one transaction."""
        with db.transaction(queries=WRITE_QUERIES) as connection:
            guests = connection.execute(GUEST_BASKET, (basket,)).fetchone() is not None
            if guests:
                connection.execute("INSERT OR IGNORE INTO account_baskets VALUES (?, ?)", (email, basket))
            found = connection.execute(
                "SELECT basket FROM account_baskets WHERE email = ?", (email,)
            ).fetchone()
            if guests and found[0] != basket:
                connection.execute(
                    "INSERT INTO basket_lines SELECT ?, sku, quantity FROM basket_lines WHERE basket = ? "
                    "ON CONFLICT DO UPDATE SET quantity = quantity + excluded.quantity",
                    (found[0], basket),
                )
                connection.execute("DELETE FROM basket_lines WHERE basket = ?", (basket,))
        return None if found is None else str(found[0])

    def add(self, db: Session, basket: str, wanted: WantedLine) -> views.BasketView:
        with db.transaction(queries=WRITE_QUERIES) as connection:
            found = connection.execute(
                "SELECT p.name, s.on_hand, "
                "coalesce((SELECT quantity FROM basket_lines WHERE basket = ? AND sku = ?), 0) "
                "FROM products p JOIN stock s ON s.sku = p.sku WHERE p.sku = ?",
                (basket, wanted.sku, wanted.sku),
            ).fetchone()
            if found is None:
                raise NotFound(f"we do not sell {wanted.sku!r}")
            name, on_hand, held = found
            if on_hand < held + wanted.quantity:
                raise SoldOut(wanted.sku, name)
            connection.execute(
                "INSERT OR REPLACE INTO basket_lines VALUES (?, ?, ?)",
                (basket, wanted.sku, held + wanted.quantity),
            )
            return _basket(connection.execute(_BASKET, (basket,)).fetchall(), basket)

    def basket(self, db: Session, basket: str) -> views.BasketView:
        return _basket(db.rows(_BASKET, basket), basket)

    def checkout(self, db: Session, basket: str) -> views.BasketView:
        return self.basket(db, basket)

    def place(self, db: Session, request: OrderRequest) -> views.OrderView:
        queries = ORDER_QUERIES + (request.session is not None)
        with db.transaction(queries=queries) as connection:
            placed = connection.execute(
                "SELECT order_ref, fingerprint FROM orders WHERE idempotency_key = ?", (request.key,)
            ).fetchone()
            if placed is not None:
                if placed[1] != request.fingerprint:
                    raise KeyReused("send a new Idempotency-Key with every new order")
                return read_order(connection, placed[0])
            channel, wanted = _wanted(connection, request)
            lines = [_reserve(connection, line, sold=request.sold_at_unix_s is not None) for line in wanted]
            ref = _insert(connection, request, channel, lines)
            if request.basket is not None:
                connection.execute("DELETE FROM basket_lines WHERE basket = ?", (request.basket,))
            for line in lines:
                self._model.stock_changed(line.sku)
            return read_order(connection, ref)

    def order(self, db: Session, ref: str) -> views.OrderView:
        return as_order(db.rows(ORDER, ref), ref)


_OWN_BASKET = """
SELECT s.email, a.basket FROM sessions s LEFT JOIN account_baskets a ON a.email = s.email WHERE s.session = ?
"""
_BASKET = """
SELECT b.channel, p.sku, p.name, p.art, p.hue, l.quantity, p.price_pence, s.on_hand
FROM baskets b LEFT JOIN basket_lines l ON l.basket = b.basket LEFT JOIN products p ON p.sku = l.sku
LEFT JOIN stock s ON s.sku = l.sku
WHERE b.basket = ? ORDER BY p.sku
"""


def _items(rows: list[Any]) -> tuple[views.Item, ...]:
    return tuple(views.Item(*[*orjson.loads(row[0]), bool(row[1])]) for row in rows)


def _basket(rows: list[Any], basket: str) -> views.BasketView:
    if not rows:
        raise NoBasket("this basket does not exist")
    return views.BasketView(
        basket, rows[0][0], tuple(views.BasketLineView(*row[1:]) for row in rows if row[1] is not None)
    )


def _wanted(connection: sqlite3.Connection, request: OrderRequest) -> tuple[str, tuple[WantedLine, ...]]:
    if request.basket is None:
        return request.channel or "web", request.lines
    basket = _basket(connection.execute(_BASKET, (request.basket,)).fetchall(), request.basket)
    if not basket.lines:
        raise EmptyBasket("there is nothing in this basket to order")
    return request.channel or basket.channel, tuple(
        WantedLine(line.sku, line.quantity) for line in basket.lines
    )


def _reserve(connection: sqlite3.Connection, line: WantedLine, *, sold: bool) -> views.OrderLine:
    """Reserve the units in one conditional statement; the transaction rolls back if another line fails.

    `sold` goods have left already, so they are taken even from an empty stock.
    """
    product = connection.execute(
        "SELECT name, price_pence FROM products WHERE sku = ?", (line.sku,)
    ).fetchone()
    if product is None:
        raise BadRequest((FieldProblem("lines", f"must be products we sell (got {line.sku!r})"),))
    taken = connection.execute(
        "UPDATE stock SET on_hand = on_hand - ?1 WHERE sku = ?2 AND (on_hand >= ?1 OR ?3)",
        (line.quantity, line.sku, sold),
    ).rowcount
    if not taken:
        raise SoldOut(line.sku, product[0])
    return views.OrderLine(line.sku, product[0], line.quantity, product[1])


def _insert(
    connection: sqlite3.Connection, request: OrderRequest, channel: str, lines: list[views.OrderLine]
) -> str:
    ref = new_order_ref()
    total_pence = sum(line.quantity * line.unit_pence for line in lines)
    found = connection.execute(SIGNED_IN, (request.session,)).fetchone() if request.session else None
    account = found[0] if found else None
    row = order_row(
        request, ref, channel=channel, account=account, total_pence=total_pence, now_unix_s=time.time()
    )
    order_id = connection.execute(INSERT_ORDER, row).lastrowid
    connection.executemany(
        "INSERT INTO order_lines VALUES (?, ?, ?, ?)",
        [(order_id, line.sku, line.quantity, line.unit_pence) for line in lines],
    )
    connection.executemany(
        "INSERT INTO stock_journal (sku, order_ref, quantity) VALUES (?, ?, ?)",
        [(line.sku, ref, line.quantity) for line in lines],
    )
    return ref
