"""Access logs of visits that follow known Markov chains, for tests that must find them again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:141.0) Gecko/20100101 Firefox/141.0"
START_S = 1_700_000_000.0  # 2023-11-14 22:13:20 UTC
ENTER = "enter"
LEAVE = "leave"


@dataclass(frozen=True)
class LoggedPage:
    """One page view; `visit` tells visits apart."""

    time_s: float
    visit: int
    page: str


def simulate(chain, visits, *, rate_per_s, think_s, seed, first=0):
    """Page views of visits that arrive as a Poisson process.

    Args: chain: page -> {next page or "leave": probability}, with a row "enter". think_s: draws a pause.
    """
    rng = np.random.default_rng(seed)
    rows = {page: (list(row), np.cumsum(list(row.values()))) for page, row in chain.items()}
    pages = []
    for number, start_s in enumerate(START_S + np.cumsum(rng.exponential(1 / rate_per_s, visits)), first):
        at_s, page = float(start_s), ENTER
        while True:
            names, cumulative = rows[page]
            page = names[int(np.searchsorted(cumulative, rng.random() * cumulative[-1]))]
            if page == LEAVE:
                break
            pages.append(LoggedPage(at_s, number, page))
            at_s += think_s(rng)
    return pages


def combined_lines(pages, addresses, *, agent=FIREFOX):
    """The log of page views in order of time. `addresses`: method and path of each page."""
    lines = []
    for one in sorted(pages, key=lambda one: one.time_s):
        when = datetime.fromtimestamp(int(one.time_s), UTC)
        who = f"10.{one.visit >> 16 & 255}.{one.visit >> 8 & 255}.{one.visit & 255}"
        lines.append(
            f'{who} - - [{when:%d/%b/%Y:%H:%M:%S} +0000] "{addresses[one.page]} HTTP/1.1" 200 512 '
            f'"-" "{agent}"'
        )
    return "\n".join(lines) + "\n"
