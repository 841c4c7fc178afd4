"""What all drivers share, and how drivers handle scripted responses."""

from __future__ import annotations

import json
from random import Random
from types import SimpleNamespace

import pytest

from doorbuster.scenario.target.target import STOREFRONTS
from doorbuster.storefronts import DRIVERS, BasketLine, Catalogue, Rejected
from doorbuster.storefronts.order_tag import order_tag, read_order_tag
from doorbuster.storefronts.oscar.driver import OscarShop, _pence, _slug
from doorbuster.storefronts.vendure.driver import VendureShop

SOLD = Catalogue(
    skus=("A1", "B2"), cumulative_weights=(1.0, 2.0), search_terms=("tea",),
    categories=("/catalogue/category/tea_1/",),
    places=("1/teapot", "2/teapot"), staff=("s",),
)  # fmt: skip


def answer(body: object = "", *, status: int = 200, **headers: str):
    """An answer as a client hands it to a driver."""
    text = body if isinstance(body, str) else json.dumps(body)
    return SimpleNamespace(
        status_code=status, text=text, url="/", headers=headers, json=lambda: json.loads(text),
        cause="" if status < 400 else f"status_{status // 100}xx", detail=text[:200],
    )  # fmt: skip


class Scripted:
    """A client whose answers are written down before; notes what was asked."""

    def __init__(self, *answers: object) -> None:
        self.answers = list(answers)
        self.asked = []

    def request(self, method, url, **options):
        self.asked.append((method, url, options))
        return self.answers.pop(0)


def vendure(*answers: object, channel: str = "web") -> VendureShop:
    return VendureShop(Scripted(*answers), channel=channel, catalogue=SOLD, rng=Random(1))


def oscar(*answers: object) -> OscarShop:
    catalogue = Catalogue(("A1",), (1.0,), ("tea",), SOLD.categories, ("red-teapot_7",))
    return OscarShop(Scripted(*answers), channel="web", catalogue=catalogue, rng=Random(1))


def cause_of(action, *given: object) -> tuple[str, bool]:
    with pytest.raises(Rejected) as refusal:
        action(*given)
    return refusal.value.cause, refusal.value.expected


def test_a_scenario_may_name_exactly_the_bundled_drivers():
    assert set(STOREFRONTS) == set(DRIVERS)


def test_an_order_tag_is_read_back_and_other_texts_are_not_tags():
    assert read_order_tag(order_tag("phone", "run:7:1")) == ("phone", "run:7:1")
    for text in (None, "", "Marks & Spencer", "doorbuster web", "doorbuster a b c"):
        assert read_order_tag(text) == ("", "")


def test_the_place_of_an_unknown_sku_is_refused():
    assert SOLD.place_of("B2") == "2/teapot"
    for sku in ("", "A0", "Z9"):
        assert cause_of(SOLD.place_of, sku) == ("unknown_sku", False)


def test_the_staff_token_is_not_in_the_repr_of_a_catalogue():
    assert "staff" not in repr(SOLD)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (answer({"errors": [{"message": "boom"}], "data": None}), ("graphql_error", False)),
        (answer({"data": None}), ("graphql_error", False)),
        (answer("<html>busy</html>"), ("unexpected_content", False)),
        (answer("x", status=502), ("status_5xx", False)),
        (answer({"data": {"addItemToOrder": {"__typename": "InsufficientStockError", "message": "m"}}}),
         ("sold_out", True)),
        (answer({"data": {"addItemToOrder": {"__typename": "OrderModificationError", "message": "m"}}}),
         ("order_modification", False)),
        (answer({"data": {"addItemToOrder": {"__typename": "OrderStateTransitionError",
                                             "transitionError": "due to insufficient stock of Tea"}}}),
         ("sold_out", True)),
        (answer({"data": {"addItemToOrder": None}}), ("nothing", False)),
    ],
)  # fmt: skip
def test_vendure_errors_with_status_200_are_recognised(said, expected):
    assert cause_of(vendure(said).add_to_basket, "A1") == expected


