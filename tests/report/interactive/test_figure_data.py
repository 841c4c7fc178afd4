"""Which charts of sections the page's script draws, and what it is given of them."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from doorbuster.report.interactive.figure_data import MAX_VALUES, PlacedChart, can_redraw, figure_data
from doorbuster.report.section import Annotation, Chart, Series

LINES = Chart("lines", "t", "time", "share", (0.0, 10.0, 20.0), (Series("a", (1.0, None, 3.0)),))
LONG = tuple(float(at) for at in range(MAX_VALUES + 1))


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "scatter"},
        {"kind": "bars", "x": ("web", "app", "store")},
        {"x_unit": "per_s"},
        {"y_unit": "EUR"},
        {"overlay": LINES.series},
        {"x": (0.0, 20.0, 10.0)},
        {"x": (0.0, math.nan, 20.0)},
        {"x": (-1.0, 10.0, 20.0)},
        {"x": (0.0, 10.0, 61.0)},
        {"x": (0.0, 10.0, math.inf)},
        {"y_max": math.inf},
        {"x": (1.0,), "series": (Series("a", (1.0,)),)},
        {"x": LONG, "series": (Series("a", LONG),)},
    ],
    ids=str,
)
def test_a_chart_that_it_cannot_draw_stays_a_picture(changes):
    assert can_redraw(LINES, 60.0)
    assert not can_redraw(replace(LINES, **changes), 1e9 if changes.get("x") is LONG else 60.0)


def test_whatever_numbers_a_script_has_reach_the_page_or_are_gaps():
    values = (np.float32(0.5), math.nan, np.int64(3))
    chart = replace(
        LINES, x=tuple(np.array([0, 10, 20])), y_min=np.float64(0.25),
        series=(Series("a", values, low=values, high=(math.inf, None, 4)),),
        bounds=(Annotation(math.nan, "nowhere"), Annotation(np.int64(2), "two")),
    )  # fmt: skip
    assert can_redraw(chart, 60.0)
    found = json.loads(json.dumps(figure_data({"f1": PlacedChart(chart)}), allow_nan=False))["f1"]
    (series,) = found["series"]
    assert (found["x"], found["low"], found["bounds"]) == ([0, 10, 20], 0.25, [[2, "two"]])
    assert (series["values"], series["low"], series["high"]) == (
        [0.5, None, 3],
        [0.5, None, 3],
        [None, None, 4],
    )
