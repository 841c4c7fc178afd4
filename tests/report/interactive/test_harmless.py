"""Hostile names and texts stay text in the interactive page; nothing is loaded and nothing of them runs."""

from __future__ import annotations

import pytest

from doorbuster.records.batch import Event

TRAPS = (
    "<img src=http://127.0.0.1:9/x onerror=trapped()>",
    "</script><script>trapped()</script>",
    "javascript:trapped()//'\"><svg onload=trapped()>",
    "{{constructor.constructor('trapped()')()}}<style>@import 'http://127.0.0.1:9/y'</style>",
)


@pytest.fixture(scope="module")
def hostile(browser, page):
    image, script, link, style = TRAPS
    path = page(web=image, checkout=script, cause=link, reason=style, events=(Event(1.0, style, image),),
                meta={"title": script, "target_url": link, "story": image, "git_commit": style})  # fmt: skip
    browser.open(path.as_uri())
    browser.js("window.trapped = () => { document.documentElement.dataset.trapped = 'yes'; }")
    browser.ready()
    return browser


def open_everything(browser) -> None:
    browser.js("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    browser.js("""new Promise((done) => { const look = () =>
      document.querySelector('.chart[aria-busy=true]') ? requestAnimationFrame(look) : done(); look(); })""")


def test_nothing_runs_and_nothing_is_requested(hostile):
    open_everything(hostile)
    for name in ("channel", "step"):
        hostile.js(f"""for (const option of document.querySelector('select[name={name}]').options) {{
          const box = document.querySelector('select[name={name}]');
          box.value = option.value; box.dispatchEvent(new Event('change')); }}""")
        hostile.js("document.querySelector('button[name=reset]').click()")
    open_everything(hostile)
    assert hostile.js("document.documentElement.dataset.trapped") is None
    assert hostile.problems() == []
    assert hostile.js("document.querySelectorAll('img, iframe, link, object, embed').length") == 0
    assert hostile.js("document.scripts.length") == 2
    assert hostile.js("[...document.links].every((one) => one.getAttribute('href').startsWith('#'))")


def test_hostile_names_are_shown_as_they_are(hostile):
    text = hostile.js("document.body.innerText")
    assert TRAPS[0] in text
    assert TRAPS[1] in text
    options = hostile.js("[...document.querySelector('select[name=channel]').options].map((one) => one.text)")
    assert TRAPS[0] in options


def test_a_hostile_address_is_ignored(browser, page):
    browser.open(
        page().as_uri() + "#latency?channel=<script>trapped()</script>&p=1e999&from=-5&to=NaN&step=__proto__"
    )
    browser.ready()
    assert browser.problems() == []
    assert browser.js("document.querySelector('select[name=channel]').value") == ""
    assert browser.js("document.querySelector('input[name=p]').value") == "95"


def test_the_policy_refuses_scripts_and_styles_that_are_not_the_page_s(hostile):
    hostile.js("""{ const script = document.createElement('script'); script.textContent = 'trapped()';
      document.body.append(script); const style = document.createElement('style');
      style.textContent = 'body { display: none }'; document.body.append(style);
      document.body.insertAdjacentHTML('beforeend', '<p style="color: red" id="styled">x</p>'); }""")
    assert hostile.js("document.documentElement.dataset.trapped") is None
    assert hostile.js("getComputedStyle(document.body).display") != "none"
    assert hostile.js("getComputedStyle(document.getElementById('styled')).color") != "rgb(255, 0, 0)"
