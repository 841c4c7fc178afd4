"""Every shipped scenario in a few seconds: the same file, squeezed in time and thinned, really run.

What is squeezed with the curve: offline hours, faults, reloads, waiting rooms and think times. What comes out
says nothing about a shop. That everybody arrives, has one outcome and finds their journey is what is shown.
"""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import yaml

from doorbuster.records.reader import Run
from doorbuster.scenario import JOURNEYS, Scenario, load_scenario, plan_schedule
from doorbuster.shop_process import start_shop
from doorbuster.shop_settings import ShopSettings
from doorbuster.units import parse_duration_s

pytestmark = pytest.mark.alone

ROOT = Path(__file__).parent.parent
PATHS = sorted((ROOT / "scenarios").glob("*.yaml"))
PLAIN = {"flash-sale-one-sku"}  # runs with Locust alone, without our command around it
SECONDS, PEAK_PER_S = 4.0, 14.0
JUDGED = (0, 96, 99)  # pass, inconclusive, fail: so few seconds are no statement about a shop
ALL_JOURNEYS = ROOT / "tests" / "all-journeys.yaml"


def squeezed(path: Path, folder: Path) -> Path:
    """The scenario as a file of its own that takes SECONDS and brings PEAK_PER_S at most."""
    scenario = load_scenario(path)
    raw: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    factor = SECONDS / scenario.demand.duration_s
    thinner = min(1.0, PEAK_PER_S / scenario.peak_per_s)
    _squeeze_demand(raw["demand"], scenario.demand, thinner)
    for name, channel in raw["channels"].items():
        if "demand" in channel:
            _squeeze_demand(channel["demand"], scenario.channels[name].demand, thinner)
        channel["think"] = {"constant": "500ms" if "seats" in channel else "50ms"}
        if "offline" in channel:
            _scale(channel["offline"], ("from", "for"), factor)
        if "reloads" in channel:
            _scale(channel["reloads"], ("after",), factor)
    shop = raw["target"]["shop"]
    for fault in shop.get("faults", ()):
        _scale(fault, ("at", "for", "slow"), factor)
    if "waiting_room" in shop:
        shop["waiting_room"] |= {"poll": "200ms", "stay": "1s"}
    if "holding_page" in shop:
        _scale(shop, ("holding_page",), factor)
    raw["drain"] = "15s"
    squeezed_path = folder / path.name
    squeezed_path.write_text(yaml.safe_dump(raw, sort_keys=False), encoding="utf-8")
    return squeezed_path


def _squeeze_demand(raw: dict[str, Any], demand: Any, thinner: float) -> None:
    length_s = demand.compress.from_s if demand.compress else demand.duration_s
    raw.pop("annual", None)
    raw["peak"] = f"{demand.peak_per_s * thinner:.6f} customers/s"
    raw["compress"] = f"{length_s:g}s -> {SECONDS:g}s"


def _scale(raw: dict[str, Any], keys: tuple[str, ...], factor: float) -> None:
    for key in keys:
        if key in raw:
            raw[key] = f"{parse_duration_s(raw[key]) * factor:.3f}s"


def plain_locust(scenario: Path, folder: Path) -> subprocess.CompletedProcess:
    """The run without a report, which is most of the time of a short one."""
    return subprocess.run(
        [sys.executable, "-m", "locust", "-f", "locustfiles/retail_peak.py", "--headless", "--only-summary",
         "--scenario", scenario, "--run-folder", folder],
        cwd=ROOT, capture_output=True, text=True, timeout=90,
    )  # fmt: skip


def channel_journeys_of(scenario: Scenario) -> set[tuple[str, str]]:
    schedule = plan_schedule(scenario)
    return {tuple(schedule.channel_journeys[one]) for one in set(schedule.channel_journey_index.tolist())}


