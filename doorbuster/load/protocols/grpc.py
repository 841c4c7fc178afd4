"""Unary gRPC calls over a customer's own HTTP/2 connection: recorded, with patience.

Messages are bytes, or objects with `SerializeToString` as protobuf makes them. Over https the protocol is
negotiated by ALPN; over http:// the server must speak HTTP/2 at once, as gRPC servers without TLS do.
Source: gRPC over HTTP2 (PROTOCOL-HTTP2.md of gRPC), status codes of gRPC's statuscodes.md.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping
from math import inf
from typing import Any
from urllib.parse import unquote

from doorbuster.load.exchange import RequestFailed
from doorbuster.load.http.client import HttpClient
from doorbuster.load.http.request_target import resolve_target
from doorbuster.load.http.response_parsing import cause_of_status
from doorbuster.load.http.tls import context_for
from doorbuster.load.protocols.http2_connection import NEEDS_HTTP1, REFUSED, Http2Connection, Http2Stream
from doorbuster.load.protocols.http2_fields import Field
from doorbuster.storefronts import Rejected

STATUS_NAMES = (
    "ok", "cancelled", "unknown", "invalid_argument", "deadline_exceeded", "not_found", "already_exists",
    "permission_denied", "resource_exhausted", "failed_precondition", "aborted", "out_of_range",
    "unimplemented", "internal", "unavailable", "data_loss", "unauthenticated",
)  # fmt: skip
PREFIX_BYTES = 5  # one byte for compression, four for the length
_MAX_TIMEOUT_MS = 99_999_999
_KEY = re.compile(r"[0-9a-z_.-]+")


class GrpcChannel:
    """The connection of one customer to one gRPC server, opened by the first call and closed by `close`.

    url: http:// or https://, with host and port; default: the client's base URL.
    """

    def __init__(self, client: HttpClient, url: str = "") -> None:
        self._client = client
        self._target = resolve_target(client.base_url, url or "/")
        self._connection: Http2Connection | None = None

    def unary(
        self,
        method: str,
        request: Any,
        response_type: Any = None,
        *,
        metadata: Mapping[str, str | bytes] | None = None,
    ) -> Any:
        """Call "/package.Service/Method"; returns the answer as `response_type`, or its bytes without one.

        Recorded as one request. A status other than OK is a failure, such as "grpc_unavailable". A call that
        the server has certainly not seen, because it was closing the connection, is sent again once.

        Args: metadata: ASCII texts, or bytes for names that end with "-bin".
        Raises: Rejected with the cause that is recorded. ValueError for other metadata.
        """
        client, clock = self._client, self._client.clock
        started_at, cause, detail = clock(), "", ""
        message = request if isinstance(request, bytes) else request.SerializeToString()
        call = _GrpcCall(
            f"/{method.lstrip('/')}", _metadata(metadata or {}), b"\0" + len(message).to_bytes(4) + message
        )
        answer = b""
        try:
            self._send(call)
            answer = _message_of(call.stream)
        except RequestFailed as failure:
            cause = "reset" if failure.cause in (REFUSED, NEEDS_HTTP1) else failure.cause
            detail = failure.detail
        ended_at, stream = clock(), call.stream
        client.step.record(
            started_at=started_at, ended_at=ended_at, connect_s=call.connect_s,
            bytes_sent=len(call.body) if stream.is_sent else 0, bytes_received=stream.received, cause=cause,
            detail=detail, protocol="gRPC", first_byte_at=stream.first_byte_at or ended_at,
        )  # fmt: skip
        if cause:
            raise Rejected(cause, detail)
        return answer if response_type is None else response_type.FromString(answer)

    def _send(self, call: _GrpcCall) -> None:
        """Raises: RequestFailed."""
        step, ceiling = self._client.step, self._client.settings.ceiling
        for is_last in (False, True):
            connection = self._open(call)
            if ceiling is not None:
                ceiling.sends.wait(step.deadline_at)
            call.stream = Http2Stream()
            try:
                connection.request(
                    call.stream, self._fields(call), call.body, first_byte_deadline=inf,
                    total_deadline=step.deadline_at,
                )  # fmt: skip
            except RequestFailed as failure:
                if is_last or failure.cause != REFUSED:
                    raise
            else:
                return

    def close(self) -> None:
        """Close the connection; the next call opens another one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _open(self, call: _GrpcCall) -> Http2Connection:
        """The connection; the call gets the seconds that opening it took. Raises: RequestFailed."""
        if self._connection is not None and not self._connection.is_closing:
            return self._connection
        client, target = self._client, self._target
        began_at, route, context = client.clock(), client.settings.route, None
        if target.secure:
            context = context_for(route.verify, route.ca_file, route.cert_file, route.key_file, ("h2",))
        resumed = None if self._connection is None else self._connection.tls
        opened = client.open_connection(
            target, client.step.deadline_at, ssl_context=context, resumed=resumed, sends=False
        )
        if target.secure and (opened.tls is None or opened.tls.selected_alpn_protocol() != "h2"):
            opened.close()
            raise RequestFailed("bad_response", "the server does not offer HTTP/2")
        settings = client.settings
        made = self._connection = Http2Connection(
            opened, client.clock, max_head_bytes=settings.max_head_bytes,
            max_body_bytes=settings.max_body_bytes,
        )  # fmt: skip
        call.connect_s += client.clock() - began_at
        return made

    def _fields(self, call: _GrpcCall) -> list[Field]:
        target, client = self._target, self._client
        fields = [
            (":method", "POST"), (":scheme", "https" if target.secure else "http"),
            (":authority", target.authority.decode()), (":path", call.path),
            ("content-type", "application/grpc"), ("te", "trailers"),
            ("grpc-accept-encoding", "identity"),
        ]  # fmt: skip
        if client.step.deadline_at < inf:
            left_ms = int((client.step.deadline_at - client.clock()) * 1e3)
            fields.append(("grpc-timeout", f"{min(max(left_ms, 1), _MAX_TIMEOUT_MS)}m"))
        given = {**client.headers_for(target), **call.metadata}
        fields += [(name.lower(), value) for name, value in given.items()]
        return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in fields]


