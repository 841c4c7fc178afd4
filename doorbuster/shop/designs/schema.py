"""The shop's database schema: creates and fills the file for one design, or checks the one to reuse."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from doorbuster.errors import UsageError
from doorbuster.shop.designs.documents import write_documents
from doorbuster.shop.domain.catalogue import CatalogueRows, make_catalogue
from doorbuster.shop.domain.credentials import accounts_at_opening
from doorbuster.shop.infrastructure.database import Database
from doorbuster.shop_settings import ShopSettings

FILE_NAME = "shop.sqlite"
# Format history: 1 first; 2 accounts, answers, state and store of an order; 3 baskets of accounts.
FORMAT = 3

_TABLES = """
CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE categories (slug TEXT PRIMARY KEY, name TEXT NOT NULL, blurb TEXT NOT NULL, art TEXT NOT NULL,
  position INTEGER NOT NULL);
CREATE TABLE products (sku TEXT PRIMARY KEY, category_slug TEXT NOT NULL, name TEXT NOT NULL,
  tagline TEXT NOT NULL, description TEXT NOT NULL, details TEXT NOT NULL, art TEXT NOT NULL,
  hue INTEGER NOT NULL,
  price_pence INTEGER NOT NULL, was_pence INTEGER, popularity REAL NOT NULL, arrival INTEGER NOT NULL);
CREATE TABLE related (sku TEXT NOT NULL, position INTEGER NOT NULL, other_sku TEXT NOT NULL,
  PRIMARY KEY (sku, position)) WITHOUT ROWID;
CREATE TABLE reviews (id INTEGER PRIMARY KEY, sku TEXT NOT NULL, author TEXT NOT NULL,
  rating INTEGER NOT NULL, title TEXT NOT NULL, text TEXT NOT NULL, written_on TEXT NOT NULL);
CREATE TABLE questions (id INTEGER PRIMARY KEY, sku TEXT NOT NULL, author TEXT NOT NULL,
  text TEXT NOT NULL, answer TEXT);
CREATE TABLE answers (id INTEGER PRIMARY KEY, question_id INTEGER NOT NULL, author TEXT NOT NULL,
  text TEXT NOT NULL);
CREATE TABLE notifications (id INTEGER PRIMARY KEY, question_id INTEGER NOT NULL, buyer TEXT NOT NULL);
CREATE TABLE accounts (email TEXT PRIMARY KEY, name TEXT NOT NULL, salt BLOB NOT NULL, digest BLOB NOT NULL,
  expired INTEGER NOT NULL);
CREATE TABLE sessions (session TEXT PRIMARY KEY, email TEXT NOT NULL);
CREATE TABLE resets (code TEXT PRIMARY KEY, email TEXT NOT NULL);
CREATE TABLE notices (id INTEGER PRIMARY KEY, text TEXT NOT NULL);
CREATE TABLE print_codes (code TEXT PRIMARY KEY, sku TEXT NOT NULL);
CREATE TABLE search_log (id INTEGER PRIMARY KEY, query TEXT NOT NULL, found INTEGER NOT NULL);
CREATE TABLE customers (email TEXT PRIMARY KEY, name TEXT NOT NULL, orders INTEGER NOT NULL);
CREATE TABLE baskets (basket TEXT PRIMARY KEY, channel TEXT NOT NULL, status TEXT NOT NULL,
  total_pence INTEGER NOT NULL);
CREATE TABLE basket_lines (basket TEXT NOT NULL, sku TEXT NOT NULL, quantity INTEGER NOT NULL,
  PRIMARY KEY (basket, sku)) WITHOUT ROWID;
CREATE TABLE account_baskets (email TEXT PRIMARY KEY, basket TEXT NOT NULL UNIQUE);
CREATE TABLE stock (sku TEXT PRIMARY KEY, opening INTEGER NOT NULL, on_hand INTEGER NOT NULL);
CREATE TABLE orders (id INTEGER PRIMARY KEY AUTOINCREMENT, order_ref TEXT NOT NULL,
  idempotency_key TEXT NOT NULL, fingerprint TEXT NOT NULL, channel TEXT NOT NULL, operator TEXT,
  customer_name TEXT, email TEXT, address TEXT, postcode TEXT, total_pence INTEGER NOT NULL,
  placed_at_unix_s REAL NOT NULL, picked_at_unix_s REAL, state TEXT NOT NULL, store TEXT, account TEXT,
  sold_at_unix_s REAL);
CREATE TABLE order_lines (order_id INTEGER NOT NULL, sku TEXT NOT NULL, quantity INTEGER NOT NULL,
  unit_pence INTEGER NOT NULL, PRIMARY KEY (order_id, sku)) WITHOUT ROWID;
CREATE TABLE order_events (id INTEGER PRIMARY KEY, order_ref TEXT NOT NULL, event TEXT NOT NULL);
CREATE TABLE stock_journal (id INTEGER PRIMARY KEY, sku TEXT NOT NULL, order_ref TEXT NOT NULL,
  quantity INTEGER NOT NULL);
