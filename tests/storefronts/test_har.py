"""Browser recordings: what is kept, the step of each request, and the drafted driver."""

from __future__ import annotations

import ast
import json
from importlib.resources import files

import pytest

from doorbuster.storefronts.har.driver_draft import driver_text
from doorbuster.storefronts.har.recording import read_har
from doorbuster.storefronts.har.steps import match_steps

SHOP = "https://shop.example"


def entry(
    method: str, url: str, *, mime: str = "text/html", status: int = 200, at: str = "00", body: object = None
) -> dict:
    request = {"method": method, "url": url, "cookies": [{"name": "sid", "value": "hidden"}], "headers": []}
    if isinstance(body, dict):
        request["postData"] = {"mimeType": "application/json", "text": json.dumps(body)}
    elif isinstance(body, str):
        request["postData"] = {"mimeType": "application/x-www-form-urlencoded", "text": body}
    return {
        "startedDateTime": f"2027-01-15T08:00:{at}.000Z",
        "request": request,
        "response": {"status": status, "content": {"mimeType": mime}},
    }


def visit(*entries: dict):
    return read_har(json.dumps({"log": {"entries": list(entries)}}).encode())


def test_only_the_shops_own_requests_are_kept_in_order_of_time():
    found = visit(
        entry("GET", f"{SHOP}/", at="00"),
        entry("GET", f"{SHOP}/late", at="09"),
        entry("GET", f"{SHOP}/api/price", mime="application/json; charset=utf-8", at="04"),
        entry("GET", f"{SHOP}/a.css", mime="text/css"),
        entry("GET", f"{SHOP}/a.png", mime="image/png"),
        entry("POST", "https://ads.example/t", mime="application/json", body={"id": 1}),
        entry("GET", "http://shop.example/", at="05"),
    )
    assert found.origin == SHOP
    assert [request.path for request in found.requests] == ["/", "/api/price", "/late"]
    assert found.pauses_s == (9.0,)


def test_secrets_are_masked_and_addresses_replaced():
    found = visit(
        entry("GET", f"{SHOP}/?access_token=abc&q=tea"),
        entry("POST", f"{SHOP}/login", body="user=ann@home.example&password=hunter2"),
        entry(
            "POST",
            f"{SHOP}/pay",
            body={"card": {"cardNumber": "4111", "name": "A"}, "mails": ["a@b.example"]},
        ),
    )
    first, second, third = found.requests
    assert first.fields == (("access_token", "***"), ("q", "tea"))
    assert second.fields == (("user", "test.customer@example.com"), ("password", "***"))
    assert third.fields == (
        ("card", {"cardNumber": "***", "name": "A"}),
        ("mails", ["test.customer@example.com"]),
    )
    assert third.as_json


def test_a_form_answered_with_a_redirect_is_kept():
    found = visit(entry("GET", f"{SHOP}/"), entry("POST", f"{SHOP}/cart", mime="", status=303, body="id=7"))
    assert [request.method for request in found.requests] == ["GET", "POST"]


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"no",
        b"{}",
        b'{"log": {}}',
        b'{"log": {"entries": [7]}}',
        b'{"log": {"entries": []}}',
        b"\xff\xfe",
        b"[]",
    ],
)
def test_a_file_that_is_not_a_recording_is_refused(text):
    with pytest.raises(ValueError, match=r"is not a HAR recording|contains no page|has no entries"):
        read_har(text)


def test_a_recording_cannot_write_code_into_the_driver():
    template = (files("doorbuster.cli") / "starter" / "driver.py.template").read_text(encoding="utf-8")
    nasty = '"); raise SystemExit("{0}\\\\'
    recorded = visit(
        entry("GET", f"{SHOP}/"),
        entry("GET", f"{SHOP}/p{nasty}/p/x{nasty}", at="01"),
        entry("POST", f"{SHOP}/cart/{nasty}", body={nasty: nasty, "n": "'"}, at="02"),
        entry("POST", f"{SHOP}/checkout/{nasty}", body={nasty: [nasty]}, at="03"),
        entry("GET", f"{SHOP}/search/{nasty}?q={nasty}", at="04"),
    )
    tree = ast.parse(driver_text(template, recorded))
    calls = {
        node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and hasattr(node.func, "id")
    }
    assert "SystemExit" not in calls
    found = visit(entry("GET", f"{SHOP}/"), entry("GET", 'https://ann:pw@shop.example"/'))
    assert [one.reason for one in found.left_out] == ["its address is not a plain host"]


@pytest.mark.parametrize(
    ("method", "path", "step"),
    [
        ("GET", "/", "home"),
        ("GET", "/category/lamps", "category"),
        ("GET", "/collections/winter", "category"),
        ("GET", "/search?q=tea", "search"),
        ("GET", "/find?query=tea", "search"),
        ("GET", "/products/tea-pot", "product"),
        ("GET", "/p/123/", "product"),
        ("POST", "/cart/add", "add_to_basket"),
        ("POST", "/basket/items", "add_to_basket"),
        ("GET", "/cart", "basket"),
        ("GET", "/checkout", "checkout_page"),
        ("POST", "/checkout", "checkout"),
        ("POST", "/api/orders", "checkout"),
        ("GET", "/about-us", None),
        ("POST", "/newsletter", None),
        ("PUT", "/cart/1", None),
    ],
)
def test_the_words_of_a_url_identify_the_step(method, path, step):
    home = entry("GET", f"{SHOP}/welcome")
    assert list(match_steps(visit(home, entry(method, SHOP + path)))) == ([step] if step else [])


