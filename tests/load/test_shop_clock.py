"""Orders of a shop with a wrong clock are not missing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from email.utils import formatdate
from types import SimpleNamespace

import pytest

from doorbuster.load.target.ledger_reader import read_baseline, read_ledger
from doorbuster.load.target.shop_clock import ShopClock, ledger_since
from doorbuster.records.ledger import audit
from doorbuster.records.reader import Run
from doorbuster.shop_process import COMMAND
from doorbuster.shop_settings import ShopSettings
from doorbuster.storefronts import BookedOrder, LedgerSnapshot, StockRow

NOW = 1_102_000_000.0


class WrongClockShop:
    """A shop whose clock is `ahead_s` ahead, as client and as driver; the generator's clock is at NOW."""

    def __init__(self, ahead_s: float) -> None:
        self.ahead_s = ahead_s
        self.orders: list[BookedOrder] = []
        self.dated = True

    def request(self, method, url, **_):
        headers = {"date": formatdate(NOW + self.ahead_s, usegmt=True)} if self.dated else {}
        return SimpleNamespace(status_code=200, headers=headers)

    def book(self, ref: str, at_s: float) -> None:
        """Place an order at a time of the generator's clock."""
        self.orders.append(BookedOrder(ref, f"run:{ref}", "web", 100, at_s + self.ahead_s, None, ()))

    def read_ledger(self, client, *, since_unix_s):
        client.request("GET", "/orders")
        recent = tuple(order for order in self.orders if order.placed_at_unix_s >= since_unix_s)
        return LedgerSnapshot(recent, (StockRow("tea", 10, 10, 0),))


def our_clock() -> float:
    return NOW


@pytest.mark.parametrize("ahead_s", [-86_400.0, -600.0, -61.0, 0.0, 61.0, 600.0, 86_400.0])
def test_orders_are_dated_by_the_generator_clock_whatever_the_shop_clock_shows(ahead_s):
    town = WrongClockShop(ahead_s)
    town.book("before", NOW - 5)
    town.book("last year", NOW - 3e7)
    opening = read_baseline(town, town, started_unix_s=NOW, clock=our_clock)
    town.book("ours", NOW + 3)
    ledger = read_ledger(town, town, opening, started_unix_s=NOW, settle_s=0.0, clock=our_clock)
    assert [order.order_ref for order in ledger.orders] == ["ours"]
    assert ledger.orders[0].placed_at_s == pytest.approx(3.0, abs=1.0 if ahead_s else 0.0)
    assert audit([], ledger, run_id="run").foreign == 0


@pytest.mark.parametrize("ahead_s", [-1.4, 0.3, 1.4])
def test_clock_differences_below_the_resolution_of_a_date_are_ignored(ahead_s):
    clock = ShopClock(WrongClockShop(ahead_s), our_clock)
    clock.request("GET", "/")
    assert clock.ahead_s == 0.0


def test_without_a_date_header_the_clock_is_not_corrected():
    town = WrongClockShop(-600.0)
    town.dated = False
    books, ahead_s = ledger_since(town, town, since_unix_s=NOW, clock=our_clock)
    assert (books.orders, ahead_s) == ((), 0.0)


@pytest.mark.parametrize("ahead_s", [0.0, -600.0, 86_400.0])
@pytest.mark.parametrize("step_s", [-3600.0, -30.0, 30.0, 3600.0])
def test_a_shop_whose_clock_is_set_during_the_run_loses_no_order(step_s, ahead_s):
    town, steps = WrongClockShop(ahead_s), []
    for minutes in range(1, 120):
        town.book(f"old {minutes}", NOW - 60.0 * minutes)
    opening = read_baseline(town, town, started_unix_s=NOW, clock=our_clock)
    town.book("before the step", NOW + 3)
    town.ahead_s += step_s
    town.book("after the step", NOW + 5)
    ledger = read_ledger(
        town, town, opening, started_unix_s=NOW, settle_s=0.0, run_id="run",
        clock=lambda: NOW + 8.0, on_clock_set=steps.append,
    )  # fmt: skip
    placed = {order.order_ref: order.placed_at_s for order in ledger.orders if order.order_ref[:3] != "old"}
    assert placed.keys() == {"before the step", "after the step"}
    assert steps == [pytest.approx(step_s - 8.0, abs=3.0)]  # our clock has gone on since
    if abs(step_s) > 60:
        assert placed == pytest.approx({"before the step": 3.0, "after the step": 5.0 + 8.0}, abs=10.0)


SCENARIO = """
title: "A shop that lives in another hour"
target: {{storefront: reference, url: "{url}"}}
demand: {{peak: 8 customers/s, curve: {{stages: [{{for: 4s, at: 100%}}]}}}}
channels: {{store: {{share: 100%, journeys: {{pos_sale: 1}}}}}}
thresholds: {{orders_missing: ["count==0"]}}
"""


@pytest.mark.alone
@pytest.mark.truth
@pytest.mark.parametrize("wrong", ["-20m", "+20m"])
def test_a_run_against_a_shop_with_a_wrong_clock_loses_no_order(wrong, doorbuster, tmp_path):
    if shutil.which("faketime") is None:
        pytest.skip("clock tests need faketime: apt-get install faketime")
    environment = {**os.environ, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    with subprocess.Popen(
        ["faketime", "-f", wrong, *COMMAND],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment,
    ) as shop:  # fmt: skip
        shop.stdin.write(ShopSettings(products=100).to_json().encode())
        shop.stdin.flush()
        url = json.loads(shop.stdout.readline())["url"]
        (tmp_path / "peak.yaml").write_text(SCENARIO.format(url=url), encoding="utf-8")
        done = doorbuster("run", tmp_path / "peak.yaml", "--out", tmp_path / "run", "--quiet")
        shop.stdin.close()
    assert done.returncode in (0, 96), done.stdout + done.stderr
    with Run.open(tmp_path / "run") as run:
        found = audit(run.orders(), run.ledger(), run_id=run.meta.run_id)
        placed_at_s = [order.placed_at_s for order in run.ledger().orders]
        told = [event.text for event in run.events() if event.kind == "clock"]
    assert found.acknowledged > 20
    assert (found.booked, found.missing, found.foreign) == (found.acknowledged, 0, 0)
    assert -2.0 < min(placed_at_s) < max(placed_at_s) < 7.0
    assert told == [
        f"the shop: clock {wrong[0]}1200 s from the generator's, corrected in the times of its orders"
    ]
