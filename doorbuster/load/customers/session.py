"""One customer's HTTP client as a storefront driver sees it: it knows which step is under way.

Everything sent between one `open` and the next belongs to one step: redirects and a page's critical requests
included. The step's time limit holds for all of it together, and its clock runs from the intended start.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from doorbuster.load.http.client import HttpClient
from doorbuster.load.http.exchange import Exchange, RequestFailed
from doorbuster.load.http.response import Response
from doorbuster.load.http.settings import HttpSettings
from doorbuster.scenario import Rule
from doorbuster.storefronts import Rejected


class StepSession(HttpClient):
    """Implements `storefronts.Client`; collects the exchanges of the step that is open."""

    def __init__(self, base_url: str, settings: HttpSettings) -> None:
        super().__init__(base_url, settings=settings)
        self.exchanges: list[Exchange] = []

    def open(self, name: str, *, intended_at: float, deadline_at: float) -> None:
        """Start a step: `intended_at` and `deadline_at` are readings of `time.perf_counter`."""
        self.request_name = name
        self.due_at = intended_at
        self.deadline_at = deadline_at
        self.exchanges.clear()

    def _report(self, exchange: Exchange, response: Response, context: Mapping[str, Any] | None) -> None:  # noqa: ARG002
        self.exchanges.append(exchange)
        self.due_at = None


class ContentCheckingSession(StepSession):
    """A session that keeps the last answer of a step, for the scenario's content rules."""

    def __init__(self, base_url: str, settings: HttpSettings) -> None:
        super().__init__(base_url, settings)
        self.answer: Response | None = None

    def open(self, name: str, *, intended_at: float, deadline_at: float) -> None:
        self.answer = None
        super().open(name, intended_at=intended_at, deadline_at=deadline_at)

    def _report(self, exchange: Exchange, response: Response, context: Mapping[str, Any] | None) -> None:
        super()._report(exchange, response, context)
        self.answer = response

    def breach(self, rules: tuple[Rule, ...]) -> Rejected | None:
        """What the last answer breaks; None if it keeps all rules. The answer is then let go."""
        answer, self.answer = self.answer, None
        if answer is None:
            return None
        for rule in rules:
            try:
                detail = rule.breach(answer)
            except RequestFailed as damaged:
                return Rejected(damaged.cause, damaged.detail)
            if detail is not None:
                return Rejected(rule.cause, detail)
        return None
