"""A server whose capacity is known: first come first served, c servers, exponential or fixed service times.

    python tests/truth/server.py --servers 1 --service-rate 100/s --service exponential --seed 4

GET or POST on any path waits its turn, is served and answers 200; GET /truth tells what was done so far.
The moments at which requests start and end are computed (start = max(arrival, when a server is free), end =
start + service), so that timer lag makes an answer late by that lag and never delays the next one.

Rules of this module:
- Nothing of doorbuster is imported: a truth must not share the faults of what it judges.
- Service times come from one seeded stream, in order of arrival.
- It ends on SIGINT, SIGTERM, and when standard input ends (--die-with-parent).
"""

from __future__ import annotations

import argparse
import asyncio
import heapq
import json
import logging
import os
import random
import signal
import sys
import threading
import time
from dataclasses import dataclass, field

from aiohttp import web

SPIN_S = 0.0002
LATE_S = 0.005


@dataclass
class Station:
    """The queue. Times are those of time.monotonic()."""

    servers: int
    service_s: float
    exponential: bool
    queue_limit: int | None
    stall_at_s: float
    stall_for_s: float
    rng: random.Random
    opened_at: float = field(default_factory=time.monotonic)
    free_at: list[float] = field(default_factory=list)
    in_system: int = 0
    answered: int = 0
    refused: int = 0
    latest_s: float = 0.0
    late: int = 0

    def __post_init__(self) -> None:
        self.free_at = [0.0] * self.servers

    def admit(self, now: float) -> float | None:
        """When a request that arrives now will be done; None when it is refused at the door."""
        if self.queue_limit is not None and self.in_system >= self.servers + self.queue_limit:
            self.refused += 1
            return None
        length = self.rng.expovariate(1 / self.service_s) if self.exponential else self.service_s
        end = self.after_stall(max(now, self.free_at[0]), length)
        heapq.heapreplace(self.free_at, end)
        self.in_system += 1
        return end

    def after_stall(self, start: float, length: float) -> float:
        """The end of a service, moved by the part of the stall that lies in it."""
        stall = self.opened_at + self.stall_at_s
        if self.stall_for_s <= 0 or start + length <= stall or start >= stall + self.stall_for_s:
            return start + length
        return (
            max(start, stall) + self.stall_for_s + length - max(0.0, stall - start) - max(0.0, start - stall)
        )

    async def serve(self, request: web.Request) -> web.Response:
        """One request."""
        now = time.monotonic()
        await request.read()
        end = self.admit(now)
        if end is None:
            return web.Response(status=503, text="busy", headers={"Retry-After": "1"})
        try:
            await wait_until(end)
        finally:
            self.in_system -= 1
        self.answered += 1
        late_s = time.monotonic() - end
        self.latest_s = max(self.latest_s, late_s)
        self.late += late_s > LATE_S
        return web.Response(text="ok")

    async def tell(self, _: web.Request) -> web.Response:
        """Counts, the longest time an answer was late by, and how many were late by over `LATE_S`."""
        return web.json_response(
            {
                "answered": self.answered,
                "refused": self.refused,
                "in_system": self.in_system,
                "latest_s": self.latest_s,
                "late": self.late,
            }
        )


async def wait_until(end: float) -> None:
    """Sleep until shortly before, then give way in turns: a timer alone is up to a millisecond late."""
    while (left := end - time.monotonic()) > 0:
        await asyncio.sleep(left - SPIN_S if left > 2 * SPIN_S else 0)


async def open_server(options: argparse.Namespace) -> None:
    """Serve until told to stop."""
    station = Station(
        servers=options.servers,
        service_s=1 / options.service_rate,
        exponential=options.service == "exponential",
        queue_limit=options.queue_limit,
        stall_at_s=options.stall_at,
        stall_for_s=options.stall_for,
        rng=random.Random(options.seed),
    )
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL + 1)  # customers who left are no error
    app = web.Application()
    app.router.add_get("/truth", station.tell)
    app.router.add_route("*", "/{path:.*}", station.serve)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    closing = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, closing.set)
    if options.die_with_parent:
        threading.Thread(target=_watch_parent, args=(loop, closing), daemon=True).start()
    try:
        await web.TCPSite(runner, "127.0.0.1", options.port, backlog=1024).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        station.opened_at = time.monotonic()
        said = json.dumps({"url": url, "pid": os.getpid()}) if options.json_announce else f"open at {url}"
        print(said, flush=True)
        await closing.wait()
    finally:
        await runner.cleanup()
        if station.in_system > 1000:  # taking leave of each of so many would take longer than anybody waits
            os._exit(0)


def _watch_parent(loop: asyncio.AbstractEventLoop, closing: asyncio.Event) -> None:
    while os.read(0, 4096):
        pass
    if not loop.is_closed():
        loop.call_soon_threadsafe(closing.set)


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python tests/truth/server.py", description="A server whose capacity is known."
    )
    add = parser.add_argument
    add("--servers", type=int, default=1, help="how many requests are served at the same time")
    add(
        "--service-rate", type=_rate, default=100.0, help='services per second of one server, such as "100/s"'
    )
    add("--service", choices=("exponential", "fixed"), default="exponential", help="kind of service time")
    add("--queue-limit", type=int, default=None, help="requests that may wait; more are refused with 503")
    add("--stall-at", type=float, default=0.0, help="seconds after opening at which all servers freeze")
    add("--stall-for", type=float, default=0.0, help="how long they freeze, in seconds; 0 never")
    add("--seed", type=int, default=1, help="seed of the service times")
    add("--port", type=int, default=0, help="port to listen on; 0 takes any free one")
    add("--json-announce", action="store_true", help='print {"url": ..., "pid": ...} when open')
    add("--die-with-parent", action="store_true", help="close when standard input ends")
    return parser.parse_args(arguments)


def _rate(text: str) -> float:
    return float(text.removesuffix("/s"))


if __name__ == "__main__":
    asyncio.run(open_server(parse(sys.argv[1:])))
