"""Static assets of pages: which are found, and which of them a customer fetches."""

from __future__ import annotations

import pytest

from doorbuster.load.customers.page_assets import find_assets
from doorbuster.load.customers.session import PageSession
from doorbuster.load.exchange import CurrentStep
from doorbuster.load.http import HttpSettings
from doorbuster.load.http.allowed_hosts import LOOPBACK_ONLY
from doorbuster.records.batch import ASSET_STEPS as RECORDED
from doorbuster.scenario import ASSET_STEPS

PAGE = "http://shop.test/a/b.html"
FOUND = {
    '<link rel="stylesheet" href="x.css">': ("asset_style", "http://shop.test/a/x.css", True),
    "<LINK REL=stylesheet HREF=/x.css?v=1&amp;w=2>": ("asset_style", "http://shop.test/x.css?v=1&w=2", True),
    '<link rel="stylesheet" media="print" href="/p.css">': ("asset_style", "http://shop.test/p.css", False),
    '<link rel="preload" as="font" href="/f.woff2">': ("asset_style", "http://shop.test/f.woff2", True),
    '<script src="//cdn.test/x.js"></script>': ("asset_script", "http://cdn.test/x.js", True),
    '<script defer src="/x.js"></script>': ("asset_script", "http://shop.test/x.js", False),
    '<script type="module" src="/x.js">ignored</script>': ("asset_script", "http://shop.test/x.js", False),
    '<img alt="a > b" src="/i.png#top">': ("asset_image", "http://shop.test/i.png", False),
    '<link rel="shortcut icon" href="/i.ico">': ("asset_image", "http://shop.test/i.ico", False),
    '<base href="/deep/"><img src="i.png">': ("asset_image", "http://shop.test/deep/i.png", False),
}
NOT_FOUND = [
    '<img src="data:image/png;base64,AAAA">', '<img loading="lazy" src="/i.png">', '<img src="">',
    '<img srcset="/a.png 2x">', "<!-- <img src='/i.png'> -->", '<noscript><img src="/i.png"></noscript>',
    "<script>document.write('<img src=\"/i.png\">')</script>", '<script nomodule src="/old.js"></script>',
    '<link rel="alternate stylesheet" href="/other.css">', '<link rel="canonical" href="/page">',
    '<link rel="stylesheet" disabled href="/x.css">', '<img src="http://[bad/i.png">',
    '<a href="/x.css">x</a>',
    '<img src="javascript:alert(1)">', '<template><img src="/i.png"></template>',
]  # fmt: skip


@pytest.mark.parametrize("text", FOUND)
def test_what_a_browser_loads_is_found(text):
    assert find_assets(f"<!doctype html>{text}", PAGE) == (FOUND[text],)


@pytest.mark.parametrize("text", NOT_FOUND)
def test_what_a_browser_does_not_load_at_once_is_not_found(text):
    assert find_assets(f"<!doctype html>{text}", PAGE) == ()


def test_a_file_named_twice_is_found_once_and_critical_if_one_place_is():
    text = (
        '<script async src="/x.js"></script><script src="/x.js"></script><script src="/x.js" defer></script>'
    )
    assert find_assets(text, PAGE) == (("asset_script", "http://shop.test/x.js", True),)


def test_records_and_scenarios_name_the_same_steps():
    assert set(ASSET_STEPS) == RECORDED


SHOP = b"""<!doctype html><link rel=stylesheet href=/shop.css><script src=/shop.js async></script>
<img src=/a.png><img src=/gone.png><img src=/fresh.png><img src=http://elsewhere.test/b.png>"""


@pytest.fixture
def open_session(server):
    """Opens a session that loads assets; its pages are those of the scripted server."""
    server.routes["/"] = lambda peer: peer.answer(SHOP, "Content-Type: text/html; charset=utf-8")
    server.routes["/gone.png"] = lambda peer: peer.answer(b"no", status="404 Not Found")
    server.routes["/fresh.png"] = lambda peer: peer.answer(b"new", "Cache-Control: no-store")
    server.routes["/json"] = lambda peer: peer.answer(SHOP, "Content-Type: application/json")
    opened = []

    def start(*, critical_only: bool) -> PageSession:
        settings = HttpSettings(hosts=LOOPBACK_ONLY)
        session = PageSession(server.url, settings, CurrentStep(), critical_only=critical_only)
        opened.append(session)
        return session

    yield start
    for session in opened:
        session.close()


def load(session: PageSession, path: str) -> list[tuple[str, str]]:
    """Kind and path of the assets that are fetched for the page at `path`."""
    session.request("GET", path)
    found = session.fetch_assets(session.missing_assets(), due_at=0.0)
    return sorted((one.name, one.url.rpartition("/")[2]) for one in found)


def test_assets_are_fetched_once_per_customer_unless_they_failed_or_must_not_be_stored(open_session):
    session = open_session(critical_only=False)
    again = [("asset_image", "fresh.png"), ("asset_image", "gone.png")]
    first = [("asset_image", "a.png"), *again, ("asset_script", "shop.js"), ("asset_style", "shop.css")]
    assert load(session, "/") == first
    assert load(session, "/") == again
    assert load(session, "/json") == []
    assert load(open_session(critical_only=False), "/") == first


def test_only_critical_assets_are_fetched_where_that_is_asked(open_session):
    assert load(open_session(critical_only=True), "/") == [("asset_style", "shop.css")]
