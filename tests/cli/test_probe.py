"""`doorbuster probe`: what it says about a shop that works, one that is broken, and one that is not there."""

from __future__ import annotations

import pytest

CORE = (
    "prepare",
    "home",
    "category",
    "search",
    "product",
    "add_to_basket",
    "basket",
    "checkout_page",
    "checkout",
)
BROKEN_DRIVER = """
from doorbuster.storefronts import Listing, Rejected
from doorbuster.storefronts.reference import ReferenceShop


class MyShop(ReferenceShop):
    name = "my-shop"

    def category(self):
        page = self.client.request("POST", "/nowhere", json={"password": "hunter2", "page": 7})
        raise Rejected("no_such_page", page.text[:40])

    def search(self):
        return {}["results"]

    def home(self):
        print("looking around")
        return 7

    def review(self, stars):
        return None

    checkout = None
"""


def results(text: str) -> dict[str, str]:
    """Step -> what came of it."""
    looks = ("ok", "refused", "FAILED", "BROKEN", "no method", "skipped")
    found = {}
    for line in text.splitlines():
        for look in looks:
            if line.startswith(f"  {look:<10}"):
                found[line[12:].split()[0]] = look
    return found


@pytest.fixture(scope="module")
def probed(doorbuster):
    return doorbuster("probe")


@pytest.fixture(scope="module")
def broken(doorbuster, tmp_path_factory):
    path = tmp_path_factory.mktemp("driver") / "mine.py"
    path.write_text(BROKEN_DRIVER, encoding="utf-8")
    return doorbuster("probe", "--locustfile", path)


def test_every_step_of_the_reference_driver_works_against_the_embedded_shop(probed):
    found = results(probed.stdout)
    assert probed.returncode == 0, probed.stdout + probed.stderr
    assert set(found) >= {*CORE, "till_sale", "phone_order", "landing", "order_status", "read_books"}
    assert set(found.values()) == {"ok"}
    assert "the ledger has 3 of 3 orders of this visit" in probed.stdout
    assert probed.stdout.strip().endswith("All core steps work.")


def test_no_orders_leaves_out_what_orders_and_what_needs_an_order(doorbuster):
    done = doorbuster("probe", "--no-orders")
    found = results(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    assert {step for step, look in found.items() if look == "skipped"} >= {
        "checkout", "till_sale", "phone_order", "order_status", "look_up_order",
    }  # fmt: skip
    assert found["checkout_page"] == "ok"


def test_all_exchanges_are_shown_on_request(doorbuster):
    done = doorbuster("probe", "--no-orders", "--exchanges")
    assert "GET http://127.0.0.1:" in done.stdout
    assert "-> 200 in " in done.stdout
    assert "< content-type: text/html" in done.stdout


def test_a_step_that_fails_is_shown_with_its_exchange_and_without_its_password(broken):
    assert broken.returncode == 99
    assert results(broken.stdout)["category"] == "FAILED"
    assert "no_such_page" in broken.stdout
    assert "/nowhere -> 404 in " in broken.stdout
    assert '> {"password": "***", "page": 7}' in broken.stdout
    assert "hunter2" not in broken.stdout


def test_a_mistake_in_the_driver_is_told_with_its_line(broken):
    found = results(broken.stdout)
    assert found["search"] == found["home"] == "BROKEN"
    assert 'mine.py:14: return {}["results"]' in broken.stdout
    assert "home returned int; it must return a Listing" in broken.stdout


def test_what_a_driver_prints_does_not_disturb_the_walk(broken):
    assert "looking around" in broken.stderr
    assert "looking around" not in broken.stdout


def test_steps_that_still_work_are_walked_after_those_that_do_not(broken):
    found = results(broken.stdout)
    assert found["product"] == found["add_to_basket"] == found["checkout_page"] == "ok"
    assert found["checkout"] == "no method"
    assert "Core steps that do not work: home, category, search, checkout." in broken.stdout


def test_a_shop_of_another_kind_fails_at_prepare(doorbuster):
    done = doorbuster("probe", "--storefront", "vendure")
    assert done.returncode == 99
    assert results(done.stdout) == {"prepare": "FAILED"}


def test_nobody_at_the_address_is_exit_code_106(doorbuster):
    done = doorbuster("probe", "http://127.0.0.1:9")
    assert done.returncode == 106
    assert "http://127.0.0.1:9 cannot be reached: connect_refused" in done.stderr


def test_a_host_beyond_loopback_must_be_confirmed_by_name(doorbuster):
    done = doorbuster("probe", "http://192.0.2.1")
    assert done.returncode == 2
    assert "add --confirm-host 192.0.2.1" in done.stderr


def test_an_unknown_driver_is_answered_with_those_there_are(doorbuster):
    done = doorbuster("probe", "--storefront", "magento")
    assert done.returncode == 2
    assert "there is no driver 'magento'; name one of oscar, reference, vendure" in done.stderr
