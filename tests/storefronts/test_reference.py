"""Every step of the reference driver, by page and by JSON, against the real shop in both designs."""

from __future__ import annotations

import itertools
import time

import pytest

from doorbuster.scenario import CHANNELS
from doorbuster.shop.domain import orders
from doorbuster.shop_settings import MEMBER
from doorbuster.storefronts import Basket, BasketLine, Listing, Order, ReferenceShop, Rejected
from doorbuster.storefronts.reference import base
from doorbuster.storefronts.reference.driver import ReferenceJsonDriver
from doorbuster.storefronts.vendure.driver import VendureShop

CUSTOMER_STEPS = (
    "home", "category", "search", "landing", "product", "recommendations", "add_to_basket", "basket",
    "checkout_page", "checkout", "collect_checkout", "order_status", "return_items", "sign_in", "register",
    "reset_password", "reviews", "write_review", "ask", "open_questions", "answer",
)  # fmt: skip
STAFF_STEPS = ("pos_sale", "phone_order", "look_up_order", "pickup", "feed", "partner_order")
_numbers = itertools.count(1)


@pytest.fixture(params=[ReferenceShop, ReferenceJsonDriver], ids=["pages", "json"])
def driver(request):
    return request.param


def key():
    return f"test:{next(_numbers)}"


def cause_of(action, *given):
    with pytest.raises(Rejected) as refusal:
        action(*given)
    return refusal.value.cause, refusal.value.expected


def ordered(customer, *, collect=False):
    """An order of one unit, placed the way of this driver."""
    product = customer.product(customer.home().skus[0])
    customer.add_to_basket(product.sku)
    customer.basket()
    customer.checkout_page()
    checkout = customer.collect_checkout if collect else customer.checkout
    return checkout(key(), (BasketLine(product.sku, 1, product.price_pence),))


def test_both_drivers_support_every_step(driver):
    assert driver.missing_steps((*CUSTOMER_STEPS, *STAFF_STEPS)) == ()


def test_the_channel_decides_between_pages_and_json():
    faces = {channel: ReferenceShop.for_channel(channel) for channel in CHANNELS}
    assert faces["web"] is faces["print"] is ReferenceShop
    assert {faces[name] for name in ("app", "social", "agent", "partner", "store", "phone")} == {
        ReferenceJsonDriver
    }

    class Mine(ReferenceShop):
        name = "mine"

    assert Mine.for_channel("app") is Mine
    assert VendureShop.for_channel("app") is not ReferenceJsonDriver


def test_the_drivers_stores_are_those_of_the_shop():
    assert set(base.STORES) <= set(orders.STORES)


def test_browsing_finds_products(shop, driver):
    customer = shop.customer(driver=driver)
    for look in (customer.home, customer.category, customer.search):
        assert len(look().skus) > 0
    assert customer.landing().price_pence > 0
    sku = customer.home().skus[0]
    assert customer.product(sku).sku == sku
    customer.recommendations(sku)
    customer.reviews(sku)


def test_an_order_is_in_the_ledger_with_its_channel(shop, driver):
    channel = "social" if driver is ReferenceJsonDriver else "web"
    placed = ordered(shop.customer(channel, driver=driver))
    (booked,) = [order for order in shop.ledger().orders if order.ref == placed.ref]
    assert (booked.channel, booked.total_pence) == (channel, placed.total_pence)
    shop.customer(driver=driver).order_status(placed.ref)
    shop.customer(driver=driver).look_up_order(placed.ref)


def test_orders_of_assistants_and_partners_have_their_channel(shop):
    agent = ordered(shop.customer("agent"))
    partner = shop.customer("partner")
    lines = (BasketLine(partner.feed().skus[0], 2, 0),)
    once = key()
    order, again = partner.partner_order(once, lines), partner.partner_order(once, lines)
    channels = {order.ref: order.channel for order in shop.ledger().orders}
    assert order == again
    assert (channels[agent.ref], channels[order.ref]) == ("agent", "partner")


def test_the_feed_lists_all_products_and_starts_again(shop):
    partner = shop.customer("partner")
    assert sorted(partner.feed().skus) == sorted(shop.catalogue.skus)
    assert isinstance(partner.feed(), Listing)


def test_a_parcel_is_handed_over_once(shop, driver):
    placed = ordered(shop.customer(driver=driver), collect=True)
    store = shop.customer("store")
    store.pickup(placed.ref)
    assert cause_of(store.pickup, placed.ref) == ("already_collected", True)


def test_a_delivery_is_not_handed_over(shop, driver):
    placed = ordered(shop.customer(driver=driver))
    assert cause_of(shop.customer("store").pickup, placed.ref) == ("not_for_collection", False)


