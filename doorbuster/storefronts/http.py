"""Protocols of the HTTP client and response that drivers use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


class HttpResponse(Protocol):
    """The part of an HTTP response that drivers use; `cause` is "" when the exchange itself succeeded.

    `detail` explains a failure: the start of the page, or the host that must not be loaded.
    """

    @property
    def status_code(self) -> int: ...
    @property
    def text(self) -> str: ...
    @property
    def url(self) -> str: ...
    @property
    def cause(self) -> str: ...
    @property
    def detail(self) -> str: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    def json(self) -> Any: ...


class Client(Protocol):
    """Something that sends requests to the shop; `url` is a path or an absolute address."""

    def request(self, method: str, url: str, **options: Any) -> HttpResponse: ...
