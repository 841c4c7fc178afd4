"""HlogInterval logs: real ones of every version, and our own."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from doorbuster.errors import RecordError
from doorbuster.records.batch import SeriesKey
from doorbuster.records.export import series_tag
from doorbuster.records.hdr_reading import DecodedInterval, decode_base64, read_hlog
from doorbuster.records.histogram import Histogram
from doorbuster.records.hlog import HlogInterval, write_hlog


def read(path: Path) -> list[DecodedInterval]:
    with path.open(encoding="ascii") as lines:
        return list(read_hlog(lines, name=path.name))


def total(intervals: list[DecodedInterval]) -> Histogram:
    """All of a log in one 3-digit histogram of unit 1, each bin entering at its lowest value.

    The jHiccup logs have 2 digits and a lowest unit of 2 ** 14 ns: reading a quantile off their own bins
    gives other numbers than the ones HdrHistogram's tests expect.
    """
    return Histogram.empty().merge(*(interval.content.histogram() for interval in intervals))


V2, TAGGED, V1, V0, YCSB = (
    "jhiccup_2_0_7s_log_v2.hlog",
    "tagged_log_v2.hlog",
    "jhiccup_2_0_6_log_v1.hlog",
    "jhiccup_2_0_1_log_v0.hlog",
    "ycsb_log_v1.hlog",
)
EVERYTHING = (float("-inf"), float("inf"))


@pytest.mark.parametrize(
    ("name", "range_s", "intervals", "n", "p999", "longest"),
    [
        (V2, EVERYTHING, 62, 48_761, 1_745_879_039, 1_796_210_687),
        (V2, (5, 20), 15, 11_664, 1_536_163_839, 1_544_552_447),
        (V2, (40, 60), 20, 15_830, 1_779_433_471, 1_796_210_687),
        (TAGGED, EVERYTHING, 42, 32_290, 1_536_163_839, 1_544_552_447),
        (V1, EVERYTHING, 88, 65_964, 1_829_765_119, 1_888_485_375),
        (V1, (5, 20), 15, 11_213, 1_019_740_159, 1_032_323_071),
        (V1, (50, 80), 29, 22_630, 1_871_708_159, 1_888_485_375),
        (V0, EVERYTHING, 81, 61_256, 1_510_998_015, 1_569_718_271),
        (V0, (20, 45), 25, 18_492, 459_007, 623_103),
        (V0, (46, 80), 34, 25_439, 1_209_008_127, 1_234_173_951),
        (YCSB, EVERYTHING, 602, 300_056, 1_214_463, 1_546_239),
        (YCSB, (0, 180), 180, 90_033, 1_375_231, 1_546_239),
        (YCSB, (180, 700), 421, 209_686, 530, 17_775),
    ],
)
def test_real_logs_give_the_totals_that_the_java_tests_expect(
    hdr_logs: Path, name: str, range_s: tuple[float, float], intervals: int, n: int, p999: int, longest: int
):
    first_s, last_s = range_s
    chosen = [interval for interval in read(hdr_logs / name) if first_s <= interval.start_s <= last_s]
    found = total(chosen)
    assert (intervals, n, p999, longest) == (len(chosen), found.n, found.quantile_us(0.999), found.max_us)


def test_the_tagged_log_holds_everything_once_without_and_once_with_its_tag(hdr_logs: Path):
    intervals = read(hdr_logs / TAGGED)
    by_tag = {tag: total([i for i in intervals if i.tag == tag]) for tag in ("", "A")}
    assert by_tag[""].n == 16_145
    assert by_tag[""] == by_tag["A"]


SECONDS = [
    HlogInterval(0.0, 1.0, "web.buy.pay", Histogram.from_values([1500, 2_000_000])),
    HlogInterval(0.0, 1.0, "web.buy.pay.failed", Histogram.from_values([30_000_000])),
    HlogInterval(1.0, 1.0, "", Histogram.from_values([7])),
]


def test_a_log_we_write_reads_back_interval_by_interval():
    out = io.StringIO()
    write_hlog(out, SECONDS, started_at_unix_s=1_700_000_000.25, comment="a run")
    back = list(read_hlog(io.StringIO(out.getvalue())))
    assert [HlogInterval(i.start_s, i.length_s, i.tag, i.content.histogram()) for i in back] == SECONDS


def test_a_log_we_write_looks_as_version_1_3_prescribes():
    out = io.StringIO()
    write_hlog(out, SECONDS[:1], started_at_unix_s=1_700_000_000.25, comment="a run")
    *header, line = out.getvalue().splitlines()
    assert header == [
        "#[a run]",
        "#[Histogram log format version 1.3]",
        "#[StartTime: 1700000000.250 (seconds since epoch), 2023-11-14T22:13:20.250+00:00]",
        "#[BaseTime: 1700000000.250 (seconds since epoch)]",
        '"StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram"',
    ]
    tag, start, length, longest_ms, body = line.split(",")
    assert (tag, start, length, longest_ms) == ("Tag=web.buy.pay", "0.000", "1.000", "2000.895")
    assert SECONDS[0].histogram == decode_base64(body).histogram()


def test_a_maximum_below_one_millisecond_is_not_printed_as_zero():
    out = io.StringIO()
    write_hlog(out, SECONDS[2:], started_at_unix_s=0.0)
    assert out.getvalue().splitlines()[-1].startswith("1.000,1.000,0.007,HIST")


def test_a_tag_that_would_break_the_columns_is_refused():
    with pytest.raises(ValueError, match=r"^a tag must be free of commas and white space \(got 'a,b'\)$"):
        write_hlog(io.StringIO(), [HlogInterval(0, 1, "a,b", Histogram.empty())], started_at_unix_s=0)


@pytest.mark.parametrize(
    "line",
    ["1.0,1.0", "x,1.0,2.0,HISTFAAAA", "0.0,1.0,2.0,AAAA", "Tag=A"],
    ids=["short", "time", "body", "tag"],
)
def test_a_line_that_cannot_be_understood_is_named(line: str):
    with pytest.raises(RecordError, match=r"^peak\.hlog:2: not a line of an interval log: "):
        list(read_hlog(["#[a comment]", line], name="peak.hlog"))


def test_failures_have_a_tag_of_their_own_and_steps_with_spaces_stay_one_word():
    assert series_tag(SeriesKey("web", "buy", "add to, basket", "ok", "")) == "web.buy.add_to__basket"
    assert series_tag(SeriesKey("web", "buy", "pay", "failed", "status_5xx")) == "web.buy.pay.failed"
