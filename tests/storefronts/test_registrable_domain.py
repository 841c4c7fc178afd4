"""Which hosts belong to one owner, and recordings from which a browser has removed cookies."""

from __future__ import annotations

import json

import pytest

from doorbuster.storefronts.har.recording import read_har
from doorbuster.storefronts.har.registrable_domain import registrable_domain
from tests.storefronts.har_entries import SHOP, draft, entry, visit


@pytest.mark.parametrize(
    ("host", "domain"),
    [
        ("www.shop.example", "shop.example"),
        ("shop.example", "shop.example"),
        ("api.eu.shop.example", "shop.example"),
        ("www.shop.co.uk", "shop.co.uk"),
        ("checkout.shop.com.au", "shop.com.au"),
        ("www.shop.co.jp", "shop.co.jp"),
        ("www.shop.com", "shop.com"),
        ("co.uk", "co.uk"),
        ("lamps.myshopify.com", "lamps.myshopify.com"),
        ("a.b.pages.dev", "b.pages.dev"),
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8::1", "2001:db8::1"),
        ("localhost", "localhost"),
        ("WWW.Shop.Example.", "shop.example"),
    ],
)
def test_the_registrable_domain_of_a_host(host, domain):
    assert registrable_domain(host) == domain


def test_another_shop_of_the_same_platform_is_another_site():
    seen = (("mine", "/"), ("mine", "/products/a"), ("other", "/"))
    entries = [
        entry("GET", f"https://{shop}.myshopify.com{path}", at=n) for n, (shop, path) in enumerate(seen)
    ]
    found = read_har(json.dumps({"log": {"entries": entries}}).encode())
    assert [one.origin for one in found.requests] == ["https://mine.myshopify.com"] * 2
    assert [one.reason for one in found.left_out] == ["it went to another site"]


def test_a_recording_without_cookies_gives_the_same_driver():
    kept = visit()
    for number, one in enumerate(kept):
        one["request"]["headers"].append({"name": "Cookie", "value": "session=s-4711-abc"})
        one["request"]["cookies"] = [{"name": "session", "value": "s-4711-abc"}]
        if not number:
            one["response"]["headers"].append({"name": "Set-Cookie", "value": "session=s-4711-abc; Path=/"})
            one["response"]["cookies"] = [{"name": "session", "value": "s-4711-abc"}]
    removed = visit()
    assert draft(kept).text == draft(removed).text
    texts = (json.dumps({"log": {"entries": entries}}).encode() for entries in (kept, removed))
    assert [read_har(text).lacks_credentials for text in texts] == [False, True]
    assert SHOP in read_har(json.dumps({"log": {"entries": removed}}).encode()).origin
