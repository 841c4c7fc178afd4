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
from doorbuster.storefronts.reference.driver import ReferenceProgram
from doorbuster.storefronts.vendure.driver import VendureShop

CUSTOMER_STEPS = (
    "home", "category", "search", "landing", "product", "recommendations", "add_to_basket", "basket",
    "checkout_page", "checkout", "collect_checkout", "order_status", "return_items", "sign_in", "register",
    "reset_password", "reviews", "write_review", "ask", "open_questions", "answer",
)  # fmt: skip
STAFF_STEPS = ("pos_sale", "phone_order", "look_up_order", "pickup", "feed", "partner_order")
_numbers = itertools.count(1)


@pytest.fixture(params=[ReferenceShop, ReferenceProgram], ids=["pages", "json"])
def face(request):
    return request.param


def key():
    return f"test:{next(_numbers)}"


def cause_of(action, *given):
    with pytest.raises(Rejected) as refusal:
        action(*given)
    return refusal.value.cause, refusal.value.expected


def ordered(customer, *, collect=False):
    """An order of one unit, placed the way of this face."""
    product = customer.product(customer.home().skus[0])
    customer.add_to_basket(product.sku)
    customer.basket()
    customer.checkout_page()
    checkout = customer.collect_checkout if collect else customer.checkout
    return checkout(key(), (BasketLine(product.sku, 1, product.price_pence),))


def test_both_faces_can_do_every_step(face):
    assert face.missing_steps((*CUSTOMER_STEPS, *STAFF_STEPS)) == ()


def test_programs_and_staff_talk_json_and_people_read_pages():
    faces = {channel: ReferenceShop.for_channel(channel) for channel in CHANNELS}
    assert faces["web"] is faces["print"] is ReferenceShop
    assert {faces[name] for name in ("app", "social", "agent", "partner", "store", "phone")} == {
        ReferenceProgram
    }

    class Mine(ReferenceShop):
        name = "mine"

    assert Mine.for_channel("app") is Mine
    assert VendureShop.for_channel("app") is not ReferenceProgram


def test_what_the_driver_knows_of_the_shop_is_true():
    assert set(base.STORES) <= set(orders.STORES)


def test_looking_around_finds_products(town, face):
    customer = town.customer(face=face)
    for look in (customer.home, customer.category, customer.search):
        assert len(look().skus) > 0
    assert customer.landing().price_pence > 0
    sku = customer.home().skus[0]
    assert customer.product(sku).sku == sku
    customer.recommendations(sku)
    customer.reviews(sku)


def test_an_order_is_in_the_books_under_its_channel(town, face):
    channel = "social" if face is ReferenceProgram else "web"
    placed = ordered(town.customer(channel, face=face))
    (booked,) = [order for order in town.books().orders if order.ref == placed.ref]
    assert (booked.channel, booked.total_pence) == (channel, placed.total_pence)
    town.customer(face=face).order_status(placed.ref)
    town.customer(face=face).look_up_order(placed.ref)


def test_assistants_and_partners_orders_carry_their_channel(town):
    agent = ordered(town.customer("agent"))
    partner = town.customer("partner")
    lines = (BasketLine(partner.feed().skus[0], 2, 0),)
    once = key()
    order, again = partner.partner_order(once, lines), partner.partner_order(once, lines)
    channels = {order.ref: order.channel for order in town.books().orders}
    assert order == again
    assert (channels[agent.ref], channels[order.ref]) == ("agent", "partner")


def test_the_feed_has_the_whole_range_and_begins_again(town):
    partner = town.customer("partner")
    assert sorted(partner.feed().skus) == sorted(town.catalogue.skus)
    assert isinstance(partner.feed(), Listing)


def test_a_parcel_is_handed_over_once(town, face):
    placed = ordered(town.customer(face=face), collect=True)
    store = town.customer("store")
    store.pickup(placed.ref)
    assert cause_of(store.pickup, placed.ref) == ("already_collected", True)


def test_a_delivery_is_not_handed_over(town, face):
    placed = ordered(town.customer(face=face))
    assert cause_of(town.customer("store").pickup, placed.ref) == ("not_for_collection", False)


