"""The wire format against what the C and Java libraries wrote."""

from __future__ import annotations

import base64
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorbuster.errors import RecordError
from doorbuster.records import hdr, hdr_reading
from doorbuster.records.histogram import Histogram

T4_RAW = "HISTFAAAACl4nJNpmSzMwMBgyAABzFCaEURcm7yEwf4DROA8/4I5jNM7mJgAlWkH9g=="
T4_CORRECTED = (
    "HISTFAAAAP94nJNpmSzMwCByigECmKE0I4i4NnkJg/0HiMB5/gVzGD8aM/3lZ7rPyTSbjektC9N7FqaHzEzbmZi2whCEvZKRaSYj02wwiYng"
    "4tFM3lDoC2dhhwh5UyZlJlUMjClCmgpMEUUmQSZ+IBZEojFFCMvQRwUxenmZ2MGQFUqz4+CTo4I2pg4dFdQylZWJkYkZCaPyMEUIydPLjMHr"
    "ssFixuB12XD0HRAwMsFJgkwilZHJHHKmjzp41MFDOjhYmFiQEUEmMWqGsvKBd8Fwd/Co/waTC9jYOMAIiSJRhLbKh5x9Q87Bo/YNbfsoM4CP"
    "hw+IIJAkxnDXN+QcTIpyAPnGh6k="
)
JS_VECTOR = "HISTFAAAACl4nJNpmSzMwMDAxQABzFCaEUzOmNZg/wEi0NzIyPSYlWmpGBMAh4gG4A=="

RAW = Histogram.from_weighted([1000, 100_000_000], [10_000, 1])
CORRECTED = Histogram.from_values([1000] * 10_000 + list(range(100_000_000, 9_999, -10_000)))


def plain(text: str) -> bytes:
    return zlib.decompress(base64.b64decode(text)[8:])


@pytest.mark.parametrize(("text", "expected"), [(T4_RAW, RAW), (T4_CORRECTED, CORRECTED)])
def test_strings_of_the_c_library_decode_to_what_was_recorded(text: str, expected: Histogram):
    assert expected == hdr_reading.decode_base64(text).histogram()


@pytest.mark.parametrize(("text", "recorded"), [(T4_RAW, RAW), (T4_CORRECTED, CORRECTED)])
def test_we_write_the_counts_byte_for_byte_as_the_c_library(text: str, recorded: Histogram):
    theirs, ours = plain(text), hdr.encode(recorded)
    assert theirs[40:] == ours[40:]
    cookie, length, *rest = struct.unpack(">iiiiqqd", ours[:40])
    old_cookie, old_length, offset, digits, lowest, _, ratio = struct.unpack(">iiiiqqd", theirs[:40])
    assert (old_cookie, offset, digits, lowest, 3_600_000_000, ratio) == (cookie, *rest)
    assert length == len(ours) - 40
    assert length == old_length - 40  # the version of the C library that wrote these counted its header in


def test_the_string_of_the_javascript_library_decodes_to_its_three_values():
    found = hdr_reading.decode_base64(JS_VECTOR).histogram()
    assert [found.value_at_rank_us(rank) for rank in (1, 2, 3)] == [139_647, 187_135, 477_695]


def test_compressed_text_begins_as_every_v2_histogram_does():
    assert hdr.encode_base64(CORRECTED).startswith("HISTFAAAA")


@given(st.dictionaries(st.integers(0, 23_000), st.integers(1, 2**50), max_size=50))
def test_what_is_encoded_decodes_to_the_same_counts(counts: dict[int, int]):
    recorded = Histogram.from_bins(list(counts), list(counts.values()))
    assert recorded == hdr_reading.decode(hdr.encode(recorded)).histogram()
    assert recorded == hdr_reading.decode_base64(hdr.encode_base64(recorded)).histogram()


@given(st.integers(-(2**62), 2**62))
def test_zigzag_numbers_of_any_size_take_at_most_nine_bytes_and_survive(number: int):
    encoded = hdr._zigzag(number)
    assert len(encoded) <= 9
    if number > 0:
        assert [number] == hdr_reading._read_zigzag(encoded).tolist()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "a histogram of 0 bytes is damaged or cut off: "),
        (b"not a histogram at all", "not an HdrHistogram: unknown cookie 0x6e6f7420"),
        (hdr.encode(CORRECTED)[:-5], "a histogram is cut off: "),
        (
            base64.b64decode(T4_CORRECTED)[:60],
            "a histogram of 60 bytes is damaged or cut off: the compressed part does not end",
        ),
        (base64.b64decode(T4_RAW)[:12] + b"xxxxxxxx", "a histogram of 20 bytes is damaged or cut off: "),
        (hdr.encode(RAW)[:8] + b"\0\0\0\5" + hdr.encode(RAW)[12:], "a histogram whose bins are shifted"),
        (hdr.encode(RAW)[:12] + b"\0\0\0\x63" + hdr.encode(RAW)[16:], "a histogram has an impossible layout"),
    ],
    ids=["empty", "foreign", "payload cut", "zlib cut", "zlib damaged", "shifted", "99 digits"],
)
def test_damaged_histograms_are_refused_in_one_clear_line(data: bytes, message: str):
    with pytest.raises(RecordError) as caught:
        hdr_reading.decode(data)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_text_that_is_not_base64_is_refused():
    with pytest.raises(RecordError, match=r"^a histogram must be base64 \(got 'HIST!'\): "):
        hdr_reading.decode_base64("HIST!")


def test_a_count_that_runs_past_the_end_is_refused():
    good = hdr.encode(RAW)
    cut_inside_a_number = good[:4] + struct.pack(">i", 1) + good[8:40] + b"\x80"
    with pytest.raises(RecordError, match="damaged or cut off"):
        hdr_reading.decode(cut_inside_a_number)
