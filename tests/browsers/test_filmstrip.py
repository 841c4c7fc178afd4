"""Which pictures a report shows, and which visits count."""

from __future__ import annotations

from doorbuster.browsers.filmstrip import choose_pictures
from doorbuster.browsers.visit import PagePicture
from doorbuster.records.browser import BrowserPage, BrowserRecords, BrowserVisit


def visit(number: int, at_s: float, *load_ms: float | None, task_ms: float = 5.0, outcome: str = ""):
    """A visit to the pages home, product, …; None is a page that did not come."""
    ended = outcome or ("complete" if None not in load_ms else "timeout")
    names = ("home", "product", "basket")
    pages = [
        BrowserPage(1, number, at_s + place, names[place], "ok" if took is not None else ended, 200, "", took,
                    None, None, took, None, 0.0, 0, 0.0, 0, 0, 0)
        for place, took in enumerate(load_ms)
    ]  # fmt: skip
    waited = None if None in load_ms else sum(took or 0 for took in load_ms)
    return BrowserVisit(1, number, at_s, ended, waited, task_ms), pages


def chosen(*visits, without=()) -> list[tuple[str, int, str]]:
    pages = tuple(page for _, found in visits for page in found)

    def picture_of(page):
        return None if (page.visit, page.page) in without else PagePicture(1.0, b"\xff\xd8\xff")

    found = choose_pictures([one for one, _ in visits], pages, picture_of)
    return [(picture.moment, picture.visit, picture.page) for picture in found]


def test_the_strip_shows_one_page_at_calm_broken_and_recovered():
    assert chosen(
        visit(0, -20, 100, 200), visit(1, -5, 100, 200), visit(2, 3, 100, 210), visit(3, 20, 900, 4000),
        visit(4, 40, 500, None), visit(5, 60, 300, None), visit(6, 90, 100, 220),
    ) == [
        ("calm", 1, "product"), ("broke", 3, "product"), ("worst", 5, "product"), ("recovered", 6, "product")
    ]  # fmt: skip


def test_a_run_that_never_breaks_has_no_such_picture():
    assert chosen(visit(0, -5, 100, 200), visit(1, 10, 120, 300), visit(2, 20, 100, 200)) == [
        ("calm", 0, "product"), ("worst", 1, "product"), ("recovered", 2, "product")
    ]  # fmt: skip


def test_one_broken_visit_is_shown_once():
    assert chosen(visit(0, -5, 100), visit(1, 10, None)) == [("calm", 0, "home"), ("broke", 1, "home")]


def test_a_page_under_load_of_a_visit_that_began_at_calm_is_no_reference():
    assert chosen(visit(0, -0.5, 100, 200), visit(1, 10, 100, None)) == [("broke", 1, "product")]


def test_without_pictures_there_is_no_strip():
    assert chosen() == []
    assert chosen(visit(0, 5, 100), without={(0, "home")}) == []


def test_visits_short_of_cpu_are_left_out():
    found = [visit(0, -5, 100, task_ms=5.0), visit(1, 5, 100, task_ms=9.9), visit(2, 9, 900, task_ms=10.1)]
    records = BrowserRecords(
        tuple(one for one, _ in found), tuple(page for _, pages in found for page in pages)
    )
    assert records.starved() == {(1, 2)}
    assert [page.visit for page in records.sound().pages] == [0, 1]
    assert [page.visit for page in records.calm().pages] == [0]
