"""A search or a comparison on the live page and in a log, with the runs of the sample as its stages."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from doorbuster.cli.live_page import NoLivePage
from doorbuster.cli.series_watch import SeriesWatch
from doorbuster.live.state import SeriesView, StageView

SAMPLE = Path(__file__).parents[2] / "reports" / "sample"


class Page:
    """Keeps what is published."""

    is_open = True

    def __init__(self) -> None:
        self.published: list[dict[str, Any]] = []

    def publish(self, **changes: Any) -> None:
        self.published.append(changes)

    def show_report(self, path: Path) -> None:
        """Not in a series."""


@pytest.fixture
def clock(monkeypatch):
    class Clock:
        now_s = 0.0

    monkeypatch.setattr(time, "monotonic", lambda: Clock.now_s)
    return Clock


def view(running: StageView | None) -> SeriesView:
    return SeriesView("A search", "passes at 5/s", (running,) if running else ())


def test_the_page_shows_the_run_of_the_stage_and_the_series_around_it(clock):
    page = Page()
    watch = SeriesWatch(page, view, quiet=True)
    with watch.run(SAMPLE, "now", lambda: StageView("10/s", "running", "bisect", 10.0)) as look:
        look("3 of 10 s")
        look("3 of 10 s")  # at once: not looked at again
        clock.now_s += 2.0
        look("5 of 10 s")
    watch.publish()
    first, second, third, last = page.published
    assert first["run"] is None  # of the stage before
    assert second["run"].title.startswith("M&S")
    assert third["series"].stages[0].label == "10/s"
    assert last["series"].stages == ()


def test_a_log_gets_a_line_every_ten_seconds(clock, capsys):
    watch = SeriesWatch(NoLivePage(), view, quiet=False)
    with watch.run(SAMPLE, "pair 1 of 3, build a", lambda: StageView("pair 1", "running", "")) as look:
        for second in range(25):
            clock.now_s += 1.0
            look(f"{second} s")
    assert capsys.readouterr().err.splitlines() == ["pair 1 of 3, build a 9 s", "pair 1 of 3, build a 19 s"]


def test_without_a_page_the_run_file_of_a_measurement_is_not_touched(clock):
    watch = SeriesWatch(NoLivePage(), view, quiet=True)
    with watch.run(SAMPLE / "missing", "now", lambda: StageView("x", "running", "")) as look:
        look("")
    watch.publish()
