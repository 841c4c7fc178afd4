"""Seals a page: its security policy then allows nothing but the styles and scripts that it was made with.

A policy by hashes knows no inline styles, which templates and drawings have many of, so each distinct one
becomes a rule of the page's style sheet. That also halves the size of the drawings.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable

POLICY = '<meta http-equiv="Content-Security-Policy" content="">'
"""The element that the template of a sealed page has in its head, before its one `<style>`."""
_SPACE = re.compile(
    r"/\*[^!].*?\*/|\s+(?=[{}])|(?<=[{};:,])\s+", re.DOTALL
)  # in a style sheet without such texts
_SHEET = re.compile(r"<style>(.*?)</style>", re.DOTALL)
_INLINE = re.compile(r' style="([^"]*)"')
_SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)


def sealed(page: str) -> str:
    """The page with its policy.

    Foreign text is escaped by now, so that quotation marks and angle brackets are the templates' own.
    """
    numbers: dict[str, int] = {}

    def attribute(inline: re.Match[str]) -> str:
        return f' data-s="{numbers.setdefault(inline[1], len(numbers))}"'  # quoted: a value may precede />

    head, body = page.split("</style>", 1)
    parts = _SCRIPT.split(body)  # texts and scripts by turns; scripts stay as they are
    parts[::2] = [_INLINE.sub(attribute, part) for part in parts[::2]]
    body = "".join(part if at % 2 == 0 else f"<script>{part}</script>" for at, part in enumerate(parts))
    rules = "".join(f"[data-s='{number}']{{{style}}}\n" for style, number in numbers.items())
    start, own = head.split("<style>", 1)
    page = f"{start}<style>{_SPACE.sub('', own + rules)}</style>{body}"
    sheet = _SHEET.search(page)
    assert sheet is not None, "the page has a style sheet"
    policy = _policy(sheet[1], _SCRIPT.findall(body))
    if "<img " in body:
        policy += "; img-src data:"
    return page.replace(POLICY, POLICY.replace('""', f'"{policy}"'), 1)


def _policy(sheet: str, scripts: Iterable[str]) -> str:
    ours = f"style-src{_hashes([sheet])}; script-src{_hashes(scripts)}"
    return f"default-src 'none'; {ours}; font-src data:; base-uri 'none'; form-action 'none'"


def _hashes(texts: Iterable[str]) -> str:
    digests = (base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in texts)
    return "".join(f" 'sha256-{digest}'" for digest in digests) or " 'none'"
