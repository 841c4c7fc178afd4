"""The files of the live page, and the headers that protect it."""

from __future__ import annotations

from importlib.resources import files
from typing import NamedTuple

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# A report holds texts of the shop under test; it gets an origin of its own, so that it reaches nothing here.
REPORT_POLICY = "sandbox allow-scripts allow-popups allow-downloads; frame-ancestors 'self'"
_TYPES = {"html": "text/html", "js": "text/javascript", "css": "text/css"}
PAGE_FILES = {"": "index.html", "live.js": "live.js", "live.css": "live.css"}  # by path


class PageFile(NamedTuple):
    """A file of the page with the headers of its answer."""

    content: bytes
    headers: dict[str, str]


def page_file(path: str) -> PageFile | None:
    """The file at a path relative to the page, "" for the page itself; None if there is none."""
    name = PAGE_FILES.get(path)
    if name is None:
        return None
    content = files("doorbuster.live").joinpath("page", name).read_bytes()
    return PageFile(content, headers(_TYPES[name.rpartition(".")[2]], POLICY))


def headers(kind: str, policy: str) -> dict[str, str]:
    """Headers of an answer."""
    return {
        "Content-Type": f"{kind}; charset=utf-8",
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-store",
        "Referrer-Policy": "no-referrer",
    }
