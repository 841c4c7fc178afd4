"""One input file of an import: decompressed by content, read once from start to end, never by its name.

Rules of this module:
- A damaged or cut-off compressed file yields what could be read; `truncated` then says so.
- Text that a shell has turned into UTF-16 is refused: for binary formats it is damaged beyond repair.
"""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import zstandard

from doorbuster.errors import UsageError

HEAD_BYTES = 65_536
CHUNK_BYTES = 4 << 20
MAX_LINE_BYTES = 32 << 20  # one result line; response bodies in a line are cut by no tool
_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


class InputFile:
    """A file of results, opened for one pass. Use as a context manager.

    Args: on_progress: called with the bytes of the file consumed since the last call.
    Raises: UsageError when it cannot be opened, is empty or is UTF-16 text.
    """

    def __init__(self, path: Path, on_progress: Callable[[int], object] = lambda _: None) -> None:
        self.path = path
        self.truncated = False
        self._on_progress = on_progress
        self._consumed = 0
        try:
            self._file = path.open("rb")
            self.size = path.stat().st_size
        except OSError as error:
            raise UsageError(f"{path}: cannot be read: {error.strerror}") from error
        self._stream = self._decompressed()
        self.head = self._fill(HEAD_BYTES)
        self._pending = self.head
        self._refuse_unreadable()

    def __enter__(self) -> InputFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def chunks(self) -> Iterator[bytes]:
        """The decompressed content, some megabytes at a time."""
        pending, self._pending = self._pending, b""
        if pending:
            yield pending
        while chunk := self._read(CHUNK_BYTES):
            yield chunk

    def line_blocks(self) -> Iterator[bytes]:
        """The content in blocks of whole lines; the last one may lack its line break."""
        rest = b""
        for chunk in self.chunks():
            end = chunk.rfind(b"\n") + 1
            if not end:
                rest += chunk
                if len(rest) > MAX_LINE_BYTES:
                    raise UsageError(
                        f"{self.path}: a line is longer than {MAX_LINE_BYTES >> 20} MB; this is "
                        "not a result file"
                    )
                continue
            yield rest + chunk[:end]
            rest = chunk[end:]
        if rest:
            yield rest

    def text(self) -> io.TextIOWrapper:
        """The content as UTF-8 text; other bytes become U+FFFD."""
        return io.TextIOWrapper(
            io.BufferedReader(_Chunks(self.chunks()), CHUNK_BYTES),
            encoding="utf-8-sig",
            errors="replace",
            newline="",
        )

    def read_all(self, limit_bytes: int) -> bytes:
        """The whole content. Raises: UsageError when it is longer than `limit_bytes`."""
        parts, size = [], 0
        for chunk in self.chunks():
            parts.append(chunk)
            size += len(chunk)
            if size > limit_bytes:
                raise UsageError(
                    f"{self.path}: a summary of more than {limit_bytes >> 20} MB; this is not a result file"
                )
        return b"".join(parts)

    def _decompressed(self) -> Any:
        start = self._file.read(4)
        self._file.seek(0)
        if start.startswith(_GZIP):
            return gzip.GzipFile(fileobj=self._file)
        if start == _ZSTD:
            return zstandard.ZstdDecompressor().stream_reader(self._file, read_across_frames=True)
        return self._file

    def _read(self, size: int) -> bytes:
        """Up to `size` bytes; of a damaged file whatever can be decompressed."""
        parts, found = [], 0
        try:
            while found < size and (part := self._stream.read1(size - found)):
                parts.append(part)
                found += len(part)
        except (EOFError, OSError, zlib.error, zstandard.ZstdError):
            if self._stream is self._file:
                raise
            self.truncated = True
        position = self._file.tell()
        self._on_progress(position - self._consumed)
        self._consumed = position
        return b"".join(parts)

    def _fill(self, size: int) -> bytes:
        parts = b""
        while len(parts) < size and (read := self._read(size - len(parts))):
            parts += read
        return parts

    def _refuse_unreadable(self) -> None:
        if not self.head.strip(b"\0 \t\r\n"):
            self._file.close()
            raise UsageError(f"{self.path}: the file is empty; export it again")
        if self.head.startswith(_UTF16):
            self._file.close()
            raise UsageError(
                f"{self.path}: this is UTF-16 text, as PowerShell's > writes it, which damages "
                "results; write "
                "the file with the tool's own option for an output file, or convert it: "
                "Get-Content FILE | Set-Content -Encoding utf8 NEW"
            )


class _Chunks(io.RawIOBase):
    """A readable stream over an iterator of bytes."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._rest:
            self._rest = memoryview(next(self._chunks, b""))
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count