def test_a_return_is_accepted_once_and_restores_the_stock(shop, driver):
    customer = shop.customer(driver=driver)
    placed = ordered(customer)
    sku = customer.home().skus[0]
    before = shop.stock_of(sku)
    customer.return_items(placed.ref)
    after = shop.stock_of(sku)
    assert (after.on_hand, after.sold) == (before.on_hand + 1, before.sold - 1)
    assert cause_of(customer.return_items, placed.ref) == ("already_returned", True)
    (booked,) = [order for order in shop.ledger().orders if order.ref == placed.ref]
    assert booked.lines == ()


def test_cancelling_a_test_order_is_idempotent_even_after_collection(shop):
    placed = ordered(shop.customer(), collect=True)
    ReferenceShop.cancel_order(shop.client, placed.ref)
    ReferenceShop.cancel_order(shop.client, placed.ref)
    left = ordered(shop.customer(), collect=True)
    shop.customer("store").pickup(left.ref)
    ReferenceShop.cancel_order(shop.client, left.ref)
    ReferenceShop.cancel_order(shop.client, left.ref)
    back = ordered(shop.customer())
    shop.customer().return_items(back.ref)
    ReferenceShop.cancel_order(shop.client, back.ref)
    for row in shop.ledger().stock:
        assert row.opening - row.on_hand == row.sold, row.sku


def test_accounts_can_be_registered_used_and_reset(shop, driver):
    shop.customer(driver=driver, customer=f"run:{key()}").register()
    shop.customer(driver=driver, customer="run:2", signed_in=True).sign_in()
    shop.customer(driver=driver, customer="run:3").reset_password()
    shop.customer(driver=driver, customer="run:3").reset_password()


def test_the_same_customer_has_the_same_account_and_address_in_every_channel(shop):
    first, second = (shop.customer(channel, customer="run:17") for channel in ("app", "web"))
    assert first.person == second.person
    assert first._member(MEMBER) == second._member(MEMBER)


def test_a_question_is_asked_found_open_and_answered(shop, driver):
    customer = shop.customer(driver=driver)
    question = customer.ask(customer.home().skus[0])
    assert question in customer.open_questions()
    customer.answer(question)
    assert question not in customer.open_questions()
    customer.write_review(customer.home().skus[1])


def test_an_offline_sale_is_booked_once_even_from_an_empty_stock(start_shop_process):
    with start_shop_process(opening_stock=1) as shop:
        till = shop.customer("store")
        sku = shop.catalogue.skus[0]
        line = (BasketLine(sku, 1, 0),)
        till.pos_sale(key(), line)
        assert cause_of(till.pos_sale, key(), line) == ("sold_out", True)
        once = key()
        sold_at_unix_s = time.time() - 600
        first = till.pos_sale(once, line, sold_at_unix_s)
        assert isinstance(first, Order)
        assert till.pos_sale(once, line, sold_at_unix_s) == first
        assert shop.stock_of(sku).on_hand == -1


def test_an_account_has_one_basket_on_pages_and_in_the_api(shop):
    faces = {name: shop.customer(name, customer="run-1-17", driver=driver)
             for name, driver in (("web", ReferenceShop), ("app", ReferenceJsonDriver))}  # fmt: skip
    sku, other = shop.catalogue.skus[:2]
    guest = shop.customer("web", customer="somebody-else")
    guest.add_to_basket(sku)
    assert guest.basket().units == {sku: 1}
    faces["app"].add_to_basket(sku)
    for driver in faces.values():
        driver.sign_in()
    assert faces["web"].basket() == faces["app"].basket() == Basket({sku: 1})
    faces["web"].add_to_basket(other)
    faces["web"].add_to_basket(sku)
    assert faces["app"].basket() == Basket({sku: 2, other: 1})
    assert set(faces) <= set(ReferenceShop.shared_baskets)


def test_consecutive_customers_have_different_accounts(shop):
    members = {shop.customer(customer=f"run-7-{number}")._member("{}") for number in range(2000)}
    assert len(members) == 2000


def test_staff_set_the_stock_and_pages_show_zero_as_sold_out(shop, driver):
    sku = shop.catalogue.skus[5]
    customer, staff = shop.customer(driver=driver), shop.client
    before = ReferenceShop.stock_on_hand(staff, sku)
    assert before > 0
    assert customer.product(sku).available
    ReferenceShop.change_stock(staff, sku, 0)
    assert ReferenceShop.stock_on_hand(staff, sku) == 0
    assert not customer.product(sku).available
    ReferenceShop.change_stock(staff, sku, before)
    assert customer.product(sku).available
    assert cause_of(ReferenceShop.change_stock, staff, "no-such-thing", 1) == ("not_found", False)
    assert cause_of(ReferenceShop.stock_on_hand, staff, "no-such-thing") == ("unknown_sku", False)
