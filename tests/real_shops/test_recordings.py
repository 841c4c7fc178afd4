"""A recorded visit to a real shop becomes a driver that walks the shop without a change."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from tests.storefronts.recording_browser import RecordingBrowser

pytestmark = pytest.mark.shops
ITEMS = "items { slug productVariantId priceWithTax { ... on SinglePrice { value } } }"
ORDER = "... on Order { id code totalWithTax }"
ERROR = "__typename ... on ErrorResult { errorCode message }"
ADDRESS = {"first_name": "Kim", "last_name": "Lee", "line1": "1 Way", "line4": "Leeds", "postcode": "LS1 1AA"}


@pytest.fixture
def store_page() -> Iterator[str]:
    """A page of a shop whose API has another origin."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<title>Store</title>")

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def oscar_visit(url: str) -> list[dict[str, Any]]:
    browser = RecordingBrowser(url)
    home = browser.open("/").text
    browser.open(re.search(r'href="(/catalogue/category/[^"]+)"', home)[1])
    browser.open("/search/?q=jumper")
    browser.open(re.search(r'href="(/catalogue/[^/"]+_\d+/)"', browser.page.text)[1])
    browser.submit({}, to="/basket/add/")
    browser.open("/basket/")
    browser.open("/checkout/")
    browser.submit({"username": "kim@home.example", "options": "anonymous"}, to="/checkout/")
    browser.submit(ADDRESS, to="/checkout/")
    browser.open("/checkout/preview/")
    assert "thank-you" in browser.submit({}, to="/checkout/preview/").url
    return browser.entries


def vendure_visit(page: str, api: str) -> list[dict[str, Any]]:
    browser, headers = RecordingBrowser(page), {}

    def ask(text: str, **variables: Any) -> Any:
        name = re.match(r"\w+ (\w+)", text)[1]
        body = {"operationName": name, "query": text, "variables": variables}
        answer, got = browser.ask(f"{api}/shop-api", body, headers)
        if "vendure-auth-token" in got:
            headers["Authorization"] = f"Bearer {got['vendure-auth-token']}"
        assert "errors" not in answer, answer
        return answer["data"]

    def change(call: str, signature: str = "", **variables: Any) -> None:
        name = call.partition("(")[0]
        answer = ask(f"mutation {name}{signature} {{ {call} {{ {ORDER} {ERROR} }} }}",
                     **variables)  # fmt: skip
        assert "Error" not in answer[name]["__typename"], answer

    browser.open("/")
    group = ask("query Collections { collections { items { slug } } }")["collections"]["items"][0]["slug"]
    search = f"($input: SearchInput!) {{ search(input: $input) {{ {ITEMS} }} }}"
    listed = ask(f"query CollectionProducts{search}", input={"collectionSlug": group, "groupByProduct": True})
    ask(f"query SearchProducts{search}", input={"term": "camera", "groupByProduct": True})
    product = ask(
        "query Product($slug: String!) { product(slug: $slug) { variants { id priceWithTax stockLevel } } }",
        slug=listed["search"]["items"][0]["slug"],
    )
    change("addItemToOrder(productVariantId: $id, quantity: 1)", "($id: ID!)",
           id=product["product"]["variants"][0]["id"])  # fmt: skip
    change("setCustomerForOrder(input: $input)", "($input: CreateCustomerInput!)",
           input={"firstName": "Kim", "lastName": "Lee", "emailAddress": "kim@home.example"})  # fmt: skip
    change("setOrderShippingAddress(input: $input)", "($input: CreateAddressInput!)",
           input={"fullName": "Kim Lee", "streetLine1": "1 Way", "countryCode": "GB"})  # fmt: skip
    methods = ask("query ShippingMethods { eligibleShippingMethods { id } }")["eligibleShippingMethods"]
    change("setOrderShippingMethod(shippingMethodId: $id)", "($id: [ID!]!)", id=[methods[0]["id"]])
    state = 'transitionOrderToState(state: "ArrangingPayment")'
    ask(f"mutation Transition {{ {state} {{ ... on Order {{ id }} }} }}")
    payments = ask("query PaymentMethods { eligiblePaymentMethods { code } }")["eligiblePaymentMethods"]
    change("addPaymentToOrder(input: $input)", "($input: PaymentInput!)",
           input={"method": payments[0]["code"], "metadata": {}})  # fmt: skip
    return browser.entries


@pytest.mark.parametrize("name", ["oscar", "vendure"])
def test_a_recording_becomes_a_driver_that_needs_no_change(name, doorbuster, tmp_path, request, store_page):
    url = request.getfixturevalue(f"{name}_url")
    entries = oscar_visit(url) if name == "oscar" else vendure_visit(store_page, url)
    har = tmp_path / "visit.har"
    har.write_text(json.dumps({"log": {"entries": entries}}), encoding="utf-8")
    done = doorbuster("init", "--storefront", "recorded-shop", "--har", har, tmp_path)
    assert done.returncode == 0, done.stderr
    driver = tmp_path / "locustfiles" / "_recorded_shop.py"
    probed = doorbuster("probe", url if name == "oscar" else store_page, "--locustfile", driver)
    assert probed.returncode == 0, probed.stdout + probed.stderr
    customers = f"retail_peak.py,{tmp_path / 'locustfiles' / 'recorded_shop_peak.py'}"
    scenario = tmp_path / "scenarios" / "recorded-shop-smoke.yaml"
    ran = doorbuster("run", scenario, "--locustfile", customers, "--out", tmp_path / "out", timeout_s=240)
    assert "9 of 9 customers who wanted to order could" in ran.stdout, ran.stdout + ran.stderr
