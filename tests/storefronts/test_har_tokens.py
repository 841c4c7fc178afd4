"""A recording of a shop with tokens, drafted and run: values come from this visit's answers, not from it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.storefronts.har_entries import draft, entry, visit
from tests.storefronts.recording_browser import RecordingBrowser
from tests.storefronts.token_shop import token_shop


def recorded(pages: str, api: str) -> list[dict[str, Any]]:
    browser, headers = RecordingBrowser(pages), {}

    def ask(text: str, **variables: Any) -> Any:
        body = {"query": text, "variables": variables}
        answer, got = browser.ask(f"{api}/graphql", body, headers)
        headers["Authorization"] = f"Bearer {got['x-session-token']}"
        assert "errors" not in answer, answer
        return answer["data"]

    csrf = browser.open("/").text.partition('content="')[2].partition('"')[0]
    ask("query Menu {\n  groups { path }\n}")
    ask(
        "query ProductsOfGroup($group: String!) { products(group: $group) { items { slug } } }", group="storm"
    )
    ask("query SearchProducts($term: String!) { products(term: $term) { items { slug } } }", term="brass")
    lamp = ask(
        "query ProductDetail($slug: String!) { product(slug: $slug) { variantId price } }", slug="lamp-3"
    )
    cart = ask("mutation CreateCart { createCart { cartId } }")["createCart"]["cartId"]
    ask("mutation AddLine($cart: ID!, $variant: ID!) { addLine(cart: $cart, variant: $variant) { units } }",
        cart=cart, variant=lamp["product"]["variantId"])  # fmt: skip
    ask(
        "mutation SetAddress($cart: ID!) { setAddress(cart: $cart) { ok } }",
        cart=cart,
        email="kim@home.example",
    )
    headers |= {"X-CSRF-Token": csrf, "Idempotency-Key": "3f0c-17aa-recorded"}
    ask("mutation PlaceOrder($cart: ID!) { placeOrder(cart: $cart) { orderNumber totalWithTax } }", cart=cart)
    return browser.entries


@pytest.mark.truth
def test_a_shop_with_tokens_and_an_api_of_its_own_origin_is_walked_without_a_line_of_code(
    doorbuster, tmp_path
):
    with token_shop() as (pages, api, shop):
        har = tmp_path / "visit.har"
        entries = recorded(pages, api)
        har.write_text(json.dumps({"log": {"entries": entries}}), encoding="utf-8")
        done = doorbuster("init", "--storefront", "lantern", "--har", har, tmp_path)
        assert done.returncode == 0, done.stderr
        driver = tmp_path / "locustfiles" / "_lantern.py"
        text = driver.read_text(encoding="utf-8")
        for value in (
            *shop.sessions,
            *shop.csrf,
            *shop.carts,
            "3f0c-17aa-recorded",
            "kim@home.example",
            "703",
        ):
            assert value not in text
        assert f'API = "{api}"' in text
        orders = len(shop.orders)
        probed = doorbuster("probe", pages, "--locustfile", driver)
        assert probed.returncode == 0, probed.stdout + probed.stderr + text
        assert len(shop.orders) > orders
        assert all(":probe:" in key for key in shop.orders[orders:])
        scenario = tmp_path / "scenarios" / "lantern-smoke.yaml"
        customers = f"retail_peak.py,{tmp_path / 'locustfiles' / 'lantern_peak.py'}"
        ran = doorbuster("run", scenario, "--locustfile", customers, "--out", tmp_path / "out")
        assert ran.returncode in (0, 96), ran.stdout + ran.stderr
        assert "9 of 9 customers who wanted to order could" in ran.stdout


CSRF = "8c1f2e9a-77d1-4b"


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({"text": f'<meta content="{CSRF}" name="csrf-token">'},
         'self.csrf_token = field_value(answer, "csrf-token")'),
        ({"text": f'<script>var s = {{"nonce":"{CSRF}"}}</script>'},
         'text_between(answer.text, "\\"nonce\\":\\"", "\\"")'),
        ({"text": f'<div data-nonce="{CSRF}">'}, 'text_between(answer.text, "data-nonce=\\"", "\\"")'),
        ({"answer_headers": {"X-Csrf-Token": CSRF}}, 'answer.headers.get("x-csrf-token", "")'),
        ({"text": {"price": 10, "form": {"key": CSRF}}}, 'str(at(json_of(answer), "form", "key"))'),
    ],
)  # fmt: skip
def test_a_token_is_taken_from_where_the_answer_had_it(given, wanted):
    product = entry("GET", "/product/LAN-40", at=14, **given)
    adding = entry(
        "POST", "/basket/add", at=19, body={"article": "LAN-40"}, headers={"X-Csrf-Token": CSRF}, text={}
    )
    drafted = draft(visit(product=product, add_to_basket=adding))
    assert CSRF not in drafted.text
    assert wanted in drafted.text
    assert not drafted.secrets


def test_a_token_of_a_cookie_is_taken_from_the_customers_cookies():
    home = entry("GET", "/", at=1)
    home["response"]["cookies"] = [{"name": "csrftoken", "value": CSRF}]
    adding = entry(
        "POST", "/basket/add", at=19, body={"article": "LAN-40"}, headers={"X-Csrf-Token": CSRF}, text={}
    )
    drafted = draft(visit(home=home, add_to_basket=adding))
    assert "\"X-Csrf-Token\": self.client.cookies.get('csrftoken', '')" in drafted.text
    without = entry(
        "POST", "/basket/add", at=19, body={"article": "LAN-40"}, headers={"X-CSRFToken": CSRF}, text={}
    )
    assert "self.client.cookies.get('csrftoken', '')" in draft(visit(add_to_basket=without)).text


def test_an_id_in_the_address_that_a_redirect_led_to_is_read_from_there():
    flow = [
        entry("POST", "/checkout/start", at=26, body="go=1", status=302, mime=""),
        entry("GET", "/checkout/c-88412907/details", at=27),
        entry("POST", "/checkout/c-88412907/place", at=40, body="name=Kim", status=302, mime=""),
    ]
    text = draft(visit(checkout=flow)).text
    assert 'self.checkout_id = text_between(answer.url, "/checkout/", "/")' in text
    assert 'self.fetch("POST", f"/checkout/{quote(self.checkout_id)}/place"' in text


def test_what_the_customer_typed_is_not_taken_from_an_answer_that_repeats_it():
    address = entry("POST", "/checkout/address", at=30, body={"zip": "N1 0901AB", "ref": "typed-4411"},
                    text={"zip": "N1 0901AB", "ref": "typed-4411"})  # fmt: skip
    order = entry(
        "POST", "/checkout/place", at=40, body={"zip": "N1 0901AB", "ref": "typed-4411"}, text={"id": "A-77"}
    )
    text = draft(visit(checkout=[address, order])).text
    assert text.count('"ref": "typed-4411"') == 2


CART = "2b1d9c1e-55aa-4f0e-9a51-0f3c8a77e0d1"


def post(
    path: str, body: Any, *, at: int, text: Any = None, headers: dict[str, str] | None = None
) -> dict[str, Any]:
    return entry("POST", path, at=at, body=body, text=text or {}, headers=headers)


def test_a_checkout_of_json_calls_with_the_basket_in_their_paths_is_walked():
    """As shops built on REST do it: pages with their state in a script, and calls for what changes."""
    state = f'<script>var s = {{"uuid":"{CART}","cartId":"{CART}","sku":"NJC90842-BLUE"}}</script>'
    entries = visit(
        category=entry("GET", "/women", at=5, text='<a href="/women/nylon-jacket">Jacket</a>'),
        search=entry("GET", "/search?keyword=jacket", at=9, text='<a href="/women/nylon-jacket">Jacket</a>'),
        product=entry("GET", "/women/nylon-jacket", at=14, text=f'{state}<p class="price">£45.00</p>'),
        add_to_basket=post("/api/cart/mine/items", {"sku": "NJC90842-BLUE", "qty": "1"}, at=19),
        basket=entry("GET", "/cart", at=20),
        checkout_page=entry("GET", "/checkout", at=25, text=state),
        checkout=[
            post(f"/api/carts/{CART}/contacts", {"email": "k@x.example"}, at=30),
            post(f"/api/carts/{CART}/addresses", {"address": {"city": "Leeds"}}, at=32),
            post(f"/api/carts/{CART}/shippingMethods", {"method_code": "flat"}, at=34),
            post(f"/api/carts/{CART}/coupons", {"coupon": "X"}, at=34),
            post(f"/api/carts/{CART}/paymentMethods", {"method_code": "cod"}, at=36),
            post("/api/orders", {"cart_id": CART}, at=40, text={"data": {"order_number": "10007"}}),
        ],
        thanks=entry("GET", f"/checkout/success/{CART}", at=41),
    )  # fmt: skip
    drafted = draft(entries)
    assert CART not in drafted.text
    assert "NJC90842" not in drafted.text
    for line in (
        'self.fetch("GET", f"/women/{quote(sku)}")',
        'self.sku_id = text_between(answer.text, "\\"sku\\":\\"", "\\"")',
        'json={"sku": self.sku_id, "qty": "1"}',
        'self.cart_id = text_between(answer.text, "\\"cartId\\":\\"", "\\"")',
        'f"/api/carts/{quote(self.cart_id)}/contacts"',
        'f"/api/carts/{quote(self.cart_id)}/addresses"',
        'f"/api/carts/{quote(self.cart_id)}/shippingMethods"',
        'f"/api/carts/{quote(self.cart_id)}/paymentMethods"',
        'self.fetch("POST", "/api/orders", json={"cart_id": self.cart_id})',
        'at(order, "data", "order_number")',
    ):
        assert line in drafted.text, line
    assert "coupons" not in drafted.text


def test_a_basket_that_is_opened_filled_and_completed_by_calls_is_walked():
    """As headless shops do it: POST /carts, /carts/{id}/line-items, /carts/{id}, /carts/{id}/complete."""
    cart, key = {"cart": {"id": "cart_01J9ZK", "total": 4500}}, {"X-Publishable-Key": "pk_live_9911aa"}
    calls = [
        post("/store/carts", {"region_id": "reg_uk"}, at=18, text=cart, headers=key),
        post("/store/carts/cart_01J9ZK/line-items", {"variant_id": "variant_01H7", "quantity": 1}, at=19,
             text=cart, headers=key),
    ]  # fmt: skip
    ordering = [
        post("/store/carts/cart_01J9ZK", {"email": "k@x.example"}, at=30, text=cart, headers=key),
        post("/store/carts/cart_01J9ZK/payment-sessions", None, at=33, text=cart, headers=key),
        post("/store/carts/cart_01J9ZK/complete", None, at=40, headers=key,
             text={"order": {"display_id": 77, "total": 4500}}),
    ]  # fmt: skip
    product = entry("GET", "/store/products/LAN-40", at=14, headers=key,
                    text={"product": {"variants": [{"id": "variant_01H7", "price": 4500}]}})  # fmt: skip
    drafted = draft(
        visit(product=product, add_to_basket=calls, basket=[], checkout_page=[], checkout=ordering)
    )
    assert drafted.secrets == ("MY_SHOP_X_PUBLISHABLE_KEY",)
    assert "cart_01J9ZK" not in drafted.text
    text = " ".join(drafted.text.split())
    for part in (
        "def need_cart_id(self) -> None:",
        'at(json_of(answer), "cart", "id")',
        '"variant_id": self.variant_id',
        'f"/store/carts/{quote(self.cart_id)}/line-items"',
        'f"/store/carts/{quote(self.cart_id)}", json={"email": "test.customer@example.com"}',
        'f"/store/carts/{quote(self.cart_id)}/payment-sessions"',
        'f"/store/carts/{quote(self.cart_id)}/complete"',
        'total = int(at(order, "order", "total"))',
    ):
        assert part in text, part
