"""Takes the GOAWAY frames out of a stream of HTTP/2 frames, and refuses what are no such frames.

A server that ends a connection in order announces the last request that it will answer, and answers it
afterwards. h2 treats a connection as closed from the announcement on and refuses that answer, so it must not
see it. h2 also waits for the rest of a frame however long its head says that it is: an answer in HTTP/1.1
would look like the beginning of a frame of 4.7 MB.
Source: RFC 9113, sections 4.1, 4.2 and 6.8.
"""

from __future__ import annotations

from h2.errors import ErrorCodes
from h2.exceptions import FrameTooLargeError

HEAD_BYTES = 9
GOAWAY = 7
MAX_FRAME_BYTES = 16_384  # the limit of a client that states no other one
_STREAM_ID = 0x7FFFFFFF


class GoawayFilter:
    """last_stream_id: of the last GOAWAY frame, None before the first. reason: its code and text, or ""."""

    def __init__(self) -> None:
        self.last_stream_id: int | None = None
        self.reason = ""
        self._rest = b""  # the beginning of a head or of a GOAWAY frame
        self._passing = 0  # bytes of the current frame that are still to come

    def feed(self, data: bytes) -> bytes:
        """The bytes without GOAWAY frames; the beginning of one is kept for the next call.

        Raises: FrameTooLargeError for a frame over the limit.
        """
        if self._passing >= len(data):
            self._passing -= len(data)
            return data
        if self._rest:
            data, self._rest = self._rest + data, b""
        at, kept_from, kept = self._passing, 0, []
        while len(data) - at >= HEAD_BYTES:
            length = HEAD_BYTES + int.from_bytes(data[at : at + 3])
            if length > HEAD_BYTES + MAX_FRAME_BYTES:
                if data.startswith(b"HTTP/1.", at):
                    raise FrameTooLargeError("the server answers in HTTP/1.1")
                raise FrameTooLargeError(f"a frame of {length - HEAD_BYTES:,} bytes")
            if data[at + 3] == GOAWAY and length >= HEAD_BYTES + 8:
                if len(data) - at < length:
                    break
                kept.append(data[kept_from:at])
                self._read(data[at + HEAD_BYTES : at + length])
                kept_from = at + length
            at += length
        self._passing = max(at - len(data), 0)
        end = min(at, len(data))
        self._rest = data[end:]
        if not kept and end == len(data):
            return data
        kept.append(data[kept_from:end])
        return b"".join(kept)

    def _read(self, payload: bytes) -> None:
        self.last_stream_id = int.from_bytes(payload[:4]) & _STREAM_ID
        code = int.from_bytes(payload[4:8])
        known = {one.value: one.name for one in ErrorCodes}
        text = payload[8:].decode("utf-8", errors="replace").strip()
        if code or text:
            self.reason = f" ({known.get(code, f'code {code}')}{': ' if text else ''}{text})"
