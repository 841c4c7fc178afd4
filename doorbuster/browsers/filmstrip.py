"""Chooses the pictures of a report: a page at calm, when it broke, at its worst, after recovery. Pure.

worst      of the visits that did not reach their end, the last one with the longest wait; else the visit with
           the slowest page.
broke      the first visit that did not reach its end, or with a page that took `BROKE_RATIO` times as long as
           at calm, and more than `BROKE_MS`.
calm       the last visit before the first customer that has a picture of the page of `worst`.
           `worst` is absent if it is the same page.
recovered  the last visit of all, if it is complete and later than `worst`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from statistics import median
from typing import NamedTuple

from doorbuster.browsers.visit import PagePicture
from doorbuster.records.browser import (
    COMPLETE,
    TIMEOUT,
    BrowserPage,
    BrowserPicture,
    BrowserVisit,
    pages_of,
)

BROKE_RATIO = 4.0
BROKE_MS = 2500.0  # Largest Contentful Paint of a good page, by Core Web Vitals

PictureOf = Callable[[BrowserPage], PagePicture | None]


class Seen(NamedTuple):
    """A page of a visit of which a picture exists."""

    visit: BrowserVisit
    page: BrowserPage


def choose_pictures(
    visits: Iterable[BrowserVisit],
    pages: tuple[BrowserPage, ...],
    picture_of: PictureOf,
) -> tuple[BrowserPicture, ...]:
    """The pictures in the order of the moments; a moment that did not occur is absent."""
    ordered = sorted(visits, key=lambda visit: visit.at_s)
    usual_ms = _usual_ms(pages)

    def slowest(visit: BrowserVisit) -> BrowserPage | None:
        """The page at which a visit ended, or its slowest; of those with a picture."""
        seen = [page for page in pages_of(pages, visit) if picture_of(page)]
        if visit.outcome != COMPLETE:
            return seen[-1] if seen else None
        return max(seen, key=lambda page: page.load_ms or 0.0, default=None)

    loaded = [visit for visit in ordered if visit.at_s >= 0]
    broken = [visit for visit in loaded if visit.outcome != COMPLETE or _is_slow(visit, pages, usual_ms)]
    candidates = [Seen(visit, page) for visit in loaded if (page := slowest(visit)) is not None]
    worst = max(candidates, key=_badness, default=None)
    if worst is None:
        return ()
    chosen: dict[str, Seen] = {"worst": worst}
    before = [page for page in pages if page.at_s < 0]
    calm = _last_of(worst.page.page, [visit for visit in ordered if visit.at_s < 0], before, picture_of)
    if calm is not None:
        chosen["calm"] = calm
    if broken and (page := slowest(broken[0])) is not None:
        chosen["broke"] = Seen(broken[0], page)
        if chosen["broke"] == worst:
            del chosen["worst"]
    last = ordered[-1]
    if last.outcome == COMPLETE and last.at_s > worst.visit.at_s:
        again = _last_of(worst.page.page, [last], pages, picture_of)
        if again is not None:
            chosen["recovered"] = again
    found = []
    for moment, seen in sorted(chosen.items(), key=lambda item: (item[1].page.at_s, item[0])):
        picture, page = picture_of(seen.page), seen.page
        if picture is not None:
            found.append(BrowserPicture(moment, page.probe, page.visit, page.at_s, page.page, *picture))
    return tuple(found)


def _badness(seen: Seen) -> tuple[bool, float, float]:
    waited_ms = math.inf if seen.page.outcome == TIMEOUT else seen.page.load_ms or 0.0
    return seen.visit.outcome != COMPLETE, waited_ms, seen.visit.at_s


def _usual_ms(pages: tuple[BrowserPage, ...]) -> dict[str, float]:
    """The median loading time of each page at calm."""
    times: dict[str, list[float]] = {}
    for page in pages:
        if page.at_s < 0 and page.load_ms is not None:
            times.setdefault(page.page, []).append(page.load_ms)
    return {name: median(found) for name, found in times.items()}


def _is_slow(visit: BrowserVisit, pages: tuple[BrowserPage, ...], usual_ms: dict[str, float]) -> bool:
    return any(
        page.load_ms is not None
        and page.load_ms > max(BROKE_MS, BROKE_RATIO * usual_ms.get(page.page, BROKE_MS))
        for page in pages_of(pages, visit)
    )


def _last_of(
    name: str,
    visits: list[BrowserVisit],
    pages: Sequence[BrowserPage],
    picture_of: PictureOf,
) -> Seen | None:
    """The latest picture of a page in these visits."""
    for visit in reversed(visits):
        for page in pages_of(pages, visit):
            if page.page == name and picture_of(page):
                return Seen(visit, page)
    return None