"""
_INDEXES = """
CREATE INDEX products_in_category ON products (category_slug, popularity DESC);
CREATE INDEX products_by_popularity ON products (popularity DESC);
CREATE INDEX products_by_arrival ON products (arrival DESC);
CREATE INDEX reviews_of ON reviews (sku, id);
CREATE INDEX questions_of ON questions (sku, id);
CREATE INDEX orders_by_ref ON orders (order_ref);
CREATE INDEX orders_to_pick ON orders (id) WHERE picked_at_unix_s IS NULL AND state = 'placed';
CREATE INDEX orders_of_account ON orders (account, id) WHERE account IS NOT NULL;
CREATE INDEX questions_open ON questions (id) WHERE answer IS NULL;
CREATE INDEX order_lines_of_sku ON order_lines (sku);
"""
# The designs differ here too: in 2004 only the program, not the database, looked for duplicate orders.
_KEY_INDEX = {
    "in-house-2004": "CREATE INDEX orders_by_key ON orders (idempotency_key)",
    "replatformed": "CREATE UNIQUE INDEX orders_by_key ON orders (idempotency_key)",
}


def open_database(settings: ShopSettings, folder: Path) -> Database:
    """The shop's database in `folder`: a new one, or with `reuse` the one found there."""
    path = folder / FILE_NAME
    try:
        if settings.reuse and path.exists():
            _check_reusable(path, settings)
        else:
            for suffix in ("", "-wal", "-shm"):
                path.with_name(FILE_NAME + suffix).unlink(missing_ok=True)
            _create(path, settings)
        _show_stock(path, lag_s=settings.sync_lag_s)
    except (OSError, sqlite3.Error) as error:
        raise UsageError(
            f"{path}: the shop cannot keep its database here ({error}); choose another --folder"
        ) from error
    return Database(path)


def _create(path: Path, settings: ShopSettings) -> None:
    catalogue = make_catalogue(seed=settings.seed, products=settings.products)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(
            "PRAGMA synchronous = OFF"
        )  # an incomplete database is created again, not recovered
        connection.execute("BEGIN")
        for statement in _TABLES.split(";\n"):
            connection.execute(statement)
        _fill(connection, catalogue, settings)
        for statement in _INDEXES.split(";\n"):
            connection.execute(statement)
        connection.execute(_KEY_INDEX[settings.profile])
        if settings.profile == "replatformed":
            write_documents(connection)
        connection.execute("COMMIT")
        connection.execute("ANALYZE")


def _fill(connection: sqlite3.Connection, catalogue: CatalogueRows, settings: ShopSettings) -> None:
    def insert(table: str, columns: int, rows: list[Any]) -> None:
        connection.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * columns)})", rows)  # noqa: S608

    insert("about", 2, list(_about(settings).items()))
    insert("categories", 5, catalogue.categories)
    insert("products", 12, catalogue.products)
    insert("related", 3, catalogue.related)
    insert("print_codes", 2, catalogue.print_codes)
    insert("notices", 2, list(enumerate(catalogue.notices, start=1)))
    stock = (
        catalogue.stock
        if settings.opening_stock is None
        else [(sku, settings.opening_stock) for sku, _ in catalogue.stock]
    )
    insert("stock", 3, [(sku, units, units) for sku, units in stock])
    insert("accounts", 5, accounts_at_opening())
    connection.executemany(
        "INSERT INTO reviews (sku, author, rating, title, text, written_on) VALUES (?, ?, ?, ?, ?, ?)",
        catalogue.reviews,
    )
    connection.executemany(
        "INSERT INTO questions (sku, author, text, answer) VALUES (?, ?, ?, ?)", catalogue.questions
    )


def _about(settings: ShopSettings) -> dict[str, str]:
    return {
        "format": str(FORMAT),
        "profile": settings.profile,
        "seed": str(settings.seed),
        "products": str(settings.products),
    }


def _check_reusable(path: Path, settings: ShopSettings) -> None:
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
        found = dict(connection.execute("SELECT name, value FROM about"))
    wanted = _about(settings)
    different = [
        f"{name} {found.get(name)}, not {wanted[name]}" for name in wanted if found.get(name) != wanted[name]
    ]
    if different:
        raise UsageError(
            f"{path}: this database was made with {'; '.join(different)}; leave out --reuse to make a new one"
        )


def _show_stock(path: Path, *, lag_s: float) -> None:
    """Create `shown`, the stock on pages: the master stock itself, or with a lag a copy of it."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for kind in ("VIEW", "TABLE"):
            found = connection.execute(
                "SELECT 1 FROM sqlite_master WHERE name = 'shown' AND type = ?", (kind.lower(),)
            ).fetchone()
            if found is not None:
                connection.execute(f"DROP {kind} shown")
        if lag_s > 0:
            connection.execute("CREATE TABLE shown (sku TEXT PRIMARY KEY, on_hand INTEGER NOT NULL)")
            connection.execute("INSERT INTO shown SELECT sku, on_hand FROM stock")
        else:
            connection.execute("CREATE VIEW shown AS SELECT sku, on_hand FROM stock")
