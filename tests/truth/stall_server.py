"""A server whose every answer time is known in advance, quick enough never to be the bottleneck of a test.

    python tests/truth/stall_server.py --kind fifo --service-ms 5

Kinds: `infinite` answers everybody after the service time; `fifo` serves one after the other; `periodic` is
`fifo` in which every tenth takes 150 times the service time. GET /stall/<unix time>/<seconds>
freezes the server for that long from that moment on; GET /count tells how many other requests it answered,
GET /arrivals when each of them came, in Unix seconds, GET /ends when the work for each was done,
GET /latest by how many seconds an answer was late at most, which is the machine's doing.
With --shed-ms, a request that would have to wait longer is refused with 503 at once.
The end of every service is computed, so a late timer delays one answer and never the next. Timers of the
event loop are up to a millisecond late; `periodic`, of few requests, makes up for that by waiting actively.
Nothing of doorbuster is imported: a truth must not share the faults of what it judges. It prints its URL and
ends when its standard input does.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import threading
import time
from dataclasses import dataclass, field
from math import inf

SLOW_EVERY, SLOW_TIMES = 10, 150
TIMER_LAG_S = 0.0015


@dataclass
class Station:
    """The one place where service happens; times are readings of time.time()."""

    kind: str
    service_s: float
    stall_at: float = inf
    stall_for_s: float = 0.0
    free_at: float = 0.0
    admitted: int = 0
    shed_s: float = inf
    arrivals: list[float] = field(default_factory=list)
    ends: list[float] = field(default_factory=list)
    latest_s: float = 0.0

    def end_of(self, now: float) -> float | None:
        """When the request that arrives now is done, whoever waits for it; None if it is refused."""
        before = self.free_at
        end = self._end_of(now)
        if end - now > self.shed_s:
            self.free_at = before
            return None
        self.ends.append(end)
        return end

    def _end_of(self, now: float) -> float:
        self.admitted += 1
        self.arrivals.append(now)
        if self.kind == "infinite":
            return self._delayed(now, self.service_s)
        slow = self.kind == "periodic" and self.admitted % SLOW_EVERY == 0
        self.free_at = self._delayed(max(now, self.free_at), self.service_s * (SLOW_TIMES if slow else 1))
        return self.free_at

    def _delayed(self, start: float, length_s: float) -> float:
        frozen_until = self.stall_at + self.stall_for_s
        if self.stall_at <= start < frozen_until:
            return frozen_until + length_s
        if start < self.stall_at < start + length_s:
            return start + length_s + self.stall_for_s
        return start + length_s


class Connection(asyncio.Protocol):
    """HTTP as far as a GET without a body needs it."""

    station: Station
    loop: asyncio.AbstractEventLoop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        path = data.split(b" ", 2)[1].decode()
        if path == "/count":
            self.answer(json.dumps(self.station.admitted).encode())
        elif path == "/arrivals":
            self.answer(json.dumps(self.station.arrivals).encode())
        elif path == "/ends":
            self.answer(json.dumps(self.station.ends).encode())
        elif path == "/latest":
            self.answer(json.dumps(self.station.latest_s).encode())
        elif path.startswith("/stall/"):
            _, _, at, length_s = path.split("/")
            self.station.stall_at, self.station.stall_for_s = float(at), float(length_s)
            self.answer(b"ok")
        else:
            now = time.time()
            end = self.station.end_of(now)
            if end is None:
                self.answer(b"busy", b"503 Service Unavailable")
            elif end <= now:
                self.answer(b"ok")
            else:
                early_s = TIMER_LAG_S if self.station.kind == "periodic" else 0.0
                self.loop.call_later(end - now - early_s, self.answer_at, end)

    def answer_at(self, end: float) -> None:
        if time.time() < end:
            self.loop.call_soon(self.answer_at, end)
            return
        self.station.latest_s = max(self.station.latest_s, time.time() - end)
        self.answer(b"ok")

    def answer(self, body: bytes, status: bytes = b"200 OK") -> None:
        if not self.transport.is_closing():
            self.transport.write(b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body))


async def serve(kind: str, service_s: float, shed_s: float) -> None:
    """Serve until standard input ends."""
    Connection.station = Station(kind, service_s, shed_s=shed_s)
    Connection.loop = loop = asyncio.get_running_loop()
    server = await loop.create_server(Connection, "127.0.0.1", 0, backlog=4096)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    closing = asyncio.Event()

    def watch_parent() -> None:
        while os.read(0, 4096):
            pass
        loop.call_soon_threadsafe(closing.set)

    threading.Thread(target=watch_parent, daemon=True).start()
    await closing.wait()
    server.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--kind", choices=("infinite", "fifo", "periodic"), default="infinite")
    parser.add_argument("--service-ms", type=float, default=0.0)
    parser.add_argument("--shed-ms", type=float, default=inf)
    options = parser.parse_args()
    asyncio.run(serve(options.kind, options.service_ms / 1e3, options.shed_ms / 1e3))
    sys.exit(0)
