"""What kind of page an address is: by the words in it, by its method, and by how visitors move between pages.

Static files and requests that scripts of a page send are not pages.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from doorbuster.access_logs.graphql_operations import kind_of_operation, operation_of_address
from doorbuster.access_logs.log_map import IGNORE, OTHER, LogMap
from doorbuster.access_logs.page_paths import VARIABLE
from doorbuster.storefronts.har import vocabulary as words_for

ROBOTS = "robots"  # a request for robots.txt, which only programs read
ASSET_ENDINGS = {
    "css", "js", "mjs", "map", "png", "jpg", "jpeg", "gif", "webp", "avif", "svg", "ico", "bmp", "woff",
    "woff2", "ttf", "otf", "eot", "mp4", "webm", "mp3", "pdf", "zip", "gz", "txt", "xml", "json",
    "webmanifest", "wasm",
}  # fmt: skip
_ASSET_WORDS = {
    "static", "assets", "image", "images", "img", "media", "css", "js", "fonts", "font", "dist", "thumb",
    "thumbs", "thumbnail", "thumbnails", "cdn", "skin", "cache", "favicon", "bundles", "pub",
}  # fmt: skip
_MACHINE_WORDS = {
    "health", "healthz", "healthcheck", "livez", "readyz", "ping", "server-status", "nginx_status", "metrics",
    "wp-cron", "xmlrpc", "well-known", "feed", "rss", "sitemap", "webhook", "webhooks", "cron", "admin",
    "wp-admin", "manage", "staff",
}  # fmt: skip
_SIGN_IN = {
    "login",
    "signin",
    "logon",
    "authenticate",
    "anmelden",
    "connexion",
    "session",
    "sessions",
    "auth",
}
_HOME_WORDS = {"home", "index", "start", "startseite", "accueil"}
_RETURNS = {"return", "returns", "cancel", "refund", "refunds"}
_LANGUAGE = re.compile(r"[a-z]{2}(?:[-_][a-z]{2})?", re.IGNORECASE)
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]{2,}(?![a-z])")
_SHARE_OF_LEADS = 0.3
_SHARE_AT_ONCE = 0.8


@dataclass(frozen=True, slots=True)
class PageKind:
    """The kind of one address template and the evidence for it."""

    kind: str
    evidence: str


def is_asset(path: str) -> bool:
    """Whether a path is a static file: by its ending, or by a folder for such files."""
    last = path.rpartition("/")[2].lower()
    if "." in last and last.rpartition(".")[2] in ASSET_ENDINGS:
        return True
    return not _ASSET_WORDS.isdisjoint(path.lower().split("/")[:-1])


def kind_by_words(method: str, template: str, route: str) -> PageKind:
    """The kind that the words of an address tell; `other` if they tell none."""
    if method not in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        return PageKind(IGNORE, f"method {method}")
    operation = operation_of_address(template, route)
    if operation is not None:
        kind = kind_of_operation(operation) if operation else OTHER
        return PageKind(kind, f"GraphQL operation {operation!r}" if operation else "GraphQL without a name")
    routed = "" if route.endswith("{term}") else route.partition("=")[2]
    parts = [part for part in f"{template}/{routed}".split("/") if part]
    words = {word for part in parts for word in _words(part)}
    if route.startswith("?add-to-cart"):
        words |= {"add", "cart"}
    noise = words_for.TRACKING | _MACHINE_WORDS | (set() if words & words_for.ORDER else words_for.SUGGEST)
    if words & noise:
        return PageKind(IGNORE, f"word {_first(words, noise)!r}")
    changes = method != "GET"
    found = _changing(words, parts) if changes else None
    found = found or _basket_or_checkout(words, parts, changes=changes)
    if found is None and not changes:
        found = _browsing(words, parts, route, is_routed=bool(routed))
    return found or PageKind(OTHER, "no known word")


def _words(part: str) -> set[str]:
    """The words of a part of an address, and the whole part, in lower case; none for a variable part."""
    return (
        set()
        if part == VARIABLE
        else {part.lower(), *(word.lower() for word in _WORD.findall(part) if len(word) > 1)}
    )


def _changing(words: set[str], parts: list[str]) -> PageKind | None:
    if words & (_SIGN_IN | {"sign"}) and not words & {"out", "up"}:
        return PageKind("sign_in", f"word {_first(words, _SIGN_IN | {'sign'})!r} in a state-changing request")
    if words & words_for.BASKET:
        if words & (words_for.UNDO - {"note"}):
            return PageKind(OTHER, "changes the basket, but adds nothing")
        if words & (words_for.GOODS | {"add"}):
            return PageKind(
                "add_to_basket", f"word {_first(words, words_for.BASKET)!r} in a request that adds"
            )
        return PageKind("add_to_basket" if parts[-1:] != [VARIABLE] else OTHER, "changes the basket")
    return None


def _basket_or_checkout(words: set[str], parts: list[str], *, changes: bool) -> PageKind | None:
    last = _words(parts[-1]) if parts else set()
    if words & words_for.BASKET and (
        not words & words_for.ORDER or (last & words_for.BASKET and not changes)
    ):
        if "add" in words:
            return PageKind("add_to_basket", f"'add' and {_first(words, words_for.BASKET)!r}")
        return PageKind("basket", f"word {_first(words, words_for.BASKET)!r}")
    if not words & words_for.ORDER:
        return None
    named = _first(words, words_for.ORDER)
    if words & _RETURNS:
        return PageKind(OTHER, "returns or cancels an order")
    if changes:
        if words & words_for.ABOUT_DELIVERY:
            return PageKind(OTHER, "a step of the checkout before the order")
        if parts[-1:] == [VARIABLE]:
            return PageKind(OTHER, "changes an order")
        return PageKind("checkout", f"word {named!r} in a state-changing request")
    if words & words_for.THANKS:
        return PageKind("thanks", f"confirms an order: {_first(words, words_for.THANKS)!r}")
    if words & words_for.CHECKOUT_PAGE:
        return PageKind("checkout_page", f"word {named!r}")
    if words & {"order", "orders", "commande", "bestellung", "pedido"}:
        return PageKind("order_status", f"word {named!r}")
    return None


def _browsing(words: set[str], parts: list[str], route: str, *, is_routed: bool) -> PageKind | None:
    if route.endswith("{term}"):
        return PageKind("search", f"query {route.partition('=')[0].removeprefix('?')!r} with a search term")
    if words & words_for.SEARCH:
        return PageKind("search", f"word {_first(words, words_for.SEARCH)!r}")
    nouns = [part for part in parts if part != VARIABLE]
    if not nouns and not route:
        return PageKind("home", "the root") if not parts else None
    if words & words_for.BESIDE_PRODUCT and words & words_for.PRODUCT:
        return PageKind(IGNORE, f"part of a product page: {_first(words, words_for.BESIDE_PRODUCT)!r}")
    for place in range(len(parts) - 1, -1, -1):
        own = _words(parts[place])
        has_code = place < len(parts) - 1 or is_routed or "." in parts[place]
        if own & words_for.PRODUCT and has_code and not own & words_for.CATEGORY:
            return PageKind("product", f"word {_first(own, words_for.PRODUCT)!r}")
        if own & (words_for.CATEGORY | {"filter"}):
            return PageKind("category", f"word {_first(own, words_for.CATEGORY | {'filter'})!r}")
        if own & words_for.PRODUCT:
            return PageKind("category", f"{_first(own, words_for.PRODUCT)!r} without a code")
    if "product" in words:
        return PageKind("product", "word 'product'")
    if len(parts) == 1 and (
        _LANGUAGE.fullmatch(parts[0]) or parts[0].lower().partition(".")[0] in _HOME_WORDS
    ):
        return PageKind("home", f"start page {parts[0]!r}")
    if parts[-1].lower().partition(".")[0] in _HOME_WORDS and len(parts) <= 3:
        return PageKind("home", f"start page {parts[-1]!r}")
    return None


def _first(words: set[str], known: set[str]) -> str:
    return min(words & known)


@dataclass(frozen=True, slots=True)
class TemplateUse:
    """How visitors use an address template in the sample."""

    method: str
    template: str
    route: str
    requests: int
    addresses: int  # different ones
    leads_to: Counter[int]  # number of the template of the next page
    within_a_second: int = 0  # requests so soon before or after another page of the visitor


def recognise(uses: Sequence[TemplateUse], log_map: LogMap) -> list[PageKind]:
    """The kind of each template: by the user's mapping, else by words, else by how visitors move."""
    found = [_stated(use, log_map) or kind_by_words(use.method, use.template, use.route) for use in uses]
    stated = [_stated(use, log_map) is not None for use in uses]
    kinds = {kind.kind for kind in found}
    if "product" not in kinds:
        _find_product(uses, found, stated)
    if "category" not in kinds:
        _find_category(uses, found, stated)
    total = sum(use.requests for use in uses)
    for number, use in enumerate(uses):
        if found[number].kind == OTHER and not stated[number] and _is_part_of_a_page(use, total):
            share = use.within_a_second / use.requests
            found[number] = PageKind(IGNORE, f"within a second of another page in {share:.0%} of cases")
    placed = any(kind.kind == "checkout" for kind in found)
    for number, kind in enumerate(found):
        if kind.kind == "payment":  # where no operation places the order, its payment does
            found[number] = PageKind(OTHER if placed else "checkout", kind.evidence)
    placed = any(kind.kind == "checkout" for kind in found)
    for number, kind in enumerate(found):
        if kind.kind == "thanks":  # where the order itself is sent to somebody else, its confirmation counts
            found[number] = PageKind("order_status" if placed else "checkout", kind.evidence)
    return found


