"""The shop's books since a moment of our clock, whatever the clock of the shop shows.

The shop writes its own time beside each order, and is asked for orders by that time. How far its clock is
from ours stands in the Date header of its answers, to a second: an answer sent between two readings of our
clock is of some moment between them. A shop whose books another machine dates, by another clock than its
answers, is not told apart from one that has lost its orders if the two are more than a minute apart.
"""

from __future__ import annotations

import math
from time import time
from typing import Any

from doorbuster.load.http.dates import unix_s_of
from doorbuster.storefronts import Client, HttpResponse, LedgerSnapshot, Storefront

MARGIN_S = 60.0  # read besides, before the moment; what was booked earlier is told apart by its reference
NOTICED_S = 2.0  # a Date header has whole seconds: closer clocks are taken for right


class ShopClock:
    """Implements `storefronts.Client`; keeps what the answers say about the clock of the shop."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._least_s, self._most_s = -math.inf, math.inf

    def request(self, method: str, url: str, **options: Any) -> HttpResponse:
        sent_s = time()
        answer = self._client.request(method, url, **options)
        dated_s = unix_s_of(answer.headers.get("date", "")) if answer.status_code else None
        if dated_s is not None:
            least_s, most_s = dated_s - time(), dated_s + 1.0 - sent_s
            if least_s > self._most_s or most_s < self._least_s:  # one of the clocks was set meanwhile
                self._least_s, self._most_s = least_s, most_s
            else:
                self._least_s, self._most_s = max(least_s, self._least_s), min(most_s, self._most_s)
        return answer

    @property
    def ahead_s(self) -> float:
        """The clock of the shop minus ours; 0 when no answer was dated, or when nothing can be noticed."""
        middle_s = (self._least_s + self._most_s) / 2.0
        return middle_s if math.isfinite(middle_s) and abs(middle_s) >= NOTICED_S else 0.0


def ledger_since(
    driver: type[Storefront], client: Client, *, since_unix_s: float
) -> tuple[LedgerSnapshot, float] | None:
    """The books with every order since a moment of our clock, and how far the clock of the shop is ahead;
    None when this shop shows none.

    Raises:
        storefronts.Rejected: the shop does not answer.
    """
    watched = ShopClock(client)
    books = driver.read_ledger(watched, since_unix_s=since_unix_s - MARGIN_S)
    if books is not None and watched.ahead_s:
        books = driver.read_ledger(watched, since_unix_s=since_unix_s + watched.ahead_s - MARGIN_S)
    return None if books is None else (books, watched.ahead_s)
