"""Answers that a driver cannot read fail the shop; mistakes of the driver stay the driver's."""

from __future__ import annotations

import gzip
import json
import re
import struct
from xml.etree import ElementTree

import pytest

from doorbuster.load.exchange import RequestFailed
from doorbuster.load.target.content_errors import content_error

NOTHING, TEXT, LIST = None, "text", ()
CHANNEL = "{web: {share: 100%, journeys: {order_status: 1}, patience: none}}"


@pytest.mark.parametrize(
    ("text", "headers", "cause"),
    [
        ("json <html>", {}, "unexpected_content"),
        ("json {}", {}, "unexpected_content"),
        ("json []", {}, "unexpected_content"),
        ("json null", {}, "unexpected_content"),
        ('json {"order": null}', {}, "unexpected_content"),
        ('json {"order": {"ref": null}}', {}, "unexpected_content"),
        ('json {"order": {"ref": 7}}', {}, "unexpected_content"),
        ("ok", {"Content-Encoding": "gzip"}, "bad_response"),
        ("ok", {"Content-Encoding": "br"}, "bad_response"),
        ("ok", {"Content-Encoding": "zstd"}, "bad_response"),
    ],
)
def test_an_answer_that_the_driver_cannot_read_turns_the_customer_away(visit, flaky, text, headers, cause):
    seen = visit(lambda _: flaky.Reply(text, headers=headers), CHANNEL)
    assert seen.left == {("web", "turned_away", "order_status", cause): 1}
    assert seen.requests == {("web", "order_status", "failed", cause): 1}


@pytest.mark.parametrize("charset", ["idna", "hex", "undefined", "punycode", "no-such", "", '"', "utf_8_sig"])
def test_an_unknown_charset_is_read_as_utf_8_or_latin_1_as_browsers_do(visit, flaky, charset):
    seen = visit(lambda _: flaky.Reply(headers={"Content-Type": f"text/html; charset={charset}"}), CHANNEL)
    assert seen.left == {("web", "served", "", ""): 1}


def test_the_status_explains_an_error_page_that_cannot_be_read(visit, flaky):
    seen = visit(lambda _: flaky.Reply("json {", 503, {"Content-Encoding": "gzip"}), CHANNEL)
    assert seen.left == {("web", "turned_away", "order_status", "status_5xx"): 1}


class Shop:
    def step(self, sku: str) -> None: ...


@pytest.mark.parametrize(
    "read",
    [
        lambda: {}["price"],
        lambda: LIST[0],
        lambda: NOTHING["price"],
        lambda: TEXT["price"],
        lambda: NOTHING.group(1),
        lambda: [].get("price"),
        lambda: re.match("a", "b").start(),
        lambda: int("12 pounds"),
        lambda: sum(["1", "2"]),
        lambda: json.loads("["),
        lambda: ElementTree.fromstring("<a>"),
        lambda: gzip.decompress(b"\x1f\x8b")[0],
        lambda: struct.unpack("I", b"1"),
        lambda: b"\xff".decode(),
        lambda: round(float("inf")),
    ],
)
def test_errors_of_reading_data_are_those_of_the_shop(read):
    with pytest.raises(Exception) as raised:  # noqa: PT011  any
        read()
    refusal = content_error(raised.value, "")
    assert refusal is not None
    assert refusal.cause == "unexpected_content"
    assert content_error(raised.value, "status_5xx").cause == "status_5xx"


@pytest.mark.parametrize(
    "mistake",
    [
        lambda: undefined_name,  # noqa: F821
        lambda: Shop().catalog,
        lambda: Shop().step(),
        lambda: Shop().step("a", colour="red"),
        lambda: Shop()("a"),
        lambda: compile("a b", "x", "exec"),
        lambda: __import__("no_module_of_this_name"),
        lambda: (_ for _ in ()).throw(NotImplementedError()),
    ],
)
def test_mistakes_in_a_program_are_those_of_the_driver(mistake):
    with pytest.raises(Exception) as raised:  # noqa: PT011  any
        mistake()
    assert content_error(raised.value, "") is None


def test_without_an_answer_nothing_was_read_so_the_driver_is_at_fault():
    assert content_error(KeyError("price"), None) is None


def test_the_detail_names_the_line_of_the_driver():
    try:
        {}["price"]
    except KeyError as error:
        refusal = content_error(error, "")
    assert re.fullmatch(
        r"KeyError: 'price' \(test_content_errors\.py:\d+: \{\}\[\"price\"\]\)", refusal.detail
    ), refusal.detail


def test_a_failed_request_keeps_its_cause():
    refusal = content_error(RequestFailed("bad_response", "damaged gzip body"), "")
    assert (refusal.cause, refusal.detail) == ("bad_response", "damaged gzip body")
