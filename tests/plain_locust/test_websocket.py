"""A plain Locust file with a WebSocket client of its own, against a WebSocket server."""

from __future__ import annotations

import asyncio
import contextlib
import threading

import pytest
from aiohttp import WSMsgType, web

from doorbuster.errors import ExitCode
from doorbuster.records.reader import Run

pytest.importorskip("websocket", reason="Locust brings websocket-client, which the test's locustfile uses")
DELAY_S = 0.05
SCENARIO = """
title: prices
locust: {users: 3, spawn_rate: 10, run_time: 3s}
thresholds:
  "http_req_duration{name:subscribe}": ["p(50)>=50ms", "p(50)<2s"]
  "http_reqs{name:price}": ["count>5"]
  "http_req_failed{name:subscribe}": ["rate<=0%"]
  "http_req_failed{name:subscribe to nothing}": ["rate>=100%"]
"""


class PriceServer:
    """Answers each subscription after DELAY_S, and pushes a price after it; counts both."""

    def __init__(self) -> None:
        self.answered, self.pushed, self.connected = 0, 0, 0
        self.url = ""
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=[self._serve()])
        self._thread.start()
        self._ready.wait(10)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)
        self._loop.close()

    async def _serve(self) -> None:
        app = web.Application()
        app.router.add_get("/prices", self._talk)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        self.url = f"ws://127.0.0.1:{port}/prices"
        self._ready.set()
        await self._stop.wait()
        await runner.cleanup()

    async def _talk(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.connected += 1
        async for message in socket:
            if message.type != WSMsgType.TEXT:
                break
            asked = message.json()
            await asyncio.sleep(DELAY_S)
            with contextlib.suppress(ConnectionError):  # the user has left
                if asked["sku"] == "NONE":
                    await socket.send_json({"id": asked["id"], "error": "no such product"})
                else:
                    await socket.send_json({"id": asked["id"], "price": 1999})
                    await socket.send_json({"push": 1})
                    self.pushed += 1
                self.answered += 1
        return socket


@pytest.fixture
def prices():
    server = PriceServer()
    yield server
    server.stop()


@pytest.mark.truth
def test_messages_of_a_websocket_are_recorded_and_judged_by_their_names(run_plain, prices, tmp_path):
    scenario = tmp_path / "prices.yaml"
    scenario.write_text(SCENARIO, encoding="utf-8")
    done = run_plain("live_prices.py", "--workers", "1", scenario, PRICES=prices.url)
    assert done.code == ExitCode.PASS, done.stdout + done.stderr
    with Run.open(done.folder) as run:
        counts = {name: sum(n) for name, n in run.request_counts(lambda series: series.step).items()}
        failed = {series.step: series.cause for series in run.series if not series.succeeded}
        assert {series.journey for series in run.series} == {"WS"}
    assert counts["connect"] == prices.connected == 3
    assert 0 <= prices.pushed - counts["price"] <= 3  # the last ones may come when the users have left
    assert 0 <= prices.answered - counts["subscribe"] - counts["subscribe to nothing"] <= 3
    assert failed == {"subscribe to nothing": "value_error"}
    assert "no such product" in (done.folder / "index.html").read_text(encoding="utf-8")
