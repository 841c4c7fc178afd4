"""The newest snapshot for any number of readers: a slow reader misses snapshots and delays no other."""

from __future__ import annotations

import threading
from typing import NamedTuple


class Published(NamedTuple):
    """A snapshot as JSON with its number; `is_last`: no other will follow."""

    number: int
    text: str
    is_last: bool


class Broadcast:
    """Holds one snapshot, the newest; nothing queues up."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._newest = Published(0, "", is_last=False)

    def publish(self, text: str, *, is_last: bool = False) -> None:
        """Replace the snapshot."""
        with self._changed:
            self._newest = Published(self._newest.number + 1, text, is_last)
            self._changed.notify_all()

    def after(self, number: int, *, timeout_s: float) -> Published | None:
        """The newest snapshot once there is one after `number`; None if there is none in time."""
        with self._changed:
            self._changed.wait_for(lambda: self._newest.number > number, timeout_s)
            return self._newest if self._newest.number > number else None
