"""Values taken out of answers, and what a page in the wrong place is called."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from doorbuster.storefronts import Basket, BasketLine, Listing, Order, Product, Rejected
from doorbuster.storefronts.answers import ALL, all_at, at, field_value, json_of, pence_of, text_between


@dataclass
class Answer:
    text: str
    url: str = "http://shop.example/"
    status_code: int = 200
    cause: str = ""
    detail: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    def json(self) -> Any:
        return json.loads(self.text)


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("<h1>We are busy</h1>", "unexpected_content"),
        ("", "unexpected_content"),
        ('{"errors": [{"message": "no"}], "data": null}', "graphql_error"),
        ('{"data": {"pay": {"__typename": "PaymentDeclinedError"}}}', "paymentdeclinederror"),
        ('{"data": {"pay": {"errorCode": "PAYMENT_DECLINED"}}}', "payment_declined"),
        ('{"data": {"pay": {"userErrors": [{"code": "INVALID", "message": "x"}]}}}', "invalid"),
        ('{"data": {"pay": {"errors": [{"message": "x"}]}}}', "graphql_error"),
    ],
)
def test_a_holding_page_or_a_graphql_error_with_status_200_is_a_failure_of_the_shop(text, cause):
    with pytest.raises(Rejected) as refusal:
        json_of(Answer(text))
    assert refusal.value.cause == cause
    assert not refusal.value.expected


def test_a_lack_of_stock_is_correct_behaviour():
    with pytest.raises(Rejected) as refusal:
        json_of(Answer('{"data": {"add": {"errorCode": "INSUFFICIENT_STOCK_ERROR"}}}'))
    assert (refusal.value.cause, refusal.value.expected) == ("sold_out", True)


def test_answers_without_an_error_are_returned():
    for text in (
        '{"data": {"add": {"errors": [], "id": 1}, "n": null}}',
        '{"errors": []}',
        "[1]",
        '{"data": [1]}',
    ):
        assert json_of(Answer(text)) == json.loads(text)


def test_values_are_found_by_their_path():
    value = {
        "rows": [{"id": 4, "to": {"sku": "a"}}, {"id": 5, "to": {"sku": "b"}}, {}],
        "by": {"x": {"n": 1}},
    }
    assert at(value, "rows", 1, "to", "sku") == "b"
    assert all_at(value, "rows", ALL, "to", "sku") == ("a", "b")
    assert all_at(value, "by", ALL, "n") == (1,)
    assert all_at(value, "none", ALL) == ()
    assert all_at("text", ALL, "x") == ()


@pytest.mark.parametrize("path", [("x",), ("rows", 9), ("rows", "id"), ("rows", 0, "id", "n"), ("none",)])
def test_a_missing_value_is_a_rejection_with_its_path(path):
    with pytest.raises(Rejected) as refusal:
        at({"rows": [{"id": 4}], "none": None}, *path)
    assert refusal.value.cause == "missing_value"
    assert "/".join(map(str, path)) in refusal.value.detail


def test_hidden_fields_meta_tags_and_buttons_have_values():
    page = Answer(
        '<meta name="csrf-token" content="a&amp;b"><INPUT value=\'9\' type=hidden name="product_id">'
        '<button name="add-to-cart" value="40">'
    )
    assert field_value(page, "csrf-token") == "a&b"
    assert field_value(page, "product_id") == "9"
    assert field_value(page, "add-to-cart") == "40"
    with pytest.raises(Rejected) as refusal:
        field_value(page, "nonce")
    assert refusal.value.cause == "page_without_field"


def test_text_between_two_others_is_found_and_its_absence_is_a_rejection():
    assert text_between("/checkout/ab-12/pay", "/checkout/", "/") == "ab-12"
    assert text_between("/order?ref=LF-7", "ref=", "") == "LF-7"
    for text, before, after in (("/a/b", "/c/", "/"), ("/c/b", "/c/", "/")):
        with pytest.raises(Rejected):
            text_between(text, before, after)


@pytest.mark.parametrize(
    ("amount", "pence"),
    [
        ("12.99", 1299), ("£1,299.00", 129900), ("1.299,00 €", 129900), ("1 299,50", 129950), ("7", 700),
        ("7.5", 750), ("1,299", 129900), ("1.299", 129900), (12.5, 1250), (3, 300), ("EUR 0.05", 5),
        ("CHF 1'299.95", 129995), ("12,999,999.10", 1299999910),
    ],
)  # fmt: skip
def test_prices_are_read_as_people_write_them(amount, pence):
    assert pence_of(amount) == pence


@pytest.mark.parametrize(
    ("amount", "digits", "units"),
    [
        ("¥1,299", 0, 1299), ("1299", 0, 1299), (1299.0, 0, 1299),
        ("1.299,500 KWD", 3, 1299500), ("12.5", 3, 12500), ("KWD 1,250", 3, 1250),
    ],
)  # fmt: skip
def test_prices_of_currencies_without_cents_or_with_mils(amount, digits, units):
    assert pence_of(amount, digits=digits) == units


def test_a_text_without_a_number_is_not_a_price():
    with pytest.raises(Rejected) as refusal:
        pence_of("on request")
    assert refusal.value.cause == "missing_price"


@pytest.mark.parametrize(
    "fill",
    [
        lambda value: Order(value, 1, ()),
        lambda value: Order("R", value, ()),
        lambda value: Listing((value,)),
        lambda value: Product(value, 1, True),
        lambda value: Product("A", value, True),
        lambda value: BasketLine(value, 1, 1),
        lambda value: BasketLine("A", value, 1),
        lambda value: BasketLine("A", 1, value),
        lambda value: Basket({"A": value}),
    ],
)
@pytest.mark.parametrize("value", [None, [], {}, True, 1.5, float("nan"), 10**400, b"a", ("a",)])
def test_values_of_another_type_fail_the_shop(fill, value):
    with pytest.raises(Rejected, match=r"^unexpected_content: "):
        fill(value)


def test_numbers_are_accepted_as_names_and_whole_floats_as_numbers():
    assert Order(17, 100.0, ()) == Order("17", 100, ())
