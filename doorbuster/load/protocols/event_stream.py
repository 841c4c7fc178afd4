"""Server-sent events: a step that opens a stream and ends with the event that the customer waits for.

The stream is one request of the step: it ends when the block ends, so the step's response time is the time
until the awaited event. The customer's patience and the time limit of the step end it like any other request.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from doorbuster.load.http.client import HttpClient
from doorbuster.load.http.response import Response
from doorbuster.load.protocols.event_parser import EventParser, EventTooLargeError, ServerEvent
from doorbuster.storefronts import Rejected

__all__ = ["EventStream", "ServerEvent", "event_stream"]

MEDIA_TYPE = "text/event-stream"


class EventStream:
    """The events of one stream, as they arrive.

    last_id: of the last event taken, for `last_event_id` of the next stream.
    """

    def __init__(self, response: Response) -> None:
        self._pieces = response.iter_content(None)
        self._parser = EventParser()
        self.last_id = ""
        self._events: deque[ServerEvent] = deque()  # arrived together with one that was waited for

    def __iter__(self) -> Iterator[ServerEvent]:
        """Raises: RequestFailed if the stream breaks or the customer's patience ends."""
        while True:
            while self._events:
                event = self._events.popleft()
                self.last_id = event.id
                yield event
            piece = next(self._pieces, None)
            if piece is None:
                return
            try:
                self._events.extend(self._parser.feed(piece))
            except EventTooLargeError:
                raise Rejected("too_large", "an event exceeds the limit") from None

    def wait_for(self, wanted: Callable[[ServerEvent], object] = lambda _: True) -> ServerEvent:
        """The next wanted event. Raises: Rejected("stream_ended") if the server ends the stream first."""
        for event in self:
            if wanted(event):
                return event
        raise Rejected("stream_ended", "the server ended the stream before the awaited event")


@contextmanager
def event_stream(
    client: HttpClient,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    last_event_id: str = "",
    **options: Any,
) -> Iterator[EventStream]:
    """Open a stream of events for the length of a `with` block.

    Args: options: those of `client.request`. Raises: Rejected for an answer that is not an event stream.
    """
    sent = {"Accept": MEDIA_TYPE, "Cache-Control": "no-cache", **(headers or {})}
    if last_event_id:
        sent["Last-Event-ID"] = last_event_id
    method = options.pop("method", "GET")
    with client.request(method, url, headers=sent, stream=True, catch_response=True, **options) as response:
        if response.error is not None:
            raise Rejected(response.error.cause, response.error.detail)
        kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != MEDIA_TYPE:
            raise Rejected("not_an_event_stream", f"the answer is {kind or 'of no stated type'}")
        yield EventStream(response)
