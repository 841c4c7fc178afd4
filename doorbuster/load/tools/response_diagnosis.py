"""Explains unusable responses: a sign-in page, another site, a bot challenge."""

from __future__ import annotations

from urllib.parse import urlsplit

from doorbuster.load.tools.tracing_client import ExchangeTrace
from doorbuster.scenario import RUN_HEADER

_CHALLENGES = ("just a moment", "cf-chl", "captcha", "are you human", "request unsuccessful")
_SIGN_IN = ('type="password"', "type=password", "name=password")
_TIMEOUTS = frozenset({"first_byte_timeout", "total_timeout"})
REDIRECT_LOOP = "the shop redirects in a circle: does it need a cookie, a language, https or another host?"
LOGIN = 'the shop requires HTTP authentication: the driver can send it, fetch(..., auth=("user", "password"))'
BOTS = f"this looks like bot protection: allow this machine, or the header {RUN_HEADER}"
SIGN_IN = (
    "this looks like a sign-in page: the driver must sign in first, or the URL belongs to another system"
)
NOT_THERE = "there is no page {}: is this the right kind of shop, and the right URL?"
ELSEWHERE = "the shop redirects to {}: use that URL if it is yours"
FAILED = f"the shop failed: see its log, and search it for {RUN_HEADER}"
SLOW = "the shop did not respond in time, although this was the only request"
LINKS = "the page links to {}: does the driver look for such links?"
PRICES = "the page has {}: does the driver look for such a price?"
NO_DATA = "the shop sent an HTML page instead of JSON: is this the right kind of shop, and the right URL?"


def hint_for(cause: str, answer: ExchangeTrace, url: str) -> str:
    """The probable reason and a way out; empty if there is none.

    Args: cause: of the step. answer: its last exchange. url: the URL that was probed.
    """
    text = "\n".join(answer.answer).lower()
    found, probed = urlsplit(answer.url), urlsplit(url)
    moved = (found.scheme, found.netloc) != (probed.scheme, probed.netloc)
    signs_in = any(mark in text for mark in _SIGN_IN) or "/login" in found.path or "signin" in found.path
    hints = (
        (cause == "too_many_redirects", REDIRECT_LOOP),
        (moved, ELSEWHERE.format(f"{found.scheme}://{found.netloc}")),
        (answer.status == 401, LOGIN),
        (any(mark in text for mark in _CHALLENGES), BOTS),
        (signs_in, SIGN_IN),
        (answer.status == 404, NOT_THERE.format(found.path)),
        (answer.status >= 500, FAILED),
        (answer.cause in _TIMEOUTS, SLOW),
        ("text/html" in text and cause == "unexpected_content", NO_DATA),
        (cause == "empty_listing" and bool(answer.links), LINKS.format(" and ".join(answer.links))),
        (
            cause == "product_without_price" and bool(answer.prices),
            PRICES.format(" and ".join(answer.prices)),
        ),
    )
    return next((hint for applies, hint in hints if applies), "")
