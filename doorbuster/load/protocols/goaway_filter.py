"""Takes the GOAWAY frames out of a stream of HTTP/2 frames.

A server that ends a connection in order announces the last request that it will answer, and answers it
afterwards. h2 treats a connection as closed from the announcement on and refuses that answer, so it must not
see it. Source: RFC 9113, sections 4.1 and 6.8.
"""

from __future__ import annotations

HEAD_BYTES = 9
GOAWAY = 7
_STREAM_ID = 0x7FFFFFFF


class GoawayFilter:
    """last_stream_id: of the last GOAWAY frame, None before the first."""

    def __init__(self) -> None:
        self.last_stream_id: int | None = None
        self._rest = b""

    def feed(self, data: bytes) -> bytes:
        """The complete frames so far without GOAWAY; an incomplete one is kept for the next call."""
        data, at, kept = self._rest + data, 0, []
        while len(data) - at >= HEAD_BYTES:
            end = at + HEAD_BYTES + int.from_bytes(data[at : at + 3])
            if end > len(data):
                break
            if data[at + 3] == GOAWAY and end - at >= HEAD_BYTES + 4:
                payload = data[at + HEAD_BYTES : at + HEAD_BYTES + 4]
                self.last_stream_id = int.from_bytes(payload) & _STREAM_ID
            else:
                kept.append(data[at:end])
            at = end
        self._rest = data[at:]
        return b"".join(kept)