def test_a_return_is_taken_once_and_its_units_are_for_sale_again(town, face):
    customer = town.customer(face=face)
    placed = ordered(customer)
    sku = customer.home().skus[0]
    before = town.stock_of(sku)
    customer.return_items(placed.ref)
    after = town.stock_of(sku)
    assert (after.on_hand, after.sold) == (before.on_hand + 1, before.sold - 1)
    assert cause_of(customer.return_items, placed.ref) == ("already_returned", True)
    (booked,) = [order for order in town.books().orders if order.ref == placed.ref]
    assert booked.lines == ()


def test_a_test_order_is_taken_back_any_number_of_times_also_when_it_has_left(town):
    placed = ordered(town.customer(), collect=True)
    ReferenceShop.cancel_order(town.client, placed.ref)
    ReferenceShop.cancel_order(town.client, placed.ref)
    left = ordered(town.customer(), collect=True)
    town.customer("store").pickup(left.ref)
    ReferenceShop.cancel_order(town.client, left.ref)
    ReferenceShop.cancel_order(town.client, left.ref)
    back = ordered(town.customer())
    town.customer().return_items(back.ref)
    ReferenceShop.cancel_order(town.client, back.ref)
    for row in town.books().stock:
        assert row.opening - row.on_hand == row.sold, row.sku


def test_accounts_can_be_made_used_and_brought_over(town, face):
    town.customer(face=face, customer=f"run:{key()}").register()
    town.customer(face=face, customer="run:2", signed_in=True).sign_in()
    town.customer(face=face, customer="run:3").reset_password()
    town.customer(face=face, customer="run:3").reset_password()


def test_the_same_customer_has_the_same_account_and_address_in_every_channel(town):
    first, second = (town.customer(channel, customer="run:17") for channel in ("app", "web"))
    assert first.person == second.person
    assert first._member(MEMBER) == second._member(MEMBER)


def test_a_question_is_asked_found_open_and_answered(town, face):
    customer = town.customer(face=face)
    question = customer.ask(customer.home().skus[0])
    assert question in customer.open_questions()
    customer.answer(question)
    assert question not in customer.open_questions()
    customer.write_review(customer.home().skus[1])


def test_a_sale_made_offline_is_booked_later_once_and_even_from_an_empty_stock(open_town):
    with open_town(opening_stock=1) as town:
        till = town.customer("store")
        sku = town.catalogue.skus[0]
        line = (BasketLine(sku, 1, 0),)
        till.pos_sale(key(), line)
        assert cause_of(till.pos_sale, key(), line) == ("sold_out", True)
        once = key()
        sold_at_unix_s = time.time() - 600
        first = till.pos_sale(once, line, sold_at_unix_s)
        assert isinstance(first, Order)
        assert till.pos_sale(once, line, sold_at_unix_s) == first
        assert town.stock_of(sku).on_hand == -1


def test_one_account_has_one_basket_by_page_and_by_program(town):
    faces = {name: town.customer(name, customer="run-1-17", face=face)
             for name, face in (("web", ReferenceShop), ("app", ReferenceProgram))}  # fmt: skip
    sku, other = town.catalogue.skus[:2]
    guest = town.customer("web", customer="somebody-else")
    guest.add_to_basket(sku)
    assert guest.basket().units == {sku: 1}
    faces["app"].add_to_basket(sku)
    for face in faces.values():
        face.sign_in()
    assert faces["web"].basket() == faces["app"].basket() == Basket({sku: 1})
    faces["web"].add_to_basket(other)
    faces["web"].add_to_basket(sku)
    assert faces["app"].basket() == Basket({sku: 2, other: 1})
    assert set(faces) <= set(ReferenceShop.shared_baskets)


def test_customers_with_numbers_one_after_the_other_have_accounts_of_their_own(town):
    members = {town.customer(customer=f"run-7-{number}")._member("{}") for number in range(2000)}
    assert len(members) == 2000


def test_staff_set_what_is_on_hand_and_pages_call_nothing_sold_out(town, face):
    sku = town.catalogue.skus[5]
    customer, staff = town.customer(face=face), town.client
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
