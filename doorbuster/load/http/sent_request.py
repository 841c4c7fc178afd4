"""A request as it went over the wire, with the interface of requests' PreparedRequest."""

from __future__ import annotations

from doorbuster.load.http.auth import CopiedRequest, copy_of
from doorbuster.load.http.headers import ResponseHeaders


class SentRequest:
    """A request as it was sent; the names are those of requests' PreparedRequest."""

    __slots__ = ("_wire", "url")

    def __init__(self, url: str, wire: bytes) -> None:
        self.url = url
        self._wire = wire

    def __repr__(self) -> str:
        return f"<SentRequest [{self.method}]>"

    @property
    def method(self) -> str:
        return self._wire.partition(b" ")[0].decode("latin-1")

    @property
    def path_url(self) -> str:
        return "/" + self.url.partition("://")[2].partition("/")[2]

    @property
    def headers(self) -> ResponseHeaders:
        """The headers that went over the wire, Host and Cookie included."""
        return ResponseHeaders(self._wire.partition(b"\r\n\r\n")[0].decode("latin-1"))

    def copy(self) -> CopiedRequest:
        """A copy that can be changed, and sent again by a hook of an auth object."""
        return copy_of(self)

    @property
    def body(self) -> str | bytes | None:
        """What was sent; form fields as text, as in requests."""
        body = self._wire.partition(b"\r\n\r\n")[2]
        is_form = self.headers.get("content-type", "").startswith("application/x-www-form-urlencoded")
        return (body.decode("latin-1") if is_form else body) or None
