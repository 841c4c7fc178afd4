"""Masks credentials and payment data in texts.

Two rules:
- By value, wherever a text is written: values of environment variables that hold secrets or fill headers,
  user information in URLs, credentials of HTTP authentication, JSON Web Tokens (`mask_values`).
- By name, where foreign text enters a run, a log or a trace: values of headers, cookies, and fields of forms,
  JSON, XML, pages and query strings whose name contains a secret word (`masked`).
"""

from __future__ import annotations

import ast
import json
import os
import re
import sys
from collections.abc import Iterable
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Final
from urllib.parse import quote, quote_plus, unquote_plus

MASK: Final = "***"
MIN_CHARACTERS: Final = 6  # of a value; shorter ones occur by chance
_WORDS = frozenset({
    "password", "passwd", "passcode", "passphrase", "pwd", "secret", "token", "jwt", "session", "sessionid",
    "sid", "sessid", "phpsessid", "jsessionid", "auth", "authorization", "cookie", "cookies", "signature",
    "credential", "credentials", "csrf", "csrftoken", "csrfmiddlewaretoken", "xsrf", "apikey", "otp", "cvv",
    "cvv2", "cvc", "iban", "pan", "cardnumber", "bypass",
})  # fmt: skip
_PAIRS = frozenset({
    ("api", "key"), ("card", "number"), ("access", "key"), ("private", "key"), ("security", "code"),
})  # fmt: skip
_SPLIT = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")
_NAME = r"[\w.$-]{1,100}"
# A name and what separates it from its value: name=value, name: value, "name": "value", ('name', 'value').
_NAMED = re.compile(
    rf"""(?<![\w$-])(?P<quote>\\*["']?)(?P<name>[\w-]{{1,100}})(?P=quote)(?P<sign>\s*[:=](?!//)\s*)"""
    rf"""|(?P<q2>\\*["'])(?P<name2>{_NAME})(?P=q2)\s*,\s*(?=\\*["'])"""
    rf"""|(?:%3[fF]|%26|%7[bB]%22)(?P<name3>[\w.-]{{1,100}})(?:%3[dD]|%22%3[aA]%22)"""
    rf"""|<(?P<name4>{_NAME})>(?=[^<])"""
    rf"""|\bform-data;\s*name=\\*"(?P<name5>[^"\\\r\n]{{1,100}})\\*"[^\s\\]{{0,200}}(?:\s|\\+[rn])+"""
)
_VALUES = {
    "name": re.compile(
        r""""(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|\\+".*?\\+"|\\+'.*?\\+'|[^"'&\s,;}<>\])\\]+"""
    ),
    "name2": re.compile(r""""(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|\\+".*?\\+"|\\+'.*?\\+'"""),
    "name3": re.compile(r"(?:(?!%26|%22|%23)[^&\s\"'<>])+"),
    "name4": re.compile(r"[^<]+"),
    "name5": re.compile(r"[^\s\\]+"),
}
_REST_OF_LINE = re.compile(r"[^\r\n\"']+")
_WHOLE_LINE = frozenset({"cookie", "authorization", "proxy-authorization"})
_PLAIN = frozenset({"bearer", "basic", "null", "none", "true", "false", MASK})
# A digest is followed by name=value pairs (RFC 7616); "the digest of a week" is not a credential.
_SCHEME = re.compile(r"\b(Bearer|Basic|Digest(?=\s+[\w-]+=))\s+[\w.~+/=-]+", re.IGNORECASE)
_JWT = re.compile(r"\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*")
_USER_INFORMATION = re.compile(r"(?<=://)[^\s/@?#\"'<>]{1,300}@")
_TAG = re.compile(r"<(?:input|meta|button)\b[^<>]{0,2000}>", re.IGNORECASE)
_ATTRIBUTE = re.compile(
    r"""\b(name|property|id|value|content)\s*=\s*("[^"]*"|'[^']*'|[^\s"'>]+)""", re.IGNORECASE
)


@lru_cache(maxsize=4096)
def is_secret(name: str) -> bool:
    """Whether the value of a header, cookie or field of this name is secret."""
    words = [word.lower() for word in _SPLIT.findall(name)]
    return not _WORDS.isdisjoint([*words, name.lower()]) or not _PAIRS.isdisjoint(pairwise(words))


