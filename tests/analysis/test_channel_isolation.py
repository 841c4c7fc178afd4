"""Whether one channel's peak slows another: on times made by hand, and on the embedded shop's two designs."""

from __future__ import annotations

import numpy as np
import pytest

from doorbuster.records.batch import Batch, CustomerCount, RequestSecond, SeriesKey
from doorbuster.records.histogram import pack
from doorbuster.records.metadata import RunMeta
from doorbuster.records.reader import Run
from doorbuster.records.writer import RunWriter
from doorbuster.report import RunContext, load_analysis

FLASH = "{stages: [{for: 30s, at: 10%}, {for: 30s, at: 100%}]}"
STEADY = "{stages: [{for: 60s, at: 100%}]}"
SCENARIO = """
title: Two clocks
target: {storefront: reference, shop: {profile: replatformed%(merchants)s}}
demand: {peak: 20 customers/s, curve: %(shared)s}
channels: %(channels)s
"""
OWN = "{demand: {peak: 10/s, curve: %s}, journeys: {pos_sale: 1}}"
WEB = "web: {share: 100%, journeys: {browse: 1}}"


@pytest.fixture
def analysed(root, tmp_path):
    """The section of a run in which the store's answers take calm_ms until second 30 and then peak_ms.

    Times are drawn around these with a spread of a tenth; `n` a second; `served` of them in the peak.
    """

    def analyse(calm_ms, peak_ms, *, n=10, served=1.0, channels=None, shared=FLASH, spread=0.1):
        channels = channels or f"{{{WEB}, store: {OWN % STEADY}}}"
        merchants = ", merchants: [north, south]" if "merchant:" in channels else ""
        text = SCENARIO % {"shared": shared, "channels": channels, "merchants": merchants}
        meta = RunMeta(
            run_id="r1", title="Two clocks", scenario_name="c", scenario_text=text, storefront="reference",
            target_url="http://127.0.0.1:1", shop_profile="replatformed", seed=1, workers=1,
            started_at_unix_ns=0, duration_s=60.0,
        )  # fmt: skip
        rng, requests, customers = np.random.default_rng(1), [], []
        for second in range(60):
            middle_ms = calm_ms if second < 30 else peak_ms
            times = pack((middle_ms * 1e3 * rng.normal(1, spread, n).clip(0.1)).astype(np.int64))
            key = SeriesKey("store", "pos_sale", "pos_sale", "ok", "")
            requests.append(RequestSecond(second, key, n, 0, 0, times, times, times))
            good = n if second < 30 else round(n * served)
            for outcome, count in (("served", good), ("turned_away", n - good)):
                if count:
                    ordered = int(outcome == "served")
                    customers.append(
                        CustomerCount(second, "store", "pos_sale", outcome, "", "", None, ordered, count)
                    )
        with RunWriter.create(tmp_path, meta, {"store": np.full(60, n)}) as writer:
            writer.write([Batch("w", 0, final=True, requests=tuple(requests), customers=tuple(customers))])
            writer.finish("finished")
        with Run.open(tmp_path) as run:
            return load_analysis(root / "analysis" / "channel_isolation.py")(RunContext(run))

    return analyse


def verdicts(found, what="channel"):
    (table,) = [table for table in found.tables if table.title == f"Each {what} while others peak"]
    return {(row[0], row[1]): row[2] for row in table.rows}


def test_a_channel_whose_p95_rose_by_far_is_slowed(analysed):
    found = analysed(60, 900)
    assert verdicts(found) == {("store", "web peaks"): "slowed"}
    worst = found.metrics["worst_ratio"]
    assert worst.value == pytest.approx(15, rel=0.05)
    assert worst.low < worst.value < worst.high
    assert found.metrics["p95_ratio_store"].value == worst.value
    assert found.metrics["slowed"].value == 1


def test_an_unnoticeable_rise_is_not_slowed(analysed):
    found = analysed(40, 80)
    assert verdicts(found) == {("store", "web peaks"): "not slowed"}


