"""How long a changed price took to be seen: real runs against shops of known lag, and counts by hand."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from contextlib import contextmanager

import numpy as np
import pytest

from doorbuster.records.batch import Batch, FreshnessReading
from doorbuster.records.meta import RunMeta
from doorbuster.records.run import Run
from doorbuster.records.runfile import RunWriter
from doorbuster.report import load_analysis

SCENARIO = """
title: Prices change
target: %(target)s
demand: {peak: 4 customers/s, curve: {stages: [{for: %(length)s, at: 100%%}]}}
channels:
  web: {share: 40%%, journeys: {buy: 1}, patience: none, think: {constant: 100ms}}
  app: {share: 30%%, journeys: {buy: 1}, patience: none, think: {constant: 100ms}}
  store: {share: 30%%, journeys: {till_sale: 1}}
freshness: {every: 300ms, timeout: %(timeout)s}
thresholds: {can_order: ["rate>=50%%"]}
"""
EMBEDDED = "{storefront: reference, shop: {profile: %s, products: 200, query_time: 1ms, sync_lag: %s}}"


@pytest.fixture
def ran(doorbuster, tmp_path):
    """The folder of a run of this scenario."""

    def run(target, *, length="6s", timeout="10s"):
        text = SCENARIO % {"target": target, "length": length, "timeout": timeout}
        (tmp_path / "peak.yaml").write_text(text, encoding="utf-8")
        done = doorbuster("run", tmp_path / "peak.yaml", "--out", tmp_path / "run", "--quiet")
        assert done.returncode in (0, 96), done.stdout + done.stderr
        return tmp_path / "run"

    return run


@pytest.mark.alone
@pytest.mark.truth
def test_behind_a_lag_of_two_seconds_every_channel_shows_a_price_two_seconds_later(ran, root):
    folder = ran(EMBEDDED % ("replatformed", "2s"))
    with Run.open(folder) as run:
        seen = [reading for reading in run.freshness() if reading.outcome == "seen"]
        found = load_analysis(root / "analysis" / "freshness.py")(run)
        audit = run.audit()
    assert {reading.channel for reading in seen} == {"web", "app", "store"}
    assert all(1.8 <= reading.old_until_s < reading.took_s for reading in seen)
    assert min(reading.took_s for reading in seen) >= 2.0
    assert found.metrics["visible_max"].value == max(reading.took_s for reading in seen) < 6.0
    assert found.metrics["never_visible"].value == 0
    assert not found.silent
    assert audit.wrong_total == 0


@pytest.mark.alone
@pytest.mark.truth
def test_without_a_lag_a_price_is_seen_as_soon_as_kept_pages_are_too_old(ran):
    with Run.open(ran(EMBEDDED % ("replatformed", "0s"))) as run:
        seen = [reading for reading in run.freshness() if reading.outcome == "seen"]
    assert len(seen) >= 6
    assert min(reading.took_s for reading in seen) < 1.8


@contextmanager
def shop(*options):
    command = [sys.executable, "-m", "doorbuster.shop", "--port", "0", "--json-announce", "--die-with-parent"]
    process = subprocess.Popen([*command, *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield json.loads(process.stdout.readline())["url"]
    finally:
        process.stdin.close()
        process.wait(10)
        process.stdout.close()


def till_price(url, sku):
    """What a till takes for a product: tills know the price of this moment, whatever pages show."""
    body = json.dumps({"till": "till-1", "lines": [{"sku": sku, "quantity": 1}]}).encode()
    headers = {"Content-Type": "application/json", "Idempotency-Key": f"price-of-{sku}"}
    request = urllib.request.Request(f"{url}/api/till/sales", body, headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)["total_pence"]


@pytest.mark.alone
@pytest.mark.truth
def test_a_run_that_ends_while_a_price_is_changed_puts_it_back(ran):
    with shop("--profile", "replatformed", "--products", "200", "--sync-lag", "60s") as url:
        folder = ran(f"{{storefront: reference, url: '{url}'}}", length="3s", timeout="30s")
        with Run.open(folder) as run:
            readings = run.freshness()
            (told,) = [event.text for event in run.events() if event.kind == "freshness"]
        sku, pence = told.partition("put back: ")[2].partition(" pence")[0].split(" (")
        assert {(reading.sku, reading.outcome) for reading in readings} == {(sku, "cut_short")}
        assert till_price(url, sku) == int(pence)


@pytest.fixture
def analysed(root, tmp_path):
    """The section of a run with these readings and a timeout of 10 s."""

    def analyse(*readings):
        text = SCENARIO % {"target": EMBEDDED % ("replatformed", "0s"), "length": "60s", "timeout": "10s"}
        meta = RunMeta(
            run_id="r1", title="Prices", scenario_name="p", scenario_text=text, storefront="reference",
            target_url="http://127.0.0.1:1", shop_profile="replatformed", seed=1, workers=1,
            started_at_unix_ns=0, duration_s=60.0,
        )  # fmt: skip
        with RunWriter.create(tmp_path, meta, {"web": np.ones(60, np.int64)}) as writer:
            writer.write([Batch.from_wire(Batch("w", 0, final=True, freshness=tuple(readings)).to_wire())])
            writer.finish("finished")
        with Run.open(tmp_path) as run:
            assert sorted(run.freshness()) == sorted(readings)
            return load_analysis(root / "analysis" / "freshness.py")(run)

    return analyse


def reading(at_s, channel, took_s, outcome="seen"):
    return FreshnessReading(at_s, "sku", channel, outcome, took_s, None, 3, 0)


def test_percentiles_and_the_longest_are_those_of_the_readings(analysed):
    found = analysed(*(reading(float(i), "web", i / 10) for i in range(1, 101)))
    metrics = found.metrics
    assert metrics["visible_p50_web"].value == 5.0
    assert metrics["visible_p95_web"].value == 9.5
    assert metrics["visible_p95_web"].low < 9.5 < metrics["visible_p95_web"].high
    assert metrics["visible_max"].value == 10.0
    assert found.sentence.startswith("At most 10 s (web, half of them within 5 s)")


def test_a_price_that_never_came_makes_the_longest_time_a_lower_bound(analysed):
    rows = [reading(float(i), "app", 1.0) for i in range(5)]
    found = analysed(
        *rows, *(FreshnessReading(9.0 + i, "sku", "app", "stale", None, 9.9, 30, 0) for i in (0, 1))
    )
    longest = found.metrics["visible_max_app"]
    assert (longest.value, longest.at_least) == (10.0, True)
    assert found.metrics["never_visible"].value == 2
    assert found.sentence == "Too long to say: in app, 2 of 7 changes were not visible within 10 s."
    assert found.findings == ("In app, 2 times the new price never came within 10 s.",)


def test_what_could_not_be_read_or_was_cut_short_is_no_time(analysed):
    found = analysed(
        FreshnessReading(1.0, "sku", "web", "unread", None, None, 30, 30),
        FreshnessReading(2.0, "sku", "web", "cut_short", None, 1.0, 9, 0),
        FreshnessReading(3.0, "sku", "", "refused", None, None, 0, 0),
    )
    assert {name: metric.value for name, metric in found.metrics.items()} == {
        "visible_max": None, "never_visible": None, "unread": 1, "refused": 1,
    }  # fmt: skip
    assert found.sentence == "Nobody can tell: the shop did not take any of 1 changes."


def test_a_run_that_did_not_measure_it_has_no_such_section(analysed):
    assert analysed().silent


def test_a_driver_that_cannot_change_prices_is_refused_before_the_run(doorbuster, tmp_path):
    text = SCENARIO % {
        "target": "{storefront: oscar, url: 'http://127.0.0.1:1'}", "length": "3s", "timeout": "10s",
    }  # fmt: skip
    (tmp_path / "peak.yaml").write_text(text, encoding="utf-8")
    done = doorbuster("run", tmp_path / "peak.yaml", "--out", tmp_path / "run", "--quiet")
    assert done.returncode == 104
    assert "has no change_price (freshness), which peak asks for" in done.stderr
