"""Foreign text made harmless for the eyes: the one function at the border of everything that is written.

All text from a target, a driver, a scenario, a recording or a run file is foreign. It could move the cursor,
colour or clear a terminal, reverse the writing direction, add lines, or contain a secret.
"""

from __future__ import annotations

import re

from doorbuster.output.secret_masking import mask_values

# C0 and C1 controls, which terminals obey; what XML 1.0 forbids (production 2, Char); marks, embeddings and
# overrides of the writing direction, with which a name could rewrite the text around it; line separators that
# only some programs see; invisible tags. Lone surrogates cannot be written at all.
_UNSAFE = re.compile(
    "[^\t\n\u0020-\u007e\u00a0-\u061b\u061d-\u200d\u2010-\u2027\u202f-\u205f\u2070-\ud7ff\ue000-\ufefe\uff00-\ufff8"
    "\ufffc\ufffd\U00010000-\U0001fffd\U00020000-\U0002fffd\U00030000-\U0003fffd\U000e0100-\U000e01ef]"
)
_SPACES = re.compile(r"\s+")
_BREAKS = re.compile(r"\r\n?|[\n\v\f\x1c-\x1e\x85\u2028\u2029]")


def clean(text: str) -> str:
    """The text with U+FFFD for unsafe characters, without secret values. Line feeds and tabs stay."""
    return _UNSAFE.sub("\ufffd", mask_values(text.replace("\r\n", "\n")))


def exception_text(error: BaseException) -> str:
    """The text of an exception; its own conversion to text may raise, too."""
    try:
        return str(error)
    except Exception as broken:  # noqa: BLE001  of a class in a user's file
        return f"(its text raises {type(broken).__name__})"


def named_exception(error: BaseException) -> str:
    """Type and text of an exception, such as "KeyError: 'price'"."""
    text = exception_text(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def flat(text: str) -> str:
    """The text cleaned and on one line; a line break becomes a space."""
    return clean(_BREAKS.sub(" ", text))


def one_line(text: str, limit: int = 60) -> str:
    """The text cleaned, on one line, cut with "…" beyond `limit` characters."""
    line = _SPACES.sub(" ", clean(text)).strip()
    return line if len(line) <= limit else line[: limit - 1] + "…"
