"""Collects what the browser reports about one visit: vitals by document, failures, the state of loading.

Rules of this module:
- Values come from scripts of the target, which may send anything: only known names and finite numbers count.
- A figure belongs to the document that measured it, identified by its time origin, also when it arrives late.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any
from urllib.parse import urlsplit

BINDING = "doorbusterVitals"
VITALS = ("ttfb", "fcp", "lcp", "inp", "cls")
MAX_VALUE = 1e9
MAX_DOCUMENTS = 200  # of one visit
_HOOK = """
(() => {
  if (window.top !== window) return;
  const origin = performance.timeOrigin, post = window.doorbusterVitals;
  const send = (name, value) => { try { post(JSON.stringify([origin, name, value])); } catch (e) {} };
  send('document', 0);
  const all = {reportAllChanges: true, durationThreshold: 16};
  webVitals.onTTFB(m => send('ttfb', m.value));
  webVitals.onFCP(m => send('fcp', m.value));
  webVitals.onLCP(m => send('lcp', m.value), all);
  webVitals.onCLS(m => send('cls', m.value), all);
  webVitals.onINP(m => send('inp', m.value), all);
  try {
    new PerformanceObserver(list => list.getEntries().forEach(e => send('long_task', e.duration)))
      .observe({type: 'longtask', buffered: true});
  } catch (e) {}
})();
"""


def injected_script() -> str:
    """The script that every document runs first: web-vitals of its authors, and the hook that reports."""
    library = (files("doorbuster.browsers") / "vendor" / "web-vitals.iife.js").read_text(encoding="utf-8")
    return f"{library}\n{_HOOK}"


@dataclass
class DocumentFigures:
    """What one document reported."""

    vitals: dict[str, float] = field(default_factory=dict)
    long_tasks: list[float] = field(default_factory=list)


@dataclass
class PageState:
    """One page while it loads. `document` is the time origin of its document, once known."""

    document: float | None = None
    navigating: bool = False  # to a new document, instead of changing in place
    status: int = 0
    loaded: bool = False
    error: str = ""
    failed_resources: int = 0
    console_errors: int = 0
    blocked: int = 0


class PageWatch:
    """The events of one visit; `page` is the page that the shopper is waiting for or looking at.

    `on_request` is called with the Unix time of every request that may be sent.
    """

    def __init__(
        self, may_load: Callable[[str], bool], on_request: Callable[[float], None] = lambda _: None
    ) -> None:
        self.page = PageState()
        self.documents: dict[float, DocumentFigures] = {}
        self.crashed = False
        self.dialogs = 0
        self.main_frame = ""
        self._may_load = may_load
        self._on_request = on_request
        self._blocked: set[str] = set()

    def next_page(self) -> PageState:
        """From now on, events belong to another page."""
        self.page = PageState()
        return self.page

    def handle(self, method: str, params: dict[str, Any], _session: str) -> None:
        """Take one event of the browser."""
        page = self.page
        match method:
            case "Runtime.bindingCalled":
                self._figure(str(params.get("payload", "")))
            case "Page.loadEventFired":
                page.loaded = True
            case "Page.frameNavigated" if "parentId" not in params["frame"]:
                page.navigating = True
                if params["frame"].get("unreachableUrl"):
                    page.error = page.error or "the page cannot be reached"
            case "Network.requestWillBeSent":
                self._request(params)
            case "Network.responseReceived":
                self._response(params)
            case "Network.loadingFailed":
                self._failure(params)
            case "Runtime.exceptionThrown":
                page.console_errors += 1
            case "Runtime.consoleAPICalled" if params.get("type") == "error":
                page.console_errors += 1
            case "Page.javascriptDialogOpening":
                self.dialogs += 1
            case "Inspector.targetCrashed" | "Target.targetCrashed":
                self.crashed = True

    def figures(self, page: PageState) -> DocumentFigures:
        """What the document of a page reported so far."""
        return self.documents.get(page.document or -1.0, DocumentFigures())

    def _figure(self, payload: str) -> None:
        try:
            origin, name, value = json.loads(payload[:1000])
            origin, value = float(origin), float(value)
        except (ValueError, TypeError):
            return
        if not (math.isfinite(origin) and 0 <= value < MAX_VALUE):
            return
        if name == "document":
            if len(self.documents) < MAX_DOCUMENTS:
                self.documents.setdefault(origin, DocumentFigures())
                self.page.document = origin
            return
        found = self.documents.get(origin)
        if found is None:
            return
        if name in VITALS:
            found.vitals[name] = value
        elif name == "long_task" and len(found.long_tasks) < 100_000:
            found.long_tasks.append(value)

    def _request(self, params: dict[str, Any]) -> None:
        if params.get("type") == "Document" and params.get("frameId") == self.main_frame:
            self.page.navigating = True
        url = urlsplit(str(params["request"]["url"]))
        if url.scheme in ("http", "https", "ws", "wss"):
            if self._may_load(url.hostname or ""):
                self._on_request(float(params.get("wallTime", 0.0)))
            else:
                self.page.blocked += 1
                self._blocked.add(str(params["requestId"]))

    def _response(self, params: dict[str, Any]) -> None:
        status = int(params["response"].get("status", 0))
        if params.get("type") == "Document" and params.get("frameId") == self.main_frame:
            self.page.status = status if 0 <= status <= 999 else 0
        elif status >= 400:
            self.page.failed_resources += 1

    def _failure(self, params: dict[str, Any]) -> None:
        if params.get("requestId") in self._blocked or params.get("canceled"):
            return
        if params.get("type") == "Document":
            self.page.error = str(params.get("errorText", "failed"))
        else:
            self.page.failed_resources += 1
