"""The HdrHistogram wire format: encodes histograms as V2, decodes V0, V1 and V2.

Rules of this module:
- The encoding equals that of the C and Java libraries for 3 digits, 1 us to 1 h.
- A decoded histogram may have another resolution and unit; `histogram()` adds each bin at its lowest value,
  as HdrHistogram's own `add` does between different layouts.

Payload of V2, big-endian: cookie, payload length, normalizing offset, digits (int32 each), lowest, highest
(int64), ratio (float64), then counts as ZigZag LEB128 of at most nine bytes; -k stands for k empty bins.
Source: HdrHistogram, `AbstractHistogram.java`: encodeIntoByteBuffer, fillCountsArrayFromSourceBuffer;
`ZigZagEncoding.java`.
"""

from __future__ import annotations

import base64
import binascii
import math
import struct
import zlib
from dataclasses import dataclass

import numpy as np

from doorbuster.errors import RecordError
from doorbuster.records.histogram import MAX_US, SIGNIFICANT_DIGITS, Histogram, Ints

V2, V2_COMPRESSED = 0x1C849303, 0x1C849304
V1, V1_COMPRESSED = 0x1C849301, 0x1C849302
V0, V0_COMPRESSED = 0x1C849308, 0x1C849309
_WORD_SIZE_BITS = 0xF0  # the part of a cookie with the width of counts
_V2_WORDS = 0x10  # its value in V2

_HEADER = struct.Struct(">iiiiqqd")  # V1 and V2
_HEADER_V0 = struct.Struct(">iiqqq")
_COMPRESSED_HEADER = struct.Struct(">ii")
_MAX_PAYLOAD_BYTES = 2**26  # counter arrays are far smaller; guards against decompression bombs


@dataclass(frozen=True, slots=True)
class DecodedHistogram:
    """A decoded histogram in its own layout and unit: values and their counts."""

    digits: int
    lowest: int
    highest: int
    values: Ints  # lowest value of each bin that is not empty
    counts: Ints

    def histogram(self) -> Histogram:
        """The same counts as a Histogram, with one unit as one microsecond."""
        return Histogram.from_weighted(self.values, self.counts)


def encode(histogram: Histogram) -> bytes:
    """V2 form, not compressed."""
    payload = bytearray()
    position = 0
    for index, count in zip(histogram.bins.tolist(), histogram.bin_counts.tolist(), strict=True):
        if index > position:
            payload += _zigzag(position - index)
        payload += _zigzag(count)
        position = index + 1
    header = _HEADER.pack(V2 | _V2_WORDS, len(payload), 0, SIGNIFICANT_DIGITS, 1, MAX_US, 1.0)
    return header + bytes(payload)


def encode_base64(histogram: Histogram) -> str:
    """V2 form, compressed, in base64: the text of an interval log; begins with "HISTFAAAA"."""
    body = zlib.compress(encode(histogram))
    return base64.b64encode(_COMPRESSED_HEADER.pack(V2_COMPRESSED | _V2_WORDS, len(body)) + body).decode(
        "ascii"
    )


def decode_base64(text: str) -> DecodedHistogram:
    """Any version, plain or compressed, from base64; RecordError when it is damaged."""
    try:
        return decode(base64.b64decode(text, validate=True))
    except binascii.Error as error:
        raise RecordError(f"a histogram must be base64 (got {text[:20]!r}): {error}") from error


def decode(data: bytes) -> DecodedHistogram:
    """Any version, plain or compressed; RecordError when it is damaged."""
    try:
        (cookie,) = struct.unpack_from(">i", data)
        if cookie & ~_WORD_SIZE_BITS in (V0_COMPRESSED, V1_COMPRESSED, V2_COMPRESSED):
            _, length = _COMPRESSED_HEADER.unpack_from(data)
            unpacker = zlib.decompressobj()
            plain = unpacker.decompress(data[8 : 8 + length], _MAX_PAYLOAD_BYTES)
            if not unpacker.eof:
                raise zlib.error("the compressed part does not end")
            return _decode_plain(plain)
        return _decode_plain(data)
    except (struct.error, zlib.error, IndexError) as error:
        raise RecordError(f"a histogram of {len(data)} bytes is damaged or cut off: {error}") from error