def _is_part_of_a_page(use: TemplateUse, total: int) -> bool:
    """Whether scripts of a page send it: hardly ever alone, and not most of the log."""
    return (
        use.requests >= 20
        and _SHARE_AT_ONCE * use.requests <= use.within_a_second
        and 2 * use.requests <= total
    )


def _stated(use: TemplateUse, log_map: LogMap) -> PageKind | None:
    kind = log_map.kind_of(f"{use.method} {use.template}{use.route}")
    return None if kind is None else PageKind(kind, "the mapping file")


def _find_product(uses: Sequence[TemplateUse], found: list[PageKind], stated: Sequence[bool]) -> None:
    """The pages with the most different addresses are products, if no word tells them."""
    open_ones = _open_ones(uses, found, stated)
    best = max(open_ones, key=lambda number: uses[number].addresses, default=None)
    if best is not None and uses[best].addresses >= 20:
        found[best] = PageKind(
            "product", f"{uses[best].addresses} different addresses, the most of all pages"
        )


def _find_category(uses: Sequence[TemplateUse], found: list[PageKind], stated: Sequence[bool]) -> None:
    """Pages with several addresses that often lead to a product are categories, if no word tells them."""
    products = {number for number, kind in enumerate(found) if kind.kind == "product"}
    for number in _open_ones(uses, found, stated):
        leads = uses[number].leads_to
        share = sum(leads[product] for product in products) / max(leads.total(), 1)
        if leads.total() >= 20 and share >= _SHARE_OF_LEADS and uses[number].addresses >= 3:
            found[number] = PageKind("category", f"leads to a product in {share:.0%} of cases")


def _open_ones(uses: Sequence[TemplateUse], found: Sequence[PageKind], stated: Sequence[bool]) -> list[int]:
    return [
        number
        for number, kind in enumerate(found)
        if kind.kind == OTHER and not stated[number] and uses[number].method == "GET"
        and VARIABLE in uses[number].template
    ]  # fmt: skip


def share_by_kind(kinds: Sequence[PageKind], uses: Sequence[TemplateUse]) -> Mapping[str, float]:
    """Share of the sampled requests of each kind."""
    counts: Counter[str] = Counter()
    for kind, use in zip(kinds, uses, strict=True):
        counts[kind.kind] += use.requests
    return {name: count / counts.total() for name, count in counts.items()} if counts else {}
