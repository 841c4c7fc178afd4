"""Recordings that were made to do harm: no code of theirs runs, nothing of them takes the generator down."""

from __future__ import annotations

import ast
import json
import random
import time
import tracemalloc
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from doorbuster.storefronts.har.recording import read_har
from doorbuster.storefronts.har.source_code import (
    Code,
    comment,
    identifier,
    literal,
    long_text,
    text_literal,
    text_of,
)
from tests.storefronts.har_entries import SHOP, draft, entry, read, visit

NASTY = (
    '"); import os; os.system("id")  #',
    "'+str(__import__('os').system('id'))+'idempot'+'",
    "{__import__('os')}",
    "{{}}{0}%s$remark${x}",
    '"""\nraise SystemExit\n"""',
    "\\",
    "\\N{BULLET}\\x22\\",
    "line\nbreak\rreturn\u2028separator\x00null\x1b[31mred\u202eright",
    "\ud800lone",
    "# coding: rot13",
    'self.fetch("POST", "/checkout", data={**CUSTOMER, "idempotency_key": key})',
)
ALLOWED_CALLS = {
    "Catalogue", "Listing", "Order", "Product", "Random", "Rejected", "accumulate", "all_at", "at", "bool",
    "cls", "field_value", "int", "json_of", "map", "pence_of", "quote", "str", "submit", "sum",
    "text_between", "tuple",
}  # fmt: skip
ALLOWED_METHODS = {
    "basket", "category", "checkout", "checkout_page", "choice", "compile", "encode", "fetch", "findall",
    "fromkeys", "get", "home", "listing", "product", "search",
}  # fmt: skip


def assert_harmless(text: str) -> None:
    """Every call of the draft is one that the drafter writes itself, and no name is another's."""
    for node in ast.walk(ast.parse(text)):
        assert not isinstance(node, ast.Import) or [one.name for one in node.names] == ["re"]
        if isinstance(node, ast.ImportFrom):
            assert node.module in ("__future__", "itertools", "os", "random", "urllib.parse") or (
                node.module or ""
            ).startswith("doorbuster.storefronts")
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id in ALLOWED_CALLS
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            assert node.func.attr in ALLOWED_METHODS or node.func.attr.startswith("need_")
        assert not isinstance(node, ast.Name) or not node.id.startswith("__")


def hostile_visit(nasty: str) -> list[dict[str, Any]]:
    """A visit with a text in every place that the drafter writes from."""
    page = f'<meta name="{nasty}" content="tok-1234567890"><a href="/product/{nasty}">{nasty}</a>'
    return visit(
        home=entry("GET", f"/{nasty}", at=1, text=page, headers={"X-Own": nasty, nasty: nasty}),
        category=entry("GET", f"/category/{nasty}", at=5, text={nasty: [{nasty: nasty, "sku": nasty}]}),
        search=entry("GET", f"/search?q={nasty}&{nasty}={nasty}", at=9),
        product=entry("GET", f"/product/{nasty}", at=14, text={"price": nasty, "stock": nasty, "sku": nasty}),
        add_to_basket=entry("POST", f"/cart/add/{nasty}", at=19, body={nasty: nasty, "t": "tok-1234567890"},
                            text={}),
        basket=entry("GET", f"/basket?token={nasty}", at=20),
        checkout_page=entry("POST", "/graphql", at=25, text={"data": {}}, body={
            "operationName": nasty, "query": f"mutation {nasty}{{ order }}", "variables": {nasty: [nasty]}}),
        checkout=entry("POST", f"/checkout/{nasty}", at=40, text={"order_ref": nasty, "total": nasty},
                       body=f"{nasty}=1&idempotency{nasty}=2&password={nasty}&a{nasty}=9"),
    )  # fmt: skip


@pytest.mark.parametrize("nasty", NASTY)
def test_nothing_of_a_recording_becomes_code(nasty):
    assert_harmless(draft(hostile_visit(nasty)).text)


