"""GraphQL requests to Vendure, and its errors, which have status 200."""

from __future__ import annotations

from typing import Any

from doorbuster.storefronts.base import Rejected, checked
from doorbuster.storefronts.http import Client, HttpResponse

SHOP_API, ADMIN_API = "/shop-api", "/admin-api"
TOKEN_HEADER = "vendure-auth-token"  # noqa: S105  the name of the header
PAGE = 100  # Vendure's own limit for lists


def post(client: Client, api: str, query: str, token: str = "", **variables: Any) -> HttpResponse:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return client.request("POST", api, json={"query": query, "variables": variables}, headers=headers)


def parse_data(response: HttpResponse) -> dict[str, Any]:
    """The response's data. Raises Rejected; the body explains 4xx responses too."""
    try:
        answer = checked(response).json()
    except ValueError as error:
        raise Rejected("unexpected_content", response.text[:200]) from error
    if not isinstance(answer, dict) or answer.get("errors") or not isinstance(answer.get("data"), dict):
        errors = answer.get("errors") if isinstance(answer, dict) else None
        raise Rejected("graphql_error", str(errors[0].get("message") if errors else answer)[:200])
    found: dict[str, Any] = answer["data"]
    return found


def parse_order(data: dict[str, Any]) -> dict[str, Any]:
    """The order that a mutation returns. Raises Rejected with the error that it returned instead."""
    result: dict[str, Any] = next(iter(data.values())) or {}
    kind = result.get("__typename", "nothing")
    if kind == "Order":
        return result
    detail = f"{kind}: {result.get('transitionError') or result.get('message') or ''}"
    if kind == "InsufficientStockError" or "insufficient stock" in detail.lower():
        raise Rejected("sold_out", detail, expected=True)
    raise Rejected(refusal_cause(kind), detail)


def refusal_cause(kind: str) -> str:
    """A GraphQL type such as PaymentDeclinedError as a cause: payment_declined."""
    words = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in kind)
    return words.strip("_").removesuffix("_error") or "refused"


def all_pages(client: Client, api: str, query: str, field: str, **variables: Any) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    while True:
        page = parse_data(post(client, api, query, skip=len(items), take=PAGE, **variables))[field]
        items.extend(page["items"])
        if not page["items"] or len(items) >= page["totalItems"]:
            return items
