"""Browsers beside a load: both designs of the embedded shop, and a run whose probe is killed."""

from __future__ import annotations

import subprocess
import sys
import time

import psutil
import pytest

from doorbuster.records.reader import Run

SCENARIO = """
title: Browsers beside a load
target: {storefront: reference, shop: {profile: PROFILE, query_time: 5ms, products: 200}}
demand: {peak: 3 customers/s, curve: {stages: [{for: 8s, at: 100%}]}}
channels: {web: {share: 100%, journeys: {browse: 100}, patience: none, think: {constant: 50ms}}}
browsers: {calm: 12s, after: 1s, every: 500ms, patience: 10s}
thresholds: {browser_lcp: ["max<20s"], can_browse: ["rate>=1%"]}
drain: 10s
"""


def command(tmp_path, profile: str) -> list[str]:
    path = tmp_path / "browsers.yaml"
    path.write_text(SCENARIO.replace("PROFILE", profile), encoding="utf-8")
    return [sys.executable, "-m", "doorbuster", "run", str(path), "--out", str(tmp_path / "run"), "--quiet"]


def words_of(process: psutil.Process) -> list[str]:
    """Its command line; none of a process that has ended."""
    try:
        return process.cmdline()
    except psutil.Error:
        return []


@pytest.mark.truth
@pytest.mark.parametrize("profile", ["in-house-2004", "replatformed"])
def test_a_browser_walks_both_designs_from_calm_to_the_end(tmp_path, chromium_path, profile):
    done = subprocess.run(command(tmp_path, profile), capture_output=True, text=True, timeout=180)
    assert done.returncode in (0, 96), done.stderr
    with Run.open(tmp_path / "run") as run:
        found = run.browsers()
        audit = run.audit()
    assert {page.page for page in found.pages} == {"home", "search", "product", "basket", "checkout"}
    assert any(visit.at_s < 0 for visit in found.visits)
    assert any(visit.at_s > 0 for visit in found.visits)
    assert all(visit.outcome == "complete" for visit in found.visits)
    assert sum(page.failed_resources + page.console_errors for page in found.pages) == 0
    assert {"calm", "worst"} <= {picture.moment for picture in found.pictures}
    assert audit.unacknowledged == 0  # no browser has ordered
    assert not (tmp_path / "run" / "browsers").exists()
    assert "<img src=" in (tmp_path / "run" / "index.html").read_text(encoding="utf-8")


@pytest.mark.truth
def test_a_killed_probe_ends_no_run_and_leaves_no_browser(tmp_path, chromium_path):
    run = subprocess.Popen(command(tmp_path, "replatformed"), stderr=subprocess.PIPE, text=True)
    output = tmp_path / "run" / "browsers" / "probe-1.jsonl"
    until = time.monotonic() + 60
    while not (output.exists() and '"visit"' in output.read_text()):
        assert time.monotonic() < until
        time.sleep(0.1)
    descendants = psutil.Process(run.pid).children(recursive=True)
    probes = [one for one in descendants if "doorbuster.browsers" in words_of(one)]
    assert probes
    for probe in probes:
        probe.kill()
    _, said = run.communicate(timeout=180)
    assert run.returncode in (0, 96)
    assert "note: browsers: probe 1 ended with code -9" in said
    with Run.open(tmp_path / "run") as found:
        assert found.browsers().visits
    ours = [one for one in psutil.process_iter() if one.create_time() > psutil.Process().create_time()]
    assert not [one for one in ours if any("doorbuster-browser-" in word for word in words_of(one))]


@pytest.mark.truth
def test_without_chromium_the_run_goes_on_and_the_threshold_is_inconclusive(tmp_path, monkeypatch):
    monkeypatch.setenv("DOORBUSTER_CHROMIUM", "/no/such/browser")
    done = subprocess.run(command(tmp_path, "replatformed"), capture_output=True, text=True, timeout=180)
    assert done.returncode == 96
    assert (
        "note: browsers: no Chromium was found (DOORBUSTER_CHROMIUM=/no/such/browser is not a program)"
        in (done.stderr)
    )
    assert "No browser probe recorded a visit: no Chromium was found" in done.stdout
