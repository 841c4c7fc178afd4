"""The drivers step by step, against the real shops."""

from __future__ import annotations

import json
import re
import time
import urllib.request
from random import Random

import pytest

from doorbuster.load.target.endpoint import TargetAccess, UnmeasuredClient, read_catalogue
from doorbuster.storefronts import DRIVERS, Basket, BasketLine, Rejected, Visit
from doorbuster.storefronts.vendure.driver import VendureShop

pytestmark = pytest.mark.shops
SHOPS = ("vendure", "oscar")


@pytest.fixture(scope="module", params=SHOPS)
def shop(request):
    """(driver, address, catalogue) of each shop in turn."""
    url = request.getfixturevalue(f"{request.param}_url")
    driver = DRIVERS[request.param]
    return driver, url, read_catalogue(driver, url, TargetAccess("shops"))


@pytest.fixture
def visit(shop):
    """Makes new customers of the shop, and lets their connections go at the end."""
    driver, url, catalogue = shop
    clients = []

    def enter(channel: str = "web", seed: int = 4, customer: str = ""):
        clients.append(UnmeasuredClient(url, TargetAccess("shops"), limit_s=30))
        who = Visit(customer=customer, signed_in=bool(customer))
        return driver(clients[-1], channel=channel, catalogue=catalogue, rng=Random(seed), visit=who)

    yield enter
    for client in clients:
        client.close()


@pytest.fixture
def books(shop):
    driver, url, _ = shop
    client = UnmeasuredClient(url, TargetAccess("shops"), limit_s=30)
    yield lambda: driver.read_ledger(client, since_unix_s=time.time() - 3600)
    client.close()


@pytest.fixture
def staff(shop):
    """(driver, client) of somebody who may change products."""
    driver, url, _ = shop
    client = UnmeasuredClient(url, TargetAccess("shops"), limit_s=30)
    yield driver, client
    client.close()


def ordinary_sku(storefront) -> str:
    """One that the tests of overselling do not empty."""
    return storefront.catalogue.skus[10]


def test_the_assortment_names_everything_on_sale(shop):
    _, _, catalogue = shop
    assert len(catalogue.skus) >= 80
    assert len(set(catalogue.skus)) == len(catalogue.skus) == len(catalogue.places)
    assert catalogue.categories
    assert catalogue.search_terms


def test_every_page_lists_products_that_can_be_looked_at(visit):
    customer = visit()
    for page in (customer.home, customer.category, customer.search):
        listing = page()
        product = customer.product(listing.skus[0])
        assert product.sku == listing.skus[0]
        assert product.price_pence > 0


def test_searches_and_categories_drawn_from_the_assortment_find_something(visit):
    for seed in range(12):
        customer = visit(seed=seed)
        assert customer.search().skus
        assert customer.category().skus


def test_a_landing_page_shows_one_product(visit):
    assert visit("print").landing().available


def test_an_order_of_the_web_is_in_the_ledger_once_with_the_total_the_customer_was_told(visit, books):
    customer = visit()
    sku = ordinary_sku(customer)
    product = customer.product(sku)
    customer.add_to_basket(sku)
    customer.basket()
    customer.checkout_page()
    key = f"test:{time.time_ns()}:1"
    order = customer.checkout(key, (BasketLine(sku, 1, product.price_pence),))

    found = [booked for booked in books().orders if booked.idempotency_key == key]

    assert [(booked.ref, booked.total_pence, booked.channel) for booked in found] == [
        (order.ref, order.total_pence, "web")
    ]
    assert found[0].lines == (BasketLine(sku, 1, product.price_pence),)
    assert abs(found[0].placed_at_unix_s - time.time()) < 60


@pytest.mark.parametrize(("channel", "step"), [("store", "pos_sale"), ("phone", "phone_order")])
def test_an_order_of_staff_is_in_the_same_ledger_and_takes_the_same_stock(visit, books, channel, step):
    staff = visit(channel)
    sku = ordinary_sku(staff)
    before = {row.sku: row for row in books().stock}[sku]
    key = f"test:{time.time_ns()}:1"

    order = getattr(staff, step)(key, (BasketLine(sku, 2, 0),))

    after = books()
    found = [booked for booked in after.orders if booked.idempotency_key == key]
    assert [(booked.ref, booked.total_pence, booked.channel) for booked in found] == [
        (order.ref, order.total_pence, channel)
    ]
    row = {row.sku: row for row in after.stock}[sku]
    assert before.on_hand - row.on_hand == 2
    assert row.sold - before.sold == 2