@pytest.mark.parametrize("nasty", NASTY)
def test_nothing_of_a_recording_becomes_code_of_a_form(nasty):
    form = "&".join(f"{name}=1" for name in (nasty.replace("&", ""), "csrf_token"))
    entries = visit(
        add_to_basket=entry("POST", f"/cart/add/{nasty}", at=19, body=form, status=303, mime=""),
        checkout=entry(
            "POST", "/checkout", at=40, body=f"{nasty}={nasty}&csrf_token=abc", status=303, mime=""
        ),
    )
    assert_harmless(draft(entries).text)


def test_texts_become_literals_that_evaluate_to_themselves():
    for text in (*NASTY, "plain", "ümläut 日本", "'single' and \"double\"", ""):
        assert ast.literal_eval(text_literal(text)) == text
        assert ast.literal_eval(literal(text)) == text
        assert text_literal(text).isprintable()
        assert text_literal(text).encode()
        spliced = text_of([text, Code("sku"), text])
        assert eval(spliced, {"sku": "S"}) == f"{text}S{text}"
        assert comment(text).isprintable()
        assert ast.literal_eval(long_text(text * 9)) == text * 9
        assert identifier(text, set()).isidentifier()


def test_random_texts_stay_literals():
    rng = random.Random(11)
    letters = "\"'\\{}$#%()\n\r\t\x00\x1b\u2028\u202eaé日\ud800_/;:=&?"
    for _ in range(3000):
        text = "".join(rng.choices(letters, k=rng.randrange(1, 12)))
        assert ast.literal_eval(text_literal(text)) == text
        assert eval(text_of([text, Code("v"), text]), {"v": 1}) == f"{text}1{text}"


def test_a_name_becomes_a_variable_of_its_own():
    taken = {"basket"}
    names = ("cartId", "cart-id", "basket", "class", "9x", "日本", "")
    assert [identifier(name, taken) for name in names] == [
        "cart_id", "cart_id_2", "basket_id", "value_class", "value_9x", "value", "value_id",
    ]  # fmt: skip


JUNK: tuple[Any, ...] = (
    None, 7, "text", [], {}, {"request": []}, {"request": {"method": [], "url": {}}},
    {"request": {"method": "GET", "url": SHOP}, "response": []},
    {"request": {"method": "GET", "url": SHOP}, "response": {"status": "200", "content": 7}},
    {"request": {"method": "POST", "url": f"{SHOP}/cart", "postData": [1]}, "response": {"status": 200}},
    {"request": {"method": "POST", "url": f"{SHOP}/cart", "postData": {"mimeType": 7, "params": 7}},
     "response": {"status": 200, "content": {"mimeType": 7, "text": 7, "encoding": "base64"}, "headers": [7],
                  "cookies": {"a": 1}}},
    {"request": {"method": "GET", "url": f"{SHOP}/\ud800", "headers": {"a": 1}},
     "response": {"status": 200, "content": {"mimeType": "text/html", "text": "\ud800", "encoding": "x"}}},
    {"request": {"method": "GET", "url": "https://[::1]:80/"}, "response": {"status": 10**400}},
    {"startedDateTime": "9999-99-99T99:99:99Z", "request": {"method": "GET", "url": SHOP}, "response": None},
)  # fmt: skip


def test_entries_of_any_shape_are_skipped():
    recorded = read([*JUNK, *visit()])
    assert recorded.origin == SHOP
    assert len(recorded.left_out) >= len(JUNK) - 3
    draft([*JUNK, *visit()])


def sound_page(one: Any) -> bool:
    """Whether an entry is still a page that was opened."""
    try:
        request, response = one["request"], one["response"]
        return (
            request["method"] == "GET"
            and request["url"].startswith(SHOP)
            and response["status"] == 200
            and "html" in str(response["content"]["mimeType"])
        )
    except (TypeError, KeyError, AttributeError, IndexError):
        return False


@pytest.mark.parametrize("seed", range(40))
def test_a_recording_with_anything_in_any_place_is_drafted_or_refused_with_a_sentence(seed):
    rng = random.Random(seed)
    entries = json.loads(json.dumps(visit()))

    def spoil(value: Any) -> Any:
        if rng.random() < 0.06:
            return rng.choice(
                [None, 7, -1, True, "", [], {}, [[]], {"a": 1}, "\x00", "https://x/", 1e308, *NASTY[:3]]
            )
        if isinstance(value, dict):
            return {key: spoil(inner) for key, inner in value.items()}
        return [spoil(inner) for inner in value] if isinstance(value, list) else value

    spoilt = [spoil(one) for one in entries]
    if any(sound_page(one) for one in spoilt):
        assert_harmless(draft(spoilt).text)
    else:
        with pytest.raises(ValueError, match="contains no page"):
            read(spoilt)


