"""Marks test orders with a line in their address, for shops without idempotency keys.

The line is "doorbuster <channel> <key>". It identifies the attempt for the audit, and shows staff that
nothing needs to be packed.
"""

from __future__ import annotations

from typing import NamedTuple

_WORD = "doorbuster"


class OrderTag(NamedTuple):
    """The origin of a test order; both fields are empty for any other order."""

    channel: str
    key: str


def order_tag(channel: str, key: str) -> str:
    return f"{_WORD} {channel} {key}"


def read_order_tag(text: str | None) -> OrderTag:
    """The parsed tag; empty for any other text."""
    words = (text or "").split()
    return OrderTag(words[1], words[2]) if len(words) == 3 and words[0] == _WORD else OrderTag("", "")
