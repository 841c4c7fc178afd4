"""Explains unusable responses: a sign-in page, another site, a bot challenge."""

from __future__ import annotations

from urllib.parse import urlsplit

from doorbuster.load.target.endpoint import RUN_HEADER
from doorbuster.load.tools.tracing_client import ExchangeTrace

_CHALLENGES = ("just a moment", "cf-chl", "captcha", "are you human", "request unsuccessful")
_SIGN_IN = ('type="password"', "type=password", "name=password")
_BROKEN_JSON = frozenset({"unexpected_json", "JSONDecodeError"})
_IN_TIME = frozenset({"first_byte_timeout", "total_timeout"})
ROUND = "its pages send us round in a circle: does it want a cookie, a language, https or another host?"
LOGIN = 'it asks for a login before any page: the driver can send one, fetch(..., auth=("user", "word"))'
BOTS = f"this looks like a wall against bots: let in this machine, or the header {RUN_HEADER}"
SIGN_IN = "this looks like a sign-in page: the driver must sign in first, or the address is of another part"
NOT_THERE = "nothing is at {} here: is this the right kind of shop, and the right address?"
ELSEWHERE = "the shop sends us on to {}: give that address, if it is yours"
FAILED = f"the shop itself failed: its log says why; search it for {RUN_HEADER}"
SLOW = "it did not answer in time, although nobody else was sent there"
LINKS = "the page links to {}: does the driver look for such links?"
PRICES = "the page has {}: does the driver look for such a price?"
NO_DATA = "a page came where data was expected: is this the right kind of shop, and the right address?"


def hint_for(cause: str, answer: ExchangeTrace, url: str) -> str:
    """The probable reason and the way out, or nothing.

    Args: cause: of the step. answer: the last exchange. url: the address that was probed.
    """
    text = "\n".join(answer.answer).lower()
    place, asked = urlsplit(answer.url), urlsplit(url)
    moved = (place.scheme, place.netloc) != (asked.scheme, asked.netloc)
    signs_in = any(mark in text for mark in _SIGN_IN) or "/login" in place.path or "signin" in place.path
    suspicions = (
        (cause == "too_many_redirects", ROUND),
        (moved, ELSEWHERE.format(f"{place.scheme}://{place.netloc}")),
        (answer.status == 401, LOGIN),
        (any(mark in text for mark in _CHALLENGES), BOTS),
        (signs_in, SIGN_IN),
        (answer.status == 404, NOT_THERE.format(place.path)),
        (answer.status >= 500, FAILED),
        (answer.cause in _IN_TIME, SLOW),
        ("text/html" in text and cause in _BROKEN_JSON, NO_DATA),
        (cause == "empty_listing" and bool(answer.links), LINKS.format(" and ".join(answer.links))),
        (
            cause == "product_without_price" and bool(answer.prices),
            PRICES.format(" and ".join(answer.prices)),
        ),
    )
    return next((told for holds, told in suspicions if holds), "")
