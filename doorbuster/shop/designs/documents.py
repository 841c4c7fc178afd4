"""The read model of the replatformed shop: one document per product, and a full-text index.

A page takes one or two look-ups here instead of ten joins. The cost moves to changes such as reviews and
questions, which are about a thousand times rarer.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from typing import Any

import orjson

REVIEWS_SHOWN = 8
QUESTIONS_SHOWN = 6

_TABLES = """
CREATE TABLE documents (sku TEXT PRIMARY KEY, category_slug TEXT NOT NULL, popularity REAL NOT NULL,
  arrival INTEGER NOT NULL, offer INTEGER NOT NULL, card TEXT NOT NULL, body TEXT NOT NULL);
CREATE INDEX documents_in_category ON documents (category_slug, popularity DESC, card);
CREATE INDEX documents_by_popularity ON documents (popularity DESC);
CREATE INDEX documents_by_arrival ON documents (arrival DESC);
CREATE INDEX documents_on_offer ON documents (offer, popularity DESC);
CREATE VIRTUAL TABLE search_index USING fts5 (text, sku UNINDEXED)
"""
_CARDS = """
SELECT p.sku, p.name, p.tagline, p.art, p.hue, p.price_pence, p.was_pence,
  coalesce((SELECT round(avg(rating), 1) FROM reviews r WHERE r.sku = p.sku), 0),
  (SELECT count(*) FROM reviews r WHERE r.sku = p.sku),
  p.description, p.details, p.category_slug, c.name, p.popularity, p.arrival
FROM products p JOIN categories c ON c.slug = p.category_slug
"""


def write_documents(connection: sqlite3.Connection, sku: str | None = None) -> None:
    """Rewrite the document of one product, or without `sku` create the whole read model."""
    if sku is None:
        for statement in _TABLES.split(";\n"):
            connection.execute(statement)
    where, key = (" WHERE p.sku = ?", (sku,)) if sku else ("", ())
    products = connection.execute(_CARDS + where, key).fetchall()
    opinions = _opinions(connection, sku)
    documents = []
    for row in products:
        body = {
            "category_slug": row[11],
            "category_name": row[12],
            "description": row[9].split("\n"),
            "details": orjson.loads(row[10]),
            **opinions[row[0]],
        }
        documents.append(
            (
                row[0],
                row[11],
                row[13],
                row[14],
                int(row[6] is not None),
                orjson.dumps(row[:9]).decode(),
                orjson.dumps(body).decode(),
            )
        )
    connection.executemany("INSERT OR REPLACE INTO documents VALUES (?, ?, ?, ?, ?, ?, ?)", documents)
    if sku is None:
        connection.executemany(
            "INSERT INTO search_index VALUES (?, ?)",
            ((f"{row[1]} {row[12]} {row[2]} {row[0]}", row[0]) for row in products),
        )


def _opinions(connection: sqlite3.Connection, sku: str | None) -> defaultdict[str, dict[str, list[Any]]]:
    """The latest reviews and questions by SKU, newest first."""
    found: defaultdict[str, dict[str, list[Any]]] = defaultdict(lambda: {"reviews": [], "questions": []})
    where, key = (" WHERE sku = ?", (sku,)) if sku else ("", ())
    reads = (
        ("reviews", "author, rating, title, text, written_on", REVIEWS_SHOWN),
        ("questions", "id, author, text, answer", QUESTIONS_SHOWN),
    )
    for table, columns, limit in reads:
        statement = f"SELECT sku, {columns} FROM {table}{where} ORDER BY id DESC"  # noqa: S608  constants only
        for owner, *values in connection.execute(statement, key):
            shown = found[owner][table]
            if len(shown) < limit:
                shown.append(values)
    return found
