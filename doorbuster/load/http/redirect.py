"""Redirects: target and method of the next request (RFC 9110, 15.4)."""

from __future__ import annotations

from typing import Final, NamedTuple

from doorbuster.load.exchange import RequestFailed
from doorbuster.load.http.request_target import RequestTarget, redirect_target

REDIRECTS: Final = frozenset((301, 302, 303, 307, 308))


class Redirect(NamedTuple):
    """keeps_body: the method and the body stay. same_origin: credentials may stay, too."""

    method: str
    target: RequestTarget
    keeps_body: bool
    same_origin: bool


def follow(status: int, method: str, current: RequestTarget, location: str) -> Redirect:
    """The request after a redirect. 303 changes all methods except HEAD to GET, 301 and 302 change POST.

    Raises: RequestFailed("bad_response") if the Location is not an http or https URL.
    """
    try:
        target = redirect_target(current, location)
    except ValueError as error:
        raise RequestFailed("bad_response", f"redirect to an unusable place: {error}") from None
    becomes_get = (status == 303 and method != "HEAD") or (status in (301, 302) and method == "POST")
    return Redirect(
        "GET" if becomes_get else method, target, not becomes_get, target.origin == current.origin
    )
