"""One customer's HTTP client as a storefront driver sees it: it knows which step is under way.

Everything sent between `open` and `close` belongs to one step: redirects and a page's critical requests
included. The step's time limit holds for all of it together.
"""

from __future__ import annotations

from time import perf_counter
from typing import Any

from doorbuster.load.http.client import HttpClient
from doorbuster.load.http.exchange import Exchange
from doorbuster.load.http.settings import HttpSettings, Timeouts
from doorbuster.storefronts import Response

MIN_LIMIT_S = 0.001


class StepSession:
    """Implements `storefronts.Client`; collects the exchanges of the step that is open."""

    __slots__ = ("_deadline_at", "_http", "_intended_at", "_name", "exchanges")

    def __init__(self, base_url: str, settings: HttpSettings) -> None:
        self._http = HttpClient(base_url, on_exchange=self._note, settings=settings)
        self._name = ""
        self._intended_at = 0.0
        self._deadline_at = 0.0
        self.exchanges: list[Exchange] = []

    def open(self, name: str, *, intended_at: float, deadline_at: float) -> None:
        """Start a step: `intended_at` and `deadline_at` are readings of `time.perf_counter`."""
        self._name = name
        self._intended_at = intended_at
        self._deadline_at = deadline_at
        self.exchanges = []

    def request(self, method: str, url: str, **options: Any) -> Response:
        """Send one request of the open step; see `HttpClient.request` for the options."""
        left_s = max(self._deadline_at - perf_counter(), MIN_LIMIT_S)
        intended_at = None if self.exchanges else self._intended_at
        options.setdefault("name", self._name)
        answer: Response = self._http.request(
            method, url, timeout=Timeouts(total_s=left_s), intended_at=intended_at, **options
        )
        return answer

    def close(self) -> None:
        self._http.close()

    def _note(self, exchange: Exchange) -> None:
        self.exchanges.append(exchange)
