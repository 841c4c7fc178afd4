"""Listens on a port with a limit on open connections: further ones wait in the system's queue.

Servers with a fixed number of processes or connections behave like this; browsers that keep connections open
use them up while their customers read.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket

from aiohttp import web

POLL_S = 0.005


class LimitedSite(web.BaseSite):
    """A site of aiohttp that accepts a connection only while fewer than `limit` are open."""

    def __init__(self, runner: web.BaseRunner, host: str, port: int, *, limit: int, backlog: int) -> None:
        super().__init__(runner, backlog=backlog)
        self._address = (host, port)
        self._limit = limit
        self._socket: socket.socket | None = None
        self._accepting: asyncio.Task[None] | None = None

    @property
    def name(self) -> str:
        return f"http://{self._address[0]}:{self._address[1]}"

    async def start(self) -> None:
        """Open the port. Raises: OSError."""
        await super().start()
        family = socket.AF_INET6 if ":" in self._address[0] else socket.AF_INET
        self._socket = socket.create_server(self._address, family=family, backlog=self._backlog)
        self._socket.setblocking(False)
        self._accepting = asyncio.create_task(self._accept(self._socket))

    async def stop(self) -> None:
        if self._accepting is not None:
            self._accepting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._accepting
        if self._socket is not None:
            self._socket.close()
        await super().stop()

    @property
    def address(self) -> tuple[str, int]:
        """The address that was opened."""
        assert self._socket is not None, "started"
        return self._socket.getsockname()[:2]  # type: ignore[no-any-return]

    async def _accept(self, listening: socket.socket) -> None:
        loop, server = asyncio.get_running_loop(), self._runner.server
        assert server is not None, "the runner is set up"
        while True:
            while len(server.connections) >= self._limit:
                await asyncio.sleep(POLL_S)
            accepted, _ = await loop.sock_accept(listening)
            with contextlib.suppress(OSError):  # the peer has gone already
                await loop.connect_accepted_socket(server, accepted)