def _decode_plain(data: bytes) -> DecodedHistogram:
    (cookie,) = struct.unpack_from(">i", data)
    version = cookie & ~_WORD_SIZE_BITS
    if version == V0:
        _, digits, lowest, highest, _ = _HEADER_V0.unpack_from(data)
        payload = data[_HEADER_V0.size :]
    elif version in (V1, V2):
        _, length, offset, digits, lowest, highest, _ = _HEADER.unpack_from(data)
        payload = data[_HEADER.size : _HEADER.size + length]
        if offset:
            raise RecordError(f"a histogram whose bins are shifted (by {offset}) cannot be read")
        # Old versions of the C library include the header in the length.
        if len(payload) not in (length, length - _HEADER.size):
            raise RecordError(f"a histogram is cut off: {len(payload)} of {length} bytes of counts")
    else:
        raise RecordError(f"not an HdrHistogram: unknown cookie {cookie & 0xFFFFFFFF:#010x}")
    if not (0 <= digits <= 5 and 1 <= lowest <= highest // 2):
        raise RecordError(f"a histogram has an impossible layout: {digits} digits, {lowest} to {highest}")
    counts = _read_zigzag(payload) if version == V2 else _read_words(payload, (cookie & 0xE0) >> 4)
    bins = np.flatnonzero(counts)
    return DecodedHistogram(digits, lowest, highest, _lowest_values(bins, digits, lowest), counts[bins])


def _lowest_values(bins: Ints, digits: int, lowest: int) -> Ints:
    """Lowest value of bins of a layout with any number of digits and any lowest unit."""
    half_bits = max(0, math.ceil(math.log2(2 * 10**digits)) - 1)
    unit_bits = lowest.bit_length() - 1
    bucket = (bins >> half_bits) - 1
    sub = (bins & ((1 << half_bits) - 1)) + np.where(bucket >= 0, 1 << half_bits, 0)
    values: Ints = np.left_shift(sub, np.maximum(bucket, 0) + unit_bits)
    return values


def _zigzag(number: int) -> bytes:
    """ZigZag LEB128; the ninth byte, if there is one, carries eight bits."""
    rest = ((number << 1) ^ (number >> 63)) & 0xFFFF_FFFF_FFFF_FFFF
    out = bytearray()
    while rest > 0x7F and len(out) < 8:
        out.append(rest & 0x7F | 0x80)
        rest >>= 7
    out.append(rest)
    return bytes(out)


def _read_zigzag(payload: bytes) -> Ints:
    numbers: list[int] = []
    bins: list[int] = []
    position = place = 0
    while place < len(payload):
        number = shift = 0
        for width in range(9):
            byte = payload[place + width]
            number |= (byte if width == 8 else byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        place += width + 1
        number = (number >> 1) ^ -(number & 1)
        if number < 0:
            position -= number
        else:
            bins.append(position)
            numbers.append(number)
            position += 1
        if position > _MAX_PAYLOAD_BYTES:
            raise RecordError(f"a histogram is damaged: it claims more than {_MAX_PAYLOAD_BYTES} bins")
    counts = np.zeros(position, np.int64)
    counts[bins] = numbers
    return counts


def _read_words(payload: bytes, word_bytes: int) -> Ints:
    if word_bytes not in (2, 4, 8):
        raise RecordError(f"a histogram must have counters of 2, 4 or 8 bytes (got {word_bytes})")
    whole = len(payload) // word_bytes * word_bytes
    counts: Ints = np.frombuffer(payload[:whole], f">i{word_bytes}").astype(np.int64)
    return counts
