"""What browser probes recorded: visits, the pages of each visit, and pictures of chosen pages.

Rules of this module:
- Times are seconds since the start of the run; visits before it, at negative times, are the calm reference.
- A figure that the browser did not report is None, never 0.
- A visit whose browser was short of CPU measures this machine instead of the shop: nothing is claimed of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

COMPLETE = "complete"  # outcome of a visit that went through its whole journey
OK, TIMEOUT = "ok", "timeout"  # outcomes of a page
MOMENTS = ("calm", "broke", "worst", "recovered")
CLS_STEPS = 5e3  # of a shift of 1 in histograms: bins are exact up to 2048 steps, a shift of 0.4
MAX_TASK_RATIO = 2.0  # duration of a fixed task in the browser, relative to that of the probe's fastest visit


class BrowserPage(NamedTuple):
    """One page of a visit, or one step of it.

    outcome: ok, error_page (status 400 or above), missing (an element of the page that the journey needs),
        failed (it could not be loaded), timeout (not loaded within the probe's patience).
    load_ms: from the click or address to the end of loading; None unless it ended.
    blocked: requests to hosts that may not be loaded, such as third parties.
    """

    probe: int
    visit: int
    at_s: float
    page: str
    outcome: str
    status: int
    detail: str
    load_ms: float | None
    ttfb_ms: float | None
    fcp_ms: float | None
    lcp_ms: float | None
    inp_ms: float | None
    cls: float | None
    long_tasks: int
    long_task_ms: float
    failed_resources: int
    console_errors: int
    blocked: int


class BrowserVisit(NamedTuple):
    """One visit of one probe. outcome: complete, or that of the page at which it ended.

    journey_ms: time spent waiting for pages, without pauses; None unless the visit is complete.
    task_ms: median duration of a fixed task in the browser, run before, between and after its pages.
    """

    probe: int
    visit: int
    at_s: float
    outcome: str
    journey_ms: float | None
    task_ms: float | None


class BrowserPicture(NamedTuple):
    """What the shopper saw at one of the `MOMENTS`, `seen_after_ms` after the click that led to a page."""

    moment: str
    probe: int
    visit: int
    at_s: float
    page: str
    seen_after_ms: float
    jpeg: bytes


@dataclass(frozen=True, slots=True)
class BrowserRecords:
    """Everything that the probes of a run recorded."""

    visits: tuple[BrowserVisit, ...] = ()
    pages: tuple[BrowserPage, ...] = ()
    pictures: tuple[BrowserPicture, ...] = ()

    def starved(self) -> frozenset[tuple[int, int]]:
        """(probe, visit) of the visits whose browser had less than half its speed: it was short of CPU."""
        fastest_ms: dict[int, float] = {}
        for visit in self.visits:
            if visit.task_ms is not None:
                fastest_ms[visit.probe] = min(visit.task_ms, fastest_ms.get(visit.probe, visit.task_ms))
        return frozenset(
            (visit.probe, visit.visit)
            for visit in self.visits
            if visit.task_ms is not None and visit.task_ms > MAX_TASK_RATIO * fastest_ms[visit.probe]
        )

    def calm(self) -> BrowserRecords:
        """What was measured before the first customer: visits that were over by then, and pages."""
        begun = {(page.probe, page.visit) for page in self.pages if page.at_s >= 0}
        return BrowserRecords(
            tuple(
                visit for visit in self.visits if visit.at_s < 0 and (visit.probe, visit.visit) not in begun
            ),
            tuple(page for page in self.pages if page.at_s < 0),
        )

    def sound(self) -> BrowserRecords:
        """The visits of which something can be claimed, and their pages."""
        without = self.starved()
        return BrowserRecords(
            tuple(visit for visit in self.visits if (visit.probe, visit.visit) not in without),
            tuple(page for page in self.pages if (page.probe, page.visit) not in without),
            self.pictures,
        )


def pages_of(pages: Sequence[BrowserPage], visit: BrowserVisit) -> tuple[BrowserPage, ...]:
    """The pages of one visit, in order."""
    return tuple(page for page in pages if (page.probe, page.visit) == (visit.probe, visit.visit))
