"""The HdrHistogram wire format: encodes histograms as V2.

Rules of this module:
- The encoding equals that of the C and Java libraries for 3 digits, 1 us to 1 h.

Payload of V2, big-endian: cookie, payload length, normalizing offset, digits (int32 each), lowest, highest
(int64), ratio (float64), then counts as ZigZag LEB128 of at most nine bytes; -k stands for k empty bins.
Source: HdrHistogram, `AbstractHistogram.java`: encodeIntoByteBuffer; `ZigZagEncoding.java`.
"""

from __future__ import annotations

import base64
import struct
import zlib

from doorbuster.records.histogram import MAX_US, SIGNIFICANT_DIGITS, Histogram

V2, V2_COMPRESSED = 0x1C849303, 0x1C849304
_V2_WORDS = 0x10  # the part of a cookie with the width of counts

_HEADER = struct.Struct(">iiiiqqd")
_COMPRESSED_HEADER = struct.Struct(">ii")


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


def _zigzag(number: int) -> bytes:
    """ZigZag LEB128; the ninth byte, if there is one, carries eight bits."""
    rest = ((number << 1) ^ (number >> 63)) & 0xFFFF_FFFF_FFFF_FFFF
    out = bytearray()
    while rest > 0x7F and len(out) < 8:
        out.append(rest & 0x7F | 0x80)
        rest >>= 7
    out.append(rest)
    return bytes(out)
