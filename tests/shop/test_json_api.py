"""The JSON API: app, till, telephone, ledger."""

from __future__ import annotations

import pytest
from aiohttp import FormData

CUSTOMER = {"name": "Ada", "email": "ada@example.com", "address": "1 High Street", "postcode": "CB7 4AA"}


def test_the_app_orders_what_its_basket_holds(visit, profile):
    async def scenario(visitor):
        home = await visitor.document("/api/home")
        sku = home["best_sellers"][0]["sku"]
        product = await visitor.document(f"/api/products/{sku}")
        basket = await visitor.filled_basket(sku, 3)
        held = await visitor.document(f"/api/baskets/{basket}")
        assert held["total_pence"] == 3 * product["price_pence"]

        placed = await visitor.order(basket, "app-1")
        answer = await placed.json()
        assert placed.status == 201
        assert answer == {
            "order_ref": answer["order_ref"],
            "total_pence": 3 * product["price_pence"],
            "lines": [{"sku": sku, "quantity": 3, "unit_pence": product["price_pence"]}],
        }
        order = await visitor.document(f"/api/orders/{answer['order_ref']}")
        assert (order["channel"], order["total_pence"]) == ("app", answer["total_pence"])
        assert (await visitor.document(f"/api/baskets/{basket}"))["lines"] == []

    visit(scenario, profile=profile)


def test_all_channels_sell_from_one_stock_into_one_ledger(visit, profile):
    async def scenario(visitor):
        sku, other = (await visitor.skus())[:2]
        await visitor.pos_sale("till", (sku, 2), (other, 1), (sku, 1))
        phone = {"agent": "agent-7", "customer": CUSTOMER, "lines": [{"sku": sku, "quantity": 2}]}
        taken = await visitor.post("/api/phone/orders", json=phone, headers={"Idempotency-Key": "phone"})
        assert taken.status == 201
        await visitor.order(await visitor.filled_basket(sku, 4), "social", **{"X-Channel": "social"})
        orders = (await visitor.document("/ledger/orders"))["orders"]
        assert [(order["idempotency_key"], order["channel"]) for order in orders] == [
            ("till", "store"),
            ("phone", "phone"),
            ("social", "social"),
        ]
        assert [(line["sku"], line["quantity"]) for line in orders[0]["lines"]] == [(sku, 3), (other, 1)]
        for order in orders:
            assert order["total_pence"] == sum(
                line["quantity"] * line["unit_pence"] for line in order["lines"]
            )
        stock = (await visitor.document("/ledger/stock"))["stock"]
        assert stock == [
            {"sku": sku, "opening": 20, "on_hand": 11, "sold": 9},
            {"sku": other, "opening": 20, "on_hand": 19, "sold": 1},
        ]

    visit(scenario, profile=profile, opening_stock=20)


def test_the_ledger_is_read_page_by_page(visit):
    async def scenario(visitor):
        sku = (await visitor.skus())[0]
        for number in range(5):
            await visitor.pos_sale(f"sale-{number}", (sku, 1))
        keys, after = [], 0
        while after is not None:
            page = await visitor.document(f"/ledger/orders?after={after}&limit=2")
            keys += [order["idempotency_key"] for order in page["orders"]]
            after = page["next"]
        assert keys == [f"sale-{number}" for number in range(5)]

    visit(scenario)


def test_a_bad_request_lists_all_its_problems(visit, profile):
    async def scenario(visitor):
        body = {"agent": "", "customer": {"name": "A"}, "lines": [{"sku": "X", "quantity": 0}, "shoe"]}
        refused = await visitor.post("/api/phone/orders", json=body, headers={"X-Channel": "phone"})
        problem = await refused.json()
        assert (refused.status, refused.content_type) == (400, "application/problem+json")
        assert problem["type"] == "/problems/bad-request"
        assert [entry["field"] for entry in problem["problems"]] == [
            "agent",
            "customer.email",
            "customer.address",
            "customer.postcode",
            "lines[0].quantity",
            "lines[1]",
            "lines[1].sku",
            "lines[1].quantity",
            "Idempotency-Key",
        ]

    visit(scenario, profile=profile)


