"""Receives OpenTelemetry metrics and traces (OTLP/HTTP) on loopback: JSON, protobuf with its library.

Metrics keep their names, with dots as underscores. Of spans, three metrics are kept by service and span name:
span_count_total, span_errors_total and span_seconds_sum (and so span_seconds_mean).
Source: OpenTelemetry Protocol Specification 1.5, section OTLP/HTTP.
"""

from __future__ import annotations

import json
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from doorbuster.observe.name_values import metric_name
from doorbuster.observe.sample import Labels, TargetSample, counter, gauge, sorted_labels
from doorbuster.observe.sources.received import LOOPBACK, ReceivedSamples, Totals

MAX_BODY_BYTES = 16 * 2**20
IDLE_LIMIT_S = 30.0  # of a connection
MAX_OFFSET_S = 86_400.0  # a value dated further away says nothing about a clock
MIN_OFFSET_S = 0.5  # smaller differences are the time of the transfer
CUMULATIVE = {2, "AGGREGATION_TEMPORALITY_CUMULATIVE"}
ERROR = {2, "STATUS_CODE_ERROR"}
JSON, PROTOBUF = "application/json", "application/x-protobuf"


class OtlpSource:
    """One port for /v1/metrics and /v1/traces; logs are accepted and ignored."""

    def __init__(self, *, port: int, **_: Any) -> None:
        self._received = ReceivedSamples()
        self._totals = Totals()
        self._turn = threading.Lock()
        self._clock = time.time() - time.perf_counter()
        self._ahead_s: float | None = None  # the least that the senders' clock can be ahead of ours
        self._server = _OtlpServer((LOOPBACK, port), _OtlpHandler)
        self._server.daemon_threads = True
        self._server.take = self._take
        self._server.refuse = self._received.refuse
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def read(self) -> list[TargetSample]:
        with self._turn:
            totals = self._totals.samples()
        clock = [] if self._ahead_s is None else [gauge("clock_ahead_seconds", self._ahead_s)]
        refused = counter("otlp_refused_total", self._received.refused)
        return [*self._received.take(), *totals, *clock, refused]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _take(self, path: str, document: Mapping[str, Any]) -> None:
        """Keep what a message holds. Raises: LookupError, TypeError, ValueError for a malformed one."""
        if path == "/v1/metrics":
            points = list(metric_points(document))
            self._measure_clock(points)
            shift = self._clock + self._offset_s
            self._received.add(
                [one._replace(at=None if one.at is None else one.at - shift) for one in points]
            )
        elif path == "/v1/traces":
            with self._turn:
                left_out = sum(not self._totals.add(*total) for total in span_totals(document))
            self._received.refuse(left_out)

    @property
    def _offset_s(self) -> float:
        found = self._ahead_s or 0.0
        return found if abs(found) >= MIN_OFFSET_S else 0.0

    def _measure_clock(self, points: list[TargetSample]) -> None:
        """The newest value of a message was measured just before it was sent, by the sender's clock."""
        newest = max((one.at for one in points if one.at is not None), default=None)
        if newest is not None:
            ahead_s = newest - (time.perf_counter() + self._clock)
            if abs(ahead_s) > MAX_OFFSET_S:
                return
            self._ahead_s = ahead_s if self._ahead_s is None else max(self._ahead_s, ahead_s)


class _OtlpServer(ThreadingHTTPServer):
    take: Callable[[str, Mapping[str, Any]], None]
    refuse: Callable[[], None]
    daemon_threads = True


class _OtlpHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = IDLE_LIMIT_S

    def do_POST(self) -> None:
        """Answers 200 with an empty message, or says what is wrong with this one."""
        server = self.server
        assert isinstance(server, _OtlpServer)
        kind = (self.headers.get("Content-Type") or "").partition(";")[0].strip().lower()
        try:
            body = self._body()
            document = _decoded(self.path, kind, body)
            server.take(self.path, document)
        except _RefusedMessageError as refused:
            server.refuse()
            self._answer(refused.status, kind, str(refused))
        except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError) as error:
            server.refuse()
            self._answer(400, kind, f"malformed: {type(error).__name__}")
        else:
            self._answer(200, kind, "")

    def log_message(self, *_: Any) -> None:
        """Print nothing."""

    def _body(self) -> bytes:
        length = int(self.headers.get("Content-Length") or -1)
        if not 0 <= length <= MAX_BODY_BYTES:
            self.close_connection = True
            raise _RefusedMessageError(413, f"needs a Content-Length of at most {MAX_BODY_BYTES}")
        body = self.rfile.read(length)
        if (self.headers.get("Content-Encoding") or "identity") == "gzip":
            decoder = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
            try:
                body = decoder.decompress(body, MAX_BODY_BYTES)
            except zlib.error as error:
                raise _RefusedMessageError(400, "the body is not gzip") from error
            if decoder.unconsumed_tail:
                raise _RefusedMessageError(413, "the decompressed body is too long")
        return body

    def _answer(self, status: int, kind: str, text: str) -> None:
        body = b"" if kind == PROTOBUF else json.dumps({"message": text} if text else {}).encode()
        self.send_response(status)
        self.send_header("Content-Type", PROTOBUF if kind == PROTOBUF else JSON)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class _RefusedMessageError(Exception):
    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


