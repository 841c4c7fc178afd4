"""`doorbuster cleanup`: cancels what a run ordered, all of it, and nothing else."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from doorbuster.records.batch import Batch, OrderAttempt
from doorbuster.records.metadata import RunMeta
from doorbuster.records.reader import Run
from doorbuster.records.writer import RunWriter
from doorbuster.shop_process import start_shop
from doorbuster.shop_settings import ShopSettings

RUN_ID = "20261127T080000-abc123"
ANOTHER_RUN = "20261127T090000-def456"
DRIVER = """
from doorbuster.storefronts import BookedOrder, LedgerSnapshot, BasketLine, Rejected, Storefront

LINES = (BasketLine("S", 1, 100),)

class MyShop(Storefront):
    name = "my-shop"

    @classmethod
    def cancel_order(cls, client, ref):
        answer = client.request("POST", f"/orders/{ref}/cancel")
        if answer.status_code == 409:
            raise Rejected("left_already", answer.text, expected=True)
        if answer.cause:
            raise Rejected(answer.cause)
"""
BOOKS = """
    @classmethod
    def read_ledger(cls, client, *, since_unix_s):
        answer = client.request("GET", "/orders")
        if answer.cause:
            raise Rejected(answer.cause)
        return LedgerSnapshot(tuple(BookedOrder(ref, key, "web", 100, since_unix_s + 60, None, LINES)
                           for ref, key in answer.json().items()), ())
"""
SCENARIO = """
title: somebody's shop
target: {storefront: "custom:my-shop", url: "http://127.0.0.1:8004"}
safety: {allow: [%s]}
demand: {peak: 1 customer/s, curve: {stages: [{for: 1s, at: 100%%}]}}
channels: {web: {share: 100%%, journeys: {buy: 1}}}
thresholds: {can_order: ["rate>=99%%"]}
"""


class Shop:
    """A shop with an order system of four routes."""

    def __init__(self) -> None:
        self.orders: dict[str, str] = {}
        self.packed: set[str] = set()
        self.asked: list[str] = []
        shop = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                self.answer(200, json.dumps(shop.orders))

            def do_POST(self):
                ref = self.path.split("/")[2]
                shop.asked.append(ref)
                if ref in shop.packed:
                    return self.answer(409, "it has left the house")
                return self.answer(404 if shop.orders.pop(ref, None) is None else 200, "")

            def answer(self, status: int, text: str) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_):
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def shop():
    """Three orders of this run, of which one no customer heard of; one of another run; one of a person."""
    open_ = Shop()
    open_.orders = {
        "A1": f"{RUN_ID}:1:1", "A2": f"{RUN_ID}:2:1", "A3": f"{RUN_ID}:3:1",
        "B1": f"{ANOTHER_RUN}:1:1", "C1": "",
    }  # fmt: skip
    yield open_
    open_.close()


@pytest.fixture
def driver(tmp_path):
    def write(text: str = DRIVER + BOOKS):
        path = tmp_path / "_my_shop.py"
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.fixture
def recorded(tmp_path):
    """A finished run whose customers were told A1 and A2, and a number that is somebody else's today."""

    def record(url: str, *, finished: bool = True, shop_profile: str | None = None, allow: str = "localhost"):
        meta = RunMeta(
            run_id=RUN_ID, title="t", scenario_name="x.yaml", scenario_text=SCENARIO % allow,
            storefront="custom:my-shop", target_url=url, shop_profile=shop_profile, seed=1, workers=1,
            started_at_unix_ns=1_795_766_400_000_000_000, duration_s=1.0,
        )  # fmt: skip
        told = {"A1": f"{RUN_ID}:1:1", "A2": f"{RUN_ID}:2:1", "C1": f"{RUN_ID}:4:1"}
        orders = tuple(
            OrderAttempt(key, "web", "buy", 0.1, 0.2, "acknowledged", "", ref, 100, (("S", 1, 100),))
            for ref, key in told.items()
        )
        writer = RunWriter.create(tmp_path / "run", meta, {})
        writer.write([Batch("w", 0, final=True, orders=orders)])
        if finished:
            writer.finish("finished")
            writer.close()
        return tmp_path / "run"

    return record