class _GrpcCall:
    """One call: what is sent, and the stream of the last attempt."""

    def __init__(self, path: str, metadata: dict[str, str], body: bytes) -> None:
        self.path, self.metadata, self.body = path, metadata, body
        self.stream = Http2Stream()
        self.connect_s = 0.0


def _metadata(given: Mapping[str, str | bytes]) -> dict[str, str]:
    """Metadata as fields. Raises: ValueError."""
    fields = {}
    for name, value in given.items():
        lower = name.lower()
        is_binary = lower.endswith("-bin")
        if is_binary != isinstance(value, bytes) or not _KEY.fullmatch(lower):
            raise ValueError(f"metadata {name!r}: bytes belong to names that end with -bin, text to others")
        text = b64encode(value).decode().rstrip("=") if isinstance(value, bytes) else value
        if not (text.isascii() and text.isprintable()):
            raise ValueError(
                f"metadata {name!r} is not printable ASCII: give bytes, under a name ending with -bin"
            )
        fields[lower] = text
    return fields


def _message_of(stream: Http2Stream) -> bytes:
    """The message of an answer. Raises: RequestFailed for a status that is not OK, and for no message."""
    fields = {
        name.decode("latin-1"): value.decode("latin-1") for name, value in (*stream.fields, *stream.trailers)
    }
    if stream.status != 200:
        raise RequestFailed(cause_of_status(stream.status) or "bad_response", f"status {stream.status}")
    kind = fields.get("content-type", "no stated type")
    if not kind.startswith("application/grpc"):
        raise RequestFailed("bad_response", f"the answer is {kind}, not gRPC")
    code = fields.get("grpc-status", "")
    if code != "0":
        known = code.isdigit() and int(code) < len(STATUS_NAMES)
        name = STATUS_NAMES[int(code)] if known else "unknown"
        raise RequestFailed(
            f"grpc_{name}", unquote(fields.get("grpc-message", "")) or f"status {code or 'missing'}"
        )
    data = b"".join(stream.chunks)
    if (
        len(data) < PREFIX_BYTES
        or data[0]
        or len(data) != PREFIX_BYTES + int.from_bytes(data[1:PREFIX_BYTES])
    ):
        raise RequestFailed("bad_response", "the answer is not one uncompressed gRPC message")
    return data[PREFIX_BYTES:]
