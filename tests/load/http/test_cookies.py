"""The rules of RFC 6265bis, one by one."""

from __future__ import annotations

import http.cookiejar

import pytest
import requests

from doorbuster.load.http.cookies import CookieJar
from doorbuster.load.http.dates import parse_cookie_date
from doorbuster.load.http.request_target import resolve_target

NOW = 1_800_000_000.0


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def jar(clock):
    return CookieJar(5, clock)


def sent(jar: CookieJar, url: str) -> str:
    line = jar.line_for(resolve_target("", url)).decode("latin-1")
    return line.removeprefix("Cookie: ").removesuffix("\r\n")


@pytest.mark.parametrize(
    ("label", "set_cookie", "url", "expected"),
    [
        ("same host", "a=1", "http://shop.example/", "a=1"),
        ("host only", "a=1", "http://www.shop.example/", ""),
        ("domain covers subdomains", "a=1; Domain=shop.example", "http://www.shop.example/", "a=1"),
        ("a leading dot means nothing", "a=1; domain=.Shop.Example", "http://www.shop.example/", "a=1"),
        ("domain is no suffix of text", "a=1; Domain=shop.example", "http://notshop.example/", ""),
        ("another domain is refused", "a=1; Domain=other.example", "http://other.example/", ""),
        ("a top-level domain is refused", "a=1; Domain=example", "http://shop.example/", ""),
        ("another port is the same host", "a=1", "http://shop.example:8080/", "a=1"),
        ("value with equals signs", "a=b=c==", "http://shop.example/", "a=b=c=="),
        ("spaces are trimmed", "  a =  1 ; Path=/", "http://shop.example/", "a=1"),
        ("quotes stay", 'a="1 2"', "http://shop.example/", 'a="1 2"'),
        ("empty value", "a=", "http://shop.example/", "a="),
        ("no name", "=1", "http://shop.example/", ""),
        ("no equals sign", "flag", "http://shop.example/", ""),
        ("secure is refused over http", "a=1; Secure", "https://shop.example/", ""),
        ("httponly is sent", "a=1; HttpOnly; SameSite=Strict", "http://shop.example/", "a=1"),
        ("max-age in the future", "a=1; Max-Age=10", "http://shop.example/", "a=1"),
        ("max-age zero", "a=1; Max-Age=0", "http://shop.example/", ""),
        ("max-age negative", "a=1; Max-Age=-5", "http://shop.example/", ""),
        ("max-age nonsense", "a=1; Max-Age=soon", "http://shop.example/", "a=1"),
        ("expired", "a=1; Expires=Wed, 09 Jun 2021 10:18:14 GMT", "http://shop.example/", ""),
        ("expires with dashes", "a=1; Expires=Wed, 09-Jun-2021 10:18:14 GMT", "http://shop.example/", ""),
        ("expires later", "a=1; Expires=Fri, 31 Dec 2100 23:59:59 GMT", "http://shop.example/", "a=1"),
        ("expires nonsense", "a=1; Expires=tomorrow", "http://shop.example/", "a=1"),
        ("max-age wins", "a=1; Max-Age=9; Expires=Wed, 9 Jun 2021 1:1:1 GMT", "http://shop.example/", "a=1"),
        ("too long", "a=" + "x" * 5000, "http://shop.example/", ""),
    ],
)  # fmt: skip
def test_a_cookie_from_the_home_page_goes_where_the_rules_say(label, set_cookie, url, expected, jar):
    jar.store(resolve_target("", "http://shop.example/"), set_cookie)
    assert sent(jar, url) == expected