def test_too_few_requests_tell_nothing(analysed):
    found = analysed(60, 90, n=1)
    assert verdicts(found) == {("store", "web peaks"): "inconclusive"}
    assert found.metrics["worst_ratio"].value is None


def test_answers_that_are_as_quick_but_refusals_are_being_slowed_too(analysed):
    found = analysed(60, 60, served=0.5)
    assert verdicts(found) == {("store", "web peaks"): "slowed"}


def test_channels_that_share_a_demand_are_inconclusive(analysed):
    channels = "{web: {share: 70%, journeys: {browse: 1}}, store: {share: 30%, journeys: {pos_sale: 1}}}"
    found = analysed(60, 900, channels=channels)
    assert set(verdicts(found).values()) == {"inconclusive"}
    assert len(found.findings) == 1


def test_merchants_are_compared_as_well(analysed):
    """North has a flash sale on the web; south has an unused telephone channel and slowed tills."""
    tills = (OWN % STEADY).replace("{demand", "{merchant: south, demand", 1)
    channels = (
        "{web: {share: 100%, merchant: north, journeys: {browse: 1}}, "
        f"store: {tills}, phone: {{seats: 1, merchant: south, journeys: {{phone_order: 1}}}}}}"
    )
    found = analysed(60, 900, channels=channels)
    assert verdicts(found, "merchant") == {("south", "north peaks"): "slowed"}
    assert verdicts(found)["store", "web peaks"] == "slowed"
    assert found.question == "Does one merchant's peak slow the others down?"
    assert found.metrics["p95_ratio_south"].value == pytest.approx(15, rel=0.05)
    assert found.metrics["slowed"].value == 1  # the store; the merchant is not counted beside it


def test_a_channel_whose_own_customers_rise_meanwhile_may_have_slowed_itself(analysed):
    found = analysed(60, 900, channels=f"{{{WEB}, store: {OWN % FLASH}}}")
    assert verdicts(found)["store", "web peaks"] == "inconclusive"


@pytest.mark.parametrize(
    ("channels", "shared"), [(f"{{{WEB}}}", FLASH), (f"{{{WEB}, store: {OWN % STEADY}}}", STEADY)]
)
def test_one_channel_or_no_peak_is_no_question(analysed, channels, shared):
    assert analysed(60, 60, channels=channels, shared=shared).not_applicable


REAL = """
title: A flash sale on the web, and the tills
target: {storefront: reference, shop: {profile: %s, products: 200, query_time: 8ms}}
demand: {peak: 12 customers/s, curve: {stages: [{for: 40s, at: 100%%}]}}
channels:
  store: {share: 100%%, journeys: {pos_sale: 1}}
  web:
    demand: {peak: 14 customers/s, curve: {stages: [{for: 20s, at: 4%%}, {for: 20s, at: 100%%}]}}
    journeys: {browse: 80, buy: 20}
    patience: none
    think: {constant: 300ms}
thresholds: {can_order: ["rate>=50%%"]}
drain: 2s
"""


@pytest.mark.alone
@pytest.mark.truth
@pytest.mark.parametrize(("profile", "judged"), [("in-house-2004", "slowed"), ("replatformed", "not slowed")])
def test_a_flash_sale_slows_the_tills_of_one_design_and_not_of_the_other(
    doorbuster, root, tmp_path, profile, judged
):
    (tmp_path / "peak.yaml").write_text(REAL % profile, encoding="utf-8")
    done = doorbuster("run", tmp_path / "peak.yaml", "--out", tmp_path / "run", "--quiet")
    assert done.returncode in (0, 96, 99), done.stdout + done.stderr
    with Run.open(tmp_path / "run") as run:
        found = load_analysis(root / "analysis" / "channel_isolation.py")(RunContext(run))
    assert verdicts(found) == {("store", "web peaks"): judged}, found.sentence
