"""The outcomes of customers and of requests, and the causes that the generator itself assigns.

Members are strings, equal to the values stored in the run file. Their order is the order of display.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class OutcomeStyle(NamedTuple):
    """How an outcome is shown; `dash` and `hatch` in matplotlib's notation, `terminal` in rich's."""

    label: str
    light: str
    dark: str
    dash: str
    hatch: str
    terminal: str


class Outcome(StrEnum):
    """How a customer's visit ended."""

    SERVED = "served"
    ABANDONED = "abandoned"
    TURNED_AWAY = "turned_away"
    QUEUED_OUT = "queued_out"
    DROPPED = "dropped"

    @property
    def style(self) -> OutcomeStyle:
        return _STYLES[self]

    @property
    def label(self) -> str:
        """The name in tables and legends."""
        return self.style.label


_STYLES = {
    Outcome.SERVED: OutcomeStyle("served", "#009e73", "#1fbf90", "-", "", "green"),
    Outcome.ABANDONED: OutcomeStyle("abandoned (too slow)", "#c98500", "#f0b429", "--", "////", "yellow"),
    Outcome.TURNED_AWAY: OutcomeStyle("turned away", "#d55e00", "#f2792b", "-.", "xxxx", "red"),
    Outcome.QUEUED_OUT: OutcomeStyle("queued out", "#3a95cc", "#6cc1f0", ":", "----", "cyan"),
    Outcome.DROPPED: OutcomeStyle(
        "dropped by the generator", "#8c8c8c", "#a3a3a3", ":", "||||", "bright_black"
    ),
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
    RATE_CEILING = "rate_ceiling"  # not sent because of safety.max_rate
    NO_DESCRIPTORS = "no_descriptors"  # the generator may open no further files or connections
    NO_PORTS = "no_ports"  # no local port was free for another connection
    NO_MEMORY = "no_memory"  # the generator got no more memory
    NO_THREADS = "no_threads"  # the generator could not start a thread, such as for a name lookup


GENERATOR_LIMITS = frozenset(
    (Cause.RATE_CEILING, Cause.NO_DESCRIPTORS, Cause.NO_PORTS, Cause.NO_MEMORY, Cause.NO_THREADS)
)
"""Limits of the generator that keep a request from being sent: its customer is dropped."""

# Counters of the generator, in the channel "": requests that safety.max_rate delayed, the sum of their
# delays, and requests that were not sent because of it.
PROTOCOL = "protocol:"  # starts the counter of connections by the protocol that they speak
HTTP1_INSTEAD = "HTTP/1.1 instead of HTTP/2"  # such a protocol: HTTP/2 was asked for and not agreed
NOT_SENT = "not_sent:"  # starts the counter of requests not sent because of a limit of the generator
RECORD_DELAYED = "record_delayed"  # kind of the event that the run file could not be written for a while
CLOCK_STEP = "clock_step"  # kind of the event that a clock was set during the run
CEILING_DELAYED = "ceiling_delayed"
CEILING_DELAYED_MS = "ceiling_delayed_ms"
CEILING_REFUSED = "ceiling_refused"
