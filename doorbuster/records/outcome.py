"""The outcomes of customers and of requests, and the causes that the generator itself assigns.

Members are strings, equal to the values stored in the run file. Their order is the order of display.
"""

from __future__ import annotations

from enum import StrEnum


class Outcome(StrEnum):
    """How a customer's visit ended."""

    SERVED = "served"
    ABANDONED = "abandoned"
    TURNED_AWAY = "turned_away"
    QUEUED_OUT = "queued_out"
    DROPPED = "dropped"

    @property
    def label(self) -> str:
        """The name in tables and legends."""
        return _LABELS[self]


_LABELS = {
    Outcome.SERVED: "served",
    Outcome.ABANDONED: "abandoned (too slow)",
    Outcome.TURNED_AWAY: "turned away",
    Outcome.QUEUED_OUT: "queued out",
    Outcome.DROPPED: "dropped by the generator",
}


class RequestOutcome(StrEnum):
    """How a request, or a step of several requests, ended."""

    OK = "ok"
    FAILED = "failed"
    ABANDONED = "abandoned"


class Cause(StrEnum):
    """Causes that the generator assigns; others come from `RequestFailed` and from drivers."""

    PATIENCE = "patience"  # the customer's patience ended
    WAITING_ROOM = "waiting_room"  # it ended in the waiting room
    RUN_ENDED = "run_ended"  # the run ended while the customer was in the waiting room
    INTERRUPTED = "interrupted"  # the run was stopped
    DRAIN_LIMIT = "drain_limit"  # the customer was still in the shop when the drain ended
    SCRIPT_EXCEPTION = "script_exception"  # a journey raised
    HOST_NOT_ALLOWED = "host_not_allowed"  # the request was not sent: its host may not be loaded
    WORKER_LOST = "worker_lost"  # the worker was lost
