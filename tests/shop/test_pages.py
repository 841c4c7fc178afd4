"""The HTML pages of the shop."""

from __future__ import annotations

import json
import re

import pytest


def links(page, pattern):
    return list(dict.fromkeys(re.findall(pattern, page)))


def test_a_customer_browses_fills_a_basket_and_orders(visit, profile):
    async def scenario(visitor):
        home = await visitor.page("/")
        category = await visitor.page(links(home, r'href="(/category/[a-z-]+)"')[0])
        product_path = links(category, r'href="(/product/[^"#]+)"')[0]
        sku = product_path.rsplit("/", 1)[1]
        product = await visitor.page(product_path)
        price_pence = int(re.search(r'data-price-pence="(\d+)"', product)[1])
        assert f'data-sku="{sku}"' in product

        added = await visitor.post("/basket/add", data={"sku": sku, "quantity": "2"})
        assert (added.status, added.headers["Location"]) == (303, "/basket")
        assert f'data-total-pence="{2 * price_pence}"' in await visitor.page("/basket")
        assert "Basket <b>2</b>" in await visitor.page("/")

        placed = await visitor.checkout()
        assert placed.status == 303, await placed.text()
        page = await visitor.page(placed.headers["Location"])
        ref, total = re.search(r'<main [^>]*data-order-ref="([^"]+)" data-total-pence="(\d+)"', page).groups()
        assert placed.headers["Location"] == f"/order/{ref}"
        assert int(total) == 2 * price_pence

        (order,) = (await visitor.document("/ledger/orders"))["orders"]
        assert (order["order_ref"], order["channel"], order["total_pence"]) == (ref, "web", 2 * price_pence)
        assert order["lines"] == [{"sku": sku, "quantity": 2, "unit_pence": price_pence}]
        assert "Your basket is empty" in await visitor.page("/basket")
        assert "Basket <b>0</b>" in await visitor.page("/")

    visit(scenario, profile=profile)


def test_pages_have_the_size_of_real_pages(visit, profile):
    async def scenario(visitor):
        sku = (await visitor.skus())[0]
        paths = ("/", "/category/kitchen", "/category/wine?page=2", "/search?q=set", f"/product/{sku}")
        for path in paths:
            assert 8_000 <= len((await visitor.page(path)).encode()) <= 60_000, path

    visit(scenario, profile=profile, products=1_200)


def test_every_link_of_the_home_page_works(visit):
    async def scenario(visitor):
        for path in links(await visitor.page("/"), r'(?:href|src)="(/[^"#]*)"'):
            assert (await visitor.get(path)).status == 200, path

    visit(scenario)


def test_listings_lead_through_all_pages_of_a_category(visit, profile):
    async def scenario(visitor):
        seen, path = [], "/category/kitchen"
        while path:
            page = await visitor.page(path)
            seen += links(page, r'href="/product/([^"]+)"')
            following = re.search(r'rel="next" href="([^"]+)"', page)
            path = following[1] if following else None
        assert len(seen) == len(set(seen)) == 50
        beyond = await visitor.get("/category/kitchen?page=4")
        assert (beyond.status, 'data-problem="not-found"' in await beyond.text()) == (404, True)

    visit(scenario, profile=profile, products=1_200)


def test_a_search_finds_products_by_the_words_of_their_names(visit, profile):
    async def scenario(visitor):
        (product, *_) = (await visitor.document("/api/categories/furniture"))["products"]
        found = (await visitor.document(f"/api/search?q={product['name'].upper()}"))["products"]
        assert product["sku"] in [item["sku"] for item in found]
        assert (await visitor.document("/api/search?q=zzzz"))["total"] == 0
        for nothing in ("/search", "/search?q=%22", "/search?q=100%25_sure"):
            assert "No products found" in await visitor.page(nothing)

    visit(scenario, profile=profile, products=240)


def test_a_product_page_has_its_offer_as_json_ld(visit, profile):
    async def scenario(visitor):
        sku = (await visitor.skus())[3]
        page = await visitor.page(f"/product/{sku}")
        offer = json.loads(re.search(r'<script type="application/ld\+json">(.*?)</script>', page)[1])
        assert (offer["@type"], offer["sku"]) == ("Product", sku)
        assert offer["offers"]["availability"] == "https://schema.org/InStock"
        price_pence = (await visitor.document(f"/api/products/{sku}"))["price_pence"]
        assert offer["offers"]["price"] == f"{price_pence / 100:.2f}"
        await visitor.pos_sale("all", (sku, 2))
        assert "https://schema.org/SoldOut" in await visitor.page(f"/q/{sku}")

    visit(scenario, profile=profile, opening_stock=2)


