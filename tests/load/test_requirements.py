"""A scenario asks only for what the locustfile and the driver can do; `check` and `run` refuse the rest."""

from __future__ import annotations

import pytest

KIOSK = "tests/workbench/locustfiles/kiosk.py"
CHANGES = [
    ("pages: 4", "channels.web: pages has no effect: Web never asks for self.pages()"),
    ("signed_in: 40%", "channels.web: signed_in has no effect: Web never looks at self.visit.signed_in"),
    ("journeys: {search: 1}", "has no journey 'search' in Web, which kiosk needs"),
]


@pytest.fixture
def kiosk(root, tmp_path):
    """A function from keys of the web channel to the path of the kiosk scenario with them."""
    text = (root / "tests/workbench/scenarios/kiosk.yaml").read_text(encoding="utf-8")
    web = next(line for line in text.splitlines() if line.startswith("  web:"))

    def write(keys: str):
        path = tmp_path / "kiosk.yaml"
        journeys = "" if "journeys" in keys else ", journeys: {browse: 1}"
        changed = text.replace(web, f"  web: {{share: 40%, {keys}{journeys}}}")
        path.write_text(changed.replace('  loyalty.cards_read: ["value>=1"]\n', ""), encoding="utf-8")
        return path

    return write


@pytest.mark.parametrize(("keys", "message"), CHANGES)
def test_check_names_what_would_have_no_effect(kiosk, root, doorbuster, keys, message):
    done = doorbuster("check", kiosk(keys), "--locustfile", root / KIOSK)
    assert done.returncode == 104
    assert message in done.stderr


def test_run_refuses_what_would_have_no_effect_before_anything_is_sent(kiosk, root, doorbuster, tmp_path):
    done = doorbuster(
        "run", kiosk("signed_in: 40%"), "--locustfile", root / KIOSK, "--out", tmp_path / "out", "--quiet"
    )
    assert done.returncode == 104
    assert "signed_in has no effect" in done.stderr


def test_a_driver_that_ignores_campaigns_cannot_bust_caches(root, doorbuster, tmp_path):
    path = tmp_path / "vendure.yaml"
    path.write_text(
        """
title: t
target: {storefront: vendure, url: "http://127.0.0.1:1"}
demand: {peak: 1 customers/s, curve: {stages: [{for: 1s, at: 100%}]}}
channels: {web: {share: 100%, cache_busting: 30%, pages: 3, journeys: {browse: 1}}}
""",
        encoding="utf-8",
    )
    done = doorbuster("check", path, "--locustfile", "retail_peak.py")
    assert done.returncode == 104
    (line,) = done.stderr.splitlines()
    assert line.startswith("channels.web: cache_busting has no effect: the driver 'vendure' never looks at ")


@pytest.mark.parametrize("name", ["ms-christmas-2004", "community-evening", "omnichannel-peak"])
def test_the_bundled_customers_can_do_what_bundled_scenarios_ask(doorbuster, name):
    done = doorbuster("check", name, "--locustfile", "retail_peak.py")
    assert (done.returncode, done.stderr) == (0, "")


NEVER_RUNS = """
from locust import events
from doorbuster.load.locustfile import Customer, GeneratorUser, RunShape, install
from doorbuster.storefronts import Storefront

class Lazy(Storefront):
    name = "lazy"
    async def order_status(self, ref=""):
        self.fetch("GET", "/")
    look_up_order = order_status

class Web(Customer):
    channel = "web"
    def order_status(self):
        yield self.step(self.shop.order_status)

install(events, drivers=[Lazy])
"""


def test_a_journey_or_step_that_would_do_nothing_is_refused(root, doorbuster, tmp_path):
    locustfile, path = tmp_path / "lazy.py", tmp_path / "lazy.yaml"
    locustfile.write_text(NEVER_RUNS, encoding="utf-8")
    path.write_text(
        """
title: t
target: {storefront: "custom:lazy", url: "http://127.0.0.1:1"}
demand: {peak: 1 customers/s, curve: {stages: [{for: 1s, at: 100%}]}}
channels: {web: {share: 100%, journeys: {order_status: 1}}}
""",
        encoding="utf-8",
    )
    done = doorbuster("check", path, "--locustfile", locustfile)
    assert done.returncode == 104
    assert "Web.order_status contains yield, so a call runs nothing of it" in done.stderr
    assert "Lazy.order_status is written with async def, so a call runs nothing of it" in done.stderr
