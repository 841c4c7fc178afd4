"""How a test order is recognised in a shop that knows no idempotency keys: by one line of its address.

The line reads "doorbuster <channel> <key>". It says which attempt the order belongs to, for the audit, and
tells everybody else that nothing needs to be packed.
"""

from __future__ import annotations

from typing import NamedTuple

_WORD = "doorbuster"


class Mark(NamedTuple):
    """Where an order came from; both empty for an order that is not of a test."""

    channel: str
    key: str


def order_mark(channel: str, key: str) -> str:
    return f"{_WORD} {channel} {key}"


def read_mark(text: str | None) -> Mark:
    """What `order_mark` wrote; empty for anything else."""
    words = (text or "").split()
    return Mark(words[1], words[2]) if len(words) == 3 and words[0] == _WORD else Mark("", "")
