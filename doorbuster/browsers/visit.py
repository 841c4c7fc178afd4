"""One visit: a new customer walks the journey in a browser context of its own, without cache and cookies."""

from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median
from time import perf_counter
from typing import Any, NamedTuple

from doorbuster.browsers.chromium import BrowserSilent, Chromium, ProtocolRefused
from doorbuster.browsers.journey import JourneyStep, ProbeTask
from doorbuster.browsers.page_watch import BINDING, VITALS, PageState, PageWatch, injected_script
from doorbuster.output import masked, one_line
from doorbuster.records.browser import COMPLETE, OK, TIMEOUT, BrowserPage, BrowserVisit

LOOK_AFTER_S = 2.5  # a page that takes longer is pictured while the shopper waits for it
SETTLE_S = 0.5  # a look at the page, in which late contentful paints and shifts happen
PICTURE_LIMIT_S, REACTION_LIMIT_S = 3.0, 5.0
POLL_S = 0.05
DESKTOP, PHONE = (1280, 800), (390, 844)
PICTURE_WIDTH = 480  # px
PICTURE_QUALITY = 45
MAX_DETAIL = 200
# A fixed task: how long it takes tells how fast the browser is right now.
_TASK = """(() => { const took = []; for (let k = 0; k < 5; k++) { const from = performance.now(); let x = 1;
for (let i = 0; i < 400000; i++) x = (x * 1103515245 + 12345) & 0x7fffffff;
took.push(performance.now() - from + (x < 0 ? 1 : 0)); } return took.sort((a, b) => a - b)[2]; })()"""
_POINT = """(selector => { const found = document.querySelector(selector); if (!found) return null;
found.scrollIntoView({block: 'center', behavior: 'instant'}); const box = found.getBoundingClientRect();
return [box.x + box.width / 2, box.y + box.height / 2]; })"""
_HAS = "(selector => !!document.querySelector(selector))"
_FILL = """((selector, text) => { const found = document.querySelector(selector); if (!found) return false;
found.focus(); found.value = text; found.dispatchEvent(new Event('input', {bubbles: true}));
found.dispatchEvent(new Event('change', {bubbles: true})); return true; })"""


class PagePicture(NamedTuple):
    """What the shopper saw so long after the click."""

    seen_after_ms: float
    jpeg: bytes


@dataclass
class WalkedPage:
    """A page of a visit while its figures may still change, and its picture."""

    step: JourneyStep
    at_s: float
    state: PageState
    began_at: float = field(default_factory=perf_counter)
    outcome: str = OK
    detail: str = ""
    load_ms: float | None = None
    picture: PagePicture | None = None


@dataclass
class WalkedVisit:
    """A finished visit."""

    visit: BrowserVisit
    pages: tuple[BrowserPage, ...]
    pictures: dict[str, PagePicture] = field(default_factory=dict)  # by page