def test_all_orders_of_the_run_are_cancelled_and_no_other(doorbuster, shop, recorded, driver):
    done = doorbuster("cleanup", recorded(shop.url), "--locustfile", driver())
    assert done.returncode == 0, done.stdout + done.stderr
    assert shop.asked == ["A1", "A2", "A3"]
    assert set(shop.orders) == {"B1", "C1"}
    assert "3 of 3 orders: 3 cancelled." in done.stdout
    assert "None of them is left in the ledger." in done.stdout


def test_a_driver_that_exits_is_an_exception_in_a_script(doorbuster, shop, recorded, driver):
    exits = DRIVER.replace("        answer =", "        raise SystemExit(0)\n        answer =", 1)
    done = doorbuster("cleanup", recorded(shop.url), "--locustfile", driver(exits + BOOKS))
    assert done.returncode == 107
    assert "the driver raised SystemExit: 0 (_my_shop.py:11: raise SystemExit(0))" in done.stderr


def test_a_second_round_finds_nothing_to_do(doorbuster, shop, recorded, driver):
    run = recorded(shop.url)
    doorbuster("cleanup", run, "--locustfile", driver())
    done = doorbuster("cleanup", run, "--locustfile", driver())
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(shop.asked) == 3
    assert "nothing to cancel" in done.stdout


def test_a_dry_run_lists_the_orders_and_cancels_none(doorbuster, shop, recorded, driver):
    done = doorbuster("cleanup", recorded(shop.url), "--locustfile", driver(), "--dry-run")
    assert done.returncode == 0, done.stdout + done.stderr
    assert [line for line in done.stdout.splitlines() if " " not in line] == ["A1", "A2", "A3"]
    assert shop.asked == []


def test_a_shipped_order_is_reported_and_the_rest_is_cancelled(doorbuster, shop, recorded, driver):
    shop.packed = {"A2"}
    done = doorbuster("cleanup", recorded(shop.url), "--locustfile", driver())
    assert done.returncode == 99
    assert "not cancelled: A2: left_already: it has left the house" in done.stdout
    assert "3 of 3 orders: 2 cancelled, 1 refused." in done.stdout
    assert "The ledger still contains 1 of them: A2" in done.stdout


def test_without_a_ledger_order_numbers_are_used_only_on_request(doorbuster, shop, recorded, driver):
    run = recorded(shop.url)
    done = doorbuster("cleanup", run, "--locustfile", driver(DRIVER))
    assert done.returncode == 2
    assert "add --by-reference to cancel the 3 order numbers that the run recorded" in done.stderr
    assert shop.asked == []
    done = doorbuster("cleanup", run, "--locustfile", driver(DRIVER), "--by-reference")
    assert done.returncode == 0, done.stdout + done.stderr
    assert shop.asked == ["A1", "A2", "C1"]


def test_a_driver_that_cannot_cancel_says_so_before_anything_is_sent(doorbuster, shop, recorded, driver):
    text = DRIVER.replace("def cancel_order", "def cancel_something") + BOOKS
    done = doorbuster("cleanup", recorded(shop.url), "--locustfile", driver(text))
    assert done.returncode == 2
    assert "the driver 'my-shop' cannot cancel orders" in done.stderr
    assert shop.asked == []


def test_a_custom_driver_must_be_named(doorbuster, shop, recorded):
    done = doorbuster("cleanup", recorded(shop.url))
    assert done.returncode == 2
    assert "or add --locustfile FILE" in done.stderr


def test_an_unreachable_address_is_exit_code_106(doorbuster, recorded, driver):
    done = doorbuster("cleanup", recorded("http://127.0.0.1:9"), "--locustfile", driver())
    assert done.returncode == 106
    assert "connect_refused" in done.stderr


def test_a_host_beyond_loopback_is_not_touched_unless_it_was_allowed(doorbuster, recorded, driver):
    done = doorbuster("cleanup", recorded("http://192.0.2.1"), "--locustfile", driver())
    assert done.returncode == 2
    assert "192.0.2.1 may not be loaded" in done.stderr


