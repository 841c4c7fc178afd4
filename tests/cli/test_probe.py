"""`doorbuster probe`: what it says about a shop that works, one that is broken, and one that is not there."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from doorbuster.cli.probe import ProbeSummary

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
OTHERS = (
    "landing", "recommendations", "reviews", "order_status", "look_up_order", "pos_sale", "phone_order",
    "collect_checkout", "pickup", "return_items", "feed", "partner_order", "write_review", "ask",
    "open_questions", "answer", "register", "sign_in", "reset_password",
)  # fmt: skip
BROKEN_DRIVER = """
from doorbuster.storefronts import Listing, Rejected
from doorbuster.storefronts.reference.driver import ReferenceShop


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

    def landing(self, code, page):
        return None

    def checkout_form(self):
        return None

    checkout_page = None
"""
SIGN_IN = '<!doctype html><title>Sign in</title><form method="post"><input type="password" name="p"></form>'
HOSTILE = {  # what a shop may answer to everything, and what is said of it
    "another page": (200, {}, "<!doctype html><title>Welcome</title>", "sent an HTML page instead of JSON"),
    "an error": (500, {}, "<h1>Oops</h1>", "the shop failed: see its log"),
    "a circle": (302, {"Location": "/again"}, "", "the shop redirects in a circle"),
    "a sign-in page": (200, {}, SIGN_IN, "this looks like a sign-in page"),
    "a closed staging": (401, {"WWW-Authenticate": "Basic"}, "no", "the shop requires HTTP authentication"),
    "a wall against bots": (403, {}, "<title>Just a moment...</title>", "this looks like bot protection"),
    "no such page": (404, {}, "", "there is no page /shop-api"),
    "half a document": (200, {"Content-Type": "application/json"}, '{"data": {"se', "unexpected_content"),
    "no products": (
        200, {"Content-Type": "application/json"},
        '{"data": {"search": {"totalItems": 0, "items": [], "collections": []}, "login": {"__typename": 0}}}',
        "empty_assortment: the driver found no products",
    ),
}  # fmt: skip


def results(text: str) -> dict[str, str]:
    """Step -> what came of it."""
    looks = ("ok", "refused", "FAILED", "BROKEN", "no method", "no step", "skipped")
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
    assert set(found) >= {*CORE, *OTHERS, "read_ledger"}
    assert set(found.values()) == {"ok"}
    assert "the ledger has 7 of 7 orders of this visit" in probed.stdout
    assert found["change_price"] == found["change_stock"] == "ok"
    assert probed.stdout.count(" and back, shown at once") == 2
    assert probed.stdout.strip().endswith("All core steps work.")


def test_no_orders_leaves_out_what_orders_and_what_needs_an_order(doorbuster):
    done = doorbuster("probe", "--no-orders")
    found = results(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    assert {step for step, look in found.items() if look == "skipped"} >= {
        "checkout", "pos_sale", "phone_order", "order_status", "look_up_order", "change_price",
    }  # fmt: skip
    assert found["checkout_page"] == "ok"


def test_all_exchanges_are_shown_on_request(doorbuster):
    done = doorbuster("probe", "--no-orders", "--trace")
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


def test_an_exception_in_the_driver_is_reported_with_its_line(broken):
    found = results(broken.stdout)
    assert found["search"] == found["home"] == "BROKEN"
    assert 'mine.py:14: return {}["results"]' in broken.stdout
    assert "home returned int; it must return a Listing" in broken.stdout


def test_what_a_driver_prints_does_not_disturb_the_walk(broken):
    assert "looking around" in broken.stderr
    assert "looking around" not in broken.stdout


def test_steps_that_still_work_are_walked_after_those_that_do_not(broken):
    found = results(broken.stdout)
    assert found["product"] == found["add_to_basket"] == found["basket"] == "ok"
    assert found["checkout"] == found["checkout_page"] == "no method"
    assert "Core steps that do not work: home, category, search, checkout_page, checkout." in broken.stdout


def test_a_method_of_nearly_the_name_of_a_step_is_named(broken):
    assert "the driver has no such method; is it checkout_form?" in broken.stdout


def test_a_helper_method_with_the_name_of_a_step_is_not_taken_for_it(broken):
    assert results(broken.stdout)["landing"] == "no step"
    assert "takes (code, page), so it is not the step, which takes ()" in broken.stdout
    assert results(broken.stdout)["checkout_page"] == "no method"


def test_a_core_step_that_takes_something_else_than_journeys_give_is_broken(doorbuster, tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(
        BROKEN_DRIVER.replace("def category(self):", "def category(self, code):"), encoding="utf-8"
    )
    text = doorbuster("probe", "--locustfile", path).stdout
    assert results(text)["category"] == "BROKEN"
    assert "category must take (), as journeys call it; missing a required argument: 'code'" in text


CHANNEL_CLASSES = """
from doorbuster.storefronts import Rejected
from doorbuster.storefronts.reference.driver import ReferenceJsonDriver, ReferenceShop