class Visitor:
    """Walks one visit. `now_s` is the time of the run."""

    def __init__(
        self, browser: Chromium, watch: PageWatch, task: ProbeTask, now_s: Callable[[], float]
    ) -> None:
        self._browser = browser
        self._watch = watch
        self._task = task
        self._now_s = now_s
        self._session = ""
        self._pages: list[WalkedPage] = []
        self._tasks_ms: list[float] = []
        self._asked: int | None = None  # the number of a question that is still open

    def walk(self, number: int) -> WalkedVisit:
        """Walk the journey until its end, or until a page is not what it should be. Raises: BrowserFailed."""
        at_s = self._now_s()
        context = self._browser.call("Target.createBrowserContext")["browserContextId"]
        try:
            self._open_tab(context)
            self._time_fixed_task()
            for step in self._task.journey:
                if self._walk_page(step).outcome != OK:
                    break
            else:
                self._leave()
                self._time_fixed_task()
        finally:
            with contextlib.suppress(ProtocolRefused, BrowserSilent):
                self._browser.call("Target.disposeBrowserContext", browserContextId=context)
        outcome = self._pages[-1].outcome
        waited_ms = sum(page.load_ms or 0.0 for page in self._pages)
        visit = BrowserVisit(
            self._task.probe, number, at_s, COMPLETE if outcome == OK else outcome,
            waited_ms if outcome == OK else None, median(self._tasks_ms) if self._tasks_ms else None,
        )  # fmt: skip
        pictures = {page.step.page: page.picture for page in self._pages if page.picture is not None}
        return WalkedVisit(visit, tuple(self._row(number, page) for page in self._pages), pictures)

    # ---- inside

    def _call(self, method: str, **params: Any) -> dict[str, Any]:
        return self._browser.call(method, self._session, **params)

    def _open_tab(self, context: str) -> None:
        width, height = PHONE if self._task.phone else DESKTOP
        target = self._browser.call("Target.createTarget", url="about:blank", browserContextId=context)
        attached = self._browser.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        self._session = attached["sessionId"]
        self._watch.main_frame = target["targetId"]
        self._call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1,
                   mobile=self._task.phone)  # fmt: skip
        if self._task.phone:
            self._call("Emulation.setTouchEmulationEnabled", enabled=True)
        for domain in ("Page", "Network", "Runtime", "Inspector"):
            self._call(f"{domain}.enable")
        self._call("Network.setExtraHTTPHeaders", headers=self._task.headers)
        self._call("Runtime.addBinding", name=BINDING)
        self._call("Page.addScriptToEvaluateOnNewDocument", source=injected_script())

    def _walk_page(self, step: JourneyStep) -> WalkedPage:
        """Go to one page and look at it."""
        self._handle(0.0)
        page = WalkedPage(step, self._now_s(), self._watch.page)
        self._pages.append(page)
        try:
            if not step.click or self._fill_and_find(step, page):
                # An element that is there already cannot show that the page has changed in place.
                in_place = bool(step.click and step.expect) and not self._has(step.expect)
                page.at_s, page.began_at = self._now_s(), perf_counter()
                page.state = self._watch.next_page()
                self._await_loaded(page, self._go(step), in_place=in_place)
            self._look(page)
        except BrowserSilent:
            page.outcome, page.detail, page.load_ms = TIMEOUT, "the page did not react", None
        return page

    def _fill_and_find(self, step: JourneyStep, page: WalkedPage) -> bool:
        """Fill the fields and find what will be clicked; the page then has a point to click at."""
        for selector, text in step.fill.items():
            if not self._evaluate(f"{_FILL}({json.dumps(selector)}, {json.dumps(text)})"):
                page.outcome, page.detail = "missing", f"no element matches {selector!r}"
                return False
        if not self._has(step.click):
            page.outcome, page.detail = "missing", f"no element matches {step.click!r}"
            return False
        return True

    def _go(self, step: JourneyStep) -> int:
        """Open the address or click; returns the number of the command."""
        if step.open:
            return self._browser.send("Page.navigate", self._session, url=f"{self._task.url}{step.open}")
        x, y = self._point(step.click)
        mouse = {"x": x, "y": y, "button": "left", "clickCount": 1}
        self._browser.send("Input.dispatchMouseEvent", self._session, type="mousePressed", **mouse)
        return self._browser.send("Input.dispatchMouseEvent", self._session, type="mouseReleased", **mouse)

    def _await_loaded(self, page: WalkedPage, number: int, *, in_place: bool) -> None:
        """Wait for the page as long as the shopper would; sets its outcome."""
        state, step = page.state, page.step

        def is_decided() -> bool:
            answer = self._browser.answer(number)
            refused = (answer or {}).get("result", {}).get("errorText", "")
            state.error = state.error or refused
            return bool(state.error) or self._watch.crashed or state.loaded

        decided = False
        while not decided and perf_counter() - page.began_at < self._task.patience_s:
            decided = self._browser.wait(is_decided, limit_s=POLL_S)
            self._close_dialogs()
            if not decided and in_place and not state.navigating:
                decided = self._has_by_now(step.expect)
            if not decided and page.picture is None and perf_counter() - page.began_at > LOOK_AFTER_S:
                self._take_picture(page)
        took_ms = (perf_counter() - page.began_at) * 1e3
        if self._watch.crashed:
            page.outcome, page.detail = "failed", "the page crashed the browser's tab"
        elif state.error:
            page.outcome, page.detail = "failed", state.error
        elif not decided:
            page.outcome, page.detail = "timeout", f"not loaded within {self._task.patience_s:g} s"
        else:
            page.load_ms = took_ms
            if state.status >= 400:
                page.outcome, page.detail = "error_page", f"status {state.status}"
            elif step.expect and not self._has(step.expect):
                page.outcome, page.detail = "missing", f"no element matches {step.expect!r}"

    def _look(self, page: WalkedPage) -> None:
        """Look at the page for a moment."""
        self._handle(SETTLE_S)
        if page.picture is None or page.outcome not in (OK, TIMEOUT):
            self._take_picture(page)
        if page.outcome == OK:
            self._time_fixed_task()

    def _take_picture(self, page: WalkedPage) -> None:
        """A picture of what the tab shows now; none if the browser takes too long."""
        width, height = PHONE if self._task.phone else DESKTOP
        after_ms = (perf_counter() - page.began_at) * 1e3
        with contextlib.suppress(BrowserSilent, ProtocolRefused, ValueError, KeyError):
            metrics = self._browser.call("Page.getLayoutMetrics", self._session, limit_s=PICTURE_LIMIT_S)
            view = metrics["cssVisualViewport"]
            clip = {
                "x": view["pageX"], "y": view["pageY"], "width": width, "height": height,
                "scale": min(1.0, PICTURE_WIDTH / width),
            }  # fmt: skip
            found = self._browser.call(
                "Page.captureScreenshot", self._session, limit_s=PICTURE_LIMIT_S,
                format="jpeg", quality=PICTURE_QUALITY, clip=clip, optimizeForSpeed=True,
            )  # fmt: skip
            page.picture = PagePicture(after_ms, base64.b64decode(found["data"]))

    def _leave(self) -> None:
        """Leave the last page, on which it reports its interactions."""
        self._watch.next_page()
        self._browser.send("Page.navigate", self._session, url="about:blank")
        self._browser.wait(lambda: self._watch.page.loaded, limit_s=1.0)

    def _handle(self, for_s: float) -> None:
        self._browser.wait(lambda: False, limit_s=for_s)
        self._close_dialogs()

    def _close_dialogs(self) -> None:
        while self._watch.dialogs:
            self._watch.dialogs -= 1
            self._browser.send("Page.handleJavaScriptDialog", self._session, accept=False)

    def _evaluate(self, expression: str) -> Any:
        """The value of an expression in the page; None where it raises. Raises: BrowserSilent."""
        try:
            found = self._browser.call("Runtime.evaluate", self._session, limit_s=REACTION_LIMIT_S,
                                       expression=expression, returnByValue=True)  # fmt: skip
        except ProtocolRefused:
            return None
        return found.get("result", {}).get("value")

    def _point(self, selector: str) -> tuple[float, float]:
        """The middle of an element in the window; (0, 0) if the page says something else."""
        match self._evaluate(f"{_POINT}({json.dumps(selector)})"):
            case [int() | float() as x, int() | float() as y]:
                return float(x), float(y)
        return 0.0, 0.0

    def _has(self, selector: str) -> bool:
        """Whether the page has an element that matches."""
        return bool(self._evaluate(f"{_HAS}({json.dumps(selector)})"))

    def _has_by_now(self, selector: str) -> bool:
        """The same without waiting: a page that is about to be replaced answers only after that."""
        if self._asked is None:
            self._asked = self._browser.send("Runtime.evaluate", self._session, returnByValue=True,
                                             expression=f"{_HAS}({json.dumps(selector)})")  # fmt: skip
        answer = self._browser.answer(self._asked)
        if answer is None:
            return False
        self._asked = None
        return bool(answer.get("result", {}).get("result", {}).get("value"))

    def _time_fixed_task(self) -> None:
        value = self._evaluate(_TASK)
        if isinstance(value, int | float) and 0 < value < 1e6:
            self._tasks_ms.append(float(value))

    def _row(self, number: int, page: WalkedPage) -> BrowserPage:
        figures, state = self._watch.figures(page.state), page.state
        ttfb_ms, fcp_ms, lcp_ms, inp_ms, shift = (figures.vitals.get(name) for name in VITALS)
        return BrowserPage(
            probe=self._task.probe,
            visit=number,
            at_s=page.at_s,
            page=page.step.page,
            outcome=page.outcome,
            status=state.status,
            detail=one_line(masked(page.detail), MAX_DETAIL),
            load_ms=page.load_ms,
            ttfb_ms=ttfb_ms,
            fcp_ms=fcp_ms,
            lcp_ms=lcp_ms,
            inp_ms=inp_ms,
            cls=shift,
            long_tasks=len(figures.long_tasks),
            long_task_ms=sum(figures.long_tasks),
            failed_resources=state.failed_resources,
            console_errors=state.console_errors,
            blocked=state.blocked,
        )
