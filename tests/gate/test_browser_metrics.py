"""Thresholds on what browsers measured."""

from __future__ import annotations

import time

import numpy as np
import pytest

from doorbuster.gate import judge
from doorbuster.records.batch import Event
from doorbuster.records.browser import BrowserPage, BrowserRecords, BrowserVisit
from doorbuster.records.metadata import RunMeta
from doorbuster.records.reader import Run
from doorbuster.records.writer import RunWriter
from doorbuster.scenario import read_scenario

TEXT = """
title: A peak
target: {storefront: reference, shop: {profile: in-house-2004}}
demand:
  peak: 10 customers/s
  curve: {stages: [{for: 20s, at: 10%}, {for: 20s, at: 100%}, {for: 20s, at: 10%}]}
channels: {web: {share: 100%, journeys: {browse: 100}, patience: none}}
browsers: {probes: 1, patience: 8s}
thresholds:
"""


def page(at_s: float, lcp_ms: float | None, *, name="home", outcome="ok", visit=0) -> BrowserPage:
    times = (lcp_ms, lcp_ms, lcp_ms, lcp_ms, None, 0.0)
    return BrowserPage(1, visit, at_s, name, outcome, 200, "", *times, 0, 0.0, 0, 0, 0)


def visit(number: int, at_s: float, journey_ms: float | None = 1000.0, *, task_ms: float | None = 5.0):
    return BrowserVisit(1, number, at_s, "complete" if journey_ms else "timeout", journey_ms, task_ms)


@pytest.fixture
def result(tmp_path):
    """The result of one threshold on a run with these visits and pages."""

    def judged(threshold: str, visits=(), pages=(), event: str = ""):
        text = f"{TEXT}  {threshold}\n"
        meta = RunMeta(
            run_id="r", title="A peak", scenario_name="peak", scenario_text=text, storefront="reference",
            target_url="http://127.0.0.1:1", seed=1, workers=1,
            started_at_unix_ns=time.time_ns(), duration_s=60.0,
        )  # fmt: skip
        with RunWriter.create(tmp_path / "run", meta, {"web": np.full(60, 1)}) as writer:
            writer.write_browsers(BrowserRecords(tuple(visits), tuple(pages)))
            if event:
                writer.record_event(Event(0.0, "browser", event))
            writer.finish("finished")
        with Run.open(tmp_path / "run") as run:
            results = judge(run, (), read_scenario(text).thresholds)
        (found,) = [one for one in results if one.threshold.metric.startswith("browser_")]
        return found

    return judged


def test_a_percentile_of_the_peak_has_its_n_and_leaves_calm_and_other_phases_out(result):
    peak = [page(20 + second, 1000.0 + 100 * second) for second in range(20)]
    others = [page(-5, 9e6), page(5, 9e6), page(45, 9e6)]
    found = result('"browser_lcp{phase:peak}": ["p(75)<2.5s"]', [visit(0, -5)], [*peak, *others])
    assert (found.status, found.n) == ("pass", 20)
    assert found.observed == pytest.approx(2400, rel=1e-3)
    assert found.low is not None


def test_a_page_is_chosen_by_its_name(result):
    pages = [page(1, 100.0), *(page(second, 4000.0, name="checkout") for second in range(2, 30))]
    found = result('"browser_load{page:checkout}": ["p(75)<2.5s"]', [visit(0, 1)], pages)
    assert (found.status, found.n) == ("fail", 28)


def test_pages_that_never_came_count_with_the_patience_as_a_lower_bound(result):
    pages = [page(1, 1000.0), *(page(second, None, outcome="timeout") for second in range(2, 30))]
    found = result('browser_lcp: ["p(75)<2.5s"]', [visit(0, 1)], pages)
    assert found.status == "fail"
    assert found.at_least
    assert found.observed == pytest.approx(8000, rel=1e-3)


def test_layout_shifts_have_no_unit_and_are_unknown_for_pages_that_never_came(result):
    shifts = [page(20 + n / 2, 500.0)._replace(cls=0.1 if n < 30 else 0.25) for n in range(40)]
    lost = [page(39, None, outcome="timeout")._replace(cls=None)]

    found = result('"browser_cls{phase:peak}": ["p(75)<=0.1"]', [visit(0, 1)], [*shifts, *lost])

    assert (found.status, found.n, found.observed, found.unit) == ("pass", 40, 0.1, "value")
    assert found.sentence.startswith(
        "Phase peak: 75 of 100 pages had a layout shift of at most 0.1 (40 pages, 95 % interval 0.1 to 0.25)."
    )


def test_quick_error_pages_do_not_make_a_shop_fast(result):
    pages = [*(page(second, 10.0, outcome="error_page") for second in range(30)), page(40, 4000.0)]
    found = result('browser_lcp: ["max<2.5s"]', [visit(0, 1)], pages)
    assert (found.status, found.n) == ("fail", 1)


def test_visits_without_an_end_count_for_the_journey(result):
    visits = [visit(number, number, 3000.0 if number % 2 else None) for number in range(40)]
    found = result('browser_journey: ["p(75)<5s"]', visits)
    assert (found.status, found.n, found.at_least) == ("fail", 40, True)


@pytest.mark.parametrize(
    ("visits", "pages", "event", "reason"),
    [
        ((), (), "", "no browser probe recorded a visit"),
        ((), (), "no Chromium was found", "no browser probe recorded a visit: no Chromium was found"),
        ([visit(0, 1)], [page(1, 1000.0)], "", "no browser probe measured this"),
        ([visit(0, 1), visit(1, 25, task_ms=20.0)], [page(25, 1000.0, visit=1)], "", "short of CPU"),
    ],
    ids=["no visit", "no browser", "no page in the phase", "short of CPU"],
)
def test_without_data_a_threshold_is_inconclusive_and_says_why(result, visits, pages, event, reason):
    found = result('"browser_lcp{phase:peak}": ["p(75)<2.5s"]', visits, pages, event)
    assert found.status == "inconclusive"
    assert reason in found.sentence
