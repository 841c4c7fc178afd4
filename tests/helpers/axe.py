"""axe-core in a page: what it finds serious. Fetched from npm, so no test that runs by default uses it."""

from __future__ import annotations

import json
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
from browser import Browser

VERSION = "4.10.3"


def axe_script(folder: Path) -> str:
    """The script, fetched into a folder; skips the test without npm."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("the accessibility test needs npm")
    subprocess.run(
        [npm, "pack", f"axe-core@{VERSION}"], cwd=folder, check=True, capture_output=True, timeout=120
    )
    with tarfile.open(folder / f"axe-core-{VERSION}.tgz") as archive:
        archive.extractall(folder, filter="data")
    return (folder / "package" / "axe.min.js").read_text(encoding="utf-8")


def serious_findings(browser: Browser, axe: str) -> list[list[str]]:
    """Impact, rule and the first element of each serious or critical finding on the open page."""
    browser.js(axe)
    found = json.loads(
        browser.js(
            "axe.run().then((one) => JSON.stringify("
            "one.violations.map((v) => [v.impact, v.id, v.nodes[0].html])))"
        )
    )
    return [one for one in found if one[0] in ("serious", "critical")]
