"""axe-core finds nothing serious on the page, light and dark, wide and narrow.

It is fetched from npm, so the test does not run by default.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tarfile

import pytest

VERSION = "4.10.3"


@pytest.fixture(scope="module")
def axe(tmp_path_factory) -> str:
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("the accessibility test needs npm")
    folder = tmp_path_factory.mktemp("axe")
    subprocess.run(
        [npm, "pack", f"axe-core@{VERSION}"], cwd=folder, check=True, capture_output=True, timeout=120
    )
    with tarfile.open(folder / f"axe-core-{VERSION}.tgz") as archive:
        archive.extractall(folder, filter="data")
    return (folder / "package" / "axe.min.js").read_text(encoding="utf-8")


@pytest.mark.truth
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_no_serious_finding(browser, page, axe, width, dark):
    browser.open(page(rate_per_s=25.0).as_uri(), width=width, dark=dark)
    browser.ready()
    browser.js("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    browser.js(axe)
    found = json.loads(
        browser.js(
            "axe.run().then((one) => JSON.stringify("
            "one.violations.map((v) => [v.impact, v.id, v.nodes[0].html])))"
        )
    )
    assert [one for one in found if one[0] in ("serious", "critical")] == []
