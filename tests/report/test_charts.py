"""Charts as SVG: complete, the same each time, coloured by the page, and honest about gaps."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from itertools import pairwise
from xml.etree import ElementTree as ET

import pytest
from rich.console import Console

from doorbuster.report.figures.charts import chart_table, render_svg
from doorbuster.report.figures.heatmap import heat_level, heat_row
from doorbuster.report.figures.palette import CYCLE, STYLES, series_style
from doorbuster.report.figures.shorter_svg import shorter_svg
from doorbuster.report.formatting import text_width_pt
from doorbuster.report.render.terminal import print_section
from doorbuster.report.section import Annotation, Chart, Column, Section, Series, Table, bucket_s

LINES = Chart(
    "lines", "t", "time", "customers", (0.0, 10.0, 20.0, 30.0),
    (
        Series("a", (1.0, None, 3.0, 2.0), low=(0.5, None, 2.0, 1.0), high=(2.0, None, 4.0, 3.0)),
        Series("b", (1.0, 1.0, 2.0, 2.0)),
    ),
    moments=(Annotation(10.0, "it broke"),), bounds=(Annotation(2.5, "limit"),),
)  # fmt: skip


def texts(svg: str) -> list[str]:
    return [element.text for element in ET.fromstring(svg).iter("text")]


@pytest.mark.parametrize("kind", ["lines", "stacked", "bars", "heatmap", "scatter"])
def test_a_chart_is_one_well_formed_svg_element_without_ids_of_others(kind):
    chart = Chart(
        kind,
        "t",
        "x",
        "y",
        (0.0, 1.0) if kind != "bars" else ("p", "q"),
        (Series("a", (1.0, 2.0)), Series("b", (2.0, 1.0))),
    )
    svg = render_svg(chart, element_id="one")
    root = ET.fromstring(svg)
    assert root.tag == "svg"
    assert all(element.get("id", "one-").startswith("one-") for element in root.iter())
    assert "http" not in svg
    assert "<metadata" not in svg


def test_the_same_chart_gives_the_same_bytes():
    assert render_svg(LINES, element_id="f") == render_svg(LINES, element_id="f")


def test_every_colour_comes_from_the_page():
    for chart in (
        LINES,
        Chart("stacked", "t", "x", "y", (0.0, 1.0), tuple(Series(r, (1.0, 2.0), r) for r in STYLES)),
    ):
        svg = render_svg(chart, element_id="f")
        assert "var(--" in svg
        assert not [pen.light for pen in (*STYLES.values(), *CYCLE) if pen.light in svg]


def test_every_pen_has_its_own_colour_and_every_outcome_its_own_hatch():
    pens = {pen.variable: pen for pen in (*STYLES.values(), *CYCLE)}
    assert len({pen.light for pen in pens.values()}) == len(pens)
    outcomes = [STYLES[name] for name in ("served", "abandoned", "turned_away", "queued_out", "dropped")]
    assert len({pen.hatch for pen in outcomes}) == 5


def test_no_two_of_18_series_without_a_role_look_alike():
    styles = [series_style("auto", position) for position in range(18)]
    assert len({(style.variable, style.dash) for style in styles}) == 18
    assert len({(style.variable, style.hatch) for style in styles}) == 18


def test_labels_stay_text_and_time_reads_as_a_clock():
    found = texts(render_svg(LINES, element_id="f"))
    assert {"a", "b", "it broke", "limit", "time", "customers", "0:10", "0:30"} <= set(found)


def test_dollars_and_angle_brackets_in_names_are_text():
    chart = Chart(
        "lines", "t", "x", "y", (0.0, 1.0), (Series("$x^2$ <b>&", (1.0, 2.0)), Series("$\\frac", (2.0, 1.0)))
    )
    assert {"$x^2$ <b>&", "$\\frac"} <= set(texts(render_svg(chart, element_id="f")))


@pytest.mark.parametrize(
    "chart",
    [
        Chart("lines", "t", "x", "y", (), ()),
        Chart("stacked", "t", "x", "y", (0.0,), (Series("a", (1.0,)),)),
        Chart("lines", "t", "x", "y", (5.0,), (Series("a", (1.0,)),)),
        Chart("lines", "t", "x", "y", (0.0, 1.0), (Series("a", (None, None)),), log_y=True),
        Chart("lines", "t", "x", "y", (0.0, 1.0), (Series("a", (0.0, 0.0)),), log_y=True),
        Chart("bars", "t", "x", "y", (), ()),
        Chart("heatmap", "t", "x", "y", (), ()),
        Chart("heatmap", "t", "x", "y", (0.0,), (Series("a", (0.3,)),)),
        Chart("heatmap", "t", "x", "y", (0.0, 1.0), (Series("a", (None, 0.0)),)),
        Chart("scatter", "t", "x", "y", (), ()),
        Chart("scatter", "t", "x", "y", (5.0,), (Series("a", (None,)),), log_y=True),
    ],
)
def test_a_chart_of_little_or_nothing_is_drawn_all_the_same(chart):
    assert render_svg(chart, element_id="f").startswith("<svg ")


def test_the_table_behind_a_chart_has_every_number():
    table = chart_table(LINES)
    assert [column.name for column in table.columns] == ["time", "a", "a, low", "a, high", "b"]
    assert table.rows[0] == (0.0, 1.0, 0.5, 2.0, 1.0)
    assert table.rows[1] == (10.0, None, None, None, 1.0)


def test_a_long_table_is_thinned_with_a_note():
    x = tuple(float(i) for i in range(1000))
    table = chart_table(Chart("lines", "t", "x", "y", x, (Series("a", x),)))
    assert len(table.rows) == 112
    assert table.note == "One point in 9 of 1,000."


def test_a_series_of_the_wrong_length_is_refused_with_its_name():
    with pytest.raises(ValueError, match=r"chart 't': series 'a' must have 2 values, one per x \(got 1\)"):
        Chart("lines", "t", "x", "y", (0.0, 1.0), (Series("a", (1.0,)),))


def test_a_row_of_the_wrong_length_is_refused_with_its_table():
    with pytest.raises(ValueError, match="table 't' has 2 columns"):
        Table("t", (Column("a"), Column("b")), ((1,),))


@pytest.mark.parametrize(
    ("length_s", "expected"), [(60, 1), (90, 1), (91, 2), (3600, 60), (86400, 1800), (0, 1)]
)
def test_a_bucket_is_a_width_people_can_read(length_s, expected):
    assert bucket_s(length_s) == expected


HEAT = Chart(
    "heatmap", "t", "time", "response time", (0.0, 10.0, 20.0),
    (Series("10 to 20 ms", (1.0, 0.6, None)), Series("20 to 50 ms", (0.0, 0.4, 0.004))),
)  # fmt: skip


def test_the_shade_of_a_heat_map_cell_is_its_share():
    svg = render_svg(HEAT, element_id="f")
    assert {"10 to 20 ms", "20 to 50 ms", "above 50 %", "below 1 %", "0:30"} <= set(texts(svg))
    assert "var(--strong)" in svg
    assert [heat_level(share) for share in (None, 0.0, 0.004, 0.01, 0.04, 0.4, 0.6, 1.0)] == [
        0, 0, 1, 1, 2, 4, 5, 5
    ]  # fmt: skip


def test_neighbours_of_one_shade_are_one_rectangle():
    striped = Chart("heatmap", "t", "x", "y", tuple(map(float, range(60))), (Series("a", (0.6, 0.1) * 30),))
    plain = Chart("heatmap", "t", "x", "y", tuple(map(float, range(60))), (Series("a", (0.6,) * 60),))
    drawn = [
        len(re.findall(r"M[^M]*V[^M]*z", render_svg(chart, element_id="f"))) for chart in (striped, plain)
    ]
    assert drawn[0] - drawn[1] >= 59


def test_a_heat_map_in_the_terminal_keeps_its_darkest_cells():
    assert [heat_row(series, width=60) for series in HEAT.series] == ["██ ", " ▓·"]
    lonely = Series("a", (*([0.0] * 50), 0.7, *([0.0] * 49)))
    assert heat_row(lonely, width=10) == "     █    "


def test_points_below_zero_are_drawn_and_others_stand_on_it():
    def ticks(*y):
        chart = Chart("scatter", "t", "x", "y", (1.0, 2.0), (Series("a", y),), x_unit="", y_unit="ratio")
        return [text for text in texts(render_svg(chart, element_id="f")) if text.endswith("%")]

    assert any(text.startswith("-") for text in ticks(-0.2, 0.1))
    assert ticks(0.3, 0.4)[0] == "0 %"


def test_a_scatter_in_the_terminal_has_a_letter_for_each_series():
    chart = Chart(
        "scatter", "t", "load", "p95", (1.0, 2.0),
        (Series("a", (1.0, 9.0)), Series("b", (None, 5.0))), x_unit="",
    )  # fmt: skip
    out = Console(file=io.StringIO(), width=100)
    print_section(Section("n", "Q?", "A.", figures=(chart,)), console=out)
    text = out.file.getvalue()
    assert text.count("o") >= 2
    assert "load: 1 to 2" in text


def places(svg: str, names: Sequence[str]) -> list[tuple[float, float, float]]:
    """(left, right, y) of these texts, as wide as they are taken to be."""
    found = []
    for element in ET.fromstring(svg).iter("text"):
        if element.text in names:
            width = text_width_pt(element.text, 8.5)
            x, y = map(
                float,
                re.findall(
                    r"[-\d.]+", element.get("transform", "") or f"{element.get('x')} {element.get('y')}"
                )[:2],
            )
            anchor = element.get("style", "")
            left = x - width if "text-anchor: end" in anchor else x - width / 2 if "middle" in anchor else x
            found.append((left, left + width, y))
    return found


def test_names_of_moments_cover_neither_each_other_nor_the_edge():
    names = (
        "web: peak begins",
        "store: peak begins",
        "print: peak begins",
        "web: peak ends",
        "last order placed",
    )
    moments = tuple(
        Annotation(at, name) for at, name in zip((10.0, 12.0, 13.0, 15.0, 59.0), names, strict=True)
    )
    chart = Chart("lines", "t", "x", "y", (0.0, 60.0), (Series("a", (1.0, 2.0)),), moments=moments)
    found = sorted(places(render_svg(chart, element_id="f"), names), key=lambda place: (place[2], place[0]))
    assert len(found) == len(names)
    assert all(left >= 0 and right <= 620 for left, right, _ in found)
    assert all(one[2] < other[2] or one[1] < other[0] for one, other in pairwise(found))


def test_a_long_legend_takes_more_rows_and_pushes_the_plot_down():
    def drawn(count: int) -> list[tuple[float, float, float]]:
        series = tuple(Series(f"a series with the long name {at}", (1.0, 2.0)) for at in range(count))
        return places(
            render_svg(Chart("lines", "t", "x", "y", (0.0, 1.0), series), element_id="f"),
            [s.name for s in series],
        )

    found = drawn(7)
    assert len(found) == 7
    assert len({y for _, _, y in found}) == 3
    assert all(left >= 0 and right <= 620 and y > 0 for left, right, y in found)


def test_long_names_of_bars_stay_on_the_drawing():
    names = ("pos_sale (n = 222)", "W" * 34, "i")
    svg = render_svg(Chart("bars", "t", "x", "y", names, (Series("a", (1.0, 2.0, 3.0)),)), element_id="f")
    found = places(svg, names)
    assert len(found) == 3
    assert min(left for left, _, _ in found) >= 0


def test_a_value_between_two_gaps_is_a_dot():
    def dots(*y):
        chart = Chart("lines", "t", "x", "y", tuple(map(float, range(len(y)))), (Series("a", y, "ok"),))
        return render_svg(chart, element_id="f").count("<use")

    assert [dots(1.0, 2.0, 3.0), dots(1.0, None, 3.0), dots(1.0, 2.0, None, 3.0)] == [0, 2, 1]


def test_what_is_counted_is_not_halved():
    chart = Chart("lines", "t", "x", "y", (0.0, 1.0), (Series("a", (0.0, 1.0)),), x_unit="", y_unit="count")
    assert "0.5" not in texts(render_svg(chart, element_id="f"))[2:]


@pytest.mark.parametrize(
    ("path", "short"),
    [
        ("M1 2L1 5L4 5L4 5L9 5", "M1 2V5H9"),
        ("M0 0L5 0L3 0L3 4z", "M0 0H5H3V4z"),  # back over itself: its ends stay
        ("M0 0L1 1L2 2L2 0z", "M0 0L1 1L2 2V0z"),
        ("M0 0H4L6 0M7 7L7 9L7 10", "M0 0H4H6M7 7v3"),
        ("M100.1 20L110.2 31.5L110.2 21L99.9 21z", "M100.1 20l10.1 11.5V21H99.9z"),
        ("M0 0C1 1 2 2 3 3L3 3", "M0 0C1 1 2 2 3 3L3 3"),
    ],
)
def test_a_path_with_fewer_bytes_draws_the_same_lines(path, short):
    assert shorter_svg(f'<svg><path d="{path}"/></svg>', "f") == f'<svg><path d="{short}"/></svg>'
