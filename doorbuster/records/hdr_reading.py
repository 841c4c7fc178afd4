"""Reads HdrHistogram's wire format (V0, V1, V2) and interval logs.

A decoded histogram may have another resolution and unit; `histogram()` adds each bin at its lowest value, as
HdrHistogram's own `add` does between different layouts. The starts of a log are seconds after its StartTime.
A log may stamp its lines with seconds since StartTime, since its BaseTime, or since 1970; without a BaseTime,
a first stamp more than a year before StartTime is taken as relative, as HdrHistogram's own reader does.

Source: HdrHistogram, `AbstractHistogram.java`: fillCountsArrayFromSourceBuffer; `HistogramLogReader.java`.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from doorbuster.errors import RecordError
from doorbuster.records.hdr import V2, V2_COMPRESSED
from doorbuster.records.histogram import Histogram, Ints

V1, V1_COMPRESSED = 0x1C849301, 0x1C849302
V0, V0_COMPRESSED = 0x1C849308, 0x1C849309
_WORD_SIZE_BITS = 0xF0  # the part of a cookie with the width of counts
_HEADER = struct.Struct(">iiiiqqd")  # V1 and V2
_HEADER_V0 = struct.Struct(">iiqqq")
_COMPRESSED_HEADER = struct.Struct(">ii")
_MAX_PAYLOAD_BYTES = 2**26  # counter arrays are far smaller; guards against decompression bombs
_YEAR_S = 365 * 24 * 3600.0
_HEADER_TIME = re.compile(r"#\[(StartTime|BaseTime): ([\d.]+)")


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


@dataclass(frozen=True, slots=True)
class DecodedInterval:
    """One line of a log, in the layout and unit of the log."""

    start_s: float
    length_s: float
    tag: str
    content: DecodedHistogram


def read_hlog(lines: Iterable[str], *, name: str = "log") -> Iterator[DecodedInterval]:
    """Every interval of a log, in file order.

    Raises: RecordError that names the line, for one that cannot be understood.
    """
    times: dict[str, float] = {}
    base_s: float | None = None
    for number, line in enumerate(lines, start=1):
        line = line.strip()
        found = _HEADER_TIME.match(line)
        if found:
            times[found[1]] = float(found[2])
        if not line or line[0] in '#"':
            continue
        tag = ""
        if line.startswith("Tag="):
            tag, _, line = line.removeprefix("Tag=").partition(",")
        try:
            start, length, _, body = line.split(",", 3)
            stamp_s, length_s = float(start), float(length)
            content = decode_base64(body)
        except (ValueError, RecordError) as error:
            raise RecordError(f"{name}:{number}: not a line of an interval log: {error}") from error
        if base_s is None:
            base_s = _offset_s(stamp_s, times)
        yield DecodedInterval(stamp_s + base_s, length_s, tag, content)


def _offset_s(first_stamp_s: float, times: dict[str, float]) -> float:
    """The offset from a timestamp to seconds after StartTime."""
    started_s = times.get("StartTime", first_stamp_s)
    if "BaseTime" in times:
        return times["BaseTime"] - started_s
    return 0.0 if first_stamp_s < started_s - _YEAR_S else -started_s


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