@pytest.mark.parametrize(
    "text",
    [
        b'{"log":' * 20_000,
        b'{"log":{"entries":' + b"[" * 200_000 + b"]" * 200_000 + b"}}",
        b'{"log":{"entries":7}}',
        b'{"log":{"entries":[' + b"1" * 6000 + b"]}}",
        b"\x1f\x8b\x08" + b"\x00" * 50,
    ],
    ids=["unclosed", "deep", "number", "huge number", "gzip"],
)
def test_a_file_that_is_not_a_recording_is_refused_with_a_sentence(text):
    with pytest.raises(ValueError, match=r"is not a HAR recording|contains no page"):
        read_har(text)


def test_bodies_and_answers_without_end_are_cut_or_left_out():
    deep = {"a": 1}
    for _ in range(300):
        deep = {"a": deep}
    entries = visit(
        category=entry("GET", "/category/storm", at=5, text=deep),
        product=entry("GET", "/product/LAN-40", at=14, text="x" * 2_000_000),
        more=[
            entry("POST", "/cart/add", at=18, body=deep),
            entry("POST", "/cart/add", at=18, body="a=" + "b" * 300_000),
        ],
    )
    reasons = [one.reason for one in draft(entries).left_out]
    assert "its JSON is nested deeper than 40 levels" in reasons
    assert "its body is longer than 200,000 characters" in reasons


def test_a_large_recording_is_drafted_in_seconds_and_bounded_memory():
    rows = [{"id": f"item-{n}", "token": f"{n:032x}", "name": "a" * 40} for n in range(2000)]
    page = (
        "<a href='/product/x'>" * 3000 + "<input name='t' value='" + "v" * 200 + "'>" * 3000 + "a" * 200_000
    )
    many = [entry("GET", f"/api/list/{n}", at=2, text=rows if n % 40 == 0 else [], mime="application/json")
            for n in range(1500)]  # fmt: skip
    pages = [entry("GET", f"/help/{n}?x=item-{n}", at=3, text=page) for n in range(30)]
    raw = json.dumps({"log": {"entries": [*many, *pages, *visit()]}}).encode()
    started = time.perf_counter()
    tracemalloc.start()
    read_har(raw)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 * len(raw) + 200_000_000
    draft([*many, *pages, *visit()])
    assert time.perf_counter() - started < 40


@pytest.mark.parametrize(
    "hostile",
    ["a@", "<input ", "<form", '"a":"', "total", "order ", "order <a>", "price", "a", "a.", '<a href="/'],
)
def test_no_page_of_a_recording_takes_long_to_search(hostile):
    started = time.perf_counter()
    page = {"text": hostile * 40_000, "mime": "text/html"}
    entries = visit(
        home=entry("GET", "/", at=1, **page),
        product=entry("GET", "/product/LAN-40", at=14, **page),
        thanks=entry("GET", "/thank-you", at=41, **page),
        checkout=entry("POST", "/checkout", at=40, body=f"mail={hostile * 9_000}", status=303, mime=""),
    )
    draft(entries)
    assert time.perf_counter() - started < 10


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.text(st.characters(categories=None), min_size=1, max_size=60),
    st.text("'\"\\\\{}()+;=#\n\r%$@,. aimport_", max_size=60),
)
def test_whatever_a_recording_holds_stays_a_constant_of_the_driver(anything, code):
    """Every call and import is the drafter's own; names have letters, digits and _ of what was recorded."""
    for nasty in (anything, code):
        text = draft(hostile_visit(nasty)).text
        assert_harmless(text)
        for node in ast.walk(ast.parse(text)):
            for name in (getattr(node, "id", ""), getattr(node, "attr", ""), getattr(node, "name", "")):
                assert not name or (name.isascii() and name.isidentifier())
