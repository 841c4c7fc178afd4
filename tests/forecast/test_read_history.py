"""Reading histories: formats, columns, times, and all problems at once."""

from __future__ import annotations

import gzip
import re

import numpy as np
import pytest
import zstandard

from doorbuster.errors import UsageError
from doorbuster.forecast.input.columns import HistoryOptions
from doorbuster.forecast.input.read_history import read_history


@pytest.fixture
def read(tmp_path):
    def make(text: str, name: str = "orders.csv", **options):
        file = tmp_path / name
        file.write_text(text, encoding="utf-8")
        return read_history([file], HistoryOptions(**options))

    return make


def daily(series):
    found = series.daily()
    return dict(zip(map(str, found.days), found.counts.tolist(), strict=True))


GA4 = """# ----------------------------------------
# Traffic acquisition
# Start date: 20241101
# End date: 20241103
# ----------------------------------------

Nth day,Sessions,Ecommerce purchases
0000,1200,30
0001,"1,300",31
0002,900,20
,3400,81

# Another table
Country,Sessions
GB,3400
"""
MYSQL = """CREATE TABLE `orders` (
  `id` int NOT NULL AUTO_INCREMENT, `created_at` datetime(6) DEFAULT NULL, `note` varchar(20),
  PRIMARY KEY (`id`)
);
INSERT INTO `orders` VALUES (1,'2024-11-01 10:00:01','it''s, (a) \\'gift\\''),(2,'2024-11-01 10:30:00',NULL);
INSERT INTO `orders` VALUES (3,'2024-11-02 09:00:00','');
"""
POSTGRES = """COPY public.orders (id, placed_at) FROM stdin;
1\t2024-11-01 10:00:00
2\t2024-11-01 11:00:00
3\t2024-11-02 12:00:00
\\.
"""


@pytest.mark.parametrize(
    ("text", "options", "expected"),
    [
        ("date,orders\n2024-11-01,2\n2024-11-02,3\n", {}, [2, 3]),
        ("day;channel;orders\n2024-11-01;web;2\n2024-11-01;app;1\n2024-11-02;web;3\n", {}, [3, 3]),
        ("Date\tTransactions\n20241101\t2\n20241102\t3\n", {}, [2, 3]),
        ("date,n\n29/11/2024,2\n30/11/2024,3\n", {"count_column": "n", "measure": "orders"}, [2, 3]),
        ("date,n\n01.02.2024,2\n02.02.2024,3\n", {"count_column": "n", "measure": "orders",
                                                  "date_format": "%d.%m.%Y"}, [2, 3]),
        ("order,created_at\nA,2024-11-01 10:00\nA,2024-11-01 10:01\nB,2024-11-02 10:00\n",
         {"id_column": "order"}, [1, 1]),
        ("created_at\n1730455200\n1730455260\n1730541600\n", {"measure": "orders"}, [2, 1]),
    ],
)  # fmt: skip
def test_counts_and_events_are_read(read, text, options, expected):
    assert expected == list(daily(read(text, **options)["orders"]).values())


def test_an_export_of_analytics_gives_visits_and_orders(read):
    found = read(GA4)
    assert daily(found["visits"]) == {"2024-11-01": 1200.0, "2024-11-02": 1300.0, "2024-11-03": 900.0}
    assert list(daily(found["orders"]).values()) == [30.0, 31.0, 20.0]


@pytest.mark.parametrize("text", [MYSQL, POSTGRES])
def test_an_sql_dump_gives_orders_by_the_minute(read, text):
    found = read(text, "dump.sql", measure="orders")["orders"]
    assert found.grain == "minute"
    assert list(daily(found).values()) == [2.0, 1.0]


def test_packed_files_are_read_and_damaged_ones_refused(tmp_path):
    plain = b"date,orders\n2024-11-01,2\n2024-11-02,3\n"
    for name, packed in (("a.csv.gz", gzip.compress(plain)), ("a.csv.zst", zstandard.compress(plain))):
        (tmp_path / name).write_bytes(packed)
        assert read_history([tmp_path / name], HistoryOptions())["orders"].counts.sum() == 5
        (tmp_path / name).write_bytes(packed[:20])
        with pytest.raises(UsageError, match=re.escape(name)):
            read_history([tmp_path / name], HistoryOptions())


def test_a_dump_of_several_tables_needs_the_name_of_one(read):
    text = POSTGRES + POSTGRES.replace("orders", "returns")
    with pytest.raises(
        UsageError, match="has rows for several tables; name one with --table: orders, returns"
    ):
        read(text, "dump.sql", measure="orders")
    assert read(text, "dump.sql", measure="orders", table="returns")["orders"].counts.sum() == 3.0


def test_a_parquet_file_gives_orders_once(tmp_path):
    polars = pytest.importorskip("polars")
    file = tmp_path / "lines.parquet"
    stamps = ["2024-11-01 10:00:00", "2024-11-01 10:05:00", "2024-11-02 10:00:00"]
    polars.DataFrame({"InvoiceNo": ["1", "1", "2"], "InvoiceDate": stamps}).write_parquet(file)
    found = read_history([file], HistoryOptions(id_column="InvoiceNo"))["orders"]
    assert list(daily(found).values()) == [1.0, 1.0]


def test_times_with_an_offset_count_in_the_zone_of_the_shop(read):
    text = "time,orders\n2024-11-01T23:30:00Z,1\n2024-11-02T12:00:00Z,1\n2024-11-02T13:00:00Z,1\n"
    assert list(daily(read(text)["orders"])) == ["2024-11-01", "2024-11-02"]
    assert list(daily(read(text, time_zone="Europe/Berlin")["orders"])) == ["2024-11-02"]


