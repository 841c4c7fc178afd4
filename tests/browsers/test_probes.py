"""Probes in processes of their own: without a browser, killed, and at the end of a run nothing is left."""

from __future__ import annotations

import json
import os
import signal
import time

import psutil
import pytest

from doorbuster.browsers.chromium import find_chromium, resolver_rules
from doorbuster.browsers.probes import BrowserProbes, divided_cores
from doorbuster.scenario import Browsers, BrowserStep


def test_without_a_browser_the_problem_is_stated(tmp_path, monkeypatch):
    monkeypatch.setenv("DOORBUSTER_CHROMIUM", str(tmp_path / "no-browser"))
    probes = started(tmp_path, "http://127.0.0.1:1")
    (problem,) = probes.problems
    assert problem == (
        f"no Chromium was found (DOORBUSTER_CHROMIUM={tmp_path}/no-browser is not a program); "
        "install one, or set DOORBUSTER_CHROMIUM"
    )
    assert probes.finish(complete=True).visits == ()


def test_a_program_that_is_not_a_browser_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setenv("DOORBUSTER_CHROMIUM", "/bin/true")
    probes = started(tmp_path, "http://127.0.0.1:1")
    until = time.monotonic() + 20
    output = tmp_path / "browsers" / "probe-1.jsonl"
    while not (output.exists() and "given up" in output.read_text()):
        assert time.monotonic() < until
        time.sleep(0.05)
    assert probes.finish(complete=False).visits == ()
    assert any("given up after 5 attempts in a row" in problem for problem in probes.problems)


def test_names_are_pinned_to_their_addresses_and_all_others_fail():
    assert resolver_rules({"shop.example": "203.0.113.5", "127.0.0.1": "127.0.0.1"}) == (
        "MAP shop.example 203.0.113.5, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
    )


def test_the_generator_keeps_at_least_half_of_the_cores():
    assert divided_cores([0, 1, 2, 3], 1) == ([2, 3], [0, 1])
    assert divided_cores([0, 1, 4, 5, 6, 7, 8, 9, 10], 2) == ([7, 8, 9, 10], [0, 1, 4, 5, 6])
    assert divided_cores([0, 1, 2], 1) == ([], [0, 1, 2])


def test_the_named_browser_wins(tmp_path):
    named = tmp_path / "my-chrome"
    named.write_text("#!/bin/sh\n")
    named.chmod(0o755)
    assert find_chromium({"DOORBUSTER_CHROMIUM": str(named)}) == str(named)
    assert find_chromium({"DOORBUSTER_CHROMIUM": str(tmp_path / "gone")}) is None


def started(folder, url: str) -> BrowserProbes:
    browsers = Browsers(probes=1, every="100ms", patience="5s", journey=(BrowserStep(page="home", open="/"),))
    return BrowserProbes.start(
        folder, browsers, "reference", url=url, addresses={"127.0.0.1": "127.0.0.1"}, headers={}, secrets=(),
        starts_at_unix_s=time.time(),
    )  # fmt: skip


@pytest.fixture
def with_visits(tmp_path, small_shop, chromium_path):
    """Probes that have recorded a visit, and the process number of their browser."""
    probes = started(tmp_path, small_shop.url)
    output = tmp_path / "browsers" / "probe-1.jsonl"
    until = time.monotonic() + 30
    while not (output.exists() and '"visit"' in output.read_text()):
        assert time.monotonic() < until
        time.sleep(0.05)
    first = json.loads(output.read_text().splitlines()[0])
    yield probes, int(first["browser"]), first["folder"]
    probes.end_all()


def is_gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.mark.truth
def test_probes_end_with_the_run_and_leave_nothing(with_visits):
    probes, browser, folder = with_visits
    found = probes.finish(complete=True)
    assert found.visits
    assert [page.page for page in found.pages] == ["home"] * len(found.visits)
    assert probes.requests.total >= len(found.visits)  # and those of the parts of pages
    assert 0 < probes.requests.most_per_s <= probes.requests.total
    assert is_gone(browser)
    assert not os.path.exists(folder)  # noqa: PTH110
    probes.remove_files()


@pytest.mark.truth
def test_a_killed_browser_is_stated_and_started_again(with_visits, tmp_path):
    probes, browser, _ = with_visits
    os.kill(browser, signal.SIGKILL)
    output = tmp_path / "browsers" / "probe-1.jsonl"
    until = time.monotonic() + 30
    while '"visit"' not in output.read_text().partition('"problem"')[2]:
        assert time.monotonic() < until
        time.sleep(0.05)
    assert probes.finish(complete=True).visits
    assert any("the browser has ended" in problem for problem in probes.problems)


@pytest.mark.truth
def test_a_killed_probe_keeps_its_visits_and_leaves_no_browser(with_visits):
    probes, browser, folder = with_visits
    (process,) = probes._processes.values()
    process.kill()
    found = probes.finish(complete=True)
    assert found.visits
    assert "probe 1 ended with code -9" in probes.problems
    assert is_gone(browser)
    assert not os.path.exists(folder)  # noqa: PTH110


@pytest.mark.truth
def test_a_stopped_browser_ends_no_run(with_visits, monkeypatch):
    probes, browser, _ = with_visits
    monkeypatch.setattr("doorbuster.browsers.probes.GRACE_S", 0.5)
    os.killpg(browser, signal.SIGSTOP)
    began_at = time.monotonic()
    found = probes.finish(complete=False)
    assert time.monotonic() - began_at < 5
    assert found.visits
    assert any("did not end its last visit in time" in problem for problem in probes.problems)
    assert is_gone(browser)
