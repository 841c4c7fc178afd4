"""A limit on retries in proportion to requests."""

from __future__ import annotations

BUDGET_START, BUDGET_MAX = 10.0, 100.0  # retries


class RetryBudget:
    """Token bucket that limits the retries of one worker's customers in one channel.

    It starts with BUDGET_START tokens and holds BUDGET_MAX at most; each first attempt adds `ratio`, each
    retry takes one. Source: gRPC retry throttling (A6) and the retry budgets of Finagle, with the numbers of
    the published comparison of metastable failures that tests/truth reproduces.
    """

    def __init__(self, ratio: float) -> None:
        self._ratio = ratio
        self._tokens = BUDGET_START

    def earn(self) -> None:
        """Account for a first attempt."""
        self._tokens = min(self._tokens + self._ratio, BUDGET_MAX)

    def spend(self) -> bool:
        """Take one token; returns False if there is none."""
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True
