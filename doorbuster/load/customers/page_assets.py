"""The static assets of a page: found in its HTML and fetched as a browser does with an empty cache.

Rules:
- "critical" assets block the first display: style sheets, scripts without async and defer, and preloaded
  styles, scripts and fonts. "all" adds other scripts and style sheets, images and icons.
- Images with loading="lazy", sources for other screens (srcset) and files that style sheets and scripts name
  are not fetched.
- An asset is fetched once per customer, unless its answer failed or says no-store.
- Only hosts that may be loaded are asked; the others are left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from html import unescape
from typing import Final, NamedTuple
from urllib.parse import urljoin, urlsplit

from doorbuster.load.http.allowed_hosts import AllowedHosts
from doorbuster.load.http.client import HttpClient
from doorbuster.load.http.response import Response
from doorbuster.scenario import ASSET_STEPS

STYLE, SCRIPT, IMAGE = ASSET_STEPS
MAX_ASSETS: Final = 200  # of one page
_KEPT_PAGES: Final = 256  # whose assets a process remembers
# Comments, and content that is not displayed; of a script with content only the tag is kept.
_NOT_DISPLAYED: Final = re.compile(
    r"<!--.*?-->|<(noscript|template|style|textarea)\b.*?</\1\s*>|(<script\b[^>]*>).*?</script\s*>",
    re.DOTALL | re.IGNORECASE,
)
_TAG: Final = re.compile(r"<(link|script|img|base)\b((?:[^>\"']|\"[^\"]*\"|'[^']*')*)>", re.IGNORECASE)
_ATTRIBUTE: Final = re.compile(r"""([\w:-]+)(?:\s*=\s*("[^"]*"|'[^']*'|[^\s"'>]+))?""")
_PRELOADED: Final = {"style": STYLE, "script": SCRIPT, "font": STYLE, "image": IMAGE}


class Asset(NamedTuple):
    """One file of a page; `kind` is the step under which its requests are recorded."""

    kind: str
    url: str
    is_critical: bool


@lru_cache(maxsize=_KEPT_PAGES)
def find_assets(page: str, page_url: str) -> tuple[Asset, ...]:
    """The assets of a page in its order, each once, with absolute URLs; at most MAX_ASSETS."""
    base = page_url
    found: dict[str, Asset] = {}
    for tag, text in _TAG.findall(_NOT_DISPLAYED.sub(r"\2", page)):
        pairs = ((name.lower(), value.strip("\"'")) for name, value in _ATTRIBUTE.findall(text))
        attributes = {name: unescape(value).strip() for name, value in pairs}
        if tag.lower() == "base":
            base = urljoin(page_url, attributes.get("href", ""))
            continue
        for kind, address, is_critical in _of_tag(tag.lower(), attributes):
            try:
                url = urljoin(base, address).partition("#")[0]
                is_web = urlsplit(url).scheme in ("http", "https")
            except ValueError:  # an address that no browser could load either
                continue
            if address and is_web and url != page_url and (url not in found or is_critical):
                found[url] = Asset(kind, url, is_critical)
    return tuple(found.values())[:MAX_ASSETS]


def _of_tag(tag: str, attributes: dict[str, str]) -> Iterator[tuple[str, str, bool]]:
    if tag == "script":
        if "nomodule" not in attributes:
            later = "async" in attributes or "defer" in attributes or attributes.get("type") == "module"
            yield SCRIPT, attributes.get("src", ""), not later
        return
    if tag == "img":
        if attributes.get("loading") != "lazy":
            yield IMAGE, attributes.get("src", ""), False
        return
    relations = attributes.get("rel", "").lower().split()
    href = attributes.get("href", "")
    if "stylesheet" in relations and "alternate" not in relations and "disabled" not in attributes:
        yield STYLE, href, attributes.get("media", "all").lower() in ("all", "screen", "")
    elif "preload" in relations and attributes.get("as", "").lower() in _PRELOADED:
        kind = _PRELOADED[attributes["as"].lower()]
        yield kind, href, kind != IMAGE
    elif "modulepreload" in relations:
        yield SCRIPT, href, False
    elif "icon" in relations:
        yield IMAGE, href, False


class AssetCache:
    """What one customer's browser has loaded: URLs of assets, until the end of the visit."""

    def __init__(self, *, critical_only: bool) -> None:
        self._critical_only = critical_only
        self._loaded: set[str] = set()

    def missing(self, pages: Sequence[Response], hosts: AllowedHosts | None) -> list[Asset]:
        """The assets of these pages that must be fetched."""
        wanted = {
            asset.url: asset
            for page in pages
            if is_page(page)
            for asset in find_assets(page.text, page.url)
            if (asset.is_critical or not self._critical_only) and asset.url not in self._loaded
        }
        return [
            asset
            for asset in wanted.values()
            if hosts is None or hosts.names(urlsplit(asset.url).hostname or "")
        ]

    def fetch(self, client: HttpClient, assets: Sequence[Asset], *, due_at: float) -> list[Response]:
        """Fetch the assets at once, on the connections that a browser would use; answers in their order."""
        answers = client.get_all(
            ({"url": asset.url, "name": asset.kind} for asset in assets), intended_at=due_at
        )
        for asset, answer in zip(assets, answers, strict=True):
            if not answer.cause and "no-store" not in answer.headers.get("cache-control", "").lower():
                self._loaded.add(asset.url)
        return answers


def is_page(response: Response) -> bool:
    """Whether a response is an HTML page that a browser displays."""
    return response.status_code == 200 and "html" in response.headers.get("content-type", "").lower()
