"""Recognises waiting rooms by the response's content; its status may be 200, 202 or 429.

Cloudflare-style: JSON with `cfWaitingRoom.inWaitingRoom` (others put `inWaitingRoom` at the top), or a page
that reloads itself and sets the room's cookie. Queue-it-style: an API response with the header
`x-queueit-redirect`, or a redirect to the queue's page, which redirects back when the customer is admitted.

Sources: Cloudflare, Waiting Room, JSON response and cookies; Alibaba Cloud ESA, JSON response parameters
(`waitTime` is in minutes); Queue-it, KnownUser connectors (header, and `c`, `e`, `t` in the queue's address).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from doorbuster.storefronts.http import HttpResponse

DEFAULT_POLL_S = 20.0  # for rooms that state no interval
MAX_POLL_S = 600.0
_HEAD = 4_096  # characters: the meta refresh of a page is near its top
_JSON_HEAD = 400
_CLOUDFLARE_COOKIE = "__cfwaitingroom"
_META = re.compile(
    r"""http-equiv=["']?refresh["']?[^>]*content=["']?\s*([0-9]{1,9}(?:\.[0-9]{1,9})?)""", re.IGNORECASE
)
_ROOM_WORDS = re.compile(r"waiting[\s_-]?room|you are in (?:the )?(?:line|queue)\b", re.IGNORECASE)
_NUMBER = re.compile(r"\s*([0-9]{1,9}(?:\.[0-9]{1,9})?)")


def waiting_room_poll_s(response: HttpResponse) -> float | None:
    """The poll interval of the waiting room that this response puts the customer into; None if it is none.

    Cheap for ordinary responses: it reads a few headers and the head of the text.
    """
    headers = response.headers
    if "x-queueit-redirect" in headers or _is_queue_page(response.url):
        return _poll_s(response)
    if "json" in headers.get("content-type", ""):
        return _json_poll_s(response) if "inWaitingRoom" in response.text[:_JSON_HEAD] else None
    reloads = "refresh" in headers or _META.search(response.text[:_HEAD]) is not None
    if reloads and (_CLOUDFLARE_COOKIE in headers.get("set-cookie", "") or _ROOM_WORDS.search(response.text)):
        return _poll_s(response)
    return None


def reload_interval_s(response: HttpResponse) -> float | None:
    """Seconds after which the page reloads itself; None if it does not."""
    stated = _NUMBER.match(response.headers.get("refresh", "")) or _META.search(response.text[:_HEAD])
    return None if stated is None else float(stated[1])


def _json_poll_s(response: HttpResponse) -> float | None:
    try:
        document = response.json()
    except ValueError:
        return None
    room: Any = document.get("cfWaitingRoom", document) if isinstance(document, dict) else None
    if not isinstance(room, dict) or room.get("inWaitingRoom") is not True:
        return None
    stated = room.get("refreshIntervalSeconds")
    return (
        min(float(stated), MAX_POLL_S) if isinstance(stated, int | float) and stated > 0 else DEFAULT_POLL_S
    )


def _is_queue_page(url: str) -> bool:
    """Whether a URL is a Queue-it-style queue: on its host, or with customer, event and target parameters."""
    if "e=" not in url:
        return False
    parts = urlsplit(url)
    named = parse_qs(parts.query)
    host = parts.hostname or ""
    return ("c" in named and "e" in named) and (
        "t" in named or host == "queue-it.net" or host.endswith(".queue-it.net")
    )


def _poll_s(response: HttpResponse) -> float:
    stated = reload_interval_s(response)
    return DEFAULT_POLL_S if stated is None or stated <= 0 else min(stated, MAX_POLL_S)
