"""Which local addresses to connect from, so that a crowd does not run out of ports.

One local address has some 28,000 ports to one destination, those of connections closed within the last
minute included. Linux takes every other one first: beyond 14,000 customers each new connection searches
through all of them, which takes milliseconds of the generator's own time. On Linux all of 127.0.0.0/8 is this
machine, so towards a shop on it we have as many addresses as we like. Towards another machine, give this one
several and name them in the scenario (`target.source_addresses`), or use several generators.
"""

from __future__ import annotations

import sys
from typing import Final
from urllib.parse import urlsplit

LOOPBACK_SOURCES: Final = tuple(f"127.0.0.{number}" for number in range(1, 17))


def sources_for(url: str, chosen: tuple[str, ...] = ()) -> tuple[str, ...]:
    """The local addresses to take in turn towards `url`, those the scenario chose first.

    Empty leaves the choice to the system.
    """
    if chosen:
        return chosen
    host = urlsplit(url).hostname or ""
    here = host == "localhost" or host.startswith("127.")
    return LOOPBACK_SOURCES if here and sys.platform == "linux" else ()
