"""Latency histograms in the HdrHistogram layout: three significant digits, 1 us to 1 h, counted with NumPy.

Rules of this module:
- A value is a whole number of microseconds. A bin below 2048 us is exact, above it is at most 0.098 % wide.
- No value is lost. Values above one hour are counted in the bin of one hour (`Histogram.clamped`), values
  below zero (a clock stepped back) in the bin of zero.
- Counts add: blobs made by `pack` may be concatenated in any order and decoded at once.
- No samples is None, never 0.

Layout, with v in us: bucket = max(0, bit_length(v) - 11), sub = v >> bucket, bin = bucket * 1024 + sub.
Source: HdrHistogram, `AbstractHistogram.java`: countsArrayIndex, getValueAtPercentile, getMean.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from doorbuster.errors import RecordError

Ints = NDArray[np.int64]

SIGNIFICANT_DIGITS = 3
MAX_US = 3_600_000_000  # one hour
_HALF_BITS = math.ceil(math.log2(2 * 10**SIGNIFICANT_DIGITS)) - 1
HALF = 1 << _HALF_BITS  # half of the sub-bucket count
BUCKETS = MAX_US.bit_length() - _HALF_BITS  # enough doublings of 2 * HALF us to reach one hour
BINS = (BUCKETS + 1) * HALF
BIN_TYPE = np.dtype("<u2" if BINS <= 1 << 16 else "<u4")
PACKED = np.dtype([("bin", BIN_TYPE), ("count", "<u4")])  # no padding

_EXPONENT_OF_HALF = (
    1023 + _HALF_BITS - 1
) * HALF  # float64 exponent bias and the exponent at which bins get wider than 1
_SMALL = 64  # up to this many values, a loop (1.1 us each) beats the fixed cost of NumPy (75 us)
_PACK_BIN = struct.Struct("<HI" if BIN_TYPE.itemsize == 2 else "<II").pack


def bin_index(values_us: ArrayLike) -> Ints:
    """Bin of each value, clamped to 0..1 h.

    The first ten mantissa bits of a double are the position inside a bucket and its exponent is the bucket,
    so from 1024 us on the upper bits of the double, moved by a constant, are the bin. Exact below 2 ** 53.
    """
    values = np.clip(np.asarray(values_us, dtype=np.int64), 0, MAX_US)
    upper = values.astype(np.float64).view(np.int64) >> (52 - _HALF_BITS)
    return np.where(values < HALF, values, upper - _EXPONENT_OF_HALF)


def lowest_us(bins: ArrayLike) -> Ints:
    """Smallest value of each bin, in us."""
    index: Ints = np.asarray(bins, dtype=np.int64)
    bucket: Ints = np.maximum(index // HALF - 1, 0)
    lowest: Ints = np.left_shift(index - bucket * HALF, bucket)
    return lowest


def highest_us(bins: ArrayLike) -> Ints:
    """Largest value of each bin, in us."""
    index: Ints = np.asarray(bins, dtype=np.int64)
    bucket: Ints = np.maximum(index // HALF - 1, 0)
    highest: Ints = np.left_shift(index - bucket * HALF + 1, bucket) - 1
    return highest


def middle_us(bins: ArrayLike) -> Ints:
    """The value of each bin used for means, in us."""
    lowest = lowest_us(bins)
    return lowest + (highest_us(bins) - lowest + 1) // 2


TOP_BIN = int(bin_index([MAX_US])[0])  # 3598.7 s to 3600.8 s


def pack(values_us: Sequence[int] | NDArray[np.integer]) -> bytes:
    """Values in us as sparse bins: (bin u16, count u32) little-endian, sorted by bin; b"" for no values."""
    if len(values_us) > _SMALL or isinstance(values_us, np.ndarray):
        bins, counts = np.unique(bin_index(values_us), return_counts=True)
        return pack_counts(bins, counts)
    tally: dict[int, int] = {}
    for value in values_us:
        if value < HALF:
            index = value if value > 0 else 0
        else:
            shift = (value if value < MAX_US else MAX_US).bit_length() - _HALF_BITS - 1
            index = (shift << _HALF_BITS) + ((value if value < MAX_US else MAX_US) >> shift)
        tally[index] = tally.get(index, 0) + 1
    return b"".join(_PACK_BIN(index, tally[index]) for index in sorted(tally))


def pack_counts(bins: ArrayLike, counts: ArrayLike) -> bytes:
    """Bins and counts in the form of `pack`; a count must fit into 32 bits."""
    bins = np.asarray(bins)
    counts = np.asarray(counts)
    if counts.size and int(counts.max()) > 0xFFFF_FFFF:
        raise ValueError(f"a packed bin counts at most 4294967295 values (got {int(counts.max())})")
    packed = np.empty(bins.size, dtype=PACKED)
    packed["bin"] = bins
    packed["count"] = counts
    return packed.tobytes()


def pack_groups(groups: Ints, values_us: ArrayLike, count: int) -> list[bytes]:
    """`pack` of the values of each group 0..count-1, all at once.

    Args: groups: shape (n,), the group of each value. values_us: shape (n,), in us.
    """
    cells, counts = np.unique(groups * BINS + bin_index(values_us), return_counts=True)
    blob = pack_counts(cells % BINS, counts)
    ends = np.searchsorted(cells, np.arange(1, count + 1) * BINS) * PACKED.itemsize
    starts = [0, *ends[:-1].tolist()]
    return [blob[start:end] for start, end in zip(starts, ends.tolist(), strict=True)]


@dataclass(frozen=True, slots=True)
class PackedBins:
    """Bins and counts of one blob or of many joined ones; a bin may then appear more than once."""

    bins: Ints
    counts: Ints


def check_bins(bins: NDArray[np.unsignedinteger]) -> None:
    """Raises: RecordError for a bin that does not exist."""
    if bins.size and int(bins.max()) >= BINS:
        raise RecordError(
            f"a histogram of the run file is damaged: bin {int(bins.max())} of {BINS}; copy the file again "
            "from where it was recorded"
        )


def unpack(blob: bytes) -> PackedBins:
    """Bins and counts of a blob of `pack`.

    Raises: ValueError when its length is not a multiple of 6; RecordError for a bin that does not exist.
    """
    entries = np.frombuffer(blob, dtype=PACKED)
    check_bins(entries["bin"])
    return PackedBins(entries["bin"].astype(np.int64), entries["count"].astype(np.int64))


def quantile_rank(p: float, n: int) -> int:
    """Rank, 1..n, of the p-quantile (p in 0..1) of n values: ceil(p * n), as Java's HdrHistogram counts.

    p is first lowered by one bit, so that the rounding of p * n cannot push an exact rank one up.
    """
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"a quantile must be a ratio in 0..1, such as 0.99 (got {p})")
    return min(n, max(1, math.ceil(math.nextafter(p, -math.inf) * n)))


@dataclass(frozen=True, slots=True, eq=False)
class Histogram:
    """Counted latencies. `bins` ascends, `bin_counts` are all above zero; both int64 of the same length."""

    bins: Ints
    bin_counts: Ints

    @classmethod
    def empty(cls) -> Histogram:
        """No values."""
        return cls(np.empty(0, np.int64), np.empty(0, np.int64))

    @classmethod
    def from_counts(cls, counts: ArrayLike) -> Histogram:
        """From a dense array of up to BINS counts."""
        dense = np.asarray(counts, dtype=np.int64)
        if dense.ndim != 1 or dense.size > BINS or (dense.size and int(dense.min()) < 0):
            raise ValueError(f"counts must be one row of at most {BINS} numbers >= 0 (got {dense.shape})")
        bins = np.flatnonzero(dense != 0)  # many times faster than on integers
        return cls(bins, dense[bins])

    @classmethod
    def from_values(cls, values_us: ArrayLike) -> Histogram:
        """From single values in us."""
        return cls.from_counts(np.bincount(bin_index(values_us), minlength=1))

    @classmethod
    def from_weighted(cls, values_us: ArrayLike, counts: ArrayLike) -> Histogram:
        """From values in us and their counts."""
        return cls.from_bins(bin_index(values_us), counts)

    @classmethod
    def from_blobs(cls, blobs: Iterable[bytes]) -> Histogram:
        """From any number of blobs as packed by `pack`."""
        packed = unpack(b"".join(blobs))
        return cls.from_bins(packed.bins, packed.counts)

    @classmethod
    def from_bins(cls, bins: ArrayLike, counts: ArrayLike) -> Histogram:
        """From bins in any order, repeated or not, and the count of each entry."""
        dense = np.zeros(BINS, dtype=np.int64)
        np.add.at(dense, np.asarray(bins, dtype=np.int64), np.asarray(counts, dtype=np.int64))
        return cls.from_counts(dense)

    @property
    def counts(self) -> Ints:
        """Dense counts, shape (BINS,)."""
        dense = np.zeros(BINS, dtype=np.int64)
        dense[self.bins] = self.bin_counts
        return dense

    @property
    def n(self) -> int:
        """Number of values."""
        return int(self.bin_counts.sum())

    @property
    def clamped(self) -> int:
        """Number of values of one hour (to 0.06 %) or longer, all counted as one hour."""
        return int(self.bin_counts[self.bins >= TOP_BIN].sum())

    @property
    def min_us(self) -> int | None:
        """Lower edge of the lowest bin."""
        return int(lowest_us(self.bins[:1])[0]) if self.bins.size else None

    @property
    def max_us(self) -> int | None:
        """Upper edge of the highest bin."""
        return int(highest_us(self.bins[-1:])[0]) if self.bins.size else None

    @property
    def mean_us(self) -> float | None:
        """Mean of the bins' middles."""
        return float(middle_us(self.bins) @ self.bin_counts) / self.n if self.bins.size else None

    @property
    def sd_us(self) -> float | None:
        """Standard deviation (of the whole, divisor n) of the bins' middles."""
        mean = self.mean_us
        if mean is None:
            return None
        return math.sqrt(float((middle_us(self.bins) - mean) ** 2 @ self.bin_counts) / self.n)

    def merge(self, *others: Histogram) -> Histogram:
        """The values of all of them together."""
        dense = self.counts
        for part in others:
            dense[part.bins] += part.bin_counts
        return Histogram.from_counts(dense)

    def quantile_us(self, p: float) -> int | None:
        """Smallest recorded value that at least a share p of all values do not exceed; None without values.

        Args: p: share in 0..1; 0 gives the minimum.
        Returns: upper edge of the bin in us, at most 0.098 % above the sample of rank ceil(p * n).
        """
        if p == 0.0:
            return self.min_us
        rank = quantile_rank(p, self.n)
        return self.value_at_rank_us(rank) if self.bins.size else None

    def value_at_rank_us(self, rank: int) -> int:
        """Upper edge, in us, of the bin that holds the value of this rank (1 = smallest)."""
        if not 1 <= rank <= self.n:
            raise ValueError(f"rank must be in 1..{self.n} (got {rank})")
        position = np.searchsorted(np.cumsum(self.bin_counts), rank)
        return int(highest_us(self.bins[position : position + 1])[0])

    def count_above(self, limit_us: int) -> int:
        """Number of values in bins above that of `limit_us`."""
        return int(self.bin_counts[self.bins > int(bin_index([limit_us])[0])].sum())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Histogram):
            return NotImplemented
        return np.array_equal(self.bins, other.bins) and np.array_equal(self.bin_counts, other.bin_counts)

    __hash__ = None  # type: ignore[assignment]
