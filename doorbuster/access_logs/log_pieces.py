"""A log file in pieces that several processes read, and what was read of one piece."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from doorbuster.access_logs.page_events import Events, PieceCounts
from doorbuster.importers.input_file import InputFile

PIECE_BYTES = 16 << 20
BLOCK_BYTES = 4 << 20
_COMPRESSED = (b"\x1f\x8b", b"\x28\xb5\x2f\xfd")


@dataclass(frozen=True, slots=True)
class LogPiece:
    """A part of a file: the lines that begin in these bytes; of a compressed one some lines, decompressed.

    ends_early: the compression is cut off or damaged behind these lines.
    """

    path: Path
    start: int
    end: int
    content: bytes | None = None
    ends_early: bool = False

    def blocks(self) -> Iterator[bytes]:
        """The content in blocks of whole lines."""
        return (
            iter([self.content] if self.content else []) if self.content is not None else plain_blocks(self)
        )


@dataclass(frozen=True, slots=True)
class PieceResult:
    """`jump_line`: the line before which the clock goes back furthest, by `jump_s`; 0 if it never does."""

    piece: LogPiece
    events: Events
    counts: PieceCounts
    first_s: float
    last_s: float
    begins_s: float
    ends_s: float
    jump_s: float
    jump_line: int
    unreadable: tuple[tuple[int, str], ...]


def is_compressed(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4).startswith(_COMPRESSED)


def split_file(path: Path) -> Iterator[LogPiece]:
    """The pieces of a file in order; a compressed one is decompressed here, as far as pieces are taken."""
    size = path.stat().st_size
    if not is_compressed(path):
        for start in range(0, size, PIECE_BYTES):
            yield LogPiece(path, start, min(size, start + PIECE_BYTES))
        return
    consumed = [0, 0]  # bytes of the file: by now, and before the piece

    def count(read: int) -> None:
        consumed[0] += read

    with InputFile(path, count) as file:
        lines: list[bytes] = []
        for block in file.line_blocks():
            lines.append(block)
            if sum(map(len, lines)) >= PIECE_BYTES:
                yield LogPiece(path, consumed[1], consumed[0], b"".join(lines))
                lines, consumed[1] = [], consumed[0]
        yield LogPiece(path, consumed[1], size, b"".join(lines), file.truncated)


def plain_blocks(piece: LogPiece) -> Iterator[bytes]:
    """The lines that begin inside the piece."""
    with piece.path.open("rb") as file:
        if piece.start:
            file.seek(piece.start - 1)
            file.readline()  # it began in the piece before
        while (at := file.tell()) < piece.end:
            content = file.read(min(BLOCK_BYTES, piece.end - at))
            if not content:
                return  # somebody has cut the file off meanwhile, as copytruncate of logrotate does
            if content[-1:] != b"\n":
                content += file.readline()
            yield content
