"""An answer whose success is decided by the code that asked for it, inside a `with` block."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any, Final

from doorbuster.load.exchange import DETAIL_CHARACTERS, Exchange, RequestFailed
from doorbuster.load.http.response import Response
from doorbuster.output import named_exception

control_exceptions: Final[list[type[BaseException]]] = []
"""Exceptions that end a task and say nothing about the request in whose `with` block they are raised."""
failure_exceptions: Final[list[type[BaseException]]] = []
"""Exceptions that mark the request as failed and end with its `with` block."""


class CaughtResponse(Response):
    """An answer whose success is decided inside a `with` block; recorded once, at the end of the block.

    verdict: what failure() was called with, "" after success(), else None.
    """

    __slots__ = ("_report", "js", "verdict")  # js belongs to Locust's `rest`

    def __init__(
        self,
        exchange: Exchange,
        head: str,
        body: bytes,
        limit: int,
        sent: bytes,
        report: Callable[[Exchange, Response], None],
    ) -> None:
        super().__init__(exchange, head, body, limit, sent)
        self._report: Callable[[Exchange, Response], None] | None = report
        self.verdict: Any = None
        self.js: Any = None

    def success(self) -> None:
        """Count the request as a success, whatever its status."""
        self.verdict = ""
        self.exchange.decide("", "")

    def failure(self, exc: object) -> None:
        """Count the request as failed, for the reason given as text or exception."""
        self.verdict = exc
        self.exchange.decide("content", str(exc)[:DETAIL_CHARACTERS])

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        if self.stream is not None:
            self.stream.close()
        ends_here = isinstance(error, tuple(failure_exceptions))
        if error is not None and self.verdict is None and not isinstance(error, tuple(control_exceptions)):
            if ends_here:
                self.failure(error)
            elif self.exchange.cause:
                pass
            elif isinstance(error, RequestFailed):
                self.exchange.decide(error.cause, error.detail)
            elif isinstance(error, Exception):
                detail = named_exception(error)[:DETAIL_CHARACTERS]
                self.exchange.decide("content", detail)
        self.report()
        return ends_here

    def report(self) -> None:
        """Report the exchange once; for a streamed body, as it is after the stream."""
        report, self._report = self._report, None
        if report is None:
            return
        stream = self.stream
        if stream is not None:
            self.exchange.ended_at = stream.ended_at
            self.exchange.bytes_received = stream.bytes_received
            broken = stream.failure
            if broken is not None and self.verdict is None:
                self.exchange.decide(broken.cause, broken.detail)
        report(self.exchange, self)

    def __del__(self) -> None:
        self.report()  # without a with block the status decides
