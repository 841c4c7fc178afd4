"""Sends spans of traced requests to an OpenTelemetry receiver (OTLP/HTTP, JSON), in a thread of its own.

A request is traced if its `traceparent` says that it is sampled. Each has a span of the server, and one each
for the queue, the database and the services it waited for. Spans wait in a bounded queue; what does not fit,
or cannot be sent, is dropped and counted.
Sources: W3C Trace Context; OpenTelemetry Protocol Specification, JSON encoding.
"""

from __future__ import annotations

import json
import queue
import re
import secrets
import threading
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from doorbuster.shop.infrastructure.database_workers import Timing

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?")
SAMPLED = 0x01
MAX_WAITING = 10_000
SEND_INTERVAL_S = 1.0
TIMEOUT_S = 2.0
KIND_INTERNAL, KIND_SERVER, STATUS_ERROR = 1, 2, 2


class TraceParent(NamedTuple):
    """The trace that a request belongs to, and the span that sent it."""

    trace_id: str
    span_id: str


class ShopSpan(NamedTuple):
    """One finished span; times in Unix seconds."""

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    kind: int
    started_s: float
    ended_s: float
    failed: bool = False
    synthetic: bool = False


def sampled_parent(header: str) -> TraceParent | None:
    """The parent that a `traceparent` header names; None if it is malformed or not sampled."""
    found = _TRACEPARENT.fullmatch(header.strip())
    if found is None or not int(found[3], 16) & SAMPLED:
        return None
    if int(found[1], 16) == 0 or int(found[2], 16) == 0:
        return None
    return TraceParent(found[1], found[2])


def new_span_id() -> str:
    """A random span id."""
    return secrets.token_hex(8)


class SpanExporter:
    """Sends spans to `<endpoint>/v1/traces` once a second."""

    def __init__(self, endpoint: str) -> None:
        self._url = f"{endpoint.rstrip('/')}/v1/traces"
        self._waiting: queue.Queue[ShopSpan] = queue.Queue(MAX_WAITING)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._send_each_second, name="shop-traces", daemon=True)
        self.dropped = 0

    def start(self) -> None:
        if self._thread.ident is None:
            self._thread.start()

    def stop(self) -> None:
        """Send what waits, and end."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()

    def add(self, span: ShopSpan) -> None:
        """Queue a span."""
        try:
            self._waiting.put_nowait(span)
        except queue.Full:
            self.dropped += 1

    def _send_each_second(self) -> None:
        ending = False
        while not ending:
            ending = self._stopping.wait(SEND_INTERVAL_S)
            spans = []
            while not self._waiting.empty():
                spans.append(self._waiting.get_nowait())
            if spans:
                self._send(spans)

    def _send(self, spans: list[ShopSpan]) -> None:
        request = urllib.request.Request(  # noqa: S310  an address from the settings, http or https
            self._url, json.dumps(as_otlp(spans)).encode(), {"Content-Type": "application/json"}
        )
        try:
            urllib.request.urlopen(request, timeout=TIMEOUT_S).close()  # noqa: S310
        except (OSError, urllib.error.URLError):
            self.dropped += len(spans)


def as_otlp(spans: list[ShopSpan]) -> dict[str, object]:
    """The message of OTLP."""
    service = {"key": "service.name", "value": {"stringValue": "doorbuster-shop"}}
    scope = {"scope": {"name": "doorbuster.shop"}, "spans": [_as_json(span) for span in spans]}
    return {"resourceSpans": [{"resource": {"attributes": [service]}, "scopeSpans": [scope]}]}


def _as_json(span: ShopSpan) -> dict[str, object]:
    found: dict[str, object] = {
        "traceId": span.trace_id,
        "spanId": span.span_id,
        "parentSpanId": span.parent_id,
        "name": span.name,
        "kind": span.kind,
        "startTimeUnixNano": str(round(span.started_s * 1e9)),
        "endTimeUnixNano": str(round(span.ended_s * 1e9)),
        "status": {"code": STATUS_ERROR} if span.failed else {},
    }
    if span.synthetic:
        found["attributes"] = [{"key": "synthetic_request", "value": {"boolValue": True}}]
    return found


class RequestTrace:
    """Collects the spans of one request."""

    def __init__(self, exporter: SpanExporter, parent: TraceParent, *, synthetic: bool) -> None:
        self._exporter = exporter
        self._parent = parent
        self._synthetic = synthetic
        self._span_id = new_span_id()
        self._started_s = time.time()

    def end(self, name: str, timing: Timing, *, failed: bool) -> None:
        """The request has ended: its own span, and its parts in their usual order."""
        at = self._started_s
        parts = (("services", timing.services_s), ("queue", timing.queue_s), ("database", timing.database_s))
        for part, took_s in parts:
            if took_s > 0:
                self._add(new_span_id(), self._span_id, part, KIND_INTERNAL, at, at + took_s)
                at += took_s
        self._add(
            self._span_id,
            self._parent.span_id,
            name,
            KIND_SERVER,
            self._started_s,
            time.time(),
            failed=failed,
        )

    def _add(
        self,
        own: str,
        parent: str,
        name: str,
        kind: int,
        started_s: float,
        ended_s: float,
        *,
        failed: bool = False,
    ) -> None:
        synthetic = self._synthetic and kind == KIND_SERVER
        span = ShopSpan(self._parent.trace_id, own, parent, name, kind, started_s, ended_s, failed, synthetic)
        self._exporter.add(span)