def test_user_input_is_shown_escaped(visit, profile):
    attack = '<script>alert("x")</script>'
    shown = "&lt;script&gt;alert(&#34;x&#34;)&lt;/script&gt;"

    async def scenario(visitor):
        sku = (await visitor.skus())[0]
        path = f"/product/{sku}"
        await visitor.page(path)
        review = {"author": attack, "rating": "5", "title": attack, "text": attack}
        posted = await visitor.post(f"{path}/reviews", data=review)
        assert (posted.status, posted.headers["Location"]) == (303, f"{path}#reviews")
        asked = await visitor.post(f"{path}/questions", data={"author": attack, "text": attack})
        assert asked.status == 303
        assert re.fullmatch(rf"{path}\?question=(\d+)#question-\1", asked.headers["Location"])
        product = await visitor.get(path)
        page = await product.text()
        assert page.count(shown) == 5
        assert product.headers["Content-Security-Policy"].startswith("default-src 'self';")
        pages = [page, await visitor.page(f"/search?q={attack.replace('/', '%2F')}")]
        missing = await visitor.get(f"/category/{attack.replace('/', '%2F')}")
        pages.append(await missing.text())
        for page in pages:
            assert "<script>" not in page
            assert shown.lower() in page.lower()

    visit(scenario, profile=profile)


def test_an_invalid_checkout_form_is_shown_again_with_its_values(visit, profile):
    async def scenario(visitor):
        await visitor.post("/basket/add", data={"sku": (await visitor.skus())[0], "quantity": "1"})
        refused = await visitor.checkout(email="nobody", address="  ")
        page = await refused.text()
        assert refused.status == 400
        assert 'data-problem="bad-request"' in page
        assert "email is not valid" in page
        assert "address must not be empty" in page
        assert 'value="Ada Shopper"' in page
        assert (await visitor.document("/ledger/orders"))["orders"] == []

    visit(scenario, profile=profile)


def test_sold_out_is_a_409_page_at_the_basket_and_at_the_checkout(visit, profile):
    async def scenario(visitor):
        sku = (await visitor.skus())[0]
        too_many = await visitor.post("/basket/add", data={"sku": sku, "quantity": "3"})
        assert (too_many.status, 'data-problem="sold-out"' in await too_many.text()) == (409, True)
        await visitor.post("/basket/add", data={"sku": sku, "quantity": "2"})
        assert (await visitor.pos_sale("faster", (sku, 1))).status == 201
        too_late = await visitor.checkout()
        assert (too_late.status, 'data-problem="sold-out"' in await too_late.text()) == (409, True)
        assert await visitor.stock_of(sku) == {"sku": sku, "opening": 2, "on_hand": 1, "sold": 1}

    visit(scenario, profile=profile, opening_stock=2)


def test_a_printed_code_leads_to_its_product_and_the_order_counts_for_print(visit, profile):
    async def scenario(visitor):
        landing = await visitor.page("/q/XMAS01")
        sku = re.search(r'<main [^>]*data-sku="([^"]+)"', landing)[1]
        channel = re.search(r'name="channel" value="([^"]+)"', landing)[1]
        await visitor.post("/basket/add", data={"sku": sku, "quantity": "1", "channel": channel})
        await visitor.checkout()
        (order,) = (await visitor.document("/ledger/orders"))["orders"]
        assert (order["channel"], order["lines"][0]["sku"]) == ("print", sku)
        assert f'data-sku="{sku}"' in await visitor.page(f"/q/{sku}")
        assert (await visitor.get("/q/NOSUCH")).status == 404

    visit(scenario, profile=profile)


def test_the_basket_cookie_is_http_only_and_same_site(visit):
    async def scenario(visitor):
        added = await visitor.post("/basket/add", data={"sku": (await visitor.skus())[0], "quantity": "1"})
        for cookie in added.headers.getall("Set-Cookie"):
            assert "HttpOnly" in cookie
            assert "SameSite=Lax" in cookie

    visit(scenario)


@pytest.mark.parametrize(
    ("method", "path", "status", "problem"),
    [
        ("get", "/nowhere", 404, "not-found"),
        ("get", "/product/NOPE", 404, "not-found"),
        ("get", "/order/LF-NOPE", 404, "not-found"),
        ("get", "/checkout", 400, "empty-basket"),
        ("get", "/category/wine?page=none", 400, "bad-request"),
        ("get", f"/search?q={'x' * 101}", 400, "bad-request"),
        ("post", "/basket/add", 400, "bad-request"),
        ("post", "/", 405, "method-not-allowed"),
    ],
)
def test_a_refusal_is_a_page_with_its_name(visit, profile, method, path, status, problem):
    async def scenario(visitor):
        refused = await getattr(visitor, method)(path)
        assert refused.status == status
        assert f'data-problem="{problem}"' in await refused.text()

    visit(scenario, profile=profile)


def test_an_unknown_basket_cookie_is_replaced_by_a_new_basket(visit, profile):
    async def scenario(visitor):
        form = {"sku": (await visitor.skus())[0], "quantity": "1"}
        added = await visitor.post("/basket/add", data=form, headers={"Cookie": "basket=from-another-day"})
        assert added.status == 303
        assert "from-another-day" not in added.headers.getall("Set-Cookie")[0]

    visit(scenario, profile=profile)


def test_an_overlong_body_is_refused(visit):
    async def scenario(visitor):
        refused = await visitor.post("/basket/add", data={"sku": "x" * 70_000})
        assert refused.status == 413

    visit(scenario)
