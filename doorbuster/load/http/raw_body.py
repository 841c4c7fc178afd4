"""`response.raw`: the body as received, still encoded, as a file."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping
from typing import Any


class RawBody(io.RawIOBase):
    """Reads a body while it arrives; `read` and `stream` decode it if asked, as urllib3's response does."""

    def __init__(
        self,
        pieces: Iterable[bytes],
        decoded: Iterable[bytes],
        status: int,
        reason: str,
        headers: Mapping[str, str],
    ) -> None:
        super().__init__()
        self._pieces = iter(pieces)
        self._decoded = iter(decoded)
        self._rest = b""
        self.status = status
        self.reason = reason
        self.headers = headers

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def read(self, amt: int | None = None, decode_content: bool = False) -> bytes:
        """At most `amt` bytes, b"" at the end; the whole rest without `amt`. Raises: RequestFailed."""
        pieces = self._decoded if decode_content else self._pieces
        if amt is None or amt < 0:
            data, self._rest = self._rest + b"".join(pieces), b""
            return data
        while len(self._rest) < amt:
            piece = next(pieces, b"")
            if not piece:
                break
            self._rest += piece
        data, self._rest = self._rest[:amt], self._rest[amt:]
        return data

    def stream(self, amt: int = 65536, decode_content: bool = False) -> Iterator[bytes]:
        while data := self.read(amt, decode_content=decode_content):
            yield data
