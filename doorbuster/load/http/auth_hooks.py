"""Hooks that an auth object registers on a request: as in requests, an answer in, perhaps another out.

Rules: a hook runs for each answer of a chain of redirects, before the redirect is followed. `connection.send`
sends a request that the hook made from `response.request.copy()`; cookies are those of the client's jar.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from doorbuster.load.http.auth import Hook
from doorbuster.load.http.body import Body, read_content
from doorbuster.load.http.request_target import RequestTarget, resolve_target
from doorbuster.load.http.response import Response

Send = Callable[[str, RequestTarget, Mapping[str, Any], Body], Response]


class HookConnection:
    """What a hook finds as `response.connection`."""

    def __init__(self, send: Send) -> None:
        self._send = send

    def send(self, request: Any, **_: Any) -> Response:
        """Send a request without following redirects; timeouts and TLS are those of the call."""
        content = b"" if request.body is None else read_content(request.body)
        target = resolve_target("", request.url)
        return self._send(request.method.upper(), target, dict(request.headers), Body(content, b""))


def run_hooks(hooks: Iterable[Hook], response: Response, options: Mapping[str, Any]) -> Response:
    """The answer after all hooks; `options` are the keyword arguments that requests gives them."""
    for hook in hooks:
        changed = hook(response, **options)
        response = response if changed is None else changed
    return response