def test_a_basket_without_anything_in_it_is_not_a_success(visit):
    with pytest.raises(Rejected) as refusal:
        visit().basket()
    assert refusal.value.cause == "empty_basket"


def test_more_than_there_is_is_refused_by_rule_although_the_shop_is_well(visit):
    staff = visit("store")
    with pytest.raises(Rejected) as refusal:
        staff.pos_sale("test:many:1", (BasketLine(ordinary_sku(staff), 5000, 0),))
    assert refusal.value.cause in ("sold_out", "order_limit")
    if refusal.value.cause == "sold_out":
        assert refusal.value.expected


def test_an_unknown_sku_is_refused_before_anything_is_sent(visit):
    with pytest.raises(Rejected) as refusal:
        visit().product("no-such-thing")
    assert refusal.value.cause == "unknown_sku"


def test_an_agent_finds_an_order_and_nothing_where_there_is_none(visit):
    agent = visit("phone")
    order = agent.phone_order("test:status:1", (BasketLine(agent.catalogue.skus[11], 1, 0),))
    agent.look_up_order(order.ref)
    with pytest.raises(Rejected) as refusal:
        agent.look_up_order("NOSUCHORDER")
    assert refusal.value.cause == "order_without_reference"


def test_a_customer_sees_the_page_of_the_order(visit):
    customer = visit()
    sku = ordinary_sku(customer)
    customer.add_to_basket(sku)
    customer.checkout_page()
    order = customer.checkout("test:page:1", (BasketLine(sku, 1, 0),))
    customer.order_status(order.ref)
    with pytest.raises(Rejected):
        customer.order_status("NOSUCHORDER")


def test_a_cancelled_order_is_out_of_the_books_and_its_goods_are_for_sale_again(shop, visit, books):
    driver, url, _ = shop
    agent = visit("phone")
    sku = agent.catalogue.skus[13]
    before = {row.sku: row for row in books().stock}[sku]
    ordered = [agent.phone_order(f"test:{time.time_ns()}:1", (BasketLine(sku, 2, 0),)) for _ in range(2)]
    assert {row.sku: row for row in books().stock}[sku].on_hand == before.on_hand - 4
    client = UnmeasuredClient(url, TargetAccess("shops"), limit_s=30)
    try:
        for order in ordered:
            driver.cancel_order(client, order.ref)
        with pytest.raises(Rejected) as refusal:
            driver.cancel_order(client, ordered[0].ref)
        assert refusal.value.cause == "already_cancelled"
        assert refusal.value.expected
        with pytest.raises(Rejected) as refusal:
            driver.cancel_order(client, "NOSUCHORDER")
        assert refusal.value.cause == "order_without_reference"
    finally:
        client.close()
    after = books()
    assert {order.ref for order in ordered}.isdisjoint(order.ref for order in after.orders)
    assert {row.sku: row for row in after.stock}[sku] == before


def test_without_the_staff_login_no_order_is_cancelled(shop, visit, monkeypatch):
    driver, url, _ = shop
    order = visit("store").pos_sale(
        f"test:{time.time_ns()}:1", (BasketLine(visit().catalogue.skus[12], 1, 0),)
    )
    for name in ("DOORBUSTER_VENDURE_PASSWORD", "DOORBUSTER_OSCAR_PASSWORD"):
        monkeypatch.setenv(name, "wrong")
    client = UnmeasuredClient(url, TargetAccess("shops"), limit_s=30)
    try:
        with pytest.raises(Rejected) as refusal:
            driver.cancel_order(client, order.ref)
        assert refusal.value.cause == "staff_login"
    finally:
        client.close()


