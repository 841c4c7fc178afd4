"""Basic authentication (RFC 7617): user and password as the value of one header."""

from __future__ import annotations

from base64 import b64encode


def basic_auth(user: str | bytes, password: str | bytes) -> str:
    """The value of an Authorization or Proxy-Authorization header; text is sent as UTF-8."""
    pair = b":".join(part if isinstance(part, bytes) else str(part).encode() for part in (user, password))
    return "Basic " + b64encode(pair).decode("ascii")
