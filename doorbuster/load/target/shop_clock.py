"""Reads the shop's ledger since a time of the generator's clock, whatever the shop's clock shows.

The shop dates its orders with its own clock and is queried by that time. The Date header of its responses
shows its clock to a second: a response was sent at some time between the request and its receipt. If the
ledger is dated by another machine, whose clock differs from that of the responses by more than a minute,
orders appear to be missing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from time import time
from typing import Any

from doorbuster.load.http.dates import parse_http_date
from doorbuster.storefronts import Client, HttpResponse, LedgerSnapshot, Storefront

MARGIN_S = 60.0  # read this much earlier; older orders are recognised by their references
RESOLUTION_S = 2.0  # a Date header has whole seconds; smaller differences are ignored


class ShopClock:
    """Implements `storefronts.Client`; measures the shop's clock from the Date headers of its responses."""

    def __init__(self, client: Client, clock: Callable[[], float] = time) -> None:
        self._client = client
        self._clock = clock
        self._min_s, self._max_s = -math.inf, math.inf

    def request(self, method: str, url: str, **options: Any) -> HttpResponse:
        sent_s = self._clock()
        answer = self._client.request(method, url, **options)
        dated_s = parse_http_date(answer.headers.get("date", "")) if answer.status_code else None
        if dated_s is not None:
            min_s, max_s = dated_s - self._clock(), dated_s + 1.0 - sent_s
            if min_s > self._max_s or max_s < self._min_s:  # one of the clocks was set
                self._min_s, self._max_s = min_s, max_s
            else:
                self._min_s, self._max_s = max(min_s, self._min_s), min(max_s, self._max_s)
        return answer

    @property
    def ahead_s(self) -> float:
        """The shop's clock minus the generator's; 0 without a Date header or below RESOLUTION_S."""
        middle_s = (self._min_s + self._max_s) / 2.0
        return middle_s if math.isfinite(middle_s) and abs(middle_s) >= RESOLUTION_S else 0.0


def ledger_since(
    driver: type[Storefront],
    client: Client,
    *,
    since_unix_s: float,
    clock: Callable[[], float] = time,
    earlier_ahead_s: float = 0.0,
) -> tuple[LedgerSnapshot, float] | None:
    """The ledger since a time of the generator's clock, and how far the shop's clock is ahead.

    None if the shop exposes no ledger.

    Args:
        clock: the generator's, in Unix seconds.
        earlier_ahead_s: how far the shop's clock was ahead at `since_unix_s`, which may differ if it was set.

    Raises:
        storefronts.Rejected: the shop does not answer.
    """
    dated = ShopClock(client, clock)
    ledger = driver.read_ledger(dated, since_unix_s=since_unix_s - MARGIN_S)
    ahead_s = min(dated.ahead_s, earlier_ahead_s)
    if ledger is not None and (dated.ahead_s or earlier_ahead_s):
        ledger = driver.read_ledger(dated, since_unix_s=since_unix_s + ahead_s - MARGIN_S)
    return None if ledger is None else (ledger, dated.ahead_s)
