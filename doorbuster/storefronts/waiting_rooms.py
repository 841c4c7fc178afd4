"""Recognises waiting rooms by what they answer, whatever the status says: 200, 202 and 429 are all in use.

Cloudflare-style: JSON with `cfWaitingRoom.inWaitingRoom` (others put `inWaitingRoom` at the top), or a page
that reloads itself and came with the room's cookie. Queue-it-style: an API answer with the header
`x-queueit-redirect`, or a redirect out to the queue's page, which leads back when it is one's turn.

Sources: Cloudflare, Waiting Room, JSON response and cookies; Alibaba Cloud ESA, JSON response parameters
(`waitTime` is in minutes); Queue-it, KnownUser connectors (header, and `c`, `e`, `t` in the queue's address).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from doorbuster.storefronts.http import HttpResponse

DEFAULT_POLL_S = 20.0  # where a room does not say when to come back
LONGEST_POLL_S = 600.0
_HEAD = 4_096  # a page that reloads itself says so near its top
_JSON_HEAD = 400
_CLOUDFLARE_COOKIE = "__cfwaitingroom"
_META = re.compile(r'http-equiv=["\']?refresh["\']?[^>]*content=["\']?\s*(\d+(?:\.\d+)?)', re.IGNORECASE)
_POSITION = re.compile(r'data-position="(\d+)"')
_ROOM_WORDS = re.compile(r"waiting[\s_-]?room|you are in (?:the )?(?:line|queue)\b", re.IGNORECASE)
_NUMBER = re.compile(r"\s*(\d+(?:\.\d+)?)")


class Wait(NamedTuple):
    """When the room asks to be asked again, and how many stand in front, where it says so."""

    poll_after_s: float
    position: int | None


def waiting_room(response: HttpResponse) -> Wait | None:
    """The waiting room this answer puts the customer into; None for every other answer.

    Cheap for ordinary answers: a few headers and the head of the text are looked at.
    """
    headers = response.headers
    redirect = headers.get("x-queueit-redirect")
    if redirect is not None or _is_queue_page(response.url):
        return Wait(_poll_s(response, DEFAULT_POLL_S), _position(response))
    if "json" in headers.get("content-type", ""):
        return _json_room(response) if "inWaitingRoom" in response.text[:_JSON_HEAD] else None
    reloads = "refresh" in headers or _META.search(response.text[:_HEAD]) is not None
    if reloads and (_CLOUDFLARE_COOKIE in headers.get("set-cookie", "") or _ROOM_WORDS.search(response.text)):
        return Wait(_poll_s(response, DEFAULT_POLL_S), _position(response))
    return None


def reload_interval_s(response: HttpResponse) -> float | None:
    """After how many seconds the page reloads itself; None for a page that stays."""
    told = _NUMBER.match(response.headers.get("refresh", "")) or _META.search(response.text[:_HEAD])
    return None if told is None else float(told[1])


def _json_room(response: HttpResponse) -> Wait | None:
    try:
        document = response.json()
    except ValueError:
        return None
    room: Any = document.get("cfWaitingRoom", document) if isinstance(document, dict) else None
    if not isinstance(room, dict) or room.get("inWaitingRoom") is not True:
        return None
    told = room.get("refreshIntervalSeconds")
    position = room.get("position")
    poll_s = float(told) if isinstance(told, int | float) and told > 0 else DEFAULT_POLL_S
    return Wait(min(poll_s, LONGEST_POLL_S), position if isinstance(position, int) else None)


def _is_queue_page(url: str) -> bool:
    """Whether an address is a Queue-it-style queue: its own host, or the customer, event and target in it."""
    if "e=" not in url:
        return False
    parts = urlsplit(url)
    named = parse_qs(parts.query)
    host = parts.hostname or ""
    return ("c" in named and "e" in named) and (
        "t" in named or host == "queue-it.net" or host.endswith(".queue-it.net")
    )


def _poll_s(response: HttpResponse, otherwise_s: float) -> float:
    told = reload_interval_s(response)
    return otherwise_s if told is None or told <= 0 else min(told, LONGEST_POLL_S)


def _position(response: HttpResponse) -> int | None:
    found = _POSITION.search(response.text)
    return int(found[1]) if found else None
