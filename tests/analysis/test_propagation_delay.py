"""How long a change took to be seen: real runs against shops of known lag, and counts by hand."""

from __future__ import annotations

import json
import urllib.request

import numpy as np
import pytest

from doorbuster.errors import ScenarioError
from doorbuster.load.freshness.product_edits import measured, missing_capabilities
from doorbuster.records.batch import Batch, FreshnessReading
from doorbuster.records.metadata import RunMeta
from doorbuster.records.reader import Run
from doorbuster.records.writer import RunWriter
from doorbuster.report import RunContext, load_analysis
from doorbuster.scenario import read_scenario
from doorbuster.shop_process import start_shop
from doorbuster.shop_settings import ShopSettings
from doorbuster.storefronts import Product, ReferenceShop, Rejected, Storefront

SCENARIO = """
title: Prices change
target: %(target)s
demand: {peak: 4 customers/s, curve: {stages: [{for: %(length)s, at: 100%%}]}}
channels:
  web: {share: 40%%, journeys: {buy: 1}, patience: none, think: {constant: 100ms}}
  app: {share: 30%%, journeys: {buy: 1}, patience: none, think: {constant: 100ms}}
  store: {share: 30%%, journeys: {pos_sale: 1}}
freshness: {every: 300ms, timeout: %(timeout)s%(of)s}
thresholds: {can_order: ["rate>=50%%"]}
"""
IN_HOUSE = "{storefront: reference, shop: {profile: in-house-2004, products: 200, query_time: 1ms}}"
EMBEDDED = "{storefront: reference, shop: {profile: %s, products: 200, query_time: 1ms, sync_lag: %s}}"


@pytest.fixture
def ran(doorbuster, tmp_path):
    """The folder of a run of this scenario."""

    def run(target, *, length="6s", timeout="10s", of=""):
        text = SCENARIO % {
            "target": target, "length": length, "timeout": timeout, "of": f", changes: {of}" if of else "",
        }  # fmt: skip
        (tmp_path / "peak.yaml").write_text(text, encoding="utf-8")
        done = doorbuster("run", tmp_path / "peak.yaml", "--out", tmp_path / "run", "--quiet")
        assert done.returncode in (0, 96), done.stdout + done.stderr
        return tmp_path / "run"

    return run


def seen_of(run):
    """By kind of change, the readings that saw it."""
    kinds = {what: [] for what in ("price", "stock", "basket")}
    for reading in run.freshness():
        if reading.outcome == "seen":
            kinds[reading.what].append(reading)
    return kinds


@pytest.mark.alone
@pytest.mark.truth
def test_behind_a_lag_of_two_seconds_prices_and_stock_come_two_seconds_later_and_baskets_at_once(ran, root):
    folder = ran(EMBEDDED % ("replatformed", "2s"), length="8s")
    with Run.open(folder) as run:
        seen = seen_of(run)
        found = load_analysis(root / "analysis" / "propagation_delay.py")(RunContext(run))
        audit = run.audit()
    for what in ("price", "stock"):
        assert {reading.channel for reading in seen[what]} == {"web", "app", "store"}
        assert all(1.8 <= reading.last_stale_s < reading.delay_s for reading in seen[what])
        assert min(reading.delay_s for reading in seen[what]) >= 2.0
    assert {reading.channel for reading in seen["basket"]} == {"web", "app"}
    assert max(reading.delay_s for reading in seen["basket"]) < 1.8
    took_s = [reading.delay_s for what in seen.values() for reading in what]
    assert found.metrics["propagation_max"].value == max(took_s) < 6.0
    assert found.metrics["never_visible"].value == 0
    assert not found.not_applicable
    assert audit.wrong_total == 0
    assert audit.oversold == audit.stock_mismatch == ()


