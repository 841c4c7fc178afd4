"""Tables as text: one unit for each column, three significant digits, intervals without repetition."""

from __future__ import annotations

import pytest

from doorbuster.report.formatting import format_interval
from doorbuster.report.section import Column, Metric, Table
from doorbuster.report.shown_table import shown_table, three_digits


def column(name: str, unit: str, *values) -> tuple[str, list[str]]:
    """The heading and the texts of a table with one column."""
    shown = shown_table(Table("t", (Column(name, unit),), tuple((value,) for value in values)))
    return shown.heads[0], [row[0].text for row in shown.rows]


def test_values_of_one_unit_keep_it_in_their_cells():
    assert column("p95", "ms", 250.0, 900.0, None) == ("p95", ["250 ms", "900 ms", "–"])


def test_values_of_two_units_share_one_in_the_heading():
    assert column("p95", "ms", 640.0, 1730.0) == ("p95 (s)", ["0.640", "1.73"])
    assert column("p95", "ms", 0.64, 1730.0, 17_349.0) == ("p95 (ms)", ["0.640", "1,730", "17,300"])
    assert column("size", "bytes", 20_000, 1_500_000) == ("size (MB)", ["0.020", "1.50"])


def test_a_metric_shows_its_interval_in_the_unit_of_its_column():
    metrics = (Metric(640.0, "ms", 500.0, None), Metric(1730.0, "ms", 1700.0, 1800.0, at_least=True))
    assert column("p95", "", *metrics) == ("p95 (s)", ["0.640 (0.500 to ?)", "≥ 1.73 (1.70 to 1.80)"])
    assert column("p95", "", Metric(640.0, "ms"), Metric(2.0, "s")) == ("p95 (s)", ["0.640", "2.00"])


def test_minutes_and_texts_leave_a_column_as_it_is():
    assert column("took", "s", 0.5, 90.0) == ("took", ["500 ms", "1m30s"])
    assert column("what", "ms", "text", 5.0) == ("what", ["text", "5 ms"])


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (0.0004, "0"), (0.0123, "0.012"), (0.64, "0.640"), (17.34, "17.3"), (1734.0, "1,730")],
)
def test_three_significant_digits(value, text):
    assert three_digits(value) == text


@pytest.mark.parametrize(
    ("metric", "text"),
    [
        (Metric(0.5, "ratio", 0.414, 0.586), "41.4 to 58.6 %"),
        (Metric(1000.0, "ms", 900.0, 1200.0), "900 ms to 1.2 s"),
        (Metric(1.5, "s", 1.2, 1.9), "1.2 to 1.9 s"),
        (Metric(18.0, "count", 18.0, 18.0), ""),
        (Metric(18.001, "ms", 18.0004, 18.0012), "18 ms"),
        (Metric(4.0, "count"), ""),
    ],
)
def test_an_interval_states_its_unit_once_and_never_repeats_a_number(metric, text):
    assert format_interval(metric) == text