def masked(text: str) -> str:
    """The text without secrets, by value and by name."""
    text = _TAG.sub(_masked_tag, mask_values(text))
    parts, at = [], 0
    for found in _NAMED.finditer(text):
        kind = str(found.lastgroup) if found.lastgroup != "sign" else "name"
        name = unquote_plus(found[kind])
        if found.start() < at or not is_secret(name):
            continue
        pattern = _VALUES[kind]
        if kind == "name" and name.lower() in _WHOLE_LINE and not found["quote"]:
            pattern = _REST_OF_LINE
        value = pattern.match(text, found.end())
        if value is not None and not _PLAIN.issuperset(value[0].lower().split()):
            parts += [text[at : found.end()], _mask_of(value[0])]
            at = value.end()
    return "".join([*parts, text[at:]]) if parts else text


def _mask_of(value: str) -> str:
    """The mask in the quotes of the value; the scheme of an authorization stays."""
    quotes = value[: len(value) - len(value.lstrip("\\\"'"))]
    if quotes:
        return f"{quotes}{MASK}{quotes}"
    scheme, _, rest = value.partition(" ")
    return f"{scheme} {MASK}" if rest and scheme.isalpha() else MASK


def _masked_tag(found: re.Match[str]) -> str:
    """A form field or meta tag with its value masked if its name is secret."""
    attributes = _ATTRIBUTE.findall(found[0])
    names = [value.strip("\"'") for key, value in attributes if key.lower() in ("name", "property", "id")]
    if not any(is_secret(name) for name in names):
        return found[0]

    def hide(attribute: re.Match[str]) -> str:
        if attribute[1].lower() not in ("value", "content"):
            return attribute[0]
        quote_sign = attribute[2][0] if attribute[2][0] in "\"'" else ""
        return f"{attribute[1]}={quote_sign}{MASK}{quote_sign}"

    return _ATTRIBUTE.sub(hide, found[0])


# ---- by value


def mask_values(text: str) -> str:
    """The text without known secrets and without texts that are secret by their form."""
    for value in _known_values():
        if value in text:
            text = text.replace(value, MASK)
    if "://" in text:
        text = _USER_INFORMATION.sub(f"{MASK}@", text)
    if "eyJ" in text:
        text = _JWT.sub(MASK, text)
    return _SCHEME.sub(rf"\1 {MASK}", text)


_used_names: set[str] = set()


def remember_variables_of_drivers() -> None:
    """Treat the environment variables that the user's loaded files name as secrets, whatever their names.

    A file names one as a text, such as in os.environ["SHOP_LOGIN"].
    """
    library = Path(__file__).parents[1]
    for module in list(sys.modules.values()):
        source = getattr(module, "__file__", None)
        if source and "site-packages" not in source and "lib/python" not in source.replace("\\", "/"):
            path = Path(source)
            if library not in path.parents:
                remember_variables_in(path)


def remember_variables_in(source: Path) -> None:
    """Treat the environment variables that a file names as secrets; ignored if it cannot be parsed."""
    try:
        tree = ast.parse(source.read_text(encoding="utf-8"))
    except (OSError, ValueError, SyntaxError, RecursionError, MemoryError):
        return
    _remember_names(
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )


def _remember_names(names: Iterable[str]) -> None:
    """Treat the values of these environment variables as secrets; other names are ignored."""
    new = {name for name in names if name in os.environ} - _used_names - _HARMLESS
    if new:
        _used_names.update(new)
        _known_values.cache_clear()


_given_values: set[str] = set()


def remember_secrets(values: Iterable[str]) -> None:
    """Treat these values as secrets: those of target.headers, which workers get without their variables."""
    _given_values.update(values)
    _known_values.cache_clear()


_HARMLESS = frozenset({"PATH", "HOME", "USER", "LANG", "PWD", "SHELL", "TERM", "TMPDIR", "HOSTNAME"})


def _is_secret_variable(name: str) -> bool:
    """Stricter than for fields: desktops and CI systems set many variables named after sessions."""
    words = {word.lower() for word in name.split("_")}
    return not words.isdisjoint(_VARIABLE_WORDS) or bool({"key", "pat"} & words and len(words) > 1)


_VARIABLE_WORDS = frozenset({
    "password", "passwd", "passphrase", "secret", "secrets", "token", "jwt", "apikey", "credential",
    "credentials", "cookie", "dsn",
})  # fmt: skip


@lru_cache(maxsize=1)
def _known_values() -> tuple[str, ...]:
    """Values of secret environment variables, in every form in which texts have them; longest first."""
    names = _used_names | {name for name in os.environ if _is_secret_variable(name)}
    values = _given_values | {os.environ[name].strip() for name in names if name in os.environ}
    forms = {
        form
        for value in values
        if len(value) >= MIN_CHARACTERS
        for form in (
            value,
            quote(value, safe=""),
            quote_plus(value),
            json.dumps(value)[1:-1],
            repr(value)[1:-1],
        )
    }
    return tuple(sorted(forms, key=len, reverse=True))