@pytest.mark.truth
@pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, id=path.stem)
        for path in PATHS
        if path.stem != "smoke"  # runs as it is, in test_end_to_end.py
    ],
)
def test_a_shipped_scenario_brings_everybody_and_balances(path, doorbuster, tmp_path):
    short = squeezed(path, tmp_path)
    if path.stem in PLAIN:
        done = plain_locust(short, tmp_path / "run")
    else:
        done = doorbuster("run", short, "--out", tmp_path / "run", "--quiet")
    assert done.returncode in JUDGED, done.stdout + done.stderr
    with Run.open(tmp_path / "run") as run:
        totals, came = run.outcome_totals(), run.customers()
        for series in run.arrivals().values():
            if not series.planned.any():
                continue  # seats: who comes there is planned by nobody
            assert series.planned.tolist() == series.started.tolist()
        audit = run.audit()
    assert totals.planned == totals.accounted > 0
    assert totals.dropped == 0
    assert (audit.missing, audit.duplicated) == (0, 0)
    assert channel_journeys_of(load_scenario(short)) <= {(row.channel, row.journey) for row in came}


@pytest.fixture(scope="module")
def all_journeys(tmp_path_factory):
    """One run with every journey of every channel: (what Locust said, its folder)."""
    folder = tmp_path_factory.mktemp("journeys") / "run"
    return plain_locust(ALL_JOURNEYS, folder), folder


def test_every_journey_there_is_belongs_to_the_run_of_all_journeys():
    scenario = load_scenario(ALL_JOURNEYS)
    assert {name for channel in scenario.channels.values() for name in channel.journeys} == set(JOURNEYS)
    assert len(channel_journeys_of(scenario)) == len(plan_schedule(scenario).channel_journeys)


def test_every_journey_of_every_channel_is_served(all_journeys):
    done, folder = all_journeys
    assert done.returncode in (0, 96), done.stdout + done.stderr
    with Run.open(folder) as run:
        short = {(row.channel, row.journey, row.outcome, row.step, row.cause) for row in run.customers()}
        served = {(row.channel, row.journey) for row in run.customers() if row.outcome == "served"}
        totals = run.outcome_totals()
    asked = {
        (name, journey)
        for name, channel in load_scenario(ALL_JOURNEYS).channels.items()
        for journey in channel.journeys
    }
    assert asked <= served
    assert {row for row in short if row[2] != "served"} == set()
    assert totals.planned == totals.served


def test_every_step_of_the_journeys_was_really_made(all_journeys):
    with Run.open(all_journeys[1]) as run:
        made = {series.step for series in run.series if series.outcome == "ok"}
    wanted = {visit.step for journey in JOURNEYS.values() for visit in journey.steps}
    assert wanted <= made


OFFLINE = """
title: Tills without network
target: {url: "%s"}
demand: {peak: 12 customers/s, curve: {stages: [{for: 4s, at: 100%%}]}}
channels:
  store: {share: 100%%, journeys: {pos_sale: 1}, offline: {from: 1s, for: 2s}}
thresholds: {orders_missing: ["count==0"], orders_duplicated: ["count==0"]}
"""


@pytest.fixture
def open_shop(tmp_path):
    """The URL of an embedded shop that stays open after the run, so that its ledger can be read."""
    with start_shop(ShopSettings(), tmp_path / "shop.log") as shop:
        yield shop.url


@pytest.mark.truth
def test_sales_made_without_network_are_booked_later_at_the_time_they_were_made(open_shop, tmp_path):
    path = tmp_path / "offline.yaml"
    path.write_text(OFFLINE % open_shop, encoding="utf-8")
    done = plain_locust(path, tmp_path / "run")
    assert done.returncode in (0, 96), done.stderr
    with urllib.request.urlopen(f"{open_shop}/ledger/orders?limit=1000", timeout=10) as answer:
        booked = {row["idempotency_key"]: row for row in json.load(answer)["orders"]}
    with Run.open(tmp_path / "run") as run:
        started_s = run.meta.started_at_unix_ns / 1e9
        made = {order.idempotency_key: order for order in run.orders()}
        assert run.outcome_totals().planned == run.outcome_totals().served
        waited = sum(int(n.sum()) for key, n in run.counters().items() if key.name == "offline_sales")
    assert set(made) == set(booked)
    replayed = {key: row for key, row in booked.items() if row["sold_at_unix_s"] is not None}
    assert len(replayed) == waited > 10
    for key, row in replayed.items():
        assert row["sold_at_unix_s"] < row["placed_at_unix_s"]
        assert 1.0 <= row["sold_at_unix_s"] - started_s < 3.0
        assert row["placed_at_unix_s"] - started_s >= 3.0 - 0.1
        assert key in made
    for key in set(booked) - set(replayed):
        assert booked[key]["placed_at_unix_s"] - started_s < 1.5 or made[key].intended_s >= 3.0
