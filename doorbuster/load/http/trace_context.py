"""Marks requests for the tracing of the shop: W3C Trace Context and Baggage.

Everything follows from the request id: whether the request is chosen, its trace id and its span id. So a
recorded request id is enough to know its trace.
Source: W3C Trace Context (2021), section 3.2; W3C Baggage; OpenTelemetry's `synthetic_request`.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

TRACEPARENT: Final = "traceparent"
BAGGAGE: Final = "baggage"
_WHOLE: Final = 1 << 64


def trace_id_of(request_id: str, share: float) -> str:
    """The trace id of a request, 32 hexadecimal digits; "" if it is not among the `share` that is traced."""
    if share <= 0.0 or not request_id:
        return ""
    digest = blake2b(request_id.encode(), digest_size=24).digest()
    return digest[:16].hex() if int.from_bytes(digest[16:]) < share * _WHOLE else ""


def trace_lines(trace_id: str) -> bytes:
    """The header lines of a traced request: sampled, so that the shop records it, and marked as synthetic."""
    return f"traceparent: 00-{trace_id}-{trace_id[:16]}-01\r\nbaggage: synthetic_request=true\r\n".encode()
