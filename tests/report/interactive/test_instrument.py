"""The page as an instrument: filters, zoom, address, sorting, keyboard, phone, print, and without scripts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

PEAK = {"rate_per_s": 25.0, "broken": (20, 45)}
DRAWN = """new Promise((done) => { const look = () =>
  document.querySelector('.chart[aria-busy=true]:not(details *)') ? requestAnimationFrame(look) : done();
  look(); })"""


@pytest.fixture
def opened(browser, page):
    browser.open(page(**PEAK).as_uri())
    browser.ready()
    browser.js(DRAWN)
    return browser


def mouse(browser, kind: str, x: float, y: float, clicks: int = 1) -> None:
    browser.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", buttons=1, clickCount=clicks)


def plot(browser, place: int) -> list[float]:
    """Left, top, width and height of the plotting area of a chart, in the window."""
    return browser.js(f"""(() => {{ const over = document.querySelectorAll('.u-over')[{place}];
      over.scrollIntoView({{ block: 'center' }}); const box = over.getBoundingClientRect();
      return [box.left, box.top, box.width, box.height]; }})()""")


def times(browser) -> list[str]:
    return browser.js("['from', 'to'].map((name) => document.querySelector(`input[name=${name}]`).value)")


def test_dragging_zooms_every_chart_and_a_double_click_shows_the_whole_run(opened):
    whole = times(opened)
    left, top, width, height = plot(opened, 0)
    middle = top + height / 2
    mouse(opened, "mousePressed", left + width * 0.25, middle)
    for share in (0.3, 0.4, 0.5):
        mouse(opened, "mouseMoved", left + width * share, middle)
    mouse(opened, "mouseReleased", left + width * 0.5, middle)
    opened.js("new Promise((done) => setTimeout(done))")  # the selection is taken after its event
    opened.js(DRAWN)
    zoomed = times(opened)
    assert zoomed != whole
    assert opened.js("location.hash").startswith("#?from=")
    first = opened.js(
        "[...document.querySelectorAll('.canvas')].slice(0, 3).map((one) => one.ariaLabel.length > 0)"
    )
    assert first == [True, True, True]
    left, top, width, height = plot(opened, 1)  # any chart
    for clicks in (1, 2):
        mouse(opened, "mousePressed", left + width / 2, top + height / 2, clicks)
        mouse(opened, "mouseReleased", left + width / 2, top + height / 2, clicks)
    opened.js(DRAWN)
    assert times(opened) == whole
    assert opened.problems() == []


def test_the_address_restores_what_was_shown(opened, browser, page):
    opened.js("""for (const [name, text] of [['channel', 'web'], ['step', 'checkout']]) {
      const box = document.querySelector(`select[name=${name}]`);
      box.value = [...box.options].find((one) => one.text === text).value;
      box.dispatchEvent(new Event('change')); }
      const p = document.querySelector('input[name=p]'); p.value = '99,9';
      p.dispatchEvent(new Event('change'));""")
    opened.js("document.querySelector('#contents a[href=\"#errors\"]').click()")
    address = opened.js("location.hash")
    assert address == "#errors?channel=web&step=checkout&p=99.9"
    shown = opened.js("document.querySelector('#filters summary').textContent")
    browser.open(page(**PEAK).as_uri() + address)
    browser.ready()
    assert browser.js("document.querySelector('#filters summary').textContent") == shown
    top = browser.js("document.getElementById('errors').getBoundingClientRect().top")
    assert -5 < top < 120


def test_a_table_is_sorted_from_the_keyboard(opened):
    head = "document.querySelector('#latency thead th:nth-child(3) button')"
    opened.js(f"{head}.focus(); {head}.click()")
    values = opened.js("""[...document.querySelectorAll('#latency tbody tr')].map(
      (row) => Number(row.cells[2].querySelector('data')?.value ?? -1))""")
    assert values == sorted(values, reverse=True)
    assert opened.js("document.activeElement.closest('th').ariaSort") == "descending"


def test_a_wrong_percentile_is_refused_with_a_reason(opened):
    opened.js("""{ const p = document.querySelector('input[name=p]'); p.value = '100';
      p.dispatchEvent(new Event('change')); }""")
    said = opened.js("document.querySelector('input[name=p]').validationMessage")
    assert said == "Give a percentile above 0 and below 100, such as 99.9."
    assert opened.js("location.hash") == ""


@pytest.mark.parametrize("width", [390, 768])
def test_the_page_never_scrolls_sideways(browser, page, width):
    browser.open(page(**PEAK).as_uri(), width=width)
    browser.ready()
    browser.js("document.querySelectorAll('.engineer details').forEach((one) => { one.open = true; })")
    browser.js(DRAWN)
    assert browser.js("document.querySelector('.engineer').scrollWidth") <= width


def test_print_shows_the_static_figures_and_everything_folded(opened):
    opened.call("Emulation.setEmulatedMedia", media="print")
    try:
        seen = json.loads(
            opened.js("""JSON.stringify({
          panels: [...document.querySelectorAll('[data-panel]')].filter((one) => one.offsetParent).length,
          filters: document.getElementById('filters').offsetParent !== null })""")
        )
        assert seen == {"panels": 0, "filters": False}
    finally:
        opened.call("Emulation.setEmulatedMedia", media="")


def test_without_scripts_the_static_figures_stay(browser, page):
    browser.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.open(page(**PEAK).as_uri())
        shown = browser.js("""[document.documentElement.className,
          getComputedStyle(document.querySelector('.static')).display,
          getComputedStyle(document.getElementById('filters')).display,
          document.querySelector('[data-panel]').hidden]""")
        assert shown == ["", "block", "none", True]
    finally:
        browser.call("Emulation.setScriptExecutionDisabled", value=False)


FILTERED = """(() => { const own = document.getElementById('own');
  const seen = (one) => Boolean(one.offsetParent);
  const texts = (what) => [...own.querySelectorAll(what)].filter(seen).map((one) => one.textContent);
  return JSON.stringify({ notes: texts('.note'), captions: texts('figcaption:not(.spoken)'),
    bar: seen(document.querySelector('#filters .whole-run')) }); })()"""


def test_what_the_filter_does_not_change_says_so_while_it_is_set(opened):
    opened.js("document.getElementById('own').scrollIntoView()")
    opened.js(DRAWN)
    assert json.loads(opened.js(FILTERED)) == {"notes": [], "captions": ["Most came by web"], "bar": False}
    choose = """((text) => { const box = document.querySelector('select[name=channel]');
      box.value = [...box.options].find((one) => one.text === text).value;
      box.dispatchEvent(new Event('change')); })"""
    opened.js(f"{choose}('web')")
    opened.js(DRAWN)
    assert json.loads(opened.js(FILTERED)) == {
        "notes": ["Not filtered by channel.", "Of the whole run: the filter does not apply to this figure."],
        "captions": ["Most came by web"],
        "bar": True,
    }


def test_a_chart_of_a_section_is_drawn_on_the_shared_axis_with_its_intervals(opened):
    opened.js("document.getElementById('own').scrollIntoView()")
    opened.js(DRAWN)
    rows = opened.js("""(() => { const figure = document.querySelector('#own figure.chart');
      figure.querySelector('details').open = true;
      return new Promise((done) => { const look = () => { const table = figure.querySelector('table');
        if (!table) return requestAnimationFrame(look);
        done([...table.rows].map((row) => [...row.cells].map((cell) => cell.textContent)));
      }; look(); }); })()""")
    assert [[cell.replace("\u00a0", " ") for cell in row] for row in rows] == [
        ["from", "served"],
        ["0:05", "50.0 % (40.0 % to 60.0 %)"],
        ["0:15", "–"],
        ["0:25", "25.0 % (10.0 % to ?)"],
    ]
    assert opened.js("document.querySelectorAll('#own .static svg').length") == 1
    assert not opened.js("Boolean(document.querySelector('#own .static').offsetParent)")


def test_a_phone_shows_the_name_of_a_phase_whole_or_not_at_all(browser, page):
    for width in (390, 700):
        browser.open(page(**PEAK).as_uri(), width=width)
        names = browser.js("""[...document.querySelectorAll('.fluid .phase')].map((room) => {
          const box = room.getBoundingClientRect(), name = room.firstElementChild.getBoundingClientRect();
          return name.top >= box.bottom || (name.right <= box.right && name.bottom <= box.bottom + 1); })""")
        assert names
        assert all(names)


@pytest.mark.parametrize(("width", "height", "screens"), [(1280, 800, 1.0), (390, 844, 1.5)])
def test_the_screen_for_the_decision_fits(browser, width, height, screens):
    sample = Path(__file__).parents[3] / "reports" / "sample" / "index.html"
    browser.open(sample.as_uri(), width=width, height=height)
    browser.ready()
    bottom = browser.js("document.getElementById('summary').getBoundingClientRect().bottom")
    assert bottom <= screens * height
    assert browser.js("document.documentElement.scrollWidth") == width
