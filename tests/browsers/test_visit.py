"""One visit in a real browser: what is measured and photographed, and what is said of a wrong page."""

from __future__ import annotations

import io
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import numpy as np
import pytest
from PIL import Image
from streaming_ports import free_port

from doorbuster.browsers.journey import JourneyStep


def pixels(jpeg: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(jpeg)).convert("RGB")).astype(int)


def is_blank(jpeg: bytes) -> bool:
    return pixels(jpeg).std() < 2


def test_a_visit_measures_every_page_and_shows_it(walk, small_shop):
    small_shop.requests.clear()
    found = walk(
        JourneyStep("home", open="/"),
        JourneyStep("product", click="a.next", expect="#buy"),
        JourneyStep("basket", fill={"input[name=q]": "2"}, click="#buy", expect=".basket"),
    )
    assert found.visit.outcome == "complete"
    assert [(page.page, page.outcome, page.status) for page in found.pages] == [
        ("home", "ok", 200), ("product", "ok", 200), ("basket", "ok", 200)
    ]  # fmt: skip
    for page in found.pages:
        assert 0 < page.ttfb_ms < page.fcp_ms <= page.lcp_ms < 5000
        assert page.cls == 0
        assert page.load_ms > page.ttfb_ms * 0.5
    assert found.visit.journey_ms == pytest.approx(sum(page.load_ms for page in found.pages))
    assert found.visit.task_ms > 0
    assert [path for path, _ in small_shop.requests if path != "/favicon.ico"] == ["/", "/product", "/basket"]
    assert all(headers["X-Doorbuster-Run"] == "r1" for _, headers in small_shop.requests)
    assert not any(is_blank(picture.jpeg) for picture in found.pictures.values())
    assert pixels(found.pictures["home"].jpeg).shape == (300, 480, 3)


def test_a_busy_page_is_recognised_and_photographed(walk):
    found = walk(JourneyStep("home", open="/"), JourneyStep("busy", open="/busy"), JourneyStep("c", open="/"))
    assert found.visit.outcome == "error_page"
    assert [page.outcome for page in found.pages] == ["ok", "error_page"]
    assert (found.pages[1].status, found.pages[1].detail) == (503, "status 503")
    red = (pixels(found.pictures["busy"].jpeg) @ [1, -1, 0]) > 100
    assert red.sum() > 1000  # the banner of the busy page
    assert ((pixels(found.pictures["home"].jpeg) @ [1, -1, 0]) > 100).sum() == 0


@pytest.mark.truth
def test_a_page_that_does_not_come_in_time_is_photographed_as_the_shopper_sees_it(
    walk, small_shop, monkeypatch
):
    monkeypatch.setattr("doorbuster.browsers.visit.LOOK_AFTER_S", 0.3)
    small_shop.late_s = 2.0
    found = walk(JourneyStep("home", open="/"), JourneyStep("late", open="/late"), patience_s=0.8)
    assert found.visit.outcome == "timeout"
    assert found.pages[1].load_ms is None
    assert found.pages[1].detail == "not loaded within 0.8 s"
    picture = found.pictures["late"]
    assert 300 < picture.seen_after_ms < 1500
    # It is still the page before.
    difference = np.abs(pixels(picture.jpeg) - pixels(found.pictures["home"].jpeg))
    assert difference.mean() < 3


@pytest.mark.truth
def test_a_late_page_takes_as_long_as_the_shop_does(walk, small_shop):
    small_shop.late_s = 1.0
    found = walk(JourneyStep("late", open="/late"))
    assert 1000 < found.pages[0].load_ms < 3000
    assert 1000 < found.pages[0].ttfb_ms < 3000


@pytest.mark.truth
def test_a_page_that_changes_in_place_is_there_when_its_element_is(walk):
    found = walk(JourneyStep("home", open="/in-place"), JourneyStep("more", click="#more", expect=".more"))
    assert found.visit.outcome == "complete"
    assert 100 < found.pages[1].load_ms < 2000
    assert found.pages[0].inp_ms is not None  # of the click


@pytest.mark.truth
@pytest.mark.parametrize(
    ("step", "outcome", "detail"),
    [
        (JourneyStep("x", click="a.nowhere"), "missing", "no element matches 'a.nowhere'"),
        (JourneyStep("x", click="a.next", fill={"#no": "x"}), "missing", "no element matches '#no'"),
        (JourneyStep("x", open="/product", expect="#sell"), "missing", "no element matches '#sell'"),
        (JourneyStep("x", click="a[["), "missing", "no element matches 'a[['"),
    ],
)
def test_a_missing_element_ends_the_visit(walk, step, outcome, detail):
    found = walk(JourneyStep("home", open="/"), step)
    assert (found.visit.outcome, found.pages[1].detail) == (outcome, detail)


@pytest.mark.truth
def test_a_shop_that_is_down_is_a_failed_page(walk):
    found = walk(JourneyStep("home", open="/"), url=f"http://127.0.0.1:{free_port()}")
    assert (found.visit.outcome, found.pages[0].detail) == ("failed", "net::ERR_CONNECTION_REFUSED")


@pytest.mark.truth
def test_a_page_that_hangs_ends_the_visit_and_not_the_browser(walk, monkeypatch):
    monkeypatch.setattr("doorbuster.browsers.visit.REACTION_LIMIT_S", 0.5)
    monkeypatch.setattr("doorbuster.browsers.visit.PICTURE_LIMIT_S", 0.5)
    found = walk(
        JourneyStep("home", open="/loop"),
        JourneyStep("loop", click="a.next", expect=".never"),
        patience_s=1.0,
    )
    assert found.visit.outcome == "timeout"
    assert walk(JourneyStep("home", open="/")).visit.outcome == "complete"


@pytest.mark.truth
def test_a_dialog_does_not_stop_the_visit(walk):
    assert walk(JourneyStep("alert", open="/alert")).visit.outcome == "complete"


def test_only_allowed_hosts_are_reached_and_troubles_are_counted(walk, small_shop):
    hits = []

    class ThirdParty(BaseHTTPRequestHandler):
        def do_GET(self):
            hits.append(self.path)
            self.send_error(404)

        def log_message(self, *_):
            pass

    other = HTTPServer(("127.0.0.2", small_shop.port), ThirdParty)
    threading.Thread(target=other.serve_forever, args=(0.02,), daemon=True).start()
    found = walk(JourneyStep("troubled", open="/troubled"))
    other.shutdown()
    other.server_close()
    (page,) = found.pages
    assert (page.outcome, page.blocked, hits) == ("ok", 2, [])
    assert page.failed_resources == 1  # /gone.png; not the blocked ones
    assert page.console_errors >= 2
    assert page.lcp_ms > 0  # not what the page pretended


@pytest.mark.truth
def test_a_phone_has_the_window_of_a_phone(walk):
    found = walk(JourneyStep("home", open="/"), phone=True)
    height, width, _ = pixels(found.pictures["home"].jpeg).shape
    assert (width, height) == (390, 844)


@pytest.mark.truth
def test_a_page_that_lies_about_its_elements_ends_no_probe(walk):
    found = walk(
        JourneyStep("home", open="/liar"), JourneyStep("x", click="a.next", expect=".never"), patience_s=1.0
    )
    assert found.visit.outcome == "timeout"