@pytest.mark.parametrize(
    "found",
    [None, {"variants": []}, {"variants": [{"sku": "A1", "stockLevel": "IN_STOCK", "priceWithTax": 0}]}],
)
def test_a_vendure_product_without_a_price_is_rejected(found):
    assert cause_of(vendure(answer({"data": {"product": found}})).product, "A1")[0] == "product_without_price"


def test_an_empty_vendure_search_is_rejected():
    empty = answer({"data": {"search": {"totalItems": 0, "items": []}}})
    assert cause_of(vendure(empty).search)[0] == "empty_listing"


def test_vendure_customers_keep_their_session():
    basket = {"data": {"activeOrder": {"lines": [{"quantity": 1, "productVariant": {"sku": "A1"}}]}}}
    shop = vendure(answer(basket, **{"vendure-auth-token": "t1"}), answer(basket), answer(basket))
    for _ in range(3):
        shop.basket()
    sent = [options["headers"] for _, _, options in shop.client.asked]
    assert sent == [{}, {"Authorization": "Bearer t1"}, {"Authorization": "Bearer t1"}]


def test_an_unpaid_vendure_order_is_rejected():
    choices = answer(
        {"data": {"eligibleShippingMethods": [{"id": "1"}], "eligiblePaymentMethods": [{"code": "p"}]}}
    )
    order = {"__typename": "Order", "code": "C", "state": "ArrangingPayment", "totalWithTax": 1, "lines": []}
    done = answer({"data": {"x": order}})
    shop = vendure(done, done, choices, done, done, choices, done, done)
    shop.checkout_page()
    assert cause_of(shop.checkout, "run:1:1", ())[0] == "order_not_paid"
    assert shop.client.asked[-2][2]["json"]["variables"]["address"]["company"] == "doorbuster web run:1:1"


def test_a_vendure_checkout_without_its_page_sends_nothing():
    shop = vendure()
    assert cause_of(shop.checkout, "run:1:1", ())[0] == "checkout_without_choice"
    assert shop.client.asked == []


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (answer({"reason": "a maximum of 5 can be bought"}, status=406), ("sold_out", True)),
        (answer({"total_incl_tax": "0.00"}), ("empty_basket", False)),
        (answer("oops", status=500), ("status_5xx", False)),
        (answer("<html>"), ("unexpected_content", False)),
        (answer([1]), ("unexpected_content", False)),
    ],
)
def test_oscars_responses_to_adding_a_product(said, expected):
    assert cause_of(oscar(said).add_to_basket, "A1") == expected


def test_an_oscar_product_is_read_from_its_page():
    page = '<p class="price_color">£1,018.99</p><p class="instock availability"></p><th>UPC</th><td>A1</td>'
    product = oscar(answer(page)).product("A1")
    assert (product.sku, product.price_pence, product.available) == ("A1", 101899, True)
    gone = page.replace("instock", "outofstock") + page  # another product that was looked at before
    assert not oscar(answer(gone)).product("A1").available


@pytest.mark.parametrize(
    "page", ["", "<th>UPC</th><td>A1</td>", '<p class="price_color">£2.00</p><th>UPC</th><td>B</td>']
)
def test_an_oscar_page_without_a_price_or_of_another_product_is_rejected(page):
    assert cause_of(oscar(answer(page)).product, "A1")[0] == "product_without_price"


def test_an_oscar_listing_has_the_known_products():
    page = '<a href="/catalogue/red-teapot_7/"></a><a href="/en-gb/catalogue/new_99/"></a>'
    assert oscar(answer(page)).home().skus == ("A1",)
    assert cause_of(oscar(answer("<a href='/about/'>")).home)[0] == "empty_listing"


def test_an_oscar_checkout_without_an_order_number_is_rejected():
    shop = oscar(answer({"url": "/api/baskets/1/"}), answer({"total_incl_tax": "2.00"}))
    assert cause_of(shop.checkout, "run:1:1", (BasketLine("A1", 1, 200),))[0] == "order_without_reference"