def test_reviews_are_read_and_written_in_oscar_and_vendure_has_none(visit):
    customer = visit()
    if customer.name == "vendure":
        assert customer.missing_steps(["reviews", "write_review", "product"]) == ("reviews", "write_review")
        return
    sku = ordinary_sku(customer)
    customer.reviews(sku)
    assert "A test review" not in review_page(customer, sku)
    customer.write_review(sku)
    customer.write_review(sku)
    customer.reviews(sku)
    assert review_page(customer, sku).count("A test review") == 2


def review_page(customer, sku: str) -> str:
    return customer.client.request("GET", f"/catalogue/{customer.catalogue.place_of(sku)}/reviews/").text


def test_staff_change_a_price_customers_see_what_staff_were_told_and_it_is_put_back(visit, staff):
    driver, client = staff
    customer = visit()
    sku = customer.catalogue.skus[20]
    before = customer.product(sku).price_pence
    for more in range(1, 8):  # prices with tax are not dense: some are rounded
        told = driver.change_price(client, sku, before + more) or before + more
        assert customer.product(sku).price_pence == told != before
        assert abs(told - before - more) <= 1
    driver.change_price(client, sku, before)
    assert customer.product(sku).price_pence == before


def test_staff_take_a_product_from_stock_and_pages_call_it_sold_out_until_it_is_put_back(visit, staff, books):
    driver, client = staff
    customer = visit()
    sku = customer.catalogue.skus[21]
    units = driver.stock_on_hand(client, sku)
    shelf = {row.sku: row for row in books().stock}[sku]
    assert units == shelf.opening > 0
    assert customer.product(sku).available
    driver.change_stock(client, sku, 0)
    assert driver.stock_on_hand(client, sku) == 0
    assert not customer.product(sku).available
    with pytest.raises(Rejected) as refusal:
        customer.add_to_basket(sku)
    assert (refusal.value.cause, refusal.value.expected) == ("sold_out", True)
    driver.change_stock(client, sku, units)
    assert customer.product(sku).available
    assert {row.sku: row for row in books().stock}[sku] == shelf


def test_what_is_not_sold_or_not_one_thing_cannot_be_changed(staff):
    driver, client = staff
    for change in (driver.change_price, driver.change_stock):
        with pytest.raises(Rejected) as refusal:
            change(client, "no-such-thing", 1)
        assert refusal.value.cause == "unknown_sku"
    if driver is VendureShop:
        with pytest.raises(Rejected) as refusal:
            driver.change_stock(client, "404.038.96", 1)  # three variants of the catalogue share this SKU
        assert refusal.value.cause == "several_variants"


def test_without_the_staff_login_nothing_is_changed(shop, monkeypatch):
    driver, url, catalogue = shop
    for name in ("DOORBUSTER_VENDURE_PASSWORD", "DOORBUSTER_OSCAR_PASSWORD"):
        monkeypatch.setenv(name, "wrong")
    client = UnmeasuredClient(url, TargetAccess("shops"), limit_s=30)
    try:
        with pytest.raises(Rejected) as refusal:
            driver.change_price(client, catalogue.skus[20], 1)
        assert refusal.value.cause == "staff_login"
    finally:
        client.close()


def test_an_account_has_one_basket_in_all_channels_and_orders_from_it(visit, books):
    who = f"customer-{time.time_ns()}"
    web, app = visit(customer=who), visit("app", customer=who)
    first, second = web.catalogue.skus[22:24]
    web.add_to_basket(first)
    for channel in (web, app):
        channel.sign_in()
    assert web.basket() == app.basket() == Basket({first: 1}), "what the guest had came along"
    web.add_to_basket(second)
    app.add_to_basket(second)
    assert web.basket() == app.basket() == Basket({first: 1, second: 2})
    assert {"web", "app"} <= set(web.shared_baskets)
    key = f"test:{time.time_ns()}:1"
    app.checkout_page()
    order = app.checkout(key, (BasketLine(first, 1, 0), BasketLine(second, 2, 0)))
    (booked,) = [booked for booked in books().orders if booked.idempotency_key == key]
    assert (booked.ref, booked.total_pence, booked.channel) == (order.ref, order.total_pence, "app")
    assert {line.sku: line.quantity for line in booked.lines} == {first: 1, second: 2}
    web.order_status(order.ref)
    with pytest.raises(Rejected) as refusal:
        web.basket()
    assert refusal.value.cause == "empty_basket"