@pytest.mark.alone
@pytest.mark.truth
@pytest.mark.parametrize("target", [EMBEDDED % ("replatformed", "0s"), IN_HOUSE], ids=["rebuilt", "2004"])
def test_without_a_lag_changes_are_seen_as_soon_as_kept_pages_are_too_old(ran, target):
    with Run.open(ran(target)) as run:
        for seen in seen_of(run).values():
            assert len(seen) >= 6
            assert min(reading.delay_s for reading in seen) < 1.8
        assert run.audit().clean


def till_price(url, sku):
    """What a till takes for a product: tills know the price of this moment, whatever pages show."""
    body = json.dumps({"till": "till-1", "lines": [{"sku": sku, "quantity": 1}]}).encode()
    headers = {"Content-Type": "application/json", "Idempotency-Key": f"price-of-{sku}"}
    request = urllib.request.Request(f"{url}/api/till/sales", body, headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)["total_pence"]


def stock_of(url, sku):
    with urllib.request.urlopen(f"{url}/ledger/stock?sku={sku}", timeout=10) as answer:
        return json.load(answer)["stock"][0]["on_hand"]


@pytest.mark.alone
@pytest.mark.truth
@pytest.mark.parametrize(
    ("what", "unit", "now"), [("price", "pence", till_price), ("stock", "units", stock_of)]
)
def test_a_run_that_ends_while_something_is_changed_puts_it_back(ran, what, unit, now, tmp_path):
    with start_shop(ShopSettings(products=200, sync_lag_s=60.0), tmp_path / "shop.log") as shop:
        url = shop.url
        target = f"{{storefront: reference, url: '{url}'}}"
        folder = ran(target, length="3s", timeout="30s", of=f"[{what}]")
        with Run.open(folder) as run:
            readings = run.freshness()
            (told,) = [event.text for event in run.events() if event.kind == "freshness"]
        sku, before = told.partition("put back: ")[2].partition(f" {unit}")[0].split(" (")
        assert {(reading.what, reading.sku, reading.outcome) for reading in readings} == {
            (what, sku, "cut_short")
        }
        assert now(url, sku) == int(before)


@pytest.fixture
def analysed(root, tmp_path):
    """The section of a run with these readings and a timeout of 10 s."""

    def analyse(*readings):
        text = SCENARIO % {
            "target": EMBEDDED % ("replatformed", "0s"), "length": "60s", "timeout": "10s", "of": "",
        }  # fmt: skip
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
            return load_analysis(root / "analysis" / "propagation_delay.py")(RunContext(run))

    return analyse


def reading(at_s, channel, took_s, outcome="seen", what="price"):
    return FreshnessReading(at_s, "sku", channel, outcome, took_s, None, 3, 0, what)


def test_percentiles_and_the_longest_are_those_of_the_readings(analysed):
    found = analysed(*(reading(float(i), "web", i / 10) for i in range(1, 101)))
    metrics = found.metrics
    p95 = metrics["price_propagation_p95_web"]
    assert metrics["price_propagation_p50_web"].value == 5.0
    assert p95.value == 9.5
    assert p95.low < 9.5 < p95.high
    assert metrics["propagation_max"].value == metrics["price_propagation_max"].value == 10.0


def test_each_kind_of_change_has_a_row_for_each_channel_and_metrics_of_its_own(analysed):
    found = analysed(
        reading(1.0, "app", 3.0, what="stock"), reading(2.0, "web", 0.5, what="basket"),
        reading(3.0, "web", 1.0), reading(1.0, "web", 4.0, what="stock"),
        FreshnessReading(5.0, "sku", "", "refused", None, None, 0, 0, "basket"),
    )  # fmt: skip
    (table,) = found.tables
    assert [row[:3] for row in table.rows] == [
        ("price", "web", 1), ("stock", "app", 1), ("stock", "web", 1), ("basket", "web", 1),
    ]  # fmt: skip
    longest = {name: metric.value for name, metric in found.metrics.items() if "_max" in name}
    assert longest == {
        "propagation_max": 4.0, "price_propagation_max": 1.0, "stock_propagation_max": 4.0,
        "basket_propagation_max": 0.5,
        "price_propagation_max_web": 1.0, "stock_propagation_max_app": 3.0, "stock_propagation_max_web": 4.0,
        "basket_propagation_max_web": 0.5,
    }  # fmt: skip
    assert [chart.title.split(" were")[0] for chart in found.figures] == [
        f"Changes of {what}" for what in ("price", "stock", "basket")
    ]
    assert found.metrics["refused"].value == 1


