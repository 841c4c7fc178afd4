"""Whole runs against the real shops: the ledger agrees, and overselling is found by itself."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path

import pytest

from doorbuster.records.ledger import LedgerStock, audit
from doorbuster.records.reader import Run

pytestmark = pytest.mark.shops
HERE = Path(__file__).parent
EMBEDDED = 'storefront: reference, url: "http://127.0.0.1:8004"'
RARE = {"vendure": ("L2201308", "L2201508"), "oscar": ("RARE-1", "RARE-2")}  # five units each
UNITS = 5
TOGETHER_S = 10.0  # when everybody has the basket full


@pytest.fixture(scope="module", params=("vendure", "oscar"))
def shop(request):
    url = request.getfixturevalue(f"{request.param}_url")
    if request.param == "vendure":
        stock_up(url, RARE["vendure"])
    return request.param, url


@pytest.fixture
def run(doorbuster, shop, observed, tmp_path, monkeypatch):
    """Runs a scenario of this folder against the shop, with customers who want `sku` if one is named."""
    name, url = shop

    def start(scenario: str, *, sku: str | None = None, together_s: float = 0.0):
        text = (HERE / scenario).read_text(encoding="utf-8")
        assert EMBEDDED in text
        path = tmp_path / scenario
        own = text.replace(EMBEDDED, f'storefront: {name}, url: "{url}"') + observed[name]
        path.write_text(own, encoding="utf-8")
        monkeypatch.setenv("DOORBUSTER_ALLOW_COMMANDS", "1")
        options = []
        if sku is not None:
            monkeypatch.setenv("DROP_SKU", sku)
            monkeypatch.setenv("DROP_TOGETHER", str(together_s))
            options = ["--locustfile", HERE / "drop.py"]
        done = doorbuster("run", path, "--out", tmp_path / "run", "--quiet", *options, timeout_s=240)
        assert (tmp_path / "run" / "run.sqlite").exists(), done.stdout + done.stderr
        return done, tmp_path / "run"

    return start


def audited(folder: Path):
    with Run.open(folder) as recorded:
        ledger = recorded.ledger()
        assert ledger is not None
        return audit(recorded.orders(), ledger, run_id=recorded.meta.run_id), recorded.outcome_totals()


def test_a_peak_through_all_channels_balances_exactly_loses_no_order_and_is_cleaned_up(run, doorbuster, shop):
    done, folder = run("peak.yaml")

    found, totals = audited(folder)

    assert done.returncode == 0, done.stdout + done.stderr
    left = totals.served + totals.abandoned + totals.turned_away + totals.queued_out + totals.dropped
    assert left == totals.planned
    assert totals.dropped == totals.abandoned == 0
    assert found.acknowledged == found.booked > 5
    assert found.clean
    with Run.open(folder) as recorded:
        channels = {attempt.channel for attempt in recorded.orders() if attempt.answer == "acknowledged"}
        assert channels == {"web", "store", "phone"}
        assert ("look_up_order", "ok") in recorded.request_counts(lambda key: (key.step, key.outcome), 1000)
        series = {one.title: one for one in recorded.observed()}
        texts = [event.text for event in recorded.events() if event.kind == "observe"]
    assert texts == []
    assert series["utilisation{resource:busiest thread of server}"].values.max() > 0.05
    if shop[0] == "vendure":
        loop = series["utilisation{resource:event loop of Vendure}"]
        assert 0 < loop.values.mean() <= 1.1
        assert series["nodejs_heap_used_bytes"].values.min() > 1e6
    else:
        orders = series["orders"].values
        assert orders[-1] - orders[0] >= found.booked - 3  # the last ones may come after the last reading
    cleaned = doorbuster("cleanup", folder)
    assert cleaned.returncode == 0, cleaned.stdout + cleaned.stderr
    assert f"{found.booked} of {found.booked} orders: {found.booked} cancelled." in cleaned.stdout
    assert "None of them is left in the ledger." in cleaned.stdout
    assert "nothing to cancel" in doorbuster("cleanup", folder).stdout


def test_changes_of_price_stock_and_basket_are_seen_while_customers_with_accounts_buy(run):
    done, folder = run("fresh.yaml")

    assert done.returncode in (0, 96), done.stdout + done.stderr
    found, totals = audited(folder)
    assert totals.served == totals.planned
    assert found.clean
    assert found.acknowledged > 5
    with Run.open(folder) as recorded:
        steps = recorded.request_counts(lambda key: (key.step, key.outcome), 1000)
        readings = recorded.freshness()
    seen = {(reading.what, reading.channel) for reading in readings if reading.outcome == "seen"}
    assert ("sign_in", "ok") in steps
    assert seen >= {(what, channel) for what in ("price", "stock", "basket") for channel in ("web", "app")}
    assert {reading.outcome for reading in readings} <= {"seen", "cut_short"}


def shelf(folder: Path, sku: str) -> LedgerStock:
    """The stock of one SKU over a run; customers of an earlier run may have bought some of it."""
    with Run.open(folder) as recorded:
        return next(row for row in recorded.ledger().stock if row.sku == sku)


def test_buyers_one_after_the_other_get_what_is_there_and_the_audit_stays_silent(run, shop):
    sku = RARE[shop[0]][0]

    _, folder = run("one-at-a-time.yaml", sku=sku)

    found, _ = audited(folder)
    stock = shelf(folder, sku)
    assert 1 <= stock.opening <= UNITS
    assert found.acknowledged == found.booked == stock.opening
    assert stock.on_hand == 0
    assert found.clean, found


def test_twelve_buyers_of_five_units_at_once_are_all_told_yes_and_the_audit_finds_the_oversell(run, shop):
    sku = RARE[shop[0]][1]

    done, folder = run("drop.yaml", sku=sku, together_s=TOGETHER_S)

    found, totals = audited(folder)
    stock = shelf(folder, sku)
    with Run.open(folder) as recorded:
        counts = recorded.request_counts(lambda key: key.outcome, 1000)
    assert 1 <= stock.opening <= UNITS
    assert set(counts) == {"ok"}, "every answer was a good one"
    assert totals.served > stock.opening
    assert found.acknowledged == found.booked > stock.opening
    assert [finding.sku for finding in found.oversold] == [sku]
    assert done.returncode == 99, done.stdout + done.stderr
    assert "units were sold beyond the stock" in done.stdout


def stock_up(url: str, skus: tuple[str, ...]) -> None:
    """Leaves five units of each SKU, through Vendure's admin interface."""
    token = ""

    def ask(query: str, **variables: object) -> dict:
        nonlocal token
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(f"{url}/admin-api", body, headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            token = answer.headers.get("vendure-auth-token") or token
            said = json.load(answer)
            assert "errors" not in said, said
            return said["data"]

    ask('mutation { login(username: "superadmin", password: "superadmin") { __typename } }')
    find = "query ($in: [String!]!) { productVariants(options: {filter: {sku: {in: $in}}}) { items { id } } }"
    variants = ask(find, **{"in": list(skus)})["productVariants"]["items"]
    update = (
        "mutation ($input: [UpdateProductVariantInput!]!) { updateProductVariants(input: $input) { id } }"
    )
    ask(update, input=[{"id": variant["id"], "stockOnHand": UNITS} for variant in variants])