@pytest.mark.parametrize(
    ("text", "pence"), [("18.99", 1899), ("1,018.99", 101899), ("1.018,99", 101899), ("7", 700), ("0.00", 0)]
)
def test_amounts_are_read_in_hundredths(text, pence):
    assert _pence(text) == pence


@pytest.mark.parametrize(
    ("title", "slug"), [("Classic Green Jumper", "classic-green-jumper"), ("Tea & Biscuits!", "tea-biscuits")]
)
def test_a_title_becomes_oscars_slug(title, slug):
    assert _slug(title) == slug


def login(kind):
    return answer({"data": {"login": {"__typename": kind}}}, **{"vendure-auth-token": "t"})


def test_signing_in_at_vendure_registers_a_missing_account():
    made = answer({"data": {"registerCustomerAccount": {"__typename": "Success"}}})
    shop = vendure(login("InvalidCredentialsError"), made, login("CurrentUser"))
    shop.sign_in()
    sent = [options["json"]["variables"] for _, _, options in shop.client.asked]
    assert sent[0] == sent[2]
    assert sent[1]["person"]["emailAddress"] == sent[0]["user"]


def test_a_vendure_account_that_must_be_verified_first_is_not_signed_in():
    assert cause_of(vendure(login("NotVerifiedError")).sign_in) == ("not_verified", False)


@pytest.mark.parametrize(
    ("with_tax", "sent"), [(True, 105), (False, 88)]  # 88 pence and 20 % are 105.6
)  # fmt: skip
def test_a_vendure_price_is_stored_with_or_without_tax_and_returned_with_tax(with_tax, sent):
    variant = {"id": "3", "sku": "A1", "stockOnHand": 5, "taxRateApplied": {"value": 20}}
    found = {"productVariants": {"items": [variant]}, "activeChannel": {"pricesIncludeTax": with_tax}}
    client = vendure(
        answer({"data": found}),
        answer({"data": {"updateProductVariants": [{"id": "3", "priceWithTax": 106, "stockOnHand": 5}]}}),
    ).client
    assert VendureShop.change_price(client, "A1", 105) == 106
    assert client.asked[1][2]["json"]["variables"] == {"variant": {"id": "3", "price": sent}}


def product_page(upc, *, price="2.00"):
    return answer(
        f"""<form method="post" action=""><input name="upc" value="{upc}"><textarea name="description">
Tea &amp; cake</textarea><select name="partner"><option value="1" selected>W</option></select>
        <input name="stockrecords-0-price" value="{price}">
        <input name="stockrecords-0-num_in_stock" value="7"></form>"""
    )


LISTED = answer(
    '<a href="/dashboard/catalogue/products/8/?x"></a><a href="/dashboard/catalogue/products/7/"></a>'
)


def test_oscars_product_form_is_found_by_upc_and_sent_complete():
    shop = oscar(LISTED, product_page("A10"), product_page("A1"), answer("", status=302))
    OscarShop.change_price(shop.client, "A1", 1250)
    assert shop.client.asked[-1][2]["data"] == {
        "upc": "A1", "description": "Tea & cake", "partner": "1", "stockrecords-0-price": "12.50",
        "stockrecords-0-num_in_stock": "7",
    }  # fmt: skip
    stock = oscar(LISTED, product_page("A10"), product_page("A1"))
    assert OscarShop.stock_on_hand(stock.client, "A1") == 7


def test_the_errors_of_oscars_form_are_reported():
    wrong = answer('<p>…</p><span class="error-block"><i></i> Enter a number.</span>')
    shop = oscar(LISTED, product_page("A1"), wrong)
    with pytest.raises(Rejected) as refusal:
        OscarShop.change_stock(shop.client, "A1", 5)
    assert (refusal.value.cause, refusal.value.detail) == ("not_changed", "Enter a number.")
    assert cause_of(OscarShop.stock_on_hand, oscar(answer("nothing listed")).client, "A1")[0] == "unknown_sku"
