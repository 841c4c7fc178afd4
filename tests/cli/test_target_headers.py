"""`target.headers`: a shop behind a WAF that lets through only requests with a secret header."""

from __future__ import annotations

import sqlite3

import pytest
import waf

from doorbuster.errors import ExitCode
from doorbuster.shop_process import start_shop
from doorbuster.shop_settings import ShopSettings

SECRET = "gehe1m-4711"
SCENARIO = """
title: behind a WAF
target:
  url: "%s"
  headers: {X-Waf-Bypass: "${WAF_BYPASS}", X-Traffic: load test}
demand: {peak: 5 customers/s, curve: {stages: [{for: 3s, at: 100%%}]}}
channels: {web: {share: 100%%, journeys: {buy: 1}, patience: none, think: {uniform: [10ms, 20ms]}}}
freshness: {changes: [stock], every: 1s, timeout: 1s}
thresholds: {can_order: ["rate>=50%%"]}
drain: 20s
"""


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    """The embedded shop behind a WAF."""
    folder = tmp_path_factory.mktemp("shop")
    shop = start_shop(ShopSettings(profile="replatformed", products=60), folder / "shop.log")
    with waf.Waf(shop.url, SECRET) as server:
        yield server
        server.shutdown()
    shop.stop()


@pytest.fixture
def scenario(tmp_path, guarded):
    path = tmp_path / "waf.yaml"
    path.write_text(SCENARIO % guarded.url, encoding="utf-8")
    return path


@pytest.fixture
def with_secret(monkeypatch):
    monkeypatch.setenv("WAF_BYPASS", SECRET)


@pytest.mark.truth
@pytest.mark.usefixtures("with_secret")
def test_every_client_of_run_probe_and_cleanup_sends_the_header(doorbuster, scenario, guarded, tmp_path):
    guarded.asked.clear()
    out = tmp_path / "out"
    done = doorbuster("run", scenario, "--quiet", "--out", out, "--workers", "2")
    assert done.returncode == ExitCode.PASS, done.stdout + done.stderr
    probed = doorbuster("probe", "--scenario", scenario, "--trace")
    assert probed.returncode == ExitCode.PASS, probed.stdout + probed.stderr
    cleaned = doorbuster("cleanup", out)
    assert cleaned.returncode == ExitCode.PASS, cleaned.stdout + cleaned.stderr
    assert {header for _, _, header in guarded.asked} == {SECRET}
    asked = "\n".join(path for _, path, _ in guarded.asked)
    for what in ("/ledger", "/staff", "/checkout", "/cancel"):
        assert what in asked, asked[:2000]
    assert {
        file.name for file in out.rglob("*") if file.is_file() and SECRET.encode() in file.read_bytes()
    } == set()
    assert SECRET not in done.stdout + done.stderr + probed.stdout + cleaned.stdout
    with sqlite3.connect(out / "run.sqlite") as run:
        (text,) = run.execute("select value from meta where key = 'scenario_text'").fetchone()
    assert "${WAF_BYPASS}" in text


def test_a_variable_that_is_not_set_is_refused_before_anything_is_sent(
    doorbuster, scenario, guarded, tmp_path, monkeypatch
):
    monkeypatch.delenv("WAF_BYPASS", raising=False)
    guarded.asked.clear()
    for words in (("run", scenario, "--quiet", "--out", tmp_path / "out"), ("probe", "--scenario", scenario)):
        done = doorbuster(*words)
        assert done.returncode == ExitCode.USAGE, done.stdout + done.stderr
        assert "target.headers needs the environment variable WAF_BYPASS, which is not set" in done.stderr
    assert guarded.asked == []
    checked = doorbuster("check", scenario)
    assert checked.returncode == ExitCode.PASS
    assert "WAF_BYPASS" in checked.stdout


def test_a_shop_that_shows_the_value_it_got_does_not_bring_it_into_a_message(
    doorbuster, scenario, monkeypatch
):
    monkeypatch.setenv("WAF_BYPASS", "another-secret")  # the WAF answers with what it got
    done = doorbuster("probe", "--scenario", scenario, "--trace")
    assert done.returncode == ExitCode.FAIL
    assert "X-Waf-Bypass: ***" in done.stdout
    assert "another-secret" not in done.stdout + done.stderr
