"""A recording of a shop with tokens, drafted and run: values come from this visit's answers, not from it."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

import pytest

from tests.storefronts.har_entries import draft, entry, visit
from tests.storefronts.token_shop import token_shop


class Recorder:
    """Makes requests and keeps them as entries of a recording."""

    def __init__(self) -> None:
        self.entries: list[dict[str, Any]] = []

    def send(
        self, url: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[Any, dict[str, str]]:
        sent = {"Content-Type": "application/json", **(headers or {})} if body is not None else headers or {}
        data = json.dumps(body).encode() if body is not None else None
        with urllib.request.urlopen(urllib.request.Request(url, data, sent), timeout=30) as answer:
            text, got = answer.read().decode(), dict(answer.headers.items())
        value = json.loads(text) if body is not None else text
        method = "POST" if body is not None else "GET"
        self.entries.append(
            entry(
                method, url, at=3 * len(self.entries), body=body, headers=sent, text=value, answer_headers=got
            )
        )
        return value, got


def recorded(pages: str, api: str) -> list[dict[str, Any]]:
    recorder, headers = Recorder(), {}

    def ask(text: str, **variables: Any) -> Any:
        body = {"query": text, "variables": variables}
        answer, got = recorder.send(f"{api}/graphql", body, headers)
        headers["Authorization"] = f"Bearer {got['X-Session-Token']}"
        assert "errors" not in answer, answer
        return answer["data"]

    page, _ = recorder.send(f"{pages}/")
    csrf = page.partition('content="')[2].partition('"')[0]
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
    return recorder.entries


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