def test_every_problem_is_reported_with_its_line(read):
    text = "date,orders\n2024-13-01,5\n2024-01-02,x\n2024-01-03,-4\n2024-01-04\n2024-01-05,7\n"
    with pytest.raises(UsageError) as error:
        read(text)
    assert re.findall(r"orders\.csv:(\d)", str(error.value)) == ["2", "3", "4", "5"]


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("", {}, "has no table"),
        ("date,orders\n", {}, "has no counts above 0"),
        ("a,b\n1,2\n", {}, "no column is recognised as the time"),
        ("date,n\n2024-01-01,2\n", {}, "add --measure orders or --measure visits"),
        ("date,orders\n1/2/2024,2\n", {}, "has ambiguous dates"),
        ("date,orders\n2024-01-01,2\n", {"count_column": "m"}, "has no column m; it has date, orders"),
        ("date,orders\n2024-01-01,2\n", {"time_zone": "Mars"}, "is not a time zone"),
        ("-- nothing\n", {}, "no INSERT or COPY"),
    ],
)
def test_what_cannot_be_read_is_said_in_one_sentence(read, text, options, message):
    name = "dump.sql" if text.startswith("--") else "orders.csv"
    with pytest.raises(UsageError, match=re.escape(message)) as error:
        read(text, name, **options)
    assert "\n" not in str(error.value)


def test_an_incomplete_last_day_does_not_count(read):
    rows = [f"2024-11-{day:02d} {hour:02d}:00,5" for day in range(1, 11) for hour in range(8, 20)]
    found = read("hour,orders\n" + "\n".join([*rows, "2024-11-11 08:00,5"]) + "\n")["orders"]
    assert found.grain == "hour"
    assert np.datetime64("2024-11-10") == found.daily().days[-1]


def test_saturated_moments_are_kept(read):
    found = read("minute,sessions,censored\n2024-11-01 10:00,50,0\n2024-11-01 10:01,60,1\n")["visits"]
    assert found.saturated.tolist() == [False, True]
    assert {np.datetime64("2024-11-01")} == found.saturated_days()


def test_the_minutes_of_an_access_log_are_read(tmp_path):
    from doorbuster.access_logs import LogMap, LogOptions, minutes_text, model_demand

    agent = '"-" "Mozilla/5.0 (X11; Linux x86_64) Firefox/130.0"'
    lines = [
        f"10.0.0.{n} - - [01/Nov/2024:10:{n % 7:02d}:{second:02d} +0000] "
        f'"GET /product/{second} HTTP/1.1" 200 9 {agent}'
        for n in range(1, 60)
        for second in (1, 20, 41)
    ]
    log = tmp_path / "access.log"
    log.write_text("\n".join(sorted(lines, key=lambda line: line[line.index("[") :])) + "\n")
    model = model_demand([log], LogOptions(LogMap(), None, 1, False), gap_s=1800, window_s=3600)
    file = tmp_path / "minutes.csv"
    file.write_text(minutes_text(model))
    found = read_history([file], HistoryOptions())
    assert found["visits"].counts.sum() == len(model.behaviour.visits)
    assert found["visits"].grain == "minute"
    assert str(found["visits"].moments[0]) == "2024-11-01T10:00"


def test_reading_reports_every_byte_of_the_files_as_it_goes(tmp_path):
    files = [tmp_path / "one.csv", tmp_path / "two.csv"]
    for file in files:
        file.write_text("date,orders\n" + "2024-01-01,1\n" * 12_000, encoding="utf-8")
    parts: list[float] = []
    read_history(files, HistoryOptions(), parts.append)
    assert sum(parts) == pytest.approx(sum(file.stat().st_size for file in files))
    assert len(parts) == 2 * 3  # after 5,000 and 10,000 rows, and at the end


def in_files(tmp_path, *texts):
    paths = []
    for number, rows in enumerate(texts):
        paths.append(tmp_path / f"part-{number}.csv")
        paths[-1].write_text("\n".join(["date,orders", *rows]) + "\n")
    return read_history(paths, HistoryOptions())["orders"]


def test_exports_that_overlap_count_their_common_days_once(tmp_path):
    rows = [f"2025-03-{day:02d},{100 + 7 * day}" for day in range(1, 31)]
    found = in_files(tmp_path, rows[:20], rows[10:])
    assert daily(found) == daily(in_files(tmp_path, rows))
    (note,) = found.notes
    assert note.startswith(
        "part-1.csv repeats 10 counts of orders of the files before, from 2025-03-11 00:00:00"
    )


def test_files_of_two_channels_add_up_even_where_a_day_is_the_same(tmp_path):
    web = [f"2025-03-{day:02d},{100 + day % 3}" for day in range(1, 31)]
    shops = [f"2025-03-{day:02d},{100 + day % 2}" for day in range(1, 31)]
    found = in_files(tmp_path, web, shops)
    assert found.counts.sum() == sum(200 + day % 3 + day % 2 for day in range(1, 31))
    assert found.notes == ()


@pytest.mark.parametrize("text", ["1,234", "1\u202f234", "1\xa0234", " 1 234 "])
def test_thousands_may_be_separated(read, text):
    assert read(f'date,orders\n2025-03-01,"{text}"\n')["orders"].counts.tolist() == [1234]
