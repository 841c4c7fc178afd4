"""Decodes gzip, deflate, br and zstd in bounded pieces.

Rules: no step produces more output than its bound, so a decompression bomb ends as `too_large` instead of
exhausting memory. A body that ends early or is damaged is a `bad_response` and never silently shortened; only
a checksum that is missing at the very end of gzip or deflate is accepted, as browsers do, and reported.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Final

import brotli
import zstandard

from doorbuster.load.exchange import RequestFailed

_PIECE_BYTES: Final = 256 * 1024
_ZSTD_SLICE_BYTES: Final = 512  # a zstd block of 4 bytes may become 128 KiB: at most 16 MiB per slice
_ZSTD_WINDOW_BYTES: Final = 8 * 1024 * 1024  # RFC 8878 requires every decoder to support it


Odd = list[str]
"""Filled with what was read leniently."""


def decode(body: bytes, encodings: str, limit: int, odd: Odd | None = None) -> bytes:
    """The whole body without its encodings. Raises: RequestFailed (too_large, bad_response)."""
    return b"".join(decode_stream((body,), encodings, limit, odd))


def decode_stream(
    pieces: Iterable[bytes], encodings: str, limit: int, odd: Odd | None = None
) -> Iterator[bytes]:
    """The pieces without their encodings; encodings as in Content-Encoding, the last one applied first.

    An unknown encoding ends the decoding: the rest is returned as it arrived.
    """
    decoded = iter(pieces)
    noted: Odd = [] if odd is None else odd
    for encoding in reversed([part.strip().lower() for part in encodings.split(",")]):
        decoder = _DECODERS.get(encoding)
        if decoder is not None:
            decoded = _bounded(decoder(decoded, noted), encoding, limit)
        elif encoding not in ("", "identity"):
            break
    return decoded


def excerpt(body: bytes, encodings: str, characters: int) -> str:
    """The start of a body as readable text, decoded as far as possible; never raises."""
    text = b""
    try:
        for piece in decode_stream((body[: 4 * 1024],), encodings, 4 * _PIECE_BYTES):
            text += piece[: 4 * characters]
            if len(text) >= characters:
                break
    except RequestFailed:
        text = text or body
    return text[: 4 * characters].decode("utf-8", "replace")[:characters]


def _bounded(pieces: Iterator[bytes], encoding: str, limit: int) -> Iterator[bytes]:
    total = 0
    try:
        for piece in pieces:
            total += len(piece)
            if total > limit:
                raise RequestFailed("too_large", f"the {encoding} body decodes to more than {limit:,} bytes")
            yield piece
    except (zlib.error, brotli.error, zstandard.ZstdError) as error:
        raise RequestFailed("bad_response", f"damaged {encoding} body: {error}") from None


def _gunzip(pieces: Iterator[bytes], odd: Odd) -> Iterator[bytes]:
    decoder = zlib.decompressobj(wbits=31)
    member: list[bytes] = []
    for piece in pieces:
        data = piece
        while data:
            if decoder.eof:
                if not data.startswith(b"\x1f\x8b"):
                    return  # padding after the last member, which gzip(1) ignores too
                decoder = zlib.decompressobj(wbits=31)
                member.clear()
            member.append(data)
            while data and not decoder.eof:
                yield decoder.decompress(data, _PIECE_BYTES)
                data = decoder.unconsumed_tail
            data = decoder.unused_data
    if member:
        yield from _end_of_zlib(decoder, "gzip", 31, member, odd)


def _inflate(pieces: Iterator[bytes], odd: Odd) -> Iterator[bytes]:
    """ "deflate" is zlib by the standard and raw deflate from some servers: the first two bytes tell."""
    decoder = None
    wbits = 15
    member: list[bytes] = []
    for piece in pieces:
        data = piece
        if decoder is None and data:
            zlib_header = data[0] & 0x0F == 8 and (len(data) < 2 or (data[0] << 8 | data[1]) % 31 == 0)
            wbits = 15 if zlib_header else -15
            decoder = zlib.decompressobj(wbits=wbits)
        member.append(data)
        while decoder is not None and data and not decoder.eof:
            yield decoder.decompress(data, _PIECE_BYTES)
            data = decoder.unconsumed_tail
    if decoder is not None:
        yield from _end_of_zlib(decoder, "deflate", wbits, member, odd)


def _end_of_zlib(
    decoder: zlib._Decompress, encoding: str, wbits: int, member: list[bytes], odd: Odd
) -> Iterator[bytes]:
    while not decoder.eof:
        rest = decoder.decompress(decoder.unconsumed_tail, _PIECE_BYTES)
        if not rest and not decoder.eof:
            if wbits > 0 and _lacks_only_its_end(b"".join(member), wbits):
                odd.append(f"{encoding} without its checksum")
                return
            raise RequestFailed("bad_response", f"the {encoding} body ends early")
        yield rest


def _lacks_only_its_end(member: bytes, wbits: int) -> bool:
    """Whether the compressed data is complete and only bytes of the checksum after it are missing."""
    decoder = zlib.decompressobj(wbits=wbits)
    data, crc, adler, size = member, 0, 1, 0
    while True:
        piece = decoder.decompress(data, _PIECE_BYTES)
        data = decoder.unconsumed_tail
        if not piece and not data:
            break
        crc, adler, size = zlib.crc32(piece, crc), zlib.adler32(piece, adler), size + len(piece)
    end = struct.pack("<II", crc, size & 0xFFFFFFFF) if wbits == 31 else struct.pack(">I", adler)
    for there in range(len(end)):
        attempt = decoder.copy()
        try:
            more = attempt.decompress(end[there:])
        except zlib.error:
            continue
        if attempt.eof and not more:
            return True
    return False


def _brotli(pieces: Iterator[bytes], _: Odd) -> Iterator[bytes]:
    decoder = brotli.Decompressor()
    started = False
    for piece in pieces:
        started = started or bool(piece)
        yield decoder.process(piece, output_buffer_limit=_PIECE_BYTES)
        while not decoder.can_accept_more_data():
            yield decoder.process(b"", output_buffer_limit=_PIECE_BYTES)
    if started and not decoder.is_finished():
        raise RequestFailed("bad_response", "the br body ends early")


def _unzstd(pieces: Iterator[bytes], _: Odd) -> Iterator[bytes]:
    factory = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_BYTES)
    decoder = None
    for piece in pieces:
        data = piece
        while data:
            if decoder is None:
                decoder = factory.decompressobj()
            yield decoder.decompress(data[:_ZSTD_SLICE_BYTES])
            data = data[_ZSTD_SLICE_BYTES:]
            if decoder.eof:
                data = decoder.unused_data + data
                decoder = None
    if decoder is not None:
        raise RequestFailed("bad_response", "the zstd body ends early")


_DECODERS: Final[dict[str, Callable[[Iterator[bytes], Odd], Iterator[bytes]]]] = {
    "gzip": _gunzip,
    "x-gzip": _gunzip,
    "deflate": _inflate,
    "br": _brotli,
    "zstd": _unzstd,
}
