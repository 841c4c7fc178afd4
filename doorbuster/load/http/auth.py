"""Authentication of requests: user and password, auth objects of requests, and functions.

Rules: a function or an auth object gets the request as requests passes it to AuthBase: `method`, `url`,
`headers` (a mapping that can be changed), `body`, `path_url`. What it changes is sent. A hook that it
registers for "response" gets each answer, and may send further requests with `response.connection.send` (see
`auth_hooks`). An object with `build_digest_header` (requests' HTTPDigestAuth) answers a Digest challenge with
a second request.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

from doorbuster.load.http.basic_auth import basic_auth
from doorbuster.load.http.body import Body, read_content
from doorbuster.load.http.headers import RequestHeaders, header_values
from doorbuster.load.http.request_target import RequestTarget, resolve_target

_OF_CLIENT: Final = ("host", "cookie", "content-length")  # headers that are set anew for each request
Hook = Callable[..., Any]
Auth = tuple[Any, Any] | list[Any] | Callable[[Any], Any]

_DIGEST: Final = re.compile(r"digest\s+", re.IGNORECASE)
_PAIR: Final = re.compile(r'([a-zA-Z0-9_-]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^\s,"]+)')


class AuthenticatedRequest:
    """The request as a function for `auth=` sees and changes it; the names are those of PreparedRequest."""

    def __init__(self, method: str, url: str, path_url: str, headers: RequestHeaders, body: Body) -> None:
        self.method = method
        self.url = url
        self.path_url = path_url
        self.headers = headers
        self.body: Any = (body.content.decode() if body.is_text else body.content) or None
        self.hooks: dict[str, list[Hook]] = {"response": []}

    def register_hook(self, event: str, hook: Hook | Iterable[Hook]) -> None:
        """Call a function with each answer; it may return another. Raises: ValueError for other events."""
        if event != "response":
            raise ValueError(f"auth: hooks: only 'response' is supported (got {event})")
        self.hooks["response"] += [hook] if callable(hook) else hook

    def deregister_hook(self, event: str, hook: Hook) -> bool:
        """Take a function back; whether it was registered."""
        known = hook in self.hooks.get(event, [])
        if known:
            self.hooks[event].remove(hook)
        return known


class CopiedRequest(AuthenticatedRequest):
    """A copy of a sent request, for a hook to change and send again."""

    _cookies: Any = None

    def prepare_cookies(self, cookies: Any) -> None:
        """Nothing to do: the client sends the cookies of its own jar."""

    def copy(self) -> CopiedRequest:
        """Another copy."""
        made = CopiedRequest(self.method, self.url, self.path_url, self.headers.copy(), Body(b"", b""))
        made.body = self.body
        return made


def copy_of(sent: Any) -> CopiedRequest:
    """A request like one that was sent, which has method, url, path_url, headers and body."""
    kept = {name: value for name, value in sent.headers.items() if name.lower() not in _OF_CLIENT}
    made = CopiedRequest(sent.method, sent.url, sent.path_url, RequestHeaders(kept), Body(b"", b""))
    made.body = sent.body
    return made


class ChallengeAuth:
    """An object that answers Digest challenges: requests' HTTPDigestAuth or one with its methods."""

    def __init__(self, auth: Any) -> None:
        self._auth = auth
        auth.init_per_thread_state()

    def first(self, method: str, target: RequestTarget) -> str:
        """The Authorization header before any challenge: with the last nonce, if there is one."""
        if not self._auth._thread_local.last_nonce:
            return ""
        return self._auth.build_digest_header(method, target.url) or ""

    def answer(self, method: str, target: RequestTarget, challenge: str) -> str:
        """The Authorization header for a challenge; "" if it cannot be answered."""
        fields = {name: value.strip('"').replace('\\"', '"') for name, value in _PAIR.findall(challenge)}
        if not {"realm", "nonce"} <= fields.keys():
            return ""
        self._auth._thread_local.chal = fields
        return self._auth.build_digest_header(method, target.url) or ""


class Authenticated(NamedTuple):
    """A request after `auth=` was applied."""

    method: str
    target: RequestTarget
    headers: Mapping[str, Any] | None
    body: Body
    authorization: str
    challenged: ChallengeAuth | None
    hooks: tuple[Hook, ...] = ()


def authenticate(
    auth: Auth,
    method: str,
    target: RequestTarget,
    defaults: RequestHeaders,
    headers: Mapping[str, Any] | None,
    body: Body,
) -> Authenticated:
    """Apply `auth=` to a request. Raises: ValueError for credentials of another kind."""
    if isinstance(auth, tuple | list):
        if len(auth) != 2:
            raise ValueError("auth must be (user, password), an auth object of requests or a function")
        return Authenticated(method, target, headers, body, basic_auth(auth[0], auth[1]), None)
    if hasattr(auth, "build_digest_header"):
        challenged = ChallengeAuth(auth)
        return Authenticated(method, target, headers, body, challenged.first(method, target), challenged)
    if not callable(auth):
        raise ValueError(f"auth must be (user, password), an auth object or a function (got {auth!r})")
    sent = defaults.copy()
    for name, value in (headers or {}).items():
        sent[name] = value
    if body.type_line and "content-type" not in sent:
        sent["Content-Type"] = body.type_line.partition(b": ")[2].rstrip().decode("latin-1")
    sent["Content-Length"] = str(len(body.content))
    request = AuthenticatedRequest(method, target.url, target.path.decode("ascii"), sent, body)
    changed = auth(request)
    if changed is not None:
        request = changed
    new_target = resolve_target("", request.url) if request.url != target.url else target
    content = b"" if request.body is None else read_content(request.body)
    new_body = body if content == body.content else Body(content, body.type_line)
    own: dict[str, Any] = dict.fromkeys(defaults)  # those that the function removed
    own.update(request.headers)
    hooks = tuple(getattr(request, "hooks", {}).get("response", ()))
    return Authenticated(request.method.upper(), new_target, own, new_body, "", None, hooks)


def digest_challenge(head: str) -> str:
    """The Digest challenge of an answer's head, without its first word, or ""."""
    for value in header_values(head, head.lower(), "\nwww-authenticate:"):
        found = _DIGEST.search(value)
        if found:
            return value[found.end() :]
    return ""