def test_an_allowed_host_is_not_touched_before_it_is_confirmed(doorbuster, recorded, driver):
    done = doorbuster("cleanup", recorded("http://192.0.2.1", allow="192.0.2.1"), "--locustfile", driver())
    assert done.returncode == 2
    assert "add --confirm-host 192.0.2.1" in done.stderr


def test_an_embedded_shop_left_nothing_behind(doorbuster, recorded):
    done = doorbuster("cleanup", recorded("http://127.0.0.1:9", shop_profile="replatformed"))
    assert done.returncode == 0, done.stderr
    assert "its orders were discarded with it" in done.stdout


def test_a_run_that_is_still_going_is_left_alone(doorbuster, shop, recorded, driver):
    done = doorbuster("cleanup", recorded(shop.url, finished=False), "--locustfile", driver())
    assert done.returncode == 2
    assert "is still running" in done.stderr
    assert shop.asked == []


def test_a_folder_without_a_run_is_reported(doorbuster, tmp_path):
    done = doorbuster("cleanup", tmp_path)
    assert done.returncode == 2
    assert "there is no run file" in done.stderr


PEAK = """
title: a few orders
target: {storefront: reference, url: "%s"}
demand: {peak: 3 customers/s, curve: {stages: [{for: 3s, at: 100%%}]}}
channels:
  web: {share: 50%%, journeys: {buy: 1}, think: {constant: 10ms}}
  store: {share: 50%%, journeys: {pos_sale: 1}}
thresholds: {can_order: ["rate>=1%%"]}
"""


@pytest.mark.truth
def test_all_orders_of_a_run_against_a_running_shop_are_cancelled(doorbuster, tmp_path):
    settings = ShopSettings(products=200, warehouse_rate_per_s=0.01)
    with start_shop(settings, tmp_path / "shop.log") as shop:
        path = tmp_path / "peak.yaml"
        path.write_text(PEAK % shop.url, encoding="utf-8")
        ran = doorbuster("run", path, "--out", tmp_path / "run", "--quiet")
        with Run.open(tmp_path / "run") as recorded:
            booked = len(recorded.ledger().orders)
        assert booked > 2, ran.stdout + ran.stderr
        done = doorbuster("cleanup", tmp_path / "run")
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"{booked} of {booked} orders: {booked} cancelled." in done.stdout
        assert "nothing to cancel" in doorbuster("cleanup", tmp_path / "run").stdout


def test_the_folder_of_a_search_is_cleaned_load_step_by_load_step(doorbuster, shop, driver, tmp_path):
    folder, steps = tmp_path / "search", {"01-ramp-4": "A1", "02-bisect-6": "A2", "03-confirm-5": "A3"}
    for number, (name, ref) in enumerate(steps.items()):
        run_id = f"20261127T0{number}0000-abc123"
        shop.orders[ref] = f"{run_id}:1:1"
        meta = RunMeta(
            run_id=run_id, title="t", scenario_name="x.yaml", scenario_text=SCENARIO % "localhost",
            storefront="custom:my-shop", target_url=shop.url, shop_profile=None, seed=1, workers=1,
            started_at_unix_ns=1_795_766_400_000_000_000, duration_s=1.0,
        )  # fmt: skip
        order = OrderAttempt(f"{run_id}:1:1", "web", "buy", 0.1, 0.2, "acknowledged", "", ref, 100, ())
        writer = RunWriter.create(folder / name, meta, {})
        writer.write([Batch("w", 0, final=True, orders=(order,))])
        writer.finish("finished")
        writer.close()
    (folder / "capacity.json").write_text("{}")
    (folder / "run.sqlite").write_bytes((folder / "02-bisect-6" / "run.sqlite").read_bytes())
    done = doorbuster("cleanup", folder, "--locustfile", driver())
    assert done.returncode == 0, done.stdout + done.stderr
    assert shop.asked == ["A1", "A2", "A3"]
    assert "load step 3 of 3: 03-confirm-5" in done.stdout
    only = doorbuster("cleanup", folder / "01-ramp-4", "--locustfile", driver())
    assert "load step" not in only.stdout
