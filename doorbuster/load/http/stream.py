"""A body that is read while it arrives.

Rules: the connection belongs to the stream until the body ends or the stream is closed; a body that was not
read completely closes its connection, so that it can never be taken for the next response.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from doorbuster.load.exchange import RequestFailed
from doorbuster.load.http.connection import Connection
from doorbuster.load.http.pool import Pool


class BodyStream:
    """failure: why the body is incomplete, if it is. ended_at: clock at its end, else that of the head."""

    __slots__ = ("_clock", "_connection", "_pool", "body_length", "bytes_received", "ended_at", "failure")

    def __init__(self, connection: Connection, pool: Pool, clock: Callable[[], float]) -> None:
        self._connection: Connection | None = connection
        self._pool = pool
        self._clock = clock
        self.ended_at = clock()
        self.bytes_received = connection.received
        self.body_length = 0
        self.failure: RequestFailed | None = None

    def pieces(self) -> Iterator[bytes]:
        """The pieces of the body, still encoded. Raises: RequestFailed if it is incomplete."""
        if self.failure is not None:
            raise self.failure
        try:
            while (connection := self._connection) is not None:
                end = connection.body_parts if connection.complete else len(connection.chunks)
                chunks = connection.chunks[:end]
                connection.chunks.clear()
                length = sum(map(len, chunks))
                self.body_length += length
                connection.delivered += length
                if connection.complete:
                    connection.body_parts = 0
                    self._finish(reusable=connection.is_reusable())
                yield from chunks
                if self._connection is not None:
                    self._read(connection)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Release the connection; it is closed unless the body was read completely."""
        if self._connection is not None:
            self._finish(reusable=False)

    def _read(self, connection: Connection) -> None:
        try:
            connection.read(stream=True)
        except RequestFailed as failure:
            self.failure = failure
            raise
        finally:
            self.bytes_received = connection.received

    def _finish(self, *, reusable: bool) -> None:
        connection, self._connection = self._connection, None
        self.ended_at = self._clock()
        if connection is None:
            return
        self.bytes_received = connection.received
        if reusable:
            self._pool.release(connection)
        else:
            self._pool.drop(connection)

    def __del__(self) -> None:
        self.close()