class Shared(ReferenceShop):
    name = "my-shop"

    def addToBasket(self, sku):
        return None

    add_to_basket = None


class App(ReferenceJsonDriver):
    name = "my-shop"

    def category(self):
        raise Rejected("no_categories_here")


class MyShop(Shared):
    @classmethod
    def for_channel(cls, channel):
        return App if channel == "app" else cls

    def add_to_basket(self, sku):
        return ReferenceShop.add_to_basket(self, sku)
"""


def test_the_driver_among_subclasses_is_found_and_each_channels_class_is_probed(doorbuster, tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(CHANNEL_CLASSES, encoding="utf-8")
    done = doorbuster("probe", "--locustfile", path)
    assert "MyShop: web, store, phone, print, social, agent, partner; App: app" in done.stdout, done.stderr
    assert done.returncode == 99
    assert "Core steps that do not work: category (app)." in done.stdout
    assert "no_categories_here" in done.stdout


def test_a_step_written_with_capital_letters_is_named(doorbuster, tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(CHANNEL_CLASSES.partition("class App")[0], encoding="utf-8")
    done = doorbuster("probe", "--locustfile", path)
    assert "the driver has addToBasket; steps are written in lower case with _: add_to_basket" in done.stdout


def test_two_drivers_of_one_name_that_do_not_lead_to_each_other_are_refused(doorbuster, tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(CHANNEL_CLASSES.replace("return App if", "return cls if"), encoding="utf-8")
    done = doorbuster("probe", "--locustfile", path)
    assert done.returncode == 2
    assert "are drivers of the same name 'my-shop'" in done.stderr


def test_a_name_that_no_scenario_could_use_is_refused(doorbuster, tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(CHANNEL_CLASSES.replace("my-shop", "MyShop"), encoding="utf-8")
    done = doorbuster("probe", "--locustfile", path)
    assert done.returncode == 2
    assert "needs a name of lower-case letters, digits, - and _" in done.stderr


RULES = """
title: rules
target:
  shop: {profile: replatformed, products: 60}
  rules:
    - {step: product, contains: "add TO basket", cause: no_button}
    - {step: category, lacks: "you may also LIKE"}
    - {step: home, contains: "Larkspur"}
demand: {peak: 1 customer/s, curve: {stages: [{for: 1s, at: 100%}]}}
channels: {web: {share: 100%, journeys: {browse: 1}}}
thresholds: {can_browse: ["rate>=99%"]}
"""


def test_content_rules_of_a_scenario_are_tried_and_their_capital_letters_explained(doorbuster, tmp_path):
    path = tmp_path / "rules.yaml"
    path.write_text(RULES, encoding="utf-8")
    done = doorbuster("probe", "--scenario", path)
    assert done.returncode == 99, done.stdout + done.stderr
    assert "no_button: the answer has 'Add to basket', and rules distinguish capital letters" in done.stdout
    assert "products (meets 1 content rule)" in done.stdout
    assert done.stdout.strip().endswith("Core steps that do not work: product.")


def test_a_shop_of_another_kind_fails_at_prepare(doorbuster):
    done = doorbuster("probe", "--storefront", "vendure")
    assert done.returncode == 99
    assert results(done.stdout) == {"prepare": "FAILED"}


def test_an_unreachable_address_is_exit_code_106(doorbuster):
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


@pytest.fixture
def answering():
    """Starts a server that answers everything with the same status, headers and text; returns its address."""
    servers = []

    def start(status: int, headers: dict[str, str], text: str) -> str:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                self.send_response(status)
                for name, value in {"Content-Type": "text/html", **headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

            do_POST = do_GET  # noqa: N815  the library's name

            def log_message(self, *_):
                """Say nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_address[1]}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("kind", HOSTILE)
