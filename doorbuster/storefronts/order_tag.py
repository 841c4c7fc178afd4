"""How a test order is recognised in a shop that knows no idempotency keys: by one line of its address.

The line reads "doorbuster <channel> <key>". It says which attempt the order belongs to, for the audit, and
tells everybody else that nothing needs to be packed.
"""

from __future__ import annotations

from typing import NamedTuple

_WORD = "doorbuster"


class OrderTag(NamedTuple):
    """Where an order came from; both empty for an order that is not of a test."""

    channel: str
    key: str


def order_tag(channel: str, key: str) -> str:
    return f"{_WORD} {channel} {key}"


def read_order_tag(text: str | None) -> OrderTag:
    """What `order_tag` wrote; empty for anything else."""
    words = (text or "").split()
    return OrderTag(words[1], words[2]) if len(words) == 3 and words[0] == _WORD else OrderTag("", "")
