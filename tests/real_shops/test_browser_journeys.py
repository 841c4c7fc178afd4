"""The journey of browser probes through real pages of django-oscar. (Vendure has no pages of its own.)"""

from __future__ import annotations

import time

import pytest

from doorbuster.browsers.chromium import find_chromium
from doorbuster.browsers.probes import BrowserProbes
from doorbuster.scenario import Browsers

pytestmark = pytest.mark.shops


def test_a_browser_walks_oscar_from_the_home_page_to_the_checkout(oscar_url, tmp_path):
    if find_chromium() is None:
        pytest.skip("no Chromium is installed (Debian: apt-get install chromium)")
    probes = BrowserProbes.start(
        tmp_path, Browsers(every="0s"), "oscar", url=oscar_url, addresses={"127.0.0.1": "127.0.0.1"},
        headers={}, secrets=(), starts_at_unix_s=time.time(),
    )  # fmt: skip
    output, until = tmp_path / "browsers" / "probe-1.jsonl", time.monotonic() + 90
    while not (output.exists() and '"visit"' in output.read_text()):
        assert time.monotonic() < until
        time.sleep(0.2)
    found = probes.finish(complete=True)
    first = [(page.page, page.outcome, page.detail) for page in found.pages if page.visit == 0]
    assert first == [(name, "ok", "") for name in ("home", "catalogue", "product", "basket", "checkout")]
    assert all(page.lcp_ms is not None for page in found.pages)
