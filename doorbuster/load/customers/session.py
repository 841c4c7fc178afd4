"""Opens one customer's client: HTTP, or another protocol that the driver names in `open_session`.

A session is opened as `open_session(url, settings, step)`. It is the driver's `client`, has a method `close`,
records every request in `step` and ends each one at `step.deadline_at`. A step's response time is the time
from its intended start to the end of its last request.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from doorbuster.load.customers.page_assets import Asset, AssetCache
from doorbuster.load.exchange import CurrentStep, Exchange, RequestFailed
from doorbuster.load.http.client import HttpClient
from doorbuster.load.http.mypyc_compat import mypyc_attr
from doorbuster.load.http.response import Response
from doorbuster.load.http.settings import HttpSettings
from doorbuster.scenario import ContentRule
from doorbuster.storefronts import Rejected


def http_session(url: str, settings: HttpSettings, step: CurrentStep) -> HttpClient:
    """An HTTP client that records its requests in the step."""
    return HttpClient(url, settings=settings, on_exchange=step.exchanges.append, step=step)


@mypyc_attr(allow_interpreted_subclasses=True)
class ContentCheckingSession(HttpClient):
    """A session that keeps the last answer of a step, for the scenario's content rules."""

    def __init__(self, url: str, settings: HttpSettings, step: CurrentStep) -> None:
        super().__init__(url, settings=settings, step=step)
        self._last: Response | None = None

    def _report(self, exchange: Exchange, response: Response, context: Mapping[str, Any] | None) -> None:  # noqa: ARG002
        self.step.exchanges.append(exchange)
        self._last = response

    def violation(self, rules: tuple[ContentRule, ...]) -> Rejected | None:
        """The rule that the last answer violates; None if it meets all of them. Releases the answer."""
        answer, self._last = self._last, None
        if answer is None or not self.step.exchanges:  # the answer of an earlier step
            return None
        for rule in rules:
            try:
                detail = rule.violation(answer)
            except RequestFailed as damaged:
                return Rejected(damaged.cause, damaged.detail)
            if detail is not None:
                return Rejected(rule.cause, detail)
        return None


@mypyc_attr(allow_interpreted_subclasses=True)
class PageSession(ContentCheckingSession):
    """A session that fetches the static assets of the pages of a step, too."""

    def __init__(self, url: str, settings: HttpSettings, step: CurrentStep, *, critical_only: bool) -> None:
        super().__init__(url, settings, step)
        self._pages: list[Response] = []
        self._cache = AssetCache(critical_only=critical_only)

    def _report(self, exchange: Exchange, response: Response, context: Mapping[str, Any] | None) -> None:
        super()._report(exchange, response, context)
        self._pages.append(response)

    def missing_assets(self) -> list[Asset]:
        """The assets of the step's pages that this customer has not loaded yet. Releases the pages."""
        pages, self._pages = self._pages, []
        return self._cache.missing(pages, self.settings.hosts)

    def fetch_assets(self, assets: list[Asset], *, due_at: float) -> list[Exchange]:
        """Fetch the assets; one record for each, over its redirects."""
        answers = self._cache.fetch(self, assets, due_at=due_at)
        self._pages.clear()
        return [answer.exchange for answer in answers]
