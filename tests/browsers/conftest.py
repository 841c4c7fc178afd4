"""A small shop with pages for every case, and one browser for all tests."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from doorbuster.browsers.chromium import Chromium, find_chromium
from doorbuster.browsers.journey import JourneyStep, ProbeTask
from doorbuster.browsers.page_watch import PageWatch
from doorbuster.browsers.visit import Visitor

HEAD = "<!doctype html><meta charset=utf-8><body style='font: 30px serif; margin: 2em'>"
PAGES = {
    "/": f"{HEAD}<h1>A shop</h1><a class=next href=/product>to the product</a>",
    "/product": f"{HEAD}<h1>A lamp</h1><form method=post action=/basket><input name=q>"
    "<button id=buy>buy</button></form>",
    "/basket": f"{HEAD}<h1 class=basket>Your basket</h1>",
    "/busy": f"{HEAD}<h1 style='background: #a00; color: white'>We are very busy</h1>",
    "/late": f"{HEAD}<h1>Late</h1>",
    "/in-place": f'{HEAD}<button id=more onclick="setTimeout(() => document.body.insertAdjacentHTML('
    "'beforeend', '<p class=more>more</p>'), 100)\">more</button>",
    "/loop": f"{HEAD}<a class=next href='javascript:for(;;);'>for ever</a>",
    "/liar": f"{HEAD}<a class=next>next</a><script>Element.prototype.getBoundingClientRect = () => "
    "({x: 'left', y: null})</script>",
    "/alert": f"{HEAD}<h1>Alert</h1><script>alert('hello')</script>",
    "/troubled": f"{HEAD}<h1>Troubled</h1><img src=/gone.png><script>console.error('a'); throw 1</script>"
    "<img src=http://third.example/pixel.png><img src=http://127.0.0.2:{port}/pixel.png>"
    "<script>doorbusterVitals('[1,2'); doorbusterVitals(JSON.stringify(['x', {{}}, 'NaN']));"
    "doorbusterVitals(JSON.stringify([performance.timeOrigin, 'lcp', -5]))</script>",
}


class SmallShop:
    """The pages, and what was asked of them."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.late_s = 1.0
        shop = self

        class Page(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                shop.requests.append((self.path, dict(self.headers)))
                if self.path == "/late":
                    time.sleep(shop.late_s)
                found = PAGES.get(self.path)
                body = (found or "gone").replace("{port}", str(shop.port)).encode()
                self.send_response(503 if self.path == "/busy" else 200 if found else 404)
                self.send_header("Content-Type", "text/html")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                with contextlib.suppress(OSError):  # the shopper has left
                    self.wfile.write(body)

            def do_POST(self):
                self.do_GET()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
        self.server.daemon_threads = True
        self.port = self.server.server_port
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()


@pytest.fixture(scope="session")
def small_shop() -> Iterator[SmallShop]:
    shop = SmallShop()
    yield shop
    shop.server.shutdown()
    shop.server.server_close()


@pytest.fixture(scope="session")
def chromium_path() -> str:
    found = find_chromium()
    if found is None:
        pytest.skip("no Chromium is installed (Debian: apt-get install chromium)")
    return found


def task(steps: tuple[JourneyStep, ...], **changes) -> ProbeTask:
    known = {
        "probe": 1, "executable": "", "addresses": {"127.0.0.1": "127.0.0.1"},
        "headers": {"X-Doorbuster-Run": "r1"}, "secrets": (), "journey": steps, "patience_s": 5.0,
        "every_s": 0.0, "phone": False, "starts_at_unix_s": time.time(), "cores": (), "output": "",
    }  # fmt: skip
    return ProbeTask(**{**known, **changes})


@pytest.fixture(scope="session")
def browser(chromium_path) -> Iterator[tuple[Chromium, Callable]]:
    """One browser; the function sets who receives its events."""
    watches: list[PageWatch] = []
    found = Chromium(
        chromium_path,
        {"127.0.0.1": "127.0.0.1"},
        lambda *event: watches[-1].handle(*event) if watches else None,
    )
    yield found, watches.append
    found.stop()


@pytest.fixture
def walk(browser, small_shop) -> Callable:
    """Walk the steps of one visit."""
    found, watch_with = browser

    def walked(*steps: JourneyStep, **changes):
        watch = PageWatch(lambda host: host == "127.0.0.1")
        watch_with(watch)
        started_at = time.perf_counter()
        its_task = task(steps, **{"url": small_shop.url, **changes})
        visitor = Visitor(found, watch, its_task, lambda: time.perf_counter() - started_at)
        return visitor.walk(0)

    return walked
