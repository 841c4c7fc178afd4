"""Recordings as browsers, proxies and extensions leave them: what becomes a driver, and what is left out."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from doorbuster.storefronts.har.recording import read_har
from doorbuster.storefronts.har.steps import ORDER_OF_STEPS, match_steps
from tests.storefronts.har_entries import FORM, SHOP, draft, entry, read, visit


def assert_whole(entries: list[Any]) -> None:
    recorded = read(entries)
    assert recorded.origin == SHOP
    assert set(match_steps(recorded)) == set(ORDER_OF_STEPS)


def line_with(text: str, word: str) -> str:
    return next(line.strip() for line in text.splitlines() if word in line)


MOVED = {"status": 301, "mime": "text/html"}


@pytest.mark.parametrize(
    "before",
    [
        [
            entry("GET", "http://lanterns.example/", **MOVED),
            entry("GET", "https://lanterns.example/", **MOVED),
        ],
        [entry("GET", "https://lanterns.example/", status=308)],
        [entry("GET", "http://www.lanterns.example/", status=307)],
        [entry("GET", "data:text/html,<p>hello")],
        [entry("GET", "chrome-extension://kbfnbc/options.html")],
        [
            entry("GET", "moz-extension://4a2f/panel.html"),
            entry("GET", "about:blank"),
            entry("GET", "blob:x"),
        ],
        [entry("GET", "https://consent.example/wall"), entry("GET", "https://id.example/login")],
        [entry("GET", f"https://ads.example/f{n}", headers={"Sec-Fetch-Dest": "iframe"}) for n in range(12)],
    ],
    ids=["http-apex-www", "apex", "http", "data", "extension", "own schemes", "other sites", "frames"],
)
def test_the_origin_with_most_pages_is_the_shop_whatever_comes_first(before):
    assert_whole([*before, *visit()])
    assert len(read([*before, *visit()]).left_out) == len(before)


@pytest.mark.parametrize(
    ("odd", "reason"),
    [
        ({"startedDateTime": "2027-02-03T09:00:02Z", "request": {"method": "GET", "url": f"{SHOP}/x"}},
         "it has no response"),
        (entry("GET", "http://[half/"), "its address is not valid"),
        (entry("GET", "http://shop.example:99999/"), "its address is not valid"),
        (entry("GET", "https://ann:secret@www.lanterns.example/"), "its address is not a plain host"),
        (entry("GET", "/aborted", status=0), "it was blocked, aborted or never answered"),
        (entry("GET", "/gone", status=404), "it was answered with 404"),
        (entry("POST", "/basket/add", body="a=b", status=422), "it was answered with 422"),
        (entry("OPTIONS", "/basket/add"), "OPTIONS requests are sent by the browser itself"),
        (entry("POST", "/report", body="{}", body_type="application/csp-report",
               headers={"Content-Type": "application/csp-report"}), "it is a background message"),
        (entry("POST", "/rpc", body="\x00\x01", body_type="application/grpc-web"), "its body is not text"),
        (entry("GET", "/basket", headers={"Sec-Purpose": "prefetch"}), "it was prefetched"),
        (entry("GET", "/app.js", mime="application/javascript"), "it is a file of a page"),
        (entry("GET", f"/{'a' * 5000}"), "its address is longer"),
        (7, "the entry has no request"),
        ({"request": {"method": 7, "url": None}}, "the entry has no readable method or address"),
        ({"request": None}, "the entry has no request"),
    ],
)  # fmt: skip
def test_an_odd_entry_is_skipped_and_listed_with_its_reason(odd, reason):
    entries = [odd, *visit()]
    assert_whole(entries)
    (left,) = read(entries).left_out
    assert left.reason.startswith(reason)


@pytest.mark.parametrize(
    "started", ["2027-02-03T9:00:19.000Z", None, 7, "", "yesterday", "2027-02-31T10:00:00Z"]
)
def test_an_entry_without_a_readable_time_keeps_its_place(started):
    odd = entry("POST", "/basket/add", body="article=LAN-40&units=1", status=303, mime="") | {
        "startedDateTime": started
    }
    assert_whole(visit(add_to_basket=odd))
    assert list(match_steps(read(visit(add_to_basket=odd)))) == list(ORDER_OF_STEPS)


def test_an_entry_without_a_start_is_no_reason_to_refuse_the_recording():
    odd = entry("GET", "/basket")
    del odd["startedDateTime"]
    assert_whole(visit(basket=odd))


@pytest.mark.parametrize(
    "answer",
    [
        {"status": 204, "mime": ""},
        {"mime": "text/plain", "text": "ok"},
        {"mime": "application/javascript", "text": "$('#basket').html('1 item')"},
        {"text": {"units": 1}},
        {"status": 201, "mime": "x-unknown"},
    ],
)
def test_a_form_is_kept_whatever_it_was_answered_with(answer):
    adding = entry("POST", "/basket/add", at=19, body="article=LAN-40", **answer)
    ordering = entry("POST", "/checkout", at=40, body="name=Kim", **answer)
    assert_whole(visit(add_to_basket=adding, checkout=ordering))


@pytest.mark.parametrize(
    ("url", "body"),
    [
        ("/?wc-ajax=add_to_cart", "product_id=LAN-40&quantity=1"),
        ("/index.php?route=checkout/cart/add", "product_id=40&quantity=1"),
        ("/checkout/cart/add/uenc/aHR0/product/40/", "product=40&qty=1"),
        ("/product/LAN-40", "add-to-cart=40&quantity=1"),
        ("/product/LAN-40", "size=M&quantity=1"),
        ("/api/shopping-bag/entries", {"code": "LAN-40"}),
        ("/warenkorb/add", "artikel=40"),
        ("/guest-carts/x81-77/items", {"cartItem": {"sku": "LAN-40", "qty": 1}}),
    ],
)
def test_goods_go_into_the_basket_in_many_ways(url, body):
    adding = entry("POST", url, at=19, body=body, status=302, mime="")
    assert_whole(visit(add_to_basket=adding))
    assert match_steps(read(visit(add_to_basket=adding)))["add_to_basket"].method == "POST"


def test_a_link_that_fills_the_basket_is_a_step_too():
    found = match_steps(read(visit(add_to_basket=entry("GET", "/basket/add/LAN-40", at=19, status=302))))
    assert found["add_to_basket"].path == "/basket/add/LAN-40"
    assert found["basket"].path == "/basket"


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("/orders/track", {"body": {"event": "purchase"}}),
        ("/orders/analytics", {"body": {"order": 1}}),
        ("/api/orders", {"body": {"eventName": "order_seen", "order": "81"}}),
        ("/checkout/ping", {"body": "x=1", "status": 204, "mime": ""}),
        ("/checkout", {"body": "x", "body_type": "text/plain", "kind": "ping"}),
        ("/orders/81/survey", {"body": "stars=5"}),
        ("https://t.lanterns.example/collect/order", {"body": {"id": 1}}),
    ],
)
def test_a_report_about_the_order_is_not_the_order(url, options):
    after = [entry("GET", "/thank-you", at=41), entry("POST", url, at=45, **options)]
    found = match_steps(read(visit(thanks=after)))
    assert found["checkout"].path == "/checkout"
    assert found["checkout"].body.value == (("name", "Kim Lee"),)
    assert any(
        "reports what" in one.reason or "background" in one.reason
        for one in draft(visit(thanks=after)).left_out
    )


def test_the_last_form_before_the_thanks_is_the_order():
    forms = [
        entry("POST", "/checkout/address", at=28, body="line=1", status=302, mime=""),
        entry("POST", "/checkout/place", at=30, body="agree=on", status=302, mime=""),
        entry("GET", "/checkout/success", at=31),
        entry("POST", "/checkout/account", at=35, body="join=on", status=302, mime=""),
    ]
    drafted = draft(visit(checkout=forms, thanks=[]))
    assert 'self.fetch("POST", "/checkout/place", data={"agree": "on"})' in drafted.text
    assert 'self.fetch("POST", "/checkout/address", data={"line": "1"})' in drafted.text
    assert "/checkout/account" not in drafted.text


# ---- bodies


MULTIPART = (
    '--XyZ\r\nContent-Disposition: form-data; name="article"\r\n\r\nLAN-40\r\n'
    '--XyZ\r\nContent-Disposition: form-data; name="wish"\r\n\r\nline one\r\nline two\r\n'
    '--XyZ\r\nContent-Disposition: form-data; name="photo"; filename="a.png"\r\n'
    "Content-Type: image/png\r\n\r\n\x89PNG\r\n--XyZ--\r\n"
)  # fmt: skip


@pytest.mark.parametrize("kind", ["multipart/form-data; boundary=XyZ", "multipart/form-data"])
def test_a_multipart_form_is_read_from_its_text(kind):
    adding = entry("POST", "/basket/add", at=19, body=MULTIPART, body_type=kind, status=303, mime="")
    request = match_steps(read(visit(add_to_basket=adding)))["add_to_basket"]
    assert request.fields == (("article", "LAN-40"), ("wish", "line one\nline two"))
    assert request.body.files == ("photo",)
    text = draft(visit(add_to_basket=adding)).text
    assert 'files=[("article", (None, sku)), ("wish", (None, "line one\\nline two"))]' in text


def test_repeated_fields_are_all_sent():
    adding = entry(
        "POST", "/basket/add", at=19, body="opt%5B%5D=red&opt%5B%5D=xl&article=LAN-40", status=303, mime=""
    )
    assert 'data={"opt[]": ["red", "xl"], "article": sku}' in draft(visit(add_to_basket=adding)).text
    mixed = entry("POST", "/basket/add", at=19, body="id=1&n=2&id=3&n=4", status=303, mime="")
    assert 'data=[("id", "1"), ("n", "2"), ("id", "3"), ("n", "4")]' in draft(visit(add_to_basket=mixed)).text


@pytest.mark.parametrize(
    ("body", "kind", "source"),
    [
        ('{"article":"LAN-40","n":1}', "application/json", 'json={"article": sku, "n": 1}'),
        ('{"article":"LAN-40"}', "text/plain;charset=UTF-8",
         'json={"article": sku}, headers={"Content-Type": "text/plain"}'),
        ('[{"article":"LAN-40","options":[null,true,1.5]}]', "application/vnd.api+json",
         'json=[{"article": sku, "options": [None, True, 1.5]}]'),
        ('"LAN-40"', "application/json", "json=sku"),
        ("7", "application/json", "json=7"),
        ("null", "application/json", 'data="null", headers={"Content-Type": "application/json"}'),
        ('{"n": NaN}', "application/json",
         'data="{\\"n\\": NaN}".encode(), headers={"Content-Type": "application/json"}'),
        ("<add>LAN-40</add>", "application/soap+xml",
         'data=f"<add>{sku}</add>".encode(), headers={"Content-Type": "application/soap+xml"}'),
        ('{"id": 147573952589676412927}', "application/json", 'json={"id": 147573952589676412927}'),
    ],
)  # fmt: skip
def test_a_body_of_any_shape_is_sent_as_it_was(body, kind, source):
    adding = entry("POST", "/basket/add", at=19, body=body, body_type=kind, text={"units": 1})
    call = " ".join(draft(visit(add_to_basket=adding)).text.split())
    assert source in call.replace("( ", "(").replace(", )", ")"), call[-2000:]


def test_a_form_listed_by_its_fields_alone_is_kept():
    adding = entry("POST", "/basket/add", at=19, status=303, mime="")
    adding["request"]["postData"] = {
        "mimeType": FORM,
        "params": [{"name": "article", "value": "LAN-40"}, 7, {}],
    }
    assert 'data={"article": sku}' in draft(visit(add_to_basket=adding)).text


# ---- what the draft sends and does not


def test_no_idempotency_key_is_invented():
    drafted = draft(visit())
    assert "idempotency" not in drafted.text
    assert any("send `key`" in note for note in drafted.to_do)


@pytest.mark.parametrize("where", ["field", "header"])
def test_a_recorded_idempotency_key_becomes_the_customers_own(where):
    body = "name=Kim" + ("&idempotency_key=9f2c0a7716" if where == "field" else "")
    headers = {"Idempotency-Key": "9f2c0a7716"} if where == "header" else {}
    drafted = draft(
        visit(checkout=entry("POST", "/checkout", at=40, body=body, headers=headers, status=303, mime=""))
    )
    assert "9f2c0a7716" not in drafted.text
    wanted = '"idempotency_key": key' if where == "field" else '"Idempotency-Key": key'
    assert wanted in drafted.text
    assert not any("send `key`" in note for note in drafted.to_do)


def test_a_step_that_was_not_recorded_is_left_out_of_the_driver():
    drafted = draft(visit(search=[], basket=[]))
    assert "def search" not in drafted.text
    assert '"""The shop draws this page without a request."""' in drafted.text
    assert "# Not in the recording: search, basket." in drafted.text
    assert set(drafted.steps) == set(ORDER_OF_STEPS) - {"search", "basket"}


def test_campaigns_and_cache_busters_are_not_replayed():
    page = entry("GET", "/product/LAN-40?utm_source=mail&gclid=abc&_=1700000000000&size=M", at=14)
    assert 'self.fetch("GET", f"/product/{quote(sku)}?size=M")' in draft(visit(product=page)).text


def test_secrets_are_read_from_the_environment():
    key = {"X-Api-Key": "live-4455", "Authorization": "Basic YW5uOnB3", "Cookie": "sid=1", "X-Locale": "en"}
    drafted = draft(
        visit(search=entry("GET", "/api/search?q=brass&token=deadbeef", at=9, headers=key, text={"x": []}))
    )
    for secret in ("live-4455", "YW5uOnB3", "deadbeef", "sid=1"):
        assert secret not in drafted.text
    assert 'X_API_KEY = environ.get("MY_SHOP_X_API_KEY", "")' in drafted.text
    for header in ('"X-Api-Key": X_API_KEY', '"Authorization": AUTHORIZATION', '"X-Locale": "en"'):
        assert header in drafted.text
    assert "token={quote(TOKEN)}" in drafted.text
    assert set(drafted.secrets) == {"MY_SHOP_X_API_KEY", "MY_SHOP_AUTHORIZATION", "MY_SHOP_TOKEN"}


def test_what_no_step_needs_is_listed_with_the_reason():
    more = [
        entry("GET", "/about-us", at=2),
        entry("POST", "/newsletter", at=3, body="email=a@b.example"),
        entry("GET", "/category/brass", at=4),
        entry("POST", "/login", at=4, body="user=a&password=b", status=302, mime=""),
    ]
    reasons = {one.what: one.reason for one in draft([*visit(), *more]).left_out}
    assert reasons["GET /about-us"] == "no step needs what it reads"
    assert reasons["POST /newsletter"] == "it reports what the visitor does"
    assert reasons["GET /category/storm"] == "it repeats the step category"
    assert reasons["POST /login"] == "it changes something, but no step of the visit needs it"


def test_pages_with_opaque_addresses_are_recognised_by_their_content():
    listing = '<a href="/red-lamp-40.html">Red lamp</a>'
    entries = visit(
        category=entry("GET", "/storm-lanterns.html", at=5, text=listing),
        product=entry("GET", "/red-lamp-40.html", at=14, text='<p>£ 12.50</p>{"@type": "Product"}'),
    )
    drafted = draft(entries)
    assert 'self.fetch("GET", f"/{quote(sku)}.html")' in drafted.text
    assert set(drafted.steps) == set(ORDER_OF_STEPS)


# ---- GraphQL, and APIs of their own


def operation(
    name: str, text: str, answer: object, *, at: int, url: str = "/graphql", **variables: object
) -> dict:
    body: dict[str, object] = {"query": text, "variables": variables}
    return entry(
        "POST", url, at=at, body=body | ({"operationName": name} if name else {}), text={"data": answer}
    )


@pytest.mark.parametrize(
    ("step", "name"),
    [
        ("add_to_basket", "addItemToOrder"), ("add_to_basket", "AddSimpleProductsToCart"),
        ("add_to_basket", "cartLinesAdd"), ("add_to_basket", "CheckoutLinesAdd"),
        ("add_to_basket", "cartAdd"),
        ("checkout", "placeOrder"), ("checkout", "CompleteCheckout"), ("checkout", "addPaymentToOrder"),
        ("checkout", "checkoutComplete"), ("checkout", "SubmitOrderMutation"),
    ],
)  # fmt: skip
def test_graphql_mutations_are_recognised_by_their_names(step, name):
    for text, called in ((f"mutation {name} {{ x }}", name), (f"mutation {{ {name}(n: 1) {{ id }} }}", ""),
                         (f"mutation {name} {{ x }}", "")):  # fmt: skip
        found = match_steps(read(visit(**{step: operation(called, text, {}, at=30)})))
        assert found[step].path == "/graphql"


@pytest.mark.parametrize(
    ("step", "name", "variables"),
    [
        ("search", "SearchProducts", {"term": "brass"}),
        ("search", "Products", {"input": {"search": "brass"}}),
        ("category", "CollectionProducts", {"collectionSlug": "storm"}), ("category", "products", {}),
        ("category", "Products", {"filter": {"categoryId": "4"}}),
        ("product", "ProductBySlug", {"slug": "LAN-40"}),
        ("basket", "ActiveOrder", {}), ("basket", "getCart", {}), ("checkout_page", "CheckoutDetails", {}),
    ],
)  # fmt: skip
def test_graphql_queries_are_recognised_by_their_names_and_variables(step, name, variables):
    at = {"search": 9, "category": 5, "product": 14, "basket": 20, "checkout_page": 25}[step]
    found = match_steps(
        read(visit(**{step: operation(name, f"query {name} {{ x }}", {}, at=at, **variables)}))
    )
    assert found[step].path == "/graphql"


def test_a_persisted_or_batched_operation_is_sent_as_recorded():
    call = {
        "operationName": "AddLine",
        "variables": {"sku": "LAN-40"},
        "extensions": {"persistedQuery": {"v": 1}},
    }
    for body in (call, [call, {"operationName": "Cart", "variables": {}, "query": "query Cart { id }"}]):
        text = draft(visit(add_to_basket=entry("POST", "/api/gql", at=19, body=body, text=[]))).text
        assert '"variables": {"sku": sku}' in text
        assert '"extensions": {"persistedQuery": {"v": 1}}' in text


def test_a_product_inside_the_text_of_a_query_varies():
    text = 'mutation { addToCart(sku: "LAN-40", note: "LAN-401") { id } }'
    drafted = draft(visit(add_to_basket=operation("", text, {}, at=19)))
    assert r'"query": f"mutation {{ addToCart(sku: \"{sku}\", note: \"LAN-401\") {{ id }} }}"' in drafted.text


@pytest.mark.parametrize("api", ["https://api.lanterns.example", "https://lanterns.commerce-cloud.test:8443"])
def test_an_api_on_another_origin_is_kept_with_its_address(api):
    adding = entry("POST", f"{api}/carts/lines", at=19, body={"sku": "LAN-40"}, text={})
    entries = visit(
        add_to_basket=adding,
        more=[
            entry("POST", "https://pay.stripe-like.test/v1/payments", at=39, body={"pay": 1}, text={}),
            entry("GET", "https://reviews.test/product/LAN-40", at=15, text={}),
        ],
    )
    recorded = read(entries)
    assert recorded.other_origins == (api,)
    assert [one.reason for one in recorded.left_out] == ["it went to another site"] * 2
    drafted = draft(entries).text
    assert f'API = "{api}"' in drafted
    assert 'self.fetch("POST", f"{API}/carts/lines", json={"sku": sku})' in drafted


def test_an_id_in_a_link_of_a_page_is_taken_from_that_page():
    basket = entry("GET", "/basket", at=20, text='<a href="/checkout/s-5512907/start">Go</a>')
    page = entry("GET", "/checkout/s-5512907/start", at=25)
    text = draft(visit(basket=basket, checkout_page=page)).text
    assert 'self.checkout_id = text_between(answer.text, "href=\\"/checkout/", "/")' in text
    assert 'self.fetch("GET", f"/checkout/{quote(self.checkout_id)}/start")' in text


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-be", "utf-32"])
def test_the_encoding_of_the_file_does_not_matter(encoding):
    raw = json.dumps({"log": {"entries": visit()}}, ensure_ascii=False).encode(encoding)
    assert len(match_steps(read_har(raw))) == len(ORDER_OF_STEPS)


@pytest.mark.parametrize(
    ("category", "product", "adding"),
    [
        ("/index.php?route=product/category&path=20", "/index.php?route=product/product&product_id=40",
         "/index.php?route=checkout/cart/add"),
        ("/category.php?id_category=3", "/product.php?id_product=40", "/cart.php?action=add"),
        ("/shop?category=storm", "/product?sku=LAN-40", "/cart/add"),
    ],
)  # fmt: skip
def test_a_shop_whose_addresses_are_all_parameters_is_walked(category, product, adding):
    number, group = product.rpartition("=")[2], category.rpartition("=")[2]
    menu = f'<a href="{category.replace("&", "&amp;")}">Storm</a><a href="{category[:-1]}9">Other</a>'
    listing = f'<a href="{SHOP}{product.replace("&", "&amp;")}">Lantern</a>'
    name = product.rpartition("=")[0].rpartition("&")[2].rpartition("?")[2]
    drafted = draft(
        visit(
            home=entry("GET", "/", at=1, text=menu),
            category=entry("GET", category, at=5, text=listing),
            search=entry("GET", "/index.php?route=product/search&search=brass", at=9, text=listing),
            product=entry("GET", product, at=14, text='<p class="price">£9.50</p>'),
            add_to_basket=entry(
                "POST", adding, at=19, body=f"{name}={number}&quantity=1", status=303, mime=""
            ),
            basket=entry("GET", "/index.php?route=checkout/cart", at=20),
            checkout_page=entry("GET", "/index.php?route=checkout/checkout", at=25),
        )
    )
    assert set(drafted.steps) == set(ORDER_OF_STEPS)
    assert f"={group}" not in drafted.text
    assert f'f"{product.rpartition("=")[0]}={{quote(sku)}}"' in drafted.text
    assert f'"{name}": sku' in drafted.text
    assert (
        f"{category.rpartition('=')[0]}={{quote(self.rng.choice(self.catalogue.categories))}}" in drafted.text
    )
    patterns = dict(re.findall(r"(\w+_LINK) = re.compile\(r'(.*)'\)", drafted.text))
    assert re.findall(patterns["PRODUCT_LINK"], listing) == [number]
    assert re.findall(patterns["CATEGORY_LINK"], menu) == [group, f"{group[:-1]}9"]


def test_a_variant_in_the_query_does_not_replace_the_product_of_the_path():
    product = entry("GET", "/products/brass-lantern?variant=4012", at=14)
    text = draft(visit(product=product)).text
    assert 'self.fetch("GET", f"/products/{quote(sku)}?variant=4012")' in text


@pytest.mark.parametrize(
    ("page", "other", "wanted"),
    [
        (
            '{"availability": "https://schema.org/InStock"}',
            '{"availability": "https://schema.org/OutOfStock"}',
            True,
        ),
        (
            '<p class="instock">In stock</p>',
            '<p class="outofstock">Email me when it is back in stock</p>',
            True,
        ),
        ("<p>Sold out</p>", "", False),
        ("<p>Nice lantern</p>", "", False),
    ],
)
def test_the_first_word_about_stock_decides_whether_a_product_is_available(page, other, wanted):
    text = draft(visit(product=entry("GET", "/product/LAN-40", at=14, text=f"<p>£9</p>{page}"))).text
    found = re.findall(r"STOCK = re.compile\(r\"(.*)\"\)", text)
    assert bool(found) == wanted
    if wanted:
        assert re.search(found[0], page)[1] is not None
        assert re.search(found[0], other)[1] is None
