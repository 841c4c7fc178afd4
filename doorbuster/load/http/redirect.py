"""The target and method of the request after a redirect (RFC 9110, 15.4)."""

from __future__ import annotations

from typing import Final, NamedTuple

from doorbuster.load.exchange import RequestFailed
from doorbuster.load.http.request_target import RequestTarget, redirect_target

REDIRECTS: Final = frozenset((301, 302, 303, 307, 308))


class Redirect(NamedTuple):
    """keeps_body: method and body stay. keeps_credentials: same origin, or its upgrade from http to https."""

    method: str
    target: RequestTarget
    keeps_body: bool
    keeps_credentials: bool


def follow(status: int, method: str, current: RequestTarget, location: str) -> Redirect:
    """The request after a redirect. 303 changes all methods except HEAD to GET, 301 and 302 change POST.

    Raises: RequestFailed("bad_response") if the Location is not an http or https URL.
    """
    try:
        target = redirect_target(current, location)
    except ValueError as error:
        raise RequestFailed("bad_response", f"redirect to an unusable URL: {error}") from None
    becomes_get = (status == 303 and method != "HEAD") or (status in (301, 302) and method == "POST")
    return Redirect(
        "GET" if becomes_get else method,
        target,
        not becomes_get,
        target.origin == current.origin or _is_upgrade(current, target),
    )


def _is_upgrade(current: RequestTarget, target: RequestTarget) -> bool:
    ports = (current.port, target.port)
    return current.host == target.host and not current.secure and target.secure and ports == (80, 443)
