"""Sections on narrow terminals: tables and figures keep every name and every value."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from doorbuster.report.render.terminal import print_section
from doorbuster.report.section import Chart, Column, Metric, Section, Series, Table

HEADS = ("Step", "Cause", "Orders acknowledged", "Orders acknowledged late", "Orders unacknowledged",
         "Orders unanswered", "Orders refused", "Median", "Median of the slowest")  # fmt: skip
ROWS = (
    ("checkout", "status_5xx", 1234, 1235, 1236, 1237, 1238, Metric(0.831, "ratio", 0.742, 0.893), 11.0),
    ("checkout", "reset", 2234, 2235, 2236, 2237, 2238, Metric(0.531, "ratio", 0.442, 0.593), 12.0),
    ("collect_checkout_of_a_click_and_collect_order", "reset", 1, 2, 3, 4, 5, None, None),
)
TABLE = Table("Orders", tuple(map(Column, HEADS)), ROWS)


def printed(width: int, **parts) -> list[str]:
    out = Console(file=io.StringIO(), width=width)
    print_section(Section("n", "Q?", "A.", **parts), console=out)
    lines = out.file.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    return [line.rstrip() for line in lines[5:]]


def headings(lines: list[str]) -> list[str]:
    """The headings of every part of a table, put together from the lines above its rule."""
    found = []
    for end in [number for number, line in enumerate(lines) if set(line.strip()) == {"─"}]:
        start = max(number for number in range(end) if not lines[number].strip()) + 1
        block = [line.ljust(max(map(len, lines))) for line in lines[start:end]]
        empty = [all(line[x] == " " for line in block) for x in range(len(block[0]))]
        edges = [x for x in range(1, len(empty)) if all(empty[x - 1 : x + 2])]
        for left, right in zip([0, *edges], [*edges, len(empty)], strict=True):
            text = " ".join(line[left:right].strip() for line in block).strip()
            if text:
                found.append(" ".join(text.split()))
    return found


@pytest.mark.parametrize(("width", "parts"), [(200, 1), (120, 2), (80, 2), (60, 3)])
def test_every_column_of_a_wide_table_keeps_its_whole_name(width, parts):
    found = headings(printed(width, tables=(TABLE,)))
    assert found.count("Step") == found.count("Cause") == parts
    assert [name for name in found if name not in ("Step", "Cause")] == list(HEADS[2:])


@pytest.mark.parametrize("width", [200, 120, 80, 60, 40, 24])
def test_no_value_of_a_table_is_cut_at_any_width(width):
    lines = printed(width, tables=(TABLE,))
    text = "".join("\n".join(lines).split())
    assert "…" not in text
    numbers = [format(cell, ",") for row in ROWS for cell in row if isinstance(cell, int) and cell > 1000]
    assert [text.count(number) for number in numbers] == [1] * len(numbers)


def test_a_narrow_table_repeats_the_columns_that_name_its_rows():
    lines = printed(80, tables=(TABLE,))
    assert sum("checkout" in line and "status_5xx" in line for line in lines) == 2


def test_names_in_a_figure_that_would_be_cut_to_the_same_text_are_shown_in_full():
    common = "product page of the desktop web shop, "
    names = (common + "before the release", common + "after the release")
    bars = Chart("bars", "T", "x", "y", names, (Series("a", (1.0, 2.0)),), x_unit="")
    curves = Chart("lines", "T", "x", "y", (0.0, 1.0), tuple(Series(name, (1.0, 2.0)) for name in names))
    for chart in (bars, curves):
        text = " ".join(" ".join(printed(120, figures=(chart,))).split())
        assert all(name.split(", ")[1] in text for name in names)


@pytest.mark.parametrize("width", [100, 80, 50])
def test_bars_keep_their_proportions_on_a_narrow_terminal(width):
    series = (Series("answered", (40.0, 20.0, 10.0)),)
    chart = Chart("bars", "T", "x", "y", ("home", "product", "checkout"), series, x_unit="")
    full, half, quarter = (line.count("█") for line in printed(width, figures=(chart,)) if "█" in line)
    assert full == min(40, (width - len("checkout")) // 2)
    assert abs(half - full / 2) <= 1
    assert abs(quarter - full / 4) <= 1


@pytest.mark.parametrize("width", [40, 80])
def test_a_question_longer_than_the_line_is_shown_in_full(width):
    question = (
        "How did christmas develop on branch main? (https://shop.example.com; Linux x86_64, 2 cores, 8 GB)"
    )
    out = io.StringIO()
    print_section(Section("x", question, "Well."), console=Console(file=out, width=width))
    assert question in " ".join(out.getvalue().split())
