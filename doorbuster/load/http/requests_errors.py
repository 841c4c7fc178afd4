"""Failures that are also exceptions of requests, for code that catches `requests.RequestException`.

Rules: requests is not needed and never imported here. Who catches its exceptions has imported it; then a
failure is an instance of both RequestFailed and the class that requests raises for such a failure.
"""

from __future__ import annotations

import sys
from typing import Any, Final

from doorbuster.load.exchange import RequestFailed

_NAMES: Final = {
    "dns": "ConnectionError",
    "connect_refused": "ConnectionError",
    "connect_timeout": "ConnectTimeout",
    "connect_failed": "ConnectionError",
    "tls": "SSLError",
    "reset": "ConnectionError",
    "closed_early": "ChunkedEncodingError",
    "first_byte_timeout": "ReadTimeout",
    "total_timeout": "ReadTimeout",
    "too_many_redirects": "TooManyRedirects",
    "status_4xx": "HTTPError",
    "status_5xx": "HTTPError",
    "proxy": "ProxyError",
}
_classes: Final[dict[str, Any]] = {}


def failure(cause: str, detail: str, response: Any = None) -> RequestFailed:
    """A failure, of the class that requests would raise where requests is in use."""
    exceptions = sys.modules.get("requests.exceptions")
    if exceptions is None:
        return RequestFailed(cause, detail)
    made = _classes.get(cause)
    if made is None:
        base = getattr(exceptions, _NAMES.get(cause, "RequestException"))
        made = _classes[cause] = type(f"Failed{base.__name__}", (RequestFailed, base), {"__init__": _init})
    error: RequestFailed = made(cause, detail, response)
    return error


def bad_json(error: ValueError) -> ValueError:
    """The error of a body that is not JSON, as requests raises it."""
    exceptions = sys.modules.get("requests.exceptions")
    if exceptions is None:
        return error
    made: ValueError = exceptions.JSONDecodeError(*_arguments(error))
    return made


def _arguments(error: Any) -> tuple[Any, ...]:
    if hasattr(error, "doc"):
        return error.msg, error.doc, error.pos
    return str(error), "", 0


def _init(self: Any, cause: str, detail: str, response: Any = None) -> None:
    RequestFailed.__init__(self, cause, detail)
    self.response = response
    self.request = getattr(response, "request", None)
