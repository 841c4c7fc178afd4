"""Posts updates over HTTP on one connection that stays open."""

from __future__ import annotations

import contextlib
import http.client
import os
from base64 import b64encode
from collections.abc import Mapping
from urllib.parse import SplitResult

from doorbuster import __version__
from doorbuster.errors import UsageError
from doorbuster.output import masked, one_line
from doorbuster.output.secret_masking import remember_secrets
from doorbuster.streaming.output import ReceiverUnavailable, UpdateRefused

TIMEOUT_S = 5.0  # of each step: connect, send, receive
MAX_ANSWER = 2000  # bytes of a refusal that are read
MAX_SHOWN = 120  # characters of them in the reason
_LATER = frozenset({408, 425, 429, 500, 502, 503, 504})


def token_variable(kind: str) -> str:
    """The environment variable that holds the credentials for receivers of this kind."""
    return f"DOORBUSTER_{kind.partition('-')[0].upper()}_TOKEN"


def authorization(kind: str, *, scheme: str = "Bearer") -> dict[str, str]:
    """The Authorization header from the environment; empty without credentials.

    The variable holds a token, or `user:password` for basic authentication, or the whole value of the header.
    """
    value = os.environ.get(token_variable(kind), "").strip()
    if not value:
        return {}
    if not value.isprintable():
        raise UsageError(f"{token_variable(kind)} must be one line of printable characters")
    remember_secrets([value, *value.split()[1:]])
    if " " not in value:
        is_basic = ":" in value
        value = f"Basic {b64encode(value.encode()).decode()}" if is_basic else f"{scheme} {value}"
    return {"Authorization": value}


class HttpPost:
    """A receiver reached over HTTP or HTTPS. Redirects are not followed: a token goes to one host only."""

    def __init__(self, url: SplitResult, headers: Mapping[str, str]) -> None:
        self._url = url
        self._path = (url.path or "/") + (f"?{url.query}" if url.query else "")
        self._headers = {"User-Agent": f"doorbuster/{__version__}", **headers}
        self._connection: http.client.HTTPConnection | None = None

    def post(self, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        """Raises: ReceiverUnavailable, UpdateRefused."""
        try:
            connection = self._connected()
            connection.request("POST", self._path, body, {**self._headers, **(headers or {})})
            answer = connection.getresponse()
            text = answer.read(MAX_ANSWER)
            if answer.will_close or not answer.isclosed():
                self.close()
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise ReceiverUnavailable(_reason(error)) from error
        if 200 <= answer.status < 300:
            return
        answer_text = one_line(masked(text.decode("utf-8", "replace")), MAX_SHOWN)
        message = f"status {answer.status}" + (f" ({answer_text})" if answer_text else "")
        raise ReceiverUnavailable(message) if answer.status in _LATER else UpdateRefused(message)

    def close(self) -> None:
        """Close the connection; the next update opens a new one."""
        if self._connection is not None:
            with contextlib.suppress(OSError):
                self._connection.close()
            self._connection = None

    def _connected(self) -> http.client.HTTPConnection:
        if self._connection is None:
            kind = http.client.HTTPSConnection if self._url.scheme == "https" else http.client.HTTPConnection
            self._connection = kind(self._url.hostname or "", self._url.port, timeout=TIMEOUT_S)
        return self._connection


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {TIMEOUT_S:g} s"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
