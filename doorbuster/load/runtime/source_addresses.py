"""Local addresses for outgoing connections, so that many customers do not run out of ports.

One local address has some 28,000 ports to one destination, including those of connections closed within the
last minute. Linux uses every other port first: beyond 14,000 customers each new connection searches all of
them, which takes milliseconds of the generator's time. On Linux all of 127.0.0.0/8 is the local machine, so a
local shop can be reached from any number of addresses. For another machine, give this machine several
addresses and name them in the scenario (`target.source_addresses`), or use several generators.
"""

from __future__ import annotations

import sys
from typing import Final
from urllib.parse import urlsplit

LOOPBACK_SOURCES: Final = tuple(f"127.0.0.{number}" for number in range(1, 17))


def sources_for(url: str, chosen: tuple[str, ...] = ()) -> tuple[str, ...]:
    """The local addresses to use in turn for `url`; those of the scenario take precedence.

    Empty: the operating system chooses.
    """
    if chosen:
        return chosen
    host = urlsplit(url).hostname or ""
    is_local = host == "localhost" or host.startswith("127.")
    return LOOPBACK_SOURCES if is_local and sys.platform == "linux" else ()
