"""An open connection of a protocol that may speak at any time, such as HTTP/2 and WebSocket.

Bytes are read when they arrive, also while the customer thinks: pings are answered, and an end is noticed.
Nobody waits to read: the event loop calls `on_bytes`, which sets the flags of those who wait. Sending never
blocks the loop either: what the socket does not accept at once is sent by a greenlet that lives until then.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf

import gevent
from gevent.event import Event as Flag

from doorbuster.load.exchange import RequestFailed
from doorbuster.load.http.connection import Connection
from doorbuster.load.http.gevent_socket import RECEIVE_BYTES

MAX_BYTES_AT_ONCE = 256 * 1024  # then other customers have a turn


class LiveConnection:
    """Takes over an open connection.

    A connection that cannot be sent on is still read: what arrived before its end may say why it ended.

    on_bytes, on_end: called in the event loop, where they may not wait; on_end once, with the reason.
    on_sent: called when everything is sent that could not be sent at once.
    is_broken: the server takes no more.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        on_bytes: Callable[[bytes], None],
        on_end: Callable[[RequestFailed], None],
        on_sent: Callable[[], None],
    ) -> None:
        self._connection = connection
        self._on_bytes, self._on_end, self._on_sent = on_bytes, on_end, on_sent
        self._reads = self.is_closed = self.is_broken = False
        self._sender: gevent.Greenlet | None = None

    @property
    def is_sent(self) -> bool:
        """Whether the machine's buffers have taken everything."""
        return self._sender is None

    def read(self) -> None:
        """Begin to read, or go on after `pause`."""
        if not self._reads and not self.is_closed:
            self._reads = True
            self._connection.watch(self._receive)
            self._connection.later(self._receive)  # what TLS has decrypted already wakes no watcher

    def pause(self) -> None:
        """Leave what arrives from now on to the machine's buffers, and the server waiting."""
        if self._reads:
            self._reads = False
            self._connection.watch(None)

    def send(self, data: bytes) -> None:
        """Send, or queue for sending; nothing is sent on a broken connection."""
        if self.is_broken or self.is_closed:
            return
        try:
            if not self._connection.send_now(data) and self._sender is None:
                self._sender = gevent.spawn(self._send_rest)
        except RequestFailed as failure:
            self._broke(failure)

    def close(self) -> None:
        """Close it at once; nothing is called any more."""
        if self.is_closed:
            return
        self.pause()
        self.is_closed = True
        self._connection.close()
        sender, self._sender = self._sender, None
        if sender is not None and sender is not gevent.getcurrent():
            sender.kill(block=False)

    def _receive(self) -> None:
        taken = 0
        try:
            while self._reads:
                data = self._connection.receive_now()
                if not data:
                    self._end(RequestFailed("closed_early", "the server closed the connection"))
                    return
                self._on_bytes(data)
                taken += len(data)
                if not self._connection.encrypted and len(data) < RECEIVE_BYTES:
                    return
                if taken >= MAX_BYTES_AT_ONCE:
                    self._connection.later(self._receive)
                    return
        except BlockingIOError:
            return
        except RequestFailed as failure:
            self._end(failure)
        except Exception as error:
            self._end(RequestFailed("bad_response", f"{type(error).__name__}: {error}"))
            raise  # a fault of ours: shown by the event loop, and nobody waits for ever

    def _send_rest(self) -> None:
        try:
            while not self.is_closed and not self._connection.send_now(b""):
                self._connection.wait_for_room()
        except RequestFailed as failure:
            self._broke(failure)
        if not self.is_closed:
            self._sender = None
            self._on_sent()

    def _broke(self, failure: RequestFailed) -> None:
        self.is_broken = True
        if self._reads:
            self._connection.later(self._receive)
        else:
            self._end(failure)

    def _end(self, failure: RequestFailed) -> None:
        if not self.is_closed:
            self.close()
            self._on_end(failure)


def wait_for(
    holds: Callable[[], object], news: Flag, deadline: float, clock: Callable[[], float], cause: str
) -> None:
    """Wait until something holds; it is asked again whenever there are news.

    Raises: RequestFailed(cause) at the deadline.
    """
    while not holds():
        left_s = deadline - clock()
        news.clear()
        if left_s <= 0 or not news.wait(None if left_s == inf else left_s):
            raise RequestFailed(cause, "")
