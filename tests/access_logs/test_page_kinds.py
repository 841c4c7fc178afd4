"""Kinds of pages by the words of their addresses, as shops of many makers have them."""

from __future__ import annotations

from string import ascii_letters

import pytest

from doorbuster.access_logs.page_kinds import is_asset, kind_by_words
from doorbuster.access_logs.page_paths import PathTree, SampledRequest, route_of, split_request

ADDRESSES = [
    ("GET", "/", "", "home"),
    ("GET", "/en", "", "home"),
    ("GET", "/index.php", "", "home"),
    ("GET", "/api/home", "", "home"),
    ("GET", "/", "s=lamp", "search"),
    ("GET", "/search", "q=x", "search"),
    ("GET", "/catalogsearch/result/", "q=x", "search"),
    ("GET", "/suche", "suchbegriff=x", "search"),
    ("GET", "/product/{id}", "", "product"),
    ("GET", "/products/{id}", "", "product"),
    ("GET", "/p/{id}", "", "product"),
    ("GET", "/dp/{id}", "", "product"),
    ("GET", "/collections/{id}/products/{id}", "", "product"),
    ("GET", "/index.php", "route=product/product&product_id=7", "product"),
    ("GET", "/product.php", "id=3", "product"),
    ("GET", "/api/products/{id}", "", "product"),
    ("GET", "/category/{id}", "", "category"),
    ("GET", "/collections/{id}", "", "category"),
    ("GET", "/c/{id}", "", "category"),
    ("GET", "/index.php", "route=product/category&path=20", "category"),
    ("GET", "/products", "", "category"),
    ("GET", "/shop", "", "category"),
    ("GET", "/filter/{id}", "", "category"),
    ("POST", "/cart/add", "", "add_to_basket"),
    ("POST", "/cart/add.js", "", "add_to_basket"),
    ("POST", "/checkout/cart/add/{id}", "", "add_to_basket"),
    ("GET", "/", "add-to-cart=55", "add_to_basket"),
    ("POST", "/", "wc-ajax=add_to_cart", "add_to_basket"),
    ("POST", "/basket/add", "", "add_to_basket"),
    ("POST", "/api/baskets/{id}/lines", "", "add_to_basket"),
    ("POST", "/warenkorb/hinzufuegen", "", "add_to_basket"),
    ("POST", "/index.php", "route=checkout/cart/add", "add_to_basket"),
    ("GET", "/cart", "", "basket"),
    ("GET", "/checkout/cart", "", "basket"),
    ("GET", "/basket", "", "basket"),
    ("GET", "/warenkorb", "", "basket"),
    ("GET", "/index.php", "route=checkout/cart", "basket"),
    ("GET", "/checkout", "", "checkout_page"),
    ("GET", "/checkouts/{id}", "", "checkout_page"),
    ("GET", "/index.php", "route=checkout/checkout", "checkout_page"),
    ("GET", "/kasse", "", "checkout_page"),
    ("POST", "/checkout", "", "checkout"),
    ("POST", "/api/orders", "", "checkout"),
    ("POST", "/order/place", "", "checkout"),
    ("POST", "/checkout/payment", "", "checkout"),
    ("POST", "/", "wc-ajax=checkout", "checkout"),
    ("POST", "/login", "", "sign_in"),
    ("POST", "/sign-in", "", "sign_in"),
    ("POST", "/customer/account/loginPost", "", "sign_in"),
    ("POST", "/api/sessions", "", "sign_in"),
    ("GET", "/order/{id}", "", "order_status"),
    ("GET", "/account/orders", "", "order_status"),
    ("GET", "/sales/order/history", "", "order_status"),
    ("GET", "/checkout/success", "", "thanks"),
    ("GET", "/checkout/onepage/success", "", "thanks"),
    ("GET", "/order-received/{id}", "", "thanks"),
    ("GET", "/about-us", "", "other"),
    ("POST", "/newsletter", "", "ignore"),
    ("GET", "/api/products/{id}/reviews", "", "ignore"),
    ("POST", "/track", "", "ignore"),
    ("GET", "/healthz", "", "ignore"),
    ("GET", "/api/search/suggest", "", "ignore"),
    ("POST", "/cart/remove", "", "other"),
    ("POST", "/cart/coupon", "", "other"),
    ("POST", "/orders/{id}/return", "", "other"),
    ("HEAD", "/", "", "ignore"),
    ("POST", "/graphql", "", "other"),
    ("GET", "/wp-admin/{id}", "", "ignore"),
]


@pytest.mark.parametrize(("method", "template", "query", "kind"), ADDRESSES)
def test_the_words_of_an_address_tell_the_kind_of_page(method, template, query, kind):
    assert kind_by_words(method, template, route_of(query)).kind == kind


@pytest.mark.parametrize(
    ("path", "expected"),
    [("/static/x.css", True), ("/image/60844/productModel/200x200", True), ("/products/lamp.html", False),
     ("/sitemap.xml", True), ("/p/1.jpg", True), ("/image-prints", False)],
)  # fmt: skip
def test_static_files_are_recognised_by_their_endings_and_folders(path, expected):
    assert is_asset(path) is expected


@pytest.mark.parametrize(
    ("request_line", "expected"),
    [
        (b"GET /a?b=c HTTP/1.1", ("GET", "/a", "b=c")),
        (b"POST /a", ("POST", "/a", "")),
        (b"GET /a b?c HTTP/1.1", ("GET", "/a b", "c")),
        (b"\x16\x03\x01", ("", "", "")),
        (b"GET http://other/ HTTP/1.1", ("", "", "")),
        (b"-", ("", "", "")),
    ],
)
def test_a_request_line_is_cut_into_method_path_and_query(request_line, expected):
    assert split_request(request_line) == expected


def sampled(*paths, visitors=5):
    return [SampledRequest("GET", path, "", n, 0.0) for n in range(visitors) for path in paths]


@pytest.mark.parametrize(
    ("sample", "path", "template"),
    [
        (sampled("/product/1", "/product/2"), "/product/99", "/product/{id}"),
        (sampled("/category/lamps", "/category/toys", "/category/garden"), "/category/new", "/category/{id}"),
        (sampled("/about", "/help/returns"), "/help/returns", "/help/returns"),
        (sampled("/api/v2/carts"), "/api/v2/carts", "/api/v2/carts"),
        (sampled("/users/jane", visitors=2), "/users/jane", "/{id}/{id}"),
        (sampled("/basket", visitors=1), "/basket", "/basket"),
        (sampled(*(f"/{letter * 3}" for letter in ascii_letters)), "/aaa", "/{id}"),
    ],
)  # fmt: skip
def test_variable_parts_of_addresses_are_found_in_a_sample(sample, path, template):
    assert PathTree(sample).template(path) == template
