"""axe-core finds nothing serious on the page, light and dark, wide and narrow."""

from __future__ import annotations

import pytest
from axe import axe_script, serious_findings


@pytest.fixture(scope="module")
def axe(tmp_path_factory) -> str:
    return axe_script(tmp_path_factory.mktemp("axe"))


@pytest.mark.truth
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_no_serious_finding(browser, page, axe, width, dark):
    browser.open(page(rate_per_s=25.0).as_uri(), width=width, dark=dark)
    browser.ready()
    browser.js("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    assert serious_findings(browser, axe) == []
