"""Native histograms of Prometheus, as a message of remote write.

Buckets grow by 2 ** (2 ** -3) = 9 %; bucket i holds values above base ** (i - 1), up to base ** i. A bin of
the run file falls into the bucket of its middle.

Source: Prometheus, prompb/types.proto, message Histogram; "Native Histograms" specification, section Buckets.
"""

from __future__ import annotations

import struct

import numpy as np

from doorbuster.streaming.metric import MIDDLE_S, Distribution
from doorbuster.streaming.outputs.protobuf import field, varint, zigzag

SCHEMA = 3
_POSITIVE = MIDDLE_S > 0
with np.errstate(divide="ignore"):
    _INDEX = np.where(_POSITIVE, np.ceil(np.log2(MIDDLE_S) * 2**SCHEMA - 1e-9), 0).astype(np.int64)


def native_histogram(found: Distribution, *, at_ms: int) -> bytes:
    """The message for one distribution at one moment."""
    bins, counted = found.histogram.bins, found.histogram.bin_counts
    above = _POSITIVE[bins]
    indices, slot = np.unique(_INDEX[bins[above]], return_inverse=True)
    counts = np.bincount(slot, weights=counted[above]).astype(np.int64).tolist()
    spans, deltas = b"", b""
    next_index, before = 0, 0
    starts: list[tuple[int, int]] = []  # (offset from the end of the span before, length)
    for index, n in zip(indices.tolist(), counts, strict=True):
        if not starts or index != next_index:
            starts.append((index - next_index, 0))
        offset, length = starts[-1]
        starts[-1] = (offset, length + 1)
        deltas += zigzag(n - before)
        next_index, before = index + 1, n
    for offset, length in starts:
        spans += field(11, b"\x08" + zigzag(offset) + b"\x10" + varint(length))
    return b"".join((
        b"\x08" + varint(found.n), b"\x19" + struct.pack("<d", found.sum_s), b"\x20" + zigzag(SCHEMA),
        b"\x29" + struct.pack("<d", 1e-9), b"\x30" + varint(int(counted[~above].sum())),
        spans, field(12, deltas) if deltas else b"", b"\x78" + varint(at_ms),
    ))  # fmt: skip
