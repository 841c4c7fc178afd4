"""Masks credentials and payment data in recorded requests and responses.

The name decides: a header or a field of a form, JSON or query string whose name contains a secret word.
"""

from __future__ import annotations

import re
from itertools import pairwise

MASK = "***"
_WORDS = frozenset({
    "password", "passwd", "pwd", "secret", "token", "session", "sessionid", "sid", "authorization", "cookie",
    "cookies", "signature", "credential", "credentials", "csrf", "csrftoken", "csrfmiddlewaretoken", "apikey",
    "cvv", "cvc", "iban", "pan", "cardnumber",
})  # fmt: skip
_PAIRS = frozenset({("api", "key"), ("card", "number"), ("access", "key"), ("private", "key")})
_SPLIT = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")
_NAMED = re.compile(
    r"""(?P<before>(?<![\w$-])(?P<quote>["']?)(?P<name>[\w-]+)(?P=quote)\s*[:=](?!//)\s*)"""
    r"""(?P<value>"(?:[^"\\]|\\.)*"|'[^']*'|[^"'&\s,;}<>\])]+)"""
)
_BEARER = re.compile(r"\b(Bearer|Basic)\s+[\w.~+/=-]+", re.IGNORECASE)
_INPUT = re.compile(r"""(<input[^>]*\bname=["'](?P<name>[\w-]+)["'][^>]*\bvalue=["'])[^"']+""", re.IGNORECASE)


def is_secret(name: str) -> bool:
    """Whether the value of a header, cookie or field of this name is secret."""
    words = [word.lower() for word in _SPLIT.findall(name)]
    return not _WORDS.isdisjoint([*words, name.lower()]) or not _PAIRS.isdisjoint(pairwise(words))


def masked(text: str) -> str:
    """The text with all secret values masked."""
    text = _BEARER.sub(rf"\1 {MASK}", text)
    text = _INPUT.sub(lambda found: f"{found[1]}{MASK}" if is_secret(found["name"]) else found[0], text)
    return _NAMED.sub(_hide, text)


def _hide(found: re.Match[str]) -> str:
    value = found["value"]
    if not is_secret(found["name"]) or value.lower() in ("bearer", "basic", "null", "true", "false", MASK):
        return found[0]
    quote = value[0] if value[0] in "\"'" else ""
    return f"{found['before']}{quote}{MASK}{quote}"
