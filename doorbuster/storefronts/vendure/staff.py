"""Staff actions in Vendure's admin interface: sign in, read the ledger, cancel orders, set prices and stock.

The login comes from the environment variables DOORBUSTER_VENDURE_USER and DOORBUSTER_VENDURE_PASSWORD; the
default is the login of a new Vendure project.
"""

from __future__ import annotations

import os
from collections import Counter
from datetime import UTC, datetime
from typing import Any

from doorbuster.storefronts.base import BasketLine, BookedOrder, LedgerSnapshot, Rejected, StockRow
from doorbuster.storefronts.http import Client
from doorbuster.storefronts.order_tag import read_order_tag
from doorbuster.storefronts.vendure import queries as ask
from doorbuster.storefronts.vendure.graphql import (
    ADMIN_API,
    TOKEN_HEADER,
    all_pages,
    parse_data,
    parse_order,
    post,
)


def sign_in(client: Client) -> tuple[str, ...]:
    """The token of a staff session; empty if the login is refused."""
    user = os.environ.get("DOORBUSTER_VENDURE_USER", "superadmin")
    password = os.environ.get("DOORBUSTER_VENDURE_PASSWORD", "superadmin")
    response = post(client, ADMIN_API, ask.SIGN_IN, user=user, password=password)
    if response.status_code in (401, 403, 404):
        return ()  # the shop has its admin interface elsewhere
    if parse_data(response)["login"]["__typename"] != "CurrentUser":
        return ()
    token = response.headers.get(TOKEN_HEADER)
    return (token,) if token else ()


def read_ledger(client: Client, *, since_unix_s: float) -> LedgerSnapshot | None:
    """Orders placed since then and not cancelled; None if the login is refused."""
    token = sign_in(client)
    if not token:
        return None
    since = datetime.fromtimestamp(since_unix_s, tz=UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    orders = all_pages(client, ADMIN_API, ask.LEDGER, "orders", token=token[0], since=since)
    stock = all_pages(client, ADMIN_API, ask.STOCK, "productVariants", token=token[0])
    return LedgerSnapshot(
        orders=tuple(_booked(order) for order in orders if order["state"] != "Cancelled"),
        stock=_stock(stock),
    )


def cancel_order(client: Client, ref: str) -> None:
    """Cancel an order and its delivery, which puts the goods on sale again.

    A payment that was only authorised stays so; refunds are up to the shop's operator.
    """
    found = ask_as_staff(client, ask.FIND_ORDER, code=ref)["orders"]["items"]
    if not found:
        raise Rejected("order_without_reference", ref)
    if found[0]["state"] == "Cancelled":
        raise Rejected("already_cancelled", ref, expected=True)
    done = parse_order(ask_as_staff(client, ask.CANCEL, order=found[0]["id"]))
    if done["state"] != "Cancelled":
        raise Rejected("cannot_be_cancelled", f"{ref} is in state {done['state']}")


def change_price(client: Client, sku: str, pence: int) -> int:
    """Set the price with tax; returns what customers will see.

    Where Vendure stores prices without tax, rounding makes some prices impossible.
    """
    variant = find_variant(client, sku)
    price = pence
    if not variant["pricesIncludeTax"]:
        price = round(pence / (1 + variant["taxRateApplied"]["value"] / 100))
    (changed,) = ask_as_staff(client, ask.CHANGE_VARIANT, variant={"id": variant["id"], "price": price})[
        "updateProductVariants"
    ]
    return int(changed["priceWithTax"])


def change_stock(client: Client, sku: str, on_hand: int) -> None:
    """Set the units on the shelf, including those allocated to orders, which cannot be bought."""
    variant = {"id": find_variant(client, sku)["id"], "stockOnHand": on_hand}
    (changed,) = ask_as_staff(client, ask.CHANGE_VARIANT, variant=variant)["updateProductVariants"]
    if changed["stockOnHand"] != on_hand:
        raise Rejected("stock_not_changed", f"{sku}: {changed['stockOnHand']} on hand")


def find_variant(client: Client, sku: str) -> dict[str, Any]:
    """The variant with this SKU, and whether prices are stored with tax.

    Raises: Rejected if there is none, or more than one.
    """
    found = ask_as_staff(client, ask.FIND_VARIANT, sku=sku)
    items = found["productVariants"]["items"]
    if len(items) != 1:
        raise Rejected("several_variants" if items else "unknown_sku", sku)
    return {**items[0], **found["activeChannel"]}


def ask_as_staff(client: Client, query: str, **variables: Any) -> dict[str, Any]:
    """The response data of the admin interface; signs in if required.

    The session of an earlier call is in the client's cookies, unless the shop accepts bearer tokens only.

    Raises: Rejected (staff_login) if the login is refused.
    """
    answer = post(client, ADMIN_API, query, **variables)
    if "FORBIDDEN" in answer.text:
        token = next(iter(sign_in(client)), "")
        if not token:
            raise Rejected("staff_login", "the admin login failed; set DOORBUSTER_VENDURE_USER")
        answer = post(client, ADMIN_API, query, token, **variables)
    return parse_data(answer)


def parse_lines(order: dict[str, Any]) -> tuple[BasketLine, ...]:
    return tuple(
        BasketLine(line["productVariant"]["sku"], line["quantity"], line["unitPriceWithTax"])
        for line in order["lines"]
    )


def _booked(order: dict[str, Any]) -> BookedOrder:
    tag = read_order_tag((order["shippingAddress"] or {}).get("company"))
    return BookedOrder(
        ref=order["code"],
        idempotency_key=tag.key,
        channel=tag.channel,
        total_pence=order["totalWithTax"],
        placed_at_unix_s=datetime.fromisoformat(order["orderPlacedAt"]).timestamp(),
        picked_at_unix_s=None,
        lines=parse_lines(order),
    )


def _stock(variants: list[dict[str, Any]]) -> tuple[StockRow, ...]:
    """Stock per SKU, because several variants may share a SKU and order lines do not name the variant.

    Allocated units are on the shelf, but no longer for sale.
    """
    shelf: Counter[str] = Counter()
    allocated: Counter[str] = Counter()
    for row in variants:
        shelf[row["sku"]] += row["stockOnHand"]
        allocated[row["sku"]] += row["stockAllocated"]
    return tuple(StockRow(sku, units, units - allocated[sku], allocated[sku]) for sku, units in shelf.items())