def test_a_price_that_never_came_makes_the_longest_time_a_lower_bound(analysed):
    rows = [reading(float(i), "app", 1.0) for i in range(5)]
    found = analysed(
        *rows, *(FreshnessReading(9.0 + i, "sku", "app", "stale", None, 9.9, 30, 0) for i in (0, 1))
    )
    longest = found.metrics["price_propagation_max_app"]
    assert (longest.value, longest.at_least) == (10.0, True)
    assert found.metrics["never_visible"].value == 2
    assert found.metrics["propagation_max"].at_least


def test_what_could_not_be_read_or_was_cut_short_has_no_time(analysed):
    found = analysed(
        FreshnessReading(1.0, "sku", "web", "not_seen", None, None, 30, 30),
        FreshnessReading(2.0, "sku", "web", "cut_short", None, 1.0, 9, 0),
        FreshnessReading(3.0, "sku", "", "refused", None, None, 0, 0),
    )
    assert {name: metric.value for name, metric in found.metrics.items()} == {
        "propagation_max": None, "never_visible": None, "not_seen": 1, "refused": 1,
    }  # fmt: skip


def test_a_run_that_did_not_measure_it_has_no_such_section(analysed):
    assert analysed().not_applicable


class Pages(Storefront):
    """A driver of one's own that only looks around."""

    name = "pages"

    def product(self, sku: str) -> Product:
        raise Rejected("closed", sku)


class Prices(Pages):
    @classmethod
    def change_price(cls, client, sku, pence):
        raise Rejected("closed", sku)


def asking(of):
    return read_scenario(SCENARIO % {"target": IN_HOUSE, "length": "3s", "timeout": "10s", "of": of})


def test_without_of_a_run_measures_what_the_driver_can_change():
    assert measured(asking(""), ReferenceShop) == ("price", "stock", "basket")
    assert measured(asking(""), Prices) == ("price",)
    assert measured(asking(", changes: [basket, price]"), ReferenceShop) == ("price", "basket")
    assert not list(missing_capabilities(asking(""), Prices))


@pytest.mark.parametrize(
    ("driver", "of", "words"),
    [
        (Pages, "", "change_price"),
        (Prices, ", changes: [price, stock]", "change_stock and stock_on_hand"),
        (Prices, ", changes: [basket]", "two channels of the scenario that share the basket of an account"),
    ],
)
def test_what_the_driver_cannot_change_is_named(driver, of, words):
    ((what, way_out),) = missing_capabilities(asking(of), driver)
    assert what == f"{words} (freshness)"
    assert way_out


def test_baskets_need_two_channels_of_the_scenario_or_the_run_does_not_begin(doorbuster, tmp_path):
    text = SCENARIO % {"target": IN_HOUSE, "length": "3s", "timeout": "10s", "of": ", changes: [basket]"}
    app = "app: {share: 30%, journeys: {buy: 1}"
    assert app in text
    text = text.replace(app, "phone: {share: 30%, journeys: {phone_order: 1}")
    (tmp_path / "peak.yaml").write_text(text, encoding="utf-8")
    done = doorbuster("run", tmp_path / "peak.yaml", "--out", tmp_path / "run", "--quiet")
    assert done.returncode == 104
    assert "no two channels of the scenario that share the basket of an account (freshness)" in done.stderr


@pytest.mark.parametrize("of", ["[]", "[prices]", "basket", "[price, 3]"])
def test_a_kind_of_change_that_is_not_known_is_a_fault(of):
    with pytest.raises(ScenarioError) as error:
        asking(f", changes: {of}")
    assert "freshness.changes must be a list of price, stock, basket" in str(error.value)
