"""Basic authentication (RFC 7617): user and password as the value of one header."""

from __future__ import annotations

from base64 import b64encode


def basic_auth(user: str, password: str) -> str:
    """The value of an Authorization or Proxy-Authorization header."""
    return "Basic " + b64encode(f"{user}:{password}".encode()).decode("ascii")
