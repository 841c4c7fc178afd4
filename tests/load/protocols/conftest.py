"""A real server (aiohttp, in a thread of its own) that streams events and speaks WebSocket."""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import dataclass, field

import pytest
from aiohttp import WSMsgType, web

from doorbuster.load.exchange import CurrentStep
from doorbuster.load.http.client import HttpClient
from doorbuster.load.http.settings import HttpSettings


@dataclass
class StreamServer:
    """Its URL, and what it saw."""

    url: str = ""
    seen: list = field(default_factory=list)


SERVER = web.AppKey("server", StreamServer)


async def events(request: web.Request) -> web.StreamResponse:
    """Stock of a product: one event every `every_ms`, `n` in all; then the stream ends or stays open."""
    server = request.app[SERVER]
    server.seen.append(dict(request.headers))
    answer = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
    if request.query.get("gzip"):
        answer.enable_compression(web.ContentCoding.gzip)
    await answer.prepare(request)
    await answer.write(b": hello\r\n\r\n")
    for number in range(int(request.query.get("n", 3))):
        await asyncio.sleep(float(request.query.get("every_ms", 10)) / 1e3)
        await answer.write(f'id: {number}\nevent: stock\ndata: {{"left":\ndata: {9 - number}}}\n\n'.encode())
    if request.query.get("then") == "silence":
        await asyncio.sleep(20)
    if request.query.get("then") == "break":
        request.transport.abort()
    return answer


async def page(_: web.Request) -> web.Response:
    return web.Response(text="<h1>no events</h1>", content_type="text/html")


async def refused(_: web.Request) -> web.Response:
    return web.Response(status=503, text="busy")


async def socket(request: web.Request) -> web.WebSocketResponse:
    """Echoes; some words make it ping, wait, split, close or break."""
    server = request.app[SERVER]
    server.seen.append(dict(request.headers))
    heartbeat = float(request.query["heartbeat_s"]) if "heartbeat_s" in request.query else None
    answer = web.WebSocketResponse(protocols=("graphql-transport-ws", "queue"), heartbeat=heartbeat)
    await answer.prepare(request)
    async for message in answer:
        server.seen.append(message.data)
        if message.type == WSMsgType.BINARY:
            await answer.send_bytes(message.data[::-1])
        elif message.data == "ping":
            await answer.ping(b"are you there")
            await answer.send_str("pinged")
        elif message.data == "noise":
            for number in range(5):
                await answer.send_str(f"noise {number}")
            await answer.send_str("signal")
        elif message.data == "large":
            await answer.send_str("x" * 5_000_000)
        elif message.data == "slow":
            await asyncio.sleep(0.1)
            await answer.send_str("at last")
        elif message.data == "silence":
            await asyncio.sleep(20)
        elif message.data == "close soon":
            await asyncio.sleep(0.05)
            await answer.close(code=1011, message=b"out of stock")
        elif message.data == "close":
            await answer.close(code=4001)
        elif message.data == "break":
            request.transport.abort()
        else:
            await answer.send_str(message.data)
    return answer


@pytest.fixture(scope="session")
def stream_server():
    """The server, for all tests of this folder."""
    found, is_ready, loop = StreamServer(), threading.Event(), asyncio.new_event_loop()

    async def start() -> web.AppRunner:
        app = web.Application()
        app[SERVER] = found
        app.add_routes([web.get("/events", events), web.post("/events", events), web.get("/page", page),
                        web.get("/refused", refused), web.get("/socket", socket)])  # fmt: skip
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        found.url = f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}"
        return runner

    def serve() -> None:
        asyncio.set_event_loop(loop)
        runner = loop.run_until_complete(start())
        is_ready.set()
        loop.run_forever()
        loop.run_until_complete(runner.cleanup())
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        loop.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    assert is_ready.wait(10)
    yield found
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)


@pytest.fixture
def client(stream_server):
    """A customer's client in a step named "watch" that lasts two seconds."""
    step = CurrentStep()
    step.name, step.deadline_at = "watch", time.perf_counter() + 2.0
    made = HttpClient(
        stream_server.url, settings=HttpSettings(headers={"X-Shop": "yes"}), step=step,
        on_exchange=step.exchanges.append,
    )  # fmt: skip
    stream_server.seen.clear()
    yield made
    made.close()
