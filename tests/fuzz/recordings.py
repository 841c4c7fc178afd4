"""Recordings: a visit with values and texts changed; each gives a harmless driver or is refused."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from random import Random

from doorbuster.storefronts.har.driver_draft import draft_driver
from doorbuster.storefronts.har.recording import read_har
from tests.fuzz.mutations import ODD_TEXTS, mutated_bytes, mutated_value
from tests.storefronts.har_entries import entry, visit
from tests.storefronts.test_har_hostile import assert_harmless, hostile_visit

TEMPLATE = (files("doorbuster.cli") / "starter" / "driver.py.template").read_text(encoding="utf-8")


def json_visit() -> list[dict[str, object]]:
    """A shop that is used through a JSON API."""
    product = {"product": {"sku": "LAN-40", "price": 19.5, "stock": 4}}
    return visit(
        product=entry("GET", "/api/products/LAN-40", at=14, text=product),
        add_to_basket=entry("POST", "/api/cart/items", at=19, body={"sku": "LAN-40", "quantity": 1},
                            text={"cart": {"id": "c-1234567890"}}),
        checkout=entry("POST", "/api/cart/c-1234567890/checkout", at=40, body={"token": "tok-1234567890"},
                       headers={"Authorization": "Bearer abc.def"}, text={"order": {"number": "A-17"}}),
    )  # fmt: skip


def case(rng: Random, folder: Path) -> str:
    how = rng.random()
    entries = (
        json_visit() if how < 0.4 else visit() if how < 0.7 else hostile_visit(rng.choice(ODD_TEXTS)[:300])
    )
    document = {"log": {"version": "1.2", "entries": entries}}
    data = _dumped(mutated_value(rng, document, rng.choice((1, 1, 2, 4, 12))))
    if rng.random() < 0.15:
        data = mutated_bytes(rng, data)
    try:
        recorded = read_har(data)
    except ValueError as error:
        assert len(str(error)) < 1000
        return "refused"
    assert_harmless(draft_driver(TEMPLATE, recorded).text)
    return "accepted"


def _dumped(value: object) -> bytes:
    return json.dumps(value).encode("utf-8", "surrogatepass")