def test_who_registers_is_signed_in_and_orders_with_the_account(visit):
    customer = visit(customer=f"customer-{time.time_ns()}", seed=time.time_ns())
    sku = ordinary_sku(customer)
    customer.register()
    customer.add_to_basket(sku)
    customer.checkout_page()
    order = customer.checkout(f"test:{time.time_ns()}:1", (BasketLine(sku, 1, 0),))
    customer.order_status(order.ref)
    stranger = visit(customer=f"stranger-{time.time_ns()}")
    stranger.sign_in()
    with pytest.raises(Rejected):
        stranger.order_status("NOSUCHORDER")


def test_partners_read_the_whole_range_and_order_what_is_in_it(visit, books):
    partner = visit("partner")
    read = partner.feed().skus
    assert set(read) == set(partner.catalogue.skus)
    assert set(partner.feed().skus) == set(read), "from the start again"
    key = f"test:{time.time_ns()}:1"
    order = partner.partner_order(key, (BasketLine(ordinary_sku(partner), 1, 0),))
    assert [booked.ref for booked in books().orders if booked.idempotency_key == key] == [order.ref]


def test_neither_shop_knows_returns(shop):
    driver, _, _ = shop
    assert driver.missing_steps(["checkout", "return_items"]) == ("return_items",)


def test_a_graphql_error_with_status_200_is_a_failure(vendure_url):
    client = UnmeasuredClient(vendure_url, TargetAccess("shops"), limit_s=30)
    try:
        catalogue = VendureShop.prepare(client)
        customer = VendureShop(client, channel="web", catalogue=catalogue, rng=Random(1))
        with pytest.raises(Rejected) as refusal:
            customer.order_status("NOSUCHORDER")
        assert refusal.value.cause == "graphql_error"
        with pytest.raises(Rejected) as refusal:
            customer.checkout("test:empty:1", ())
        assert refusal.value.cause
    finally:
        client.close()


def test_without_the_staff_login_vendure_shows_no_books_but_customers_can_shop(vendure_url, monkeypatch):
    monkeypatch.setenv("DOORBUSTER_VENDURE_PASSWORD", "wrong")
    client = UnmeasuredClient(vendure_url, TargetAccess("shops"), limit_s=30)
    try:
        catalogue = VendureShop.prepare(client)
        assert catalogue.staff == ()
        assert VendureShop.read_ledger(client, since_unix_s=0) is None
        customer = VendureShop(client, channel="store", catalogue=catalogue, rng=Random(1))
        assert customer.home().skus
        with pytest.raises(Rejected) as refusal:
            customer.pos_sale("test:login:1", (BasketLine(catalogue.skus[0], 1, 0),))
        assert refusal.value.cause == "staff_login"
    finally:
        client.close()


def test_without_the_token_oscar_shows_no_books(oscar_url, monkeypatch):
    monkeypatch.delenv("DOORBUSTER_LEDGER_TOKEN")
    client = UnmeasuredClient(oscar_url, TargetAccess("shops"), limit_s=30)
    try:
        assert DRIVERS["oscar"].read_ledger(client, since_unix_s=0) is None
    finally:
        client.close()


def test_a_shop_of_another_kind_is_recognised_as_such(vendure_url):
    request = urllib.request.Request(f"{vendure_url}/health", headers={"Accept": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert json.load(answer)["status"] == "ok"
    client = UnmeasuredClient(vendure_url, TargetAccess("shops"), limit_s=10)
    try:
        with pytest.raises(Rejected):
            DRIVERS["oscar"].prepare(client)
    finally:
        client.close()


def test_the_probe_finds_every_core_step_working_and_its_orders_in_the_ledger(doorbuster, shop):
    driver, url, _ = shop
    done = doorbuster("probe", url, "--storefront", driver.name)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "the ledger has 4 of 4 orders of this visit" in done.stdout
    for step in ("register", "sign_in", "feed", "partner_order", "change_price", "change_stock"):
        assert re.search(rf"^  ok +{step} ", done.stdout, re.MULTILINE), done.stdout
    assert done.stdout.count(" and back, shown at once") == 2, done.stdout
