"""One browser for all tests of interactive pages, and the page of a peak without the cost of its analysis."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from browser import Browser

from doorbuster.gate import judge, verdict
from doorbuster.records.reader import Run
from doorbuster.report import write_report
from doorbuster.report.interactive.engineer import PANELS
from doorbuster.report.section import Chart, Section, Series


@pytest.fixture(scope="session")
def browser(tmp_path_factory) -> Iterator[Browser]:
    found = Browser(tmp_path_factory.mktemp("chromium"))
    yield found
    found.close()


OWN_FIGURES = (
    Chart(
        "lines", "Half were served", "time", "share", (5.0, 15.0, 25.0),
        (Series("served", (0.5, None, 0.25), low=(0.4, None, 0.1), high=(0.6, None, None)),), y_unit="ratio",
    ),
    Chart("bars", "Most came by web", "channel", "customers", ("web", "store"), (Series("n", (3.0, 1.0)),)),
)  # fmt: skip


def write_page(run_path: Path, folder: Path, baseline: Path | None = None) -> Path:
    """The page of a run with every panel; the sections themselves are empty."""
    with ExitStack() as opened:
        run = opened.enter_context(Run.open(run_path))
        before = [opened.enter_context(Run.open(baseline))] if baseline else []
        sections = [Section(name, f"What about {name}?", "See below.") for name in PANELS]
        sections.append(Section("own", "What of one's own?", "Half were served.", figures=OWN_FIGURES))
        results = judge(run, sections, ())
        write_report(run, sections, results, verdict(run, results), folder, baseline=before)
    return folder / "index.html"


@pytest.fixture(scope="session")
def page(build_peak, tmp_path_factory) -> Callable[..., Path]:
    """The page of a peak with these changes, and of a baseline; equal ones are written once."""
    written: dict[str, Path] = {}

    def write(*, baseline: dict | None = None, **changes) -> Path:
        key = repr((baseline, sorted(changes.items())))
        if key not in written:
            before = None if baseline is None else build_peak(**baseline)
            written[key] = write_page(build_peak(**changes), tmp_path_factory.mktemp("page"), before)
        return written[key]

    return write