@pytest.mark.parametrize(
    ("set_at", "set_cookie", "url", "expected"),
    [
        ("/account/login", "a=1", "/account/orders", "a=1"),
        ("/account/login", "a=1", "/account", "a=1"),
        ("/account/login", "a=1", "/", ""),
        ("/login", "a=1", "/anywhere", "a=1"),
        ("/", "a=1; Path=/shop", "/shop", "a=1"),
        ("/", "a=1; Path=/shop", "/shop/basket?x=1", "a=1"),
        ("/", "a=1; Path=/shop", "/shopping", ""),
        ("/", "a=1; Path=/shop/", "/shop", ""),
        ("/", "a=1; Path=relative", "/anywhere", "a=1"),
    ],
)
def test_a_path_covers_what_lies_below_it(set_at, set_cookie, url, expected, jar):
    jar.store(resolve_target("", f"http://shop.example{set_at}"), set_cookie)
    assert sent(jar, f"http://shop.example{url}") == expected


def test_secure_cookies_and_prefixes_need_https(jar):
    https = resolve_target("", "https://shop.example/")
    jar.store(https, "s=1; Secure")
    jar.store(https, "__Host-id=1; Secure; Path=/")
    assert jar.store(https, "__Host-id=2; Secure; Path=/; Domain=shop.example") is None
    assert jar.store(https, "__Secure-x=1") is None
    assert sent(jar, "https://shop.example/") == "s=1; __Host-id=1"
    assert sent(jar, "http://shop.example/") == ""


def test_an_ip_address_has_no_subdomains(jar):
    jar.store(resolve_target("", "http://127.0.0.1/"), "a=1; Domain=0.0.1")
    jar.store(resolve_target("", "http://127.0.0.1/"), "b=1; Domain=127.0.0.1")
    assert sent(jar, "http://127.0.0.1/") == "b=1"


def test_longer_paths_come_first_then_older_cookies_and_a_change_keeps_its_place(jar):
    target = resolve_target("", "http://shop.example/a/b")
    for cookie in ("old=1; Path=/", "new=1; Path=/", "deep=1; Path=/a", "old=2; Path=/"):
        jar.store(target, cookie)
    assert sent(jar, "http://shop.example/a/b") == "deep=1; old=2; new=1"


def test_a_cookie_is_sent_until_it_expires_and_no_longer(jar, clock):
    target = resolve_target("", "http://shop.example/")
    jar.store(target, "short=1; Max-Age=10")
    jar.store(target, "long=1; Max-Age=20")
    clock.now += 9.9
    assert sent(jar, "http://shop.example/") == "short=1; long=1"
    clock.now += 0.2
    assert sent(jar, "http://shop.example/") == "long=1"
    clock.now += 10
    assert sent(jar, "http://shop.example/") == ""
    assert len(jar) == 0


def test_a_cookie_set_to_expire_goes_away(jar):
    target = resolve_target("", "http://shop.example/")
    jar.store(target, "a=1")
    assert sent(jar, "http://shop.example/") == "a=1"
    jar.store(target, "a=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT")
    assert sent(jar, "http://shop.example/") == ""


def test_a_cookie_with_the_same_value_may_still_become_secure(jar):
    target = resolve_target("", "https://shop.example/")
    jar.store(target, "a=1")
    jar.store(target, "a=1; Secure")
    assert sent(jar, "http://shop.example/") == ""


def test_a_repeated_cookie_changes_nothing_until_something_else_did(jar):
    target = resolve_target("", "http://shop.example/")
    for _ in range(3):
        jar.store(target, "a=1; Path=/")
    assert sent(jar, "http://shop.example/") == "a=1"
    jar.store(target, "a=2; Path=/")
    assert sent(jar, "http://shop.example/") == "a=2"
    jar.store(target, "a=1; Path=/")
    assert sent(jar, "http://shop.example/") == "a=1"
    jar.clear()
    jar.store(target, "a=1; Path=/")
    assert sent(jar, "http://shop.example/") == "a=1"
    del jar["a"]
    assert sent(jar, "http://shop.example/") == ""
    jar.store(target, "a=1; Path=/")
    assert sent(jar, "http://shop.example/") == "a=1"


def test_a_full_jar_forgets_what_expired_and_then_the_oldest(jar, clock):
    target = resolve_target("", "http://shop.example/")
    jar.store(target, "first=1")
    jar.store(target, "brief=1; Max-Age=1")
    for number in range(3):
        jar.store(target, f"c{number}=1")
    clock.now += 2
    jar.store(target, "c3=1")
    assert list(jar.keys()) == ["first", "c0", "c1", "c2", "c3"]
    jar.store(target, "c4=1")
    assert list(jar.keys()) == ["c0", "c1", "c2", "c3", "c4"]


