"""What every protocol implements, and the errors of a receiver."""

from __future__ import annotations

from typing import Protocol

from doorbuster.streaming.metric import Update


class ReceiverUnavailable(Exception):  # noqa: N818  reads as what happened
    """The receiver did not accept an update now, but may accept the same one later."""


class UpdateRefused(Exception):  # noqa: N818  reads as what happened
    """The receiver refused an update, and would refuse it again."""


class Output(Protocol):
    """One receiver. All calls come from one thread."""

    def open(self) -> None:
        """Prepare, before the run starts. Raises: UsageError when that is impossible on this machine."""
        ...

    def send(self, update: Update) -> None:
        """Deliver one update. Raises: ReceiverUnavailable, UpdateRefused."""
        ...

    def close(self) -> None:
        """Release everything."""
        ...