def test_the_draft_has_the_recorded_urls_and_fields_and_is_python():
    template = (files("doorbuster.cli") / "starter" / "driver.py.template").read_text(encoding="utf-8")
    recorded = visit(
        entry("GET", f"{SHOP}/", at="00"),
        entry("GET", f"{SHOP}/c/lamps/", at="01"),
        entry("GET", f"{SHOP}/find?query=desk+lamp", at="02"),
        entry("GET", f"{SHOP}/p/L-7/", at="03"),
        entry(
            "POST",
            f"{SHOP}/api/cart/lines",
            mime="application/json",
            body={"article": "L-7", "n": 1},
            at="04",
        ),
        entry("POST", f"{SHOP}/api/orders", mime="application/json", body={"mail": "a@b.example"}, at="05"),
    )
    text = driver_text(template, recorded)
    compile(text, "driver.py", "exec")
    for part in (
        """/p/([^"/?#]{1,200})/["?#]')""",
        """/c/([^"/?#]{1,200})/["?#]')""",
        'f"/p/{quote(sku)}/"',
        'f"/find?query={quote(self.rng.choice(self.catalogue.search_terms))}"',
        'SEARCH_TERMS = ("desk lamp",)',
        '"/api/cart/lines", json={"article": sku, "n": 1}',
        '"/api/orders", json={"mail": "test.customer@example.com"}',
        "Not in the recording: basket, checkout_page.",
        "send `key` where the shop's ledger keeps it",
    ):
        assert part in text, part


def test_form_fields_are_read_from_the_text_sent():
    row = entry("POST", f"{SHOP}/order", body="email=jo%40home.example&name=A+B")
    row["request"]["postData"]["params"] = [
        {"name": "email", "value": "jo%40home.example"}, {"name": "name", "value": "A+B"},
    ]  # fmt: skip
    assert visit(entry("GET", f"{SHOP}/"), row).requests[1].fields == (
        ("email", "test.customer@example.com"),
        ("name", "A B"),
    )
    row["request"]["postData"].update(mimeType="multipart/form-data; boundary=x", text="--x")
    row["request"]["postData"]["params"] = [{"name": "name", "value": "A B"}]
    assert visit(entry("GET", f"{SHOP}/"), row).requests[1].fields == (("name", "A B"),)


def test_error_pages_for_missing_files_are_dropped():
    found = visit(
        entry("GET", f"{SHOP}/"),
        entry("GET", f"{SHOP}/static/lib.min.js", at="01"),
        entry("GET", f"{SHOP}/favicon", status=404, at="02"),
    )
    assert [request.path for request in found.requests] == ["/"]


def test_forms_with_tokens_are_submitted_from_their_pages_through_a_long_checkout():
    """As a Django shop does it: a token in every form, four pages to the order, and redirects in between."""
    template = (files("doorbuster.cli") / "starter" / "driver.py.template").read_text(encoding="utf-8")
    token = "csrfmiddlewaretoken=abc"
    recorded = visit(
        entry("GET", f"{SHOP}/", at="00"),
        entry("GET", f"{SHOP}/catalogue/lamp_7/", at="01"),
        entry("POST", f"{SHOP}/basket/add/7/", body=f"{token}&quantity=1", status=302, mime="", at="02"),
        entry("GET", f"{SHOP}/catalogue/lamp_7/", at="03"),
        entry("GET", f"{SHOP}/checkout/", at="04"),
        entry(
            "POST", f"{SHOP}/checkout/", body=f"{token}&username=jo@x.example", status=302, mime="", at="05"
        ),
        entry("GET", f"{SHOP}/checkout/address/", at="06"),
        entry("POST", f"{SHOP}/checkout/address/", body=f"{token}&line1=1+Way", status=302, mime="", at="07"),
        entry("GET", f"{SHOP}/checkout/method/", status=302, at="08"),
        entry("GET", f"{SHOP}/checkout/payment/", at="09"),
        entry("GET", f"{SHOP}/checkout/preview/", at="10"),
        entry(
            "POST", f"{SHOP}/checkout/preview/", body=f"{token}&action=place", status=302, mime="", at="11"
        ),
        entry("GET", f"{SHOP}/checkout/thank-you/", at="12"),
    )
    text = driver_text(template, recorded)
    compile(text, "driver.py", "exec")
    wanted = """
    def checkout_page(self) -> None:
        self.seen = self.fetch("GET", "/checkout/")
        self.seen = submit(self, self.seen, {"username": "test.customer@example.com"}, to="/checkout/")
        submit(self, self.seen, {"line1": "1 Way"}, to="/checkout/address/")
        self.seen = self.fetch("GET", "/checkout/preview/")
"""
    assert wanted in text
    for part in (
        "from doorbuster.storefronts.forms import submit",
        'self.seen = self.fetch("GET", f"/catalogue/{quote(sku)}/")',
        'answer = submit(self, self.seen, {"quantity": "1"}, to="/basket/add/")',
        'answer = submit(self, self.seen, {"action": "place"}, to="/checkout/preview/")',
    ):
        assert part in text, part
    assert "***" not in text
