"""The measurement of one request, whatever its protocol, and the step to which it belongs.

Rules: every request, each redirect included, yields exactly one `Exchange`; a failure has a cause of one
word, so that failures can be counted; `detail` is the text for people. `CAUSES` has the HTTP client's.
"""

from __future__ import annotations

from math import inf

from doorbuster.load.request_failed import DETAIL_CHARACTERS, RequestFailed

__all__ = ["CAUSES", "DETAIL_CHARACTERS", "UNREACHABLE", "CurrentStep", "Exchange", "RequestFailed"]

CAUSES = {
    "dns": "the name of the host has no address, or the resolver did not answer",
    "host_not_allowed": "a link or a redirect leads to a host that may not be loaded",
    "connect_refused": "no server listens at the address",
    "connect_timeout": "no connection within the connect timeout",
    "connect_failed": "no connection for another reason, such as no route",
    "tls": "the TLS handshake failed: certificate, name, protocol, or an alert",
    "reset": "the connection was reset",
    "closed_early": "the connection was closed before the answer was complete",
    "first_byte_timeout": "no byte of the answer within the first-byte timeout",
    "total_timeout": "the answer was not complete within the total timeout",
    "bad_response": "the answer is not HTTP, or its body cannot be decoded",
    "too_large": "headers, body or decoded body exceed the limit in the settings",
    "too_many_redirects": "more redirects than the limit in the settings",
    "status_4xx": "a complete answer with a status from 400 to 499",
    "status_5xx": "a complete answer with a status of 500 or more",
    "content": "the customer called failure(), or an exception left its `with` block",
    "proxy": "the proxy could not be reached or refused to connect",
    "rate_ceiling": "not sent: it would have waited for safety.max_rate past its time limit",
    "no_descriptors": "not sent: this process may open no further connections",
    "no_ports": "not sent: no local port was free",
    "no_memory": "not sent: this process or machine had no memory for another connection",
    "no_threads": "not sent: no thread could be started for the name lookup",
}
UNREACHABLE = frozenset({"dns", "connect_refused", "connect_timeout", "connect_failed", "tls", "proxy"})
"""Causes that mean that no connection to the server was established."""


class Exchange:
    """One request and its result; all `_at` are readings of the client's clock in seconds.

    `status` is the status on the wire, 0 if none was read; `cause` is "" for a success.
    `first_byte_at` and `ended_at` are the time of the failure if there was no first byte or no end.
    `connect_s` covers name lookup, TCP, proxy and TLS, 0.0 on a reused connection; `reconnected` says that
    the server had closed a reused connection and a new one was opened instead.
    `hop` counts redirects: 0 is the request of the caller. `lenient` says what was odd about an answer
    that was read nevertheless, as browsers and curl do; "" for a clean answer. `protocol` is that of the
    connection which this request opened, such as "HTTP/1.1"; "" on a reused one and without an answer.
    """

    __slots__ = (
        "bytes_received",
        "bytes_sent",
        "cause",
        "connect_s",
        "detail",
        "ended_at",
        "first_byte_at",
        "hop",
        "intended_at",
        "lenient",
        "method",
        "name",
        "pool_wait_s",
        "protocol",
        "reconnected",
        "request_id",
        "retry_after_s",
        "reused",
        "server_timing",
        "started_at",
        "status",
        "url",
    )

    def __init__(
        self,
        method: str,
        name: str,
        url: str,
        status: int,
        cause: str,
        intended_at: float,
        started_at: float,
        connect_s: float,
        pool_wait_s: float,
        first_byte_at: float,
        ended_at: float,
        bytes_sent: int,
        bytes_received: int,
        reused: bool,
        reconnected: bool,
        request_id: str,
        server_timing: str,
        retry_after_s: float | None,
        detail: str,
        hop: int,
        lenient: str = "",
        protocol: str = "",
    ) -> None:
        self.method = method
        self.name = name
        self.url = url
        self.status = status
        self.cause = cause
        self.intended_at = intended_at
        self.started_at = started_at
        self.connect_s = connect_s
        self.pool_wait_s = pool_wait_s
        self.first_byte_at = first_byte_at
        self.ended_at = ended_at
        self.bytes_sent = bytes_sent
        self.bytes_received = bytes_received
        self.reused = reused
        self.reconnected = reconnected
        self.request_id = request_id
        self.server_timing = server_timing
        self.retry_after_s = retry_after_s
        self.detail = detail
        self.hop = hop
        self.lenient = lenient
        self.protocol = protocol

    def __repr__(self) -> str:
        return f"<Exchange {self.method} {self.name} {self.status} {self.cause}>"

    def decide(self, cause: str, detail: str) -> None:
        """Overrule the result: failed with this cause, or successful with ""."""
        self.cause = cause
        self.detail = detail


class CurrentStep:
    """The step that a customer is taking, as its client sees it; the step runner starts and reads it.

    name: of the step. deadline_at: time at which every request of the step must have ended. exchanges: the
    requests so far; a client appends each one as it ends.
    """

    __slots__ = ("deadline_at", "exchanges", "name")

    def __init__(self) -> None:
        self.name = ""
        self.deadline_at = inf
        self.exchanges: list[Exchange] = []

    def record(
        self,
        *,
        started_at: float,
        ended_at: float,
        first_byte_at: float | None = None,
        connect_s: float = 0.0,
        bytes_sent: int = 0,
        bytes_received: int = 0,
        cause: str = "",
        detail: str = "",
        request_id: str = "",
        protocol: str = "",
    ) -> None:
        """Append a request of a protocol other than HTTP; a reused connection has a `connect_s` of 0.

        protocol: its name, which the report shows with the number of connections opened.
        """
        self.exchanges.append(
            Exchange(
                "", self.name, "", 0, cause, started_at, started_at, connect_s, 0.0,
                ended_at if first_byte_at is None else first_byte_at, ended_at, bytes_sent, bytes_received,
                not connect_s, False, request_id, "", None, detail, 0, "",
                protocol if connect_s and not cause else "",
            )
        )  # fmt: skip
