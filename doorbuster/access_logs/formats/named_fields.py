"""Logs whose fields have names: which name means what, for JSON lines and for tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from doorbuster.access_logs.log_requests import Stamp

FIELDS = (
    "time",
    "address",
    "agent",
    "cookie",
    "method",
    "path",
    "query",
    "request",
    "status",
    "duration",
    "operation",
)
UNITS_S = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0}


@dataclass(frozen=True, slots=True)
class NamedFields:
    """Names of fields by meaning; nested ones are joined by dots.

    unit_s: of durations. stamp: what `time` is the time of. needs: names that tell the product.
    """

    product: str
    names: Mapping[str, str]
    stamp: Stamp
    unit_s: float = 1.0
    needs: tuple[str, ...] = field(default=())

    @property
    def is_complete(self) -> bool:
        """Whether a request can be read: a time, and a request line or a path."""
        return "time" in self.names and bool({"request", "path"} & set(self.names))


PRODUCTS = (
    NamedFields(
        "Cloudflare Logpush",
        {"time": "EdgeStartTimestamp", "end": "EdgeEndTimestamp", "address": "ClientIP",
         "agent": "ClientRequestUserAgent", "method": "ClientRequestMethod", "path": "ClientRequestURI",
         "status": "EdgeResponseStatus", "cookie": "Cookies.session"},
        "start", needs=("ClientRequestURI", "EdgeStartTimestamp"),
    ),
    NamedFields(
        "Caddy",
        {"time": "ts", "address": "request.client_ip", "agent": "request.headers.User-Agent",
         "cookie": "request.headers.Cookie", "method": "request.method", "path": "request.uri",
         "status": "status", "duration": "duration"},
        "end", needs=("ts", "request.uri", "request.method"),
    ),
    NamedFields(
        "Traefik",
        {"time": "StartUTC", "address": "ClientHost", "agent": "request_User-Agent",
         "method": "RequestMethod", "path": "RequestPath", "status": "DownstreamStatus",
         "duration": "Duration"},
        "start", 1e-9, needs=("StartUTC", "RequestPath"),
    ),
    NamedFields(
        "Envoy",
        {"time": "start_time", "address": "downstream_remote_address", "agent": "user_agent",
         "method": "method", "path": "path", "status": "response_code", "duration": "duration"},
        "start", 1e-3, needs=("start_time", "path", "response_code"),
    ),
    NamedFields(
        "Google Cloud load balancer",
        {"time": "timestamp", "address": "httpRequest.remoteIp", "agent": "httpRequest.userAgent",
         "method": "httpRequest.requestMethod", "path": "httpRequest.requestUrl",
         "status": "httpRequest.status", "duration": "httpRequest.latency"},
        "start", needs=("timestamp", "httpRequest.requestUrl"),
    ),
    NamedFields(
        "Fastly",
        {"time": "timestamp", "address": "client_ip", "agent": "request_user_agent",
         "method": "request_method", "path": "url", "status": "response_status", "duration": "time_elapsed"},
        "start", 1e-6, needs=("timestamp", "url", "request_method", "response_status"),
    ),
)  # fmt: skip

# Names in use for each meaning, the most reliable first; those of nginx's variables among them.
COMMON_NAMES: Mapping[str, tuple[str, ...]] = {
    "time": ("msec", "time_iso8601", "@timestamp", "timestamp", "ts", "time", "time_local", "datetime",
             "date"),
    "address": (
        "http_x_forwarded_for", "x_forwarded_for", "realip_remote_addr", "remote_addr", "client_ip",
        "clientip", "remote_ip", "ip", "client", "remote_host", "client.ip", "source.ip",
        "host_ip", "address",
    ),
    "agent": ("http_user_agent", "user_agent", "useragent", "request_user_agent", "agent", "ua",
              "user_agent.original"),
    "cookie": ("uid", "uid_got", "visitor", "visitor_id", "session", "session_id", "sessionid",
               "cookie_session", "cookie_sessionid", "cookie_sid", "sid", "http_cookie", "cookie"),
    "method": ("request_method", "method", "http_method", "verb", "http.request.method"),
    "path": ("request_uri", "uri", "url", "path", "request_url", "request_path", "url.path", "url.original"),
    "query": ("query_string", "args", "query"),
    "request": ("request", "request_line"),
    "status": ("status", "response_status", "status_code", "response", "code", "http_status",
               "http.response.status_code"),
    "duration": ("request_time", "duration_s", "response_time", "duration", "duration_ms", "elapsed_ms",
                 "time_taken", "latency", "elapsed", "time_elapsed"),
    # GraphQL; a body is searched for the name of its operation, and forgotten
    "operation": ("operationname", "operation_name", "graphql_operation_name", "graphql_operation",
                  "graphql.operation.name", "graphql.operation_name", "graphql.operationname",
                  "http_x_apollo_operation_name", "x_apollo_operation_name", "http_x_operation_name",
                  "x-apollo-operation-name", "request.headers.x-apollo-operation-name", "arg_operationname",
                  "body.operationname", "request_body.operationname", "request_body", "body"),
}  # fmt: skip
_END_STAMPED = {"msec", "time_iso8601", "time_local"}  # nginx: when the line is written


def find_fields(present: Iterable[str]) -> NamedFields | None:
    """The fields among names, by product or by common names; None if no request can be read from them."""
    names = set(present)
    for product in PRODUCTS:
        if set(product.needs) <= names:
            found = {key: name for key, name in product.names.items() if name in names}
            found |= _common({name.lower(): name for name in names}, ("operation",))
            return NamedFields(product.product, found, product.stamp, product.unit_s, product.needs)
    lower = {name.lower(): name for name in names}
    found = _common(lower, COMMON_NAMES)
    is_nginx = found.get("time", "") in _END_STAMPED or "body_bytes_sent" in names
    duration = found.get("duration", "")
    unit_s = 1e-3 if duration.lower().endswith("_ms") or duration.lower() == "time_taken" else 1.0
    fields = NamedFields("nginx" if is_nginx else "", found, "end" if is_nginx else "start", unit_s)
    return fields if fields.is_complete else None


def _common(lower: Mapping[str, str], keys: Iterable[str]) -> dict[str, str]:
    """The fields of these meanings, by common names. Args: lower: the names, by them in small letters."""
    named = {key: next((lower[name] for name in COMMON_NAMES[key] if name in lower), None) for key in keys}
    return {key: name for key, name in named.items() if name is not None}
