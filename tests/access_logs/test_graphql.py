"""GraphQL in access logs: everything is sent to one address, so the names of operations tell the pages."""

from __future__ import annotations

import json

import numpy as np
import pytest
from simulated_log import FIREFOX, combined_lines, simulate

from doorbuster.access_logs import LogMap, LogOptions, model_demand, scenario_text
from doorbuster.access_logs.demand_model import views_by_kind
from doorbuster.access_logs.graphql_operations import kind_of_operation, operation_in
from doorbuster.access_logs.page_kinds import kind_by_words
from doorbuster.access_logs.page_paths import route_of

CHAIN = {
    "enter": {"home": 0.6, "product": 0.4},
    "home": {"category": 0.6, "leave": 0.4},
    "category": {"product": 0.7, "leave": 0.3},
    "product": {"product": 0.3, "add_to_basket": 0.3, "leave": 0.4},
    "add_to_basket": {"checkout": 0.5, "leave": 0.5},
    "checkout": {"leave": 1.0},
}
# What a page asks for at once, in this order; the basket in the page's head is not a page view.
OPERATIONS = {
    "home": ("GetCart", "HomePage"), "category": ("GetCart", "CategoryProducts", "Filters"),
    "product": ("GetCart", "ProductDetail", "ProductReviews"), "add_to_basket": ("AddItemToCart",),
    "checkout": ("CompleteCheckout",),
}  # fmt: skip


@pytest.fixture(scope="module")
def visited():
    """Page views with their operations: time, visitor, page, operation."""
    pages = simulate(
        CHAIN, 400, rate_per_s=0.5, think_s=lambda rng: 3 + float(rng.lognormal(2, 0.7)), seed=11
    )
    rows = [
        (one.time_s + 0.1 * place, one.visit, one.page, name)
        for one in pages for place, name in enumerate(OPERATIONS[one.page])
    ]  # fmt: skip
    return pages, sorted(rows)


def as_combined(rows, address):
    pages = [type("Row", (), {"time_s": t, "visit": v, "page": name}) for t, v, _, name in rows]
    return combined_lines(pages, {name: f"POST {address(name)}" for _, _, _, name in rows})


def as_json(rows, **field):
    lines = []
    for time_s, visit, _, name in rows:
        line = {"msec": f"{time_s:.3f}", "remote_addr": f"10.0.{visit >> 8}.{visit & 255}", "status": 200,
                "http_user_agent": FIREFOX, "request": "POST /shop-api?languageCode=en HTTP/2.0"}  # fmt: skip
        lines.append(json.dumps(line | {key: make(name) for key, make in field.items()}))
    return "\n".join(lines) + "\n"


def body(name):
    return json.dumps(
        {"query": f"query {name}($email: String) {{ x }}", "variables": {"email": "jo@example.com"}}
    )


def model(tmp_path, text):
    (tmp_path / "shop.log").write_text(text)
    return model_demand([tmp_path / "shop.log"], LogOptions(LogMap()), gap_s=1800, window_s=3600)


@pytest.mark.parametrize(
    "write",
    [
        lambda rows: as_combined(rows, "/graphql?operationName={}".format),
        lambda rows: as_combined(rows, "/api/graphql/{}".format),
        lambda rows: as_combined(rows, "/graphql?op={}&hash=1".format),
        lambda rows: as_json(rows, operationName=str),
        lambda rows: as_json(rows, graphql=lambda name: {"operation": {"name": name}}),
        lambda rows: as_json(rows, request_body=body),
    ],
    ids=["query", "path", "op", "field", "nested", "body"],
)
def test_the_operations_of_a_page_are_one_view_of_its_kind(write, visited, tmp_path):
    pages, rows = visited
    found = model(tmp_path, write(rows))
    expected = {kind: sum(one.page == kind for one in pages) for kind in OPERATIONS}
    assert dict(views_by_kind(found)) == expected
    assert len(found.behaviour.visits) == 400
    assert not found.notes
    assert "jo@example" not in scenario_text(found, "x")


@pytest.mark.parametrize("address", ["/graphql", "/shop-api", "/api/2026-10/graphql.json"])
def test_a_log_without_names_says_what_it_cannot_tell_and_what_to_log(address, visited, tmp_path):
    pages, rows = visited
    found = model(tmp_path, as_combined(rows, lambda _: address))
    assert len(found.notes) == 1
    shown = address.replace("2026-10", "{id}")
    assert f"100 % of the requests are POST {shown}, as with GraphQL, so kinds of pages" in found.notes[0]
    assert "log the name of the operation, as ?operationName=" in found.notes[0]
    assert found.notes[0].split(",")[0] in scenario_text(found, "x")
    assert set(views_by_kind(found)) == {"other"}
    assert np.isclose(found.pages_per_visit, len(pages) / 400)


NAMES = {
    "GetProductDetails": "product", "productPage": "product", "PDP": "product", "ProductList": "category",
    "CategoryProducts": "category", "getCollection": "category", "SearchProducts": "search",
    "SearchSuggestions": "ignore", "ProductReviews": "ignore", "HomePage": "home", "GetCart": "basket",
    "GetActiveOrder": "basket", "GetCheckout": "checkout_page", "OrderHistory": "order_status",
    "AddItemToCart": "add_to_basket", "addItemToOrder": "add_to_basket", "cartLinesAdd": "add_to_basket",
    "checkoutLinesAdd": "add_to_basket", "createCart": "add_to_basket", "cartLinesRemove": "other",
    "SetOrderShippingAddress": "other", "checkoutEmailUpdate": "other", "placeOrder": "checkout",
    "checkoutComplete": "checkout", "AddPaymentToOrder": "payment", "Login": "sign_in", "logout": "other",
    "trackEvent": "ignore", "IntrospectionQuery": "other",
}  # fmt: skip


@pytest.mark.parametrize(("name", "kind"), NAMES.items())
def test_the_name_of_an_operation_tells_the_kind_of_page(name, kind):
    assert kind_of_operation(name) == kind
    assert kind_by_words("POST", "/graphql", route_of(f"operationName={name}")).kind == kind


@pytest.mark.parametrize(
    ("value", "name"),
    [("GetCart", "GetCart"), ('{"operationName":"A","query":"query B { x }"}', "A"),
     ("mutation Add($x: Int) {", "Add"),
     ("{ cart { id } }", ""), ("", ""), (None, ""), (7, ""), ("a b", ""), ('{"operationName":null}', "")],
)  # fmt: skip
def test_a_field_may_hold_the_name_or_a_body_that_has_it(value, name):
    assert operation_in(value) == name


def test_a_payment_is_the_order_only_where_nothing_else_places_it(tmp_path):
    rows = [
        (1.7e9 + 60 * n + step, n, "", name)
        for n in range(200) for step, name in enumerate(("addItemToOrder", "addPaymentToOrder", "placeOrder"))
    ]  # fmt: skip
    address = "/graphql?operationName={}".format
    found = views_by_kind(model(tmp_path, as_combined(rows, address)))
    assert found == {"add_to_basket": 200, "other": 200, "checkout": 200}
    without = [row for row in rows if row[3] != "placeOrder"]
    found = views_by_kind(model(tmp_path, as_combined(without, address)))
    assert found == {"add_to_basket": 200, "checkout": 200}