def _decoded(path: str, kind: str, body: bytes) -> Mapping[str, Any]:
    if path not in ("/v1/metrics", "/v1/traces", "/v1/logs"):
        raise _RefusedMessageError(404, "send to /v1/metrics or /v1/traces")
    if path == "/v1/logs":
        return {}
    if kind == PROTOBUF:
        return _from_protobuf(path, body)
    found = json.loads(body)
    if not isinstance(found, dict):
        raise _RefusedMessageError(400, "must be a JSON object")
    return found


def _from_protobuf(path: str, body: bytes) -> Mapping[str, Any]:
    """The message as JSON would have it. Raises: _RefusedMessageError without the library."""
    try:
        from google.protobuf.json_format import MessageToDict
        from google.protobuf.message import DecodeError
        from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
    except ImportError:
        way_out = "send JSON (OTEL_EXPORTER_OTLP_PROTOCOL=http/json), or pip install 'doorbuster[otlp]'"
        raise _RefusedMessageError(415, f"protobuf is not installed: {way_out}") from None
    message = ExportMetricsServiceRequest() if path == "/v1/metrics" else ExportTraceServiceRequest()
    try:
        message.ParseFromString(body)
    except DecodeError as error:
        raise _RefusedMessageError(400, "not an OTLP message") from error
    found: Mapping[str, Any] = MessageToDict(message)
    return found


def metric_points(document: Mapping[str, Any]) -> Iterator[TargetSample]:
    """The values of a metrics message, dated by the sender's Unix clock."""
    for resource in document.get("resourceMetrics", ()):
        service = _service(resource)
        for scope in resource.get("scopeMetrics", ()):
            for metric in scope.get("metrics", ()):
                yield from _of_metric(metric, service)


def _of_metric(metric: Mapping[str, Any], service: str) -> Iterator[TargetSample]:
    name = metric_name(metric["name"])
    for kind in ("gauge", "sum"):
        data = metric.get(kind) or {}
        grows = kind == "sum" and data.get("isMonotonic", False)
        is_total = grows and data.get("aggregationTemporality", 0) in CUMULATIVE
        for point in data.get("dataPoints", ()):
            value = float(point["asInt"] if "asInt" in point else point["asDouble"])
            share = _per_s(point) if grows and not is_total else 1.0
            yield TargetSample(name, _labels(point, service), value * share, is_total, _unix_s(point))
    for kind in ("histogram", "exponentialHistogram"):
        data = metric.get(kind) or {}
        is_total = data.get("aggregationTemporality", 0) in CUMULATIVE
        for point in data.get("dataPoints", ()):
            labels, at = _labels(point, service), _unix_s(point)
            share = 1.0 if is_total else _per_s(point)
            yield TargetSample(f"{name}_count", labels, float(point.get("count", 0)) * share, is_total, at)
            if "sum" in point:
                yield TargetSample(f"{name}_sum", labels, float(point["sum"]) * share, is_total, at)


def span_totals(document: Mapping[str, Any]) -> Iterator[tuple[str, Labels, float]]:
    """Additions to the totals of spans: name, labels, amount."""
    for resource in document.get("resourceSpans", ()):
        service = _service(resource)
        for scope in resource.get("scopeSpans", ()):
            for span in scope.get("spans", ()):
                labels = sorted_labels({"service": service, "span": str(span.get("name", ""))[:80]})
                took_s = (int(span["endTimeUnixNano"]) - int(span["startTimeUnixNano"])) / 1e9
                yield "span_count_total", labels, 1.0
                yield "span_seconds_count", labels, 1.0
                yield "span_seconds_sum", labels, max(took_s, 0.0)
                failed = (span.get("status") or {}).get("code", 0) in ERROR
                yield "span_errors_total", labels, float(failed)


def _service(resource: Mapping[str, Any]) -> str:
    attributes = (resource.get("resource") or {}).get("attributes", ())
    return dict(_attributes(attributes)).get("service.name", "")


def _labels(point: Mapping[str, Any], service: str) -> Labels:
    labels = {metric_name(key): value for key, value in _attributes(point.get("attributes", ()))}
    return sorted_labels({**labels, **({"service": service} if service else {})})


def _attributes(attributes: Any) -> Iterator[tuple[str, str]]:
    for one in attributes:
        value = one.get("value") or {}
        yield str(one["key"]), str(next(iter(value.values()), ""))


def _per_s(point: Mapping[str, Any]) -> float:
    """What makes an increase over the point's own interval (delta temporality) one per second."""
    took_ns = int(point.get("timeUnixNano", 0)) - int(point.get("startTimeUnixNano", 0))
    return 1e9 / took_ns if took_ns > 0 else 1.0


def _unix_s(point: Mapping[str, Any]) -> float | None:
    stamp = int(point.get("timeUnixNano", 0))
    return stamp / 1e9 if stamp else None
