"""Mutations of texts, bytes and nested values, drawn with a seeded generator."""

from __future__ import annotations

import copy
from random import Random
from typing import Any

ODD_TEXTS = (
    "", " ", "\x00", "\x1b[2J", "\x07", "\x9b5m", "\u202e", "\u2028", "\ud800", "é", "日本", "\ufeff", "'", '"', "\\",
    "{}", "[]", "null", "NaN", "-1", "1e999", "9" * 400, "0x10", "${x}", "{{}}", "%s%n", "<script>", "../../etc",
    "A" * 5000, "http://[", "http://u:p@127.0.0.1:0/", "javascript:1", "2026-13-45T99:99:99Z", "none", "inf",
    "__import__('os').system('id')", '"); raise SystemExit  #', '"""', "# coding: rot13", "p(95)<3s", "100%", "-5m",
)  # fmt: skip
ODD_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**53, 2**63 - 1, -(2**63), 10**30, 0.1, -0.0, 1e308, float("inf"),
    float("nan"), [], {}, [[]], [None], {"": ""}, {"a": {"a": {"a": {}}}}, *ODD_TEXTS,
)  # fmt: skip
ALPHABET = "abcxyz019 :,-_=+*/%&#'\"()[]{}<>|!?.\n\t\r\\\x00\x1b\u202e\ud800é"


def odd_value(rng: Random) -> Any:
    """A value that a reader may not expect."""
    if rng.random() < 0.1:
        return [odd_value(rng) for _ in range(rng.randrange(4))]
    if rng.random() < 0.1:
        return {str(odd_value(rng)): odd_value(rng) for _ in range(rng.randrange(4))}
    if rng.random() < 0.2:
        return "".join(rng.choices(ALPHABET, k=rng.randrange(12)))
    return copy.deepcopy(rng.choice(ODD_VALUES))


def mutated_value(rng: Random, value: Any, changes: int = 0) -> Any:
    """A copy with some parts replaced, removed, repeated or renamed."""
    changed = copy.deepcopy(value)
    for _ in range(changes or rng.choice((1, 1, 1, 2, 3, 8))):
        changed = _change(rng, changed)
    return changed


def _change(rng: Random, value: Any) -> Any:
    if not isinstance(value, dict | list) or not value or rng.random() < 0.05:
        return (
            odd_value(rng) if not isinstance(value, str) or rng.random() < 0.5 else mutated_text(rng, value)
        )
    key = rng.choice(list(value)) if isinstance(value, dict) else rng.randrange(len(value))
    action = rng.random()
    if action < 0.7:
        value[key] = _change(rng, value[key])
    elif action < 0.8:
        del value[key]
    elif isinstance(value, dict):
        value[str(odd_value(rng))[:200]] = value[key]
    else:
        value.insert(rng.randrange(len(value) + 1), copy.deepcopy(rng.choice(value)))
    return value


def mutated_text(rng: Random, text: str) -> str:
    """The text with some places changed, cut, repeated or swapped."""
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        at = rng.randrange(len(text) + 1)
        to = min(len(text), at + rng.choice((0, 1, 1, 3, 20, 200)))
        action = rng.random()
        if action < 0.35:
            text = text[:at] + rng.choice(ODD_TEXTS) + text[to:]
        elif action < 0.6:
            text = text[:at] + rng.choice(ALPHABET) + text[to:]
        elif action < 0.75:
            text = text[:at] + text[to:]
        elif action < 0.85:
            text = text[:at] + text[at:to] * rng.choice((2, 3, 50)) + text[to:]
        elif action < 0.95:
            other = rng.randrange(len(text) + 1)
            text = text[:at] + text[other : other + 40] + text[to:]
        else:
            text = text[:at]
        text = text[:200_000]
    return text


def mutated_bytes(rng: Random, data: bytes, low: int = 0) -> bytes:
    """The bytes from `low` on with some flipped, overwritten, cut or repeated."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8, 64))):
        if len(changed) <= low:
            break
        at = rng.randrange(low, len(changed))
        action = rng.random()
        if action < 0.4:
            changed[at] ^= 1 << rng.randrange(8)
        elif action < 0.7:
            changed[at] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
        elif action < 0.8:
            length = rng.choice((1, 2, 4, 8, 512, 4096))
            changed[at : at + length] = bytes(rng.choice((0, 0xFF)) for _ in range(length))
        elif action < 0.9:
            other = rng.randrange(low, len(changed))
            length = rng.choice((1, 8, 100, 4096))
            changed[at : at + length] = changed[other : other + length]
        elif action < 0.95:
            del changed[at : at + rng.choice((1, 2, 100, 4096))]
        else:
            del changed[at:]
    return bytes(changed)