def _sale(lines):
    return b'{"till": "1", "lines": ' + lines + b"}"


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "problem"),
    [
        ("get", "/api/nowhere", None, 404, "not-found"),
        ("get", "/api/products/NOPE", None, 404, "not-found"),
        ("get", "/api/categories/nope", None, 404, "not-found"),
        ("get", "/api/baskets/nope", None, 404, "not-found"),
        ("get", "/api/orders/nope", None, 404, "not-found"),
        ("get", "/api/home/", None, 404, "not-found"),
        ("post", "/api/home", b"", 405, "method-not-allowed"),
        ("post", "/api/baskets/nope/lines", b"{", 400, "bad-request"),
        ("post", "/api/baskets/nope/lines", b'["sku"]', 400, "bad-request"),
        ("post", "/api/till/sales", _sale(b"[]"), 400, "bad-request"),
        ("post", "/api/till/sales", _sale(b'[{"sku": "NOPE", "quantity": 1}]'), 400, "bad-request"),
        ("post", "/api/till/sales", _sale(b'[{"sku": "A", "quantity": true}]'), 400, "bad-request"),
        ("get", "/ledger/orders?after=-1", None, 400, "bad-request"),
        ("get", "/ledger/orders?limit=1001", None, 400, "bad-request"),
    ],
)  # fmt: skip
def test_a_refusal_is_a_problem_document(visit, profile, method, path, body, status, problem):
    async def scenario(visitor):
        options = {} if body is None else {"data": body, "headers": {"Idempotency-Key": "k"}}
        refused = await getattr(visitor, method)(path, **options)
        document = await refused.json()
        assert (refused.status, refused.content_type) == (status, "application/problem+json")
        assert (document["type"], document["status"]) == (f"/problems/{problem}", status)

    visit(scenario, profile=profile)


def test_selling_more_than_the_stock_returns_409(visit, profile):
    async def scenario(visitor):
        sku = (await visitor.skus())[0]
        refused = await visitor.pos_sale("greedy", (sku, 6))
        assert refused.status == 409
        assert (await refused.json())["type"] == "/problems/sold-out"
        assert (await visitor.document("/ledger/stock"))["stock"] == []

    visit(scenario, profile=profile, opening_stock=5)


def test_an_order_of_an_empty_basket_is_refused(visit, profile):
    async def scenario(visitor):
        basket = (await (await visitor.post("/api/baskets")).json())["basket"]
        refused = await visitor.order(basket, "empty")
        assert (refused.status, (await refused.json())["type"]) == (400, "/problems/empty-basket")

    visit(scenario, profile=profile)


def test_a_malformed_channel_is_refused(visit, profile):
    async def scenario(visitor):
        basket = await visitor.filled_basket((await visitor.skus())[0])
        refused = await visitor.order(basket, "fax", **{"X-Channel": "Fax!"})
        (problem,) = (await refused.json())["problems"]
        assert problem == {
            "field": "X-Channel",
            "rule": "must be a name of lower-case letters, digits and _, such as web",
        }
        assert (await visitor.document("/ledger/orders"))["orders"] == []

    visit(scenario, profile=profile)


def test_a_request_id_is_echoed_or_generated(visit):
    async def scenario(visitor):
        told = await visitor.get("/", headers={"X-Request-Id": "run-7.step_3"})
        assert told.headers["X-Request-Id"] == "run-7.step_3"
        dubious = await visitor.get("/", headers={"X-Request-Id": "two words"})
        assert len(dubious.headers["X-Request-Id"]) == 16
        assert (await visitor.get("/nope")).headers["X-Request-Id"]

    visit(scenario)


def test_a_form_with_another_content_type_is_refused(visit):
    async def scenario(visitor):
        form = FormData()
        form.add_field("sku", "x", content_type="text/plain", filename="x.txt")
        refused = await visitor.post("/basket/add", data=form)
        assert refused.status == 400

    visit(scenario)


def test_the_ledger_reports_the_stock_of_one_product(visit):
    async def scenario(visitor):
        sku = (await visitor.skus())[3]
        assert (await visitor.document(f"/ledger/stock?sku={sku}"))["stock"] == [await visitor.stock_of(sku)]
        assert (await visitor.document("/ledger/stock?sku=nothing"))["stock"] == []

    visit(scenario)
