"""The section on browsers: sentences, ratios to calm, pictures in the page."""

from __future__ import annotations

import io
import re
import shutil
import time

import numpy as np
import pytest
from PIL import Image

from doorbuster.records.batch import Event
from doorbuster.records.browser import BrowserPage, BrowserPicture, BrowserRecords, BrowserVisit
from doorbuster.records.metadata import RunMeta
from doorbuster.records.reader import Run
from doorbuster.records.writer import RunWriter
from doorbuster.report import analyse_run
from doorbuster.report.analysis_loader import load_analysis
from doorbuster.report.run_context import RunContext

TEXT = """
title: A peak
target: {storefront: reference, shop: {profile: in-house-2004}}
demand:
  peak: 10 customers/s
  curve: {stages: [{for: 20s, at: 10%}, {for: 20s, at: 100%}, {for: 20s, at: 10%}]}
channels: {web: {share: 100%, journeys: {browse: 100}, patience: none}}
browsers: {probes: 1}
thresholds: {can_browse: ["rate>=50%"]}
"""


def jpeg(colour: str) -> bytes:
    found = io.BytesIO()
    Image.new("RGB", (48, 30), colour).save(found, "JPEG")
    return found.getvalue()


def walked(number: int, at_s: float, ms: float | None, *, task_ms: float = 5.0):
    """A visit to one page; None is a page that did not come."""
    outcome = "ok" if ms is not None else "timeout"
    detail = "" if ms else "not loaded within 30 s"
    figures = (ms, ms, ms, ms, 16.0, 0.02)
    page = BrowserPage(1, number, at_s, "home", outcome, 200, detail, *figures, 1, 60.0, 0, 1, 2)
    return BrowserVisit(1, number, at_s, "complete" if ms else "timeout", ms, task_ms), page


@pytest.fixture
def recorded(tmp_path):
    """A run with these visits; returns its folder."""

    def record(*visits, pictures=(), event=""):
        meta = RunMeta(
            run_id="r", title="A peak", scenario_name="peak", scenario_text=TEXT, storefront="reference",
            target_url="http://127.0.0.1:1", seed=1, workers=1, started_at_unix_ns=time.time_ns(),
            duration_s=60.0,
        )  # fmt: skip
        found = BrowserRecords(tuple(v for v, _ in visits), tuple(p for _, p in visits), tuple(pictures))
        with RunWriter.create(tmp_path / "run", meta, {"web": np.full(60, 1)}) as writer:
            writer.write_browsers(found)
            if event:
                writer.record_event(Event(0.0, "browser", event))
            writer.finish("finished")
        return tmp_path / "run"

    return record


@pytest.fixture
def section(recorded, root, tmp_path):
    def analysed(*visits, **changes):
        shutil.rmtree(tmp_path / "run", ignore_errors=True)
        with Run.open(recorded(*visits, **changes)) as run:
            return load_analysis(root / "analysis" / "browsers.py")(RunContext(run))

    return analysed


CALM = [walked(number, -20 + number, 500.0) for number in range(8)]


def test_every_figure_is_also_a_multiple_of_calm(section):
    peak = [walked(20 + number, 20 + number, 4000.0) for number in range(8)]
    found = section(*CALM, *peak, walked(30, 35, None))
    assert found.sentence == (
        "At the peak, three of four pages showed their main content within 4 s, 8.0 times as long as at calm "
        "(9 pages); 1 of 9 visits did not reach their end."
    )
    assert found.metrics["lcp_ratio_peak"].value == pytest.approx(8.0, rel=1e-3)
    assert found.metrics["lcp_p75_peak"].n == 9
    assert found.metrics["lcp_p75_calm"].value == pytest.approx(500, rel=1e-3)
    assert found.metrics["cls_p75_peak"].value == 0.02
    assert found.metrics["failed_visits_peak"].value == pytest.approx(1 / 9)
    assert "1 visit ended at a page that never came." in found.findings
    assert "18 requests to third parties were blocked on 9 pages under load." in found.findings


def test_pages_that_never_came_make_the_percentile_a_lower_bound(section):
    found = section(
        *CALM, *(walked(20 + number, 20 + number, 900.0 if number else None) for number in range(3))
    )
    assert found.metrics["lcp_p75_peak"].at_least
    assert found.metrics["lcp_p75_peak"].value == pytest.approx(30_000, rel=1e-3)
    assert found.sentence == (
        "At the peak, more than one in four pages never showed their main content, in 30 s (3 pages); 1 of 3 "
        "visits did not reach their end."
    )


def test_visits_short_of_cpu_claim_nothing(section):
    found = section(walked(0, -5, 500.0), walked(1, 25, 9000.0, task_ms=20.0))
    assert found.metrics["visits_left_out"].value == 1
    assert found.sentence == (
        "Unknown: in 1 of 2 visits the browsers were short of CPU: they measured this machine."
    )
    found = section(walked(0, -5, 500.0), walked(1, 25, 9000.0, task_ms=20.0), walked(2, 50, 700.0))
    assert found.sentence == (
        "Unknown at the peak, when no visit had enough CPU; in the rest of the run, three of four pages "
        "showed their main content within 700 ms, 1.4 times as long as at calm (1 page); every visit "
        "reached its end."
    )


def test_without_a_visit_the_reason_is_stated(section):
    found = section(event="no Chromium was found")
    assert found.sentence == "Unknown: no browser recorded a visit: no Chromium was found."
    assert not found.not_applicable


def test_pictures_are_in_the_page_and_nothing_else_may_be_loaded(recorded, root):
    from doorbuster.gate import judge, verdict
    from doorbuster.report import write_report

    pictures = [
        BrowserPicture("calm", 1, 7, -13.0, "home", 700.0, jpeg("green")),
        BrowserPicture("broke", 1, 30, 35.0, "home", 2500.0, jpeg("red")),
    ]
    folder = recorded(*CALM, walked(30, 35, None), pictures=pictures)
    with Run.open(folder) as run:
        analysed = analyse_run(run, [root / "analysis" / "browsers.py"])
        results = judge(run, analysed.sections, ())
        write_report(run, analysed.sections, results, verdict(run, results), folder)
    page = (folder / "index.html").read_text(encoding="utf-8")
    shown = re.findall(r'<img src="data:image/jpeg;base64,[\w+/=]+" alt="([^"]*)">', page)
    assert shown == [
        "−0:13, page home, loaded after 500 ms",
        "0:35, page home, 2.5 s after the click: a page that never came (not loaded within 30 s)",
    ]
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', page)
    assert "default-src 'none'" in policy
    assert policy.endswith("img-src data:")