def test_an_unexpected_response_is_shown_with_its_probable_cause(doorbuster, answering, kind):
    *answer, told = HOSTILE[kind]
    done = doorbuster("probe", answering(*answer), "--storefront", "vendure")
    assert done.returncode == 99, done.stdout + done.stderr
    assert results(done.stdout) == {"prepare": "FAILED"}
    assert told in done.stdout
    assert " -> " in done.stdout
    assert done.stderr == ""


def test_a_shop_that_moved_is_reported_with_its_new_address(doorbuster, answering):
    there = answering(200, {}, "<!doctype html><title>Welcome</title>")
    done = doorbuster("probe", answering(302, {"Location": there}, ""), "--storefront", "vendure")
    assert done.returncode == 99
    assert f"the shop redirects to {there}: use that URL" in done.stdout
    gone = doorbuster("probe", answering(302, {"Location": "http://127.0.0.1:9/"}, ""))
    assert gone.returncode == 106
    assert "redirects to http://127.0.0.1:9/, which cannot be reached: connect_refused" in gone.stderr


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("def broken(:\n", "_my_shop.py:1: invalid syntax"),
        ("import re\nimport no_such_module\n", "_my_shop.py:2: ModuleNotFoundError: No module named"),
    ],
)
def test_a_driver_that_does_not_load_is_reported_with_its_line(doorbuster, tmp_path, text, told):
    path = tmp_path / "_my_shop.py"
    path.write_text(text, encoding="utf-8")
    done = doorbuster("probe", "http://127.0.0.1:9", "--locustfile", path)
    assert done.returncode == 2
    assert told in done.stderr
    assert "Traceback" not in done.stderr


WINDOW = """<!doctype html><title>Lamps</title><script>var noise = 1;</script><p>%s</p>
<a href="/catalogue/category/lamps_1/">All</a> <a href="/catalogue/red-lamp_1/">Red</a>
<a href="/catalogue/blue-lamp_2/">Blue</a>"""


def test_a_page_that_lists_nothing_is_shown_with_the_links_it_has(doorbuster, answering, tmp_path):
    doorbuster("init", "--storefront", "my-shop", tmp_path)
    url = answering(200, {}, WINDOW % ("much to read " * 100))
    done = doorbuster("probe", url, "--locustfile", tmp_path / "locustfiles" / "_my_shop.py")
    assert (
        "the page links to /catalogue/red-lamp_1/ (2 like it): does the driver look for such links?"
        in done.stdout
    )
    assert "< Lamps" in done.stdout
    assert "noise" not in done.stdout.partition("GET ")[2]


def test_a_product_page_without_the_price_the_driver_looks_for_is_shown_with_those_it_has(
    doorbuster, answering, tmp_path
):
    doorbuster("init", "--storefront", "my-shop", tmp_path)
    path = tmp_path / "locustfiles" / "_my_shop.py"
    path.write_text(
        path.read_text(encoding="utf-8").replace("/product/([A-Za-z0-9-]+)", "/catalogue/([a-z_0-9-]+)/")
        .replace("/category/[a-z0-9-]+", "/catalogue/category/[a-z0-9_]+/"), encoding="utf-8",
    )  # fmt: skip
    url = answering(200, {}, WINDOW % '<b class="now"> £26.99</b>'.replace("£", "$"))
    done = doorbuster("probe", url, "--locustfile", path)
    assert results(done.stdout)["home"] == "ok"
    assert 'the page has <b class="now"> $26.99: does the driver look for such a price?' in done.stdout


def test_the_last_sentence_distinguishes_failed_from_missing_steps():
    tally = ProbeSummary()
    for step, result, core in (
        ("home", "ok", True),
        ("read_ledger", "broken", False),
        ("feed", "missing", False),
    ):
        tally.add({"step": step, "result": result, "core": core, "channel": "web"})
    tally.add({"step": "feed", "result": "missing", "core": False, "channel": "app"})
    assert tally.sentence() == "All core steps work; read_ledger did not; without feed, feed (app)."
