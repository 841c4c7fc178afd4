# ruff: noqa: E501 -- descriptions as they are written
"""Which operations of an API make up a purchase, and what of them is sent."""

from __future__ import annotations

import re

import pytest
import yaml
from click.testing import CliRunner

from doorbuster.cli import init
from doorbuster.storefronts.openapi.described_visit import described_visit
from doorbuster.storefronts.openapi.document import read_openapi


def answer(schema):
    return {"responses": {"200": {"content": {"application/json": {"schema": schema}}}}}


def body(**properties):
    required = properties.pop("required", [])
    schema = {"type": "object", "properties": properties, "required": required}
    return {"requestBody": {"content": {"application/json": {"schema": schema}}}}


def model(name):
    return {"$ref": f"#/components/schemas/{name}"}


# As FastAPI writes it: every property and every list has a title, and a list is not called by what it holds.
GENERATED = {
    "openapi": "3.1.0",
    "servers": [{"url": "http://127.0.0.1:9"}],
    "paths": {
        "/products/{product_id}": {"get": answer(model("Product"))},
        "/products": {"get": {
            "parameters": [{"name": "q", "in": "query", "required": True, "schema": {"type": "string", "title": "Q"}}],
            **answer({"type": "array", "items": model("Product"), "title": "Response Search Products Get"})}},
        "/categories/{slug}/products": {"get": answer({"type": "array", "items": model("Product"), "title": "R"})},
        "/categories": {"get": answer({"type": "array", "items": model("Category"), "title": "Response"})},
        "/carts/{cart_id}/checkout": {"post": {**body(email={"type": "string", "title": "Email"}),
                                               **answer(model("Order"))}},
        "/carts/{cart_id}/lines": {"post": {**body(product_id={"type": "integer", "title": "Product Id"}),
                                            **answer(model("Cart"))}},
        "/carts/{cart_id}": {"get": answer(model("Cart"))},
        "/carts": {"post": answer(model("Cart"))},
    },
    "components": {"schemas": {
        "Product": {"type": "object", "title": "Product", "properties": {
            "id": {"type": "integer", "title": "Id"}, "price": {"type": "number", "title": "Price"},
            "in_stock": {"type": "boolean", "title": "In Stock"}}},
        "Category": {"type": "object", "title": "Category", "properties": {"slug": {"type": "string", "title": "Slug"}}},
        "Cart": {"type": "object", "title": "Cart", "properties": {"id": {"type": "string", "title": "Id"}}},
        "Order": {"type": "object", "title": "Order", "properties": {
            "order_number": {"type": "string", "title": "Order Number"}}},
    }},
}  # fmt: skip


def changed(**paths):
    return {**GENERATED, "paths": {**GENERATED["paths"], **paths}}


def drafted(tmp_path, document):
    (tmp_path / "api.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
    words = ["--storefront", "mine", "--openapi", str(tmp_path / "api.yaml"), str(tmp_path / "out")]
    done = CliRunner().invoke(init.command, words)
    assert done.exception is None, done.exception
    return done.output, (tmp_path / "out" / "locustfiles" / "_mine.py").read_text()


def visit(tmp_path, document):
    (tmp_path / "api.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
    return described_visit(read_openapi(tmp_path / "api.yaml"))


def test_a_generated_description_gives_a_driver_that_follows_every_identifier(tmp_path):
    output, text = drafted(tmp_path, GENERATED)
    steps = re.findall(r"^#   (\w+) +(.+)$", text, re.MULTILINE)
    assert steps[3:] == [
        ("add_to_basket", "POST /carts/{id}/lines"),
        ("basket", "GET /carts/{id}"),
        ("checkout", "POST /carts/{id}/checkout"),
    ]
    assert 'visitor.fetch("GET", "/categories")' in text
    assert 'self.fetch("POST", "/carts")' in text
    assert "to do: prepare" not in output
    assert "return self.category()" in text.partition("def home(self)")[2][:200]
    scenario = (tmp_path / "out" / "scenarios" / "mine-smoke.yaml").read_text()
    assert "journeys: {browse: 40, search: 20, buy: 40}" in scenario


OTHERS = {
    "/orders/{id}/return": {"post": body()},
    "/order/state/cancel": {"post": body()},
    "/subscriptions/checkout": {"post": body()},
    "/paypal/create-order": {"post": body()},
    "/quotes/{id}/product-search": {"post": body()},
    "/carts/{cart_id}/lines/{line_id}": {"patch": body(), "delete": {}},
    "/appointments/collections/last-seen": {"get": answer({"type": "array", "items": model("Category")})},
    "/newsletter": {"post": body()},
    "/admin/products": {"post": body()},
}


def test_operations_that_no_purchase_needs_are_neither_sent_nor_taken_for_a_step(tmp_path):
    expected = drafted(tmp_path, GENERATED)[1]
    tmp_path = tmp_path / "more"
    tmp_path.mkdir()
    found = drafted(tmp_path, {**GENERATED, "paths": {**OTHERS, **GENERATED["paths"]}})[1]
    kept = [line for line in expected.splitlines() if not line.startswith("# Left out")]
    assert [line for line in found.splitlines() if not line.startswith("# Left out")] == kept


def test_paths_that_repeat_another_with_a_format_are_left_out(tmp_path):
    document = changed(
        **{"/carts{format}": GENERATED["paths"]["/carts"], "/products/{id}.{format}": {"get": {}}}
    )
    assert not [one.path for one in visit(tmp_path, document).requests if "format" in one.path]


@pytest.mark.parametrize(
    ("properties", "sent"),
    [
        ({"a": {"type": "integer", "readOnly": True}, "b": {"type": "integer"}}, {"b": 1}),
        ({"a": {"type": "integer"}, "b": {"type": "integer"}, "required": ["b"]}, {"b": 1}),
        (
            {"a": {"type": "integer", "example": 7}, "b": {"type": "integer"}, "required": ["b"]},
            {"a": 7, "b": 1},
        ),
        ({"a": {"type": "integer"}, "b": {"type": "integer"}}, {"a": 1, "b": 1}),
    ],
)
def test_a_body_has_what_the_shop_requires(properties, sent, tmp_path):
    requests = visit(
        tmp_path, changed(**{"/carts/{cart_id}/checkout": {"post": body(**properties)}})
    ).requests
    assert next(one.body.value for one in requests if one.path.endswith("/checkout")) == sent