def test_a_jar_without_room_takes_nothing(clock):
    jar = CookieJar(0, clock)
    jar.store(resolve_target("", "http://shop.example/"), "a=1")
    assert len(jar) == 0


def test_a_jar_is_a_mapping_that_customers_may_fill(jar):
    jar["token"] = "abc"
    jar.set("own", "1", domain="shop.example")
    assert sent(jar, "http://anywhere.example/") == "token=abc"
    assert sent(jar, "http://www.shop.example/x") == "token=abc; own=1"
    assert jar.get("own") == "1"
    assert dict(jar) == jar.get_dict() == {"token": "abc", "own": "1"}
    del jar["token"]
    with pytest.raises(KeyError):
        del jar["token"]
    assert sent(jar, "http://anywhere.example/") == ""


def test_the_line_is_right_after_many_different_pages(jar):
    jar.store(resolve_target("", "http://shop.example/"), "a=1; Path=/p")
    for number in range(50):
        assert sent(jar, f"http://shop.example/p/{number}") == "a=1"
        assert sent(jar, f"http://shop.example/q/{number}") == ""


@pytest.mark.parametrize(
    ("date", "unix_s"),
    [
        ("Wed, 13 Jan 2031 22:23:01 GMT", 1926109381),
        ("Mon, 13-Jan-2031 22:23:01 MST", 1926109381),  # the zone does not count
        ("22:23:01 13 Jan 2031", 1926109381),
        ("2031 January 13x 22:23:01.5", 1926109381),
        ("2031,january,13,22:23:01.5", 1926109381),
        ("21 Oct 69 07:28:00", 3149566080),
        ("21 Oct 70 07:28:00", 25342080),
        ("21 Oct 1601 7:8:9", -11619132711),
        ("21 Oct 1600 07:28:00", None),
        ("31 Feb 2031 00:00:00", None),
        ("29 Feb 2032 00:00:00", 1961625600),
        ("13 Jan 2031 24:00:00", None),
        ("13 Jan 2031 23:59:60", None),
        ("13 Jan 2031", None),
        ("0 Jan 2031 00:00:00", None),
        ("12345678", None),
        ("", None),
    ],
)
def test_expiry_dates_are_read_by_rfc_6265(date, unix_s):
    assert parse_cookie_date(date) == unix_s


def test_a_jar_behaves_as_those_of_requests_and_of_python(jar):
    target = resolve_target("", "http://shop.example/")
    jar.store(target, "sid=abc; Max-Age=99999999999999999999")
    jar.store(target, "bad=a\x01b")
    jar.update({"k": "v", "none": None})
    foreign = http.cookiejar.CookieJar()
    foreign.set_cookie(requests.cookies.create_cookie("far", "1", domain=".shop.example", path="/p"))
    jar.update(foreign)

    assert [(cookie.name, cookie.domain, cookie.path) for cookie in jar] == [
        ("sid", "shop.example", "/"), ("k", "", "/"), ("far", "shop.example", "/p"),
    ]  # fmt: skip
    assert sent(jar, "http://www.shop.example/p/x") == "far=1; k=v"
    assert (len(jar), "sid" in jar, jar.pop("sid"), jar.get("sid", 7)) == (3, True, "abc", 7)
    assert jar.get_dict(domain=".shop.example") == {"far": "1"}
    assert jar.copy().get_dict() == jar.get_dict()
    jar.set("k", None)
    with pytest.raises(KeyError):
        jar["k"]
    with pytest.raises(KeyError):
        jar.clear("nowhere.example")
    jar.clear("shop.example", "/p", "far")
    assert len(jar) == 0
    for wrong in ("text", 7, [object()]):
        with pytest.raises(ValueError, match=r"^(cookies must be|a cookie jar must)"):
            jar.update(wrong)
