"""The pages of a shop: address templates with their kinds, learnt from a sample of its log."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from doorbuster.access_logs.graphql_operations import TELLING, operation_of_address, telling_ranks
from doorbuster.access_logs.log_map import IGNORE, KINDS, OTHER, LogMap
from doorbuster.access_logs.page_kinds import ROBOTS, PageKind, TemplateUse, is_asset, recognise
from doorbuster.access_logs.page_paths import PathTree, SampledRequest, route_of, split_request

Ints = NDArray[np.int64]

ASSET_PAGE, IGNORED_PAGE, NO_REQUEST = -1, -2, -3
MAX_CACHED = 300_000
_MAX_TEMPLATES = 60_000
_ROUTED_RATIO = 0.05
_AT_ONCE_S = 1.0
_ONE_ADDRESS_RATIO = 0.5


@dataclass(frozen=True, slots=True)
class PageTemplate:
    """One address template: its use in the sample, and its kind."""

    use: TemplateUse
    kind: PageKind

    @property
    def address(self) -> str:
        return f"{self.use.method} {self.use.template}{self.use.route}"


class PageTable:
    """Finds the page of a request. Made from a sample, then the same for every part of the log.

    Pages are numbered; `pages[n]` describes page n. The first ones stand for addresses that the sample lacks,
    one for each kind and for reading and changing requests, so that all processes have the same numbers.
    """

    def __init__(self, sample: Sequence[SampledRequest], log_map: LogMap) -> None:
        self._map = log_map
        counted = [one for one in sample if one.method and (one.method != "GET" or not is_asset(one.path))]
        self._tree = PathTree(counted)
        self._routed = _routed_templates(self._tree, counted)
        self.pages = [_unsampled(method, kind) for kind in _UNSAMPLED for method in ("GET", "POST")]
        self.robots = 0
        self._keys: dict[tuple[str, str, str], int] = {}
        uses = self._uses(counted)
        for use, kind in zip(uses, recognise(uses, log_map), strict=True):
            self.pages.append(PageTemplate(use, kind))
        self.reads = np.array([page.use.method == "GET" for page in self.pages])
        used = ((page.use, page.kind.kind) for page in self.pages)
        self.telling_ranks = telling_ranks((use.template, use.route, kind) for use, kind in used)
        if self.one_address is not None:
            hiding = next(n for n, page in enumerate(self.pages) if page.address == self.one_address[0])
            self.telling_ranks[hiding] = TELLING.index(OTHER)
        self._cache: dict[bytes, int] = {}

    def numbers(self, requests: Sequence[bytes]) -> Ints:
        """The page of each b"GET /path?query HTTP/1.1": its number, or one of the constants above."""
        keys = [request.partition(b"?")[0] for request in requests]
        get = self._cache.get
        found = np.array([get(key, _BY_QUERY) for key in keys], np.int64)
        for place in np.flatnonzero(found == _BY_QUERY).tolist():
            found[place] = self._look_up(requests[place], keys[place])
        return found

    @property
    def one_address(self) -> tuple[str, float] | None:
        """The address that hides which kind of page is asked for, as with GraphQL; its share of the sample.

        None unless half of all requests or more go to it.
        """
        total = sum(page.use.requests for page in self.pages)
        most = max(self.pages, key=lambda page: page.use.requests)
        hides = (
            most.kind.kind == OTHER
            and not most.use.route
            and (most.use.method != "GET" or operation_of_address(most.use.template, "") == "")
        )
        share = most.use.requests / max(total, 1)
        return (most.address, share) if hides and share >= _ONE_ADDRESS_RATIO else None

    def _look_up(self, request: bytes, key: bytes) -> int:
        method, path, query = split_request(request)
        if len(self._cache) > MAX_CACHED:
            self._cache.clear()
        if not method:
            found = NO_REQUEST
        elif path == "/robots.txt":
            found = self.robots
        elif method == "GET" and is_asset(path):
            found = ASSET_PAGE
        else:
            template = self._tree.template(path)
            if (method, template) in self._routed:
                self._cache[key] = _BY_QUERY
                return self._page(method, template, route_of(query))
            found = self._page(method, template, "")
        self._cache[key] = found
        return found

    def _page(self, method: str, template: str, route: str) -> int:
        key = (method, template, route)
        number = self._keys.get(key)
        if number is None:
            kind = recognise([TemplateUse(*key, 0, 0, Counter())], self._map)[0].kind
            number = 2 * _UNSAMPLED.index(kind) + (method != "GET")
            if len(self._keys) < _MAX_TEMPLATES:
                self._keys[key] = number
        return IGNORED_PAGE if self.pages[number].kind.kind == IGNORE else number

    def _uses(self, sample: Sequence[SampledRequest]) -> list[TemplateUse]:
        found: list[TemplateUse] = []
        requests: list[int] = []
        addresses: list[set[str]] = []
        within_a_second: list[int] = []
        last_page: dict[int, tuple[int, float]] = {}
        for one in sample:
            template = self._tree.template(one.path)
            route = route_of(one.query) if (one.method, template) in self._routed else ""
            key = (one.method, template, route)
            number = self._keys.setdefault(key, len(self.pages) + len(found)) - len(self.pages)
            if number == len(found):
                found.append(TemplateUse(*key, 0, 0, Counter()))
                requests.append(0)
                within_a_second.append(0)
                addresses.append(set())
            requests[number] += 1
            addresses[number].add(one.path)
            before = last_page.get(one.visitor)
            if before is not None:
                found[before[0]].leads_to[number] += 1
                within_a_second[number] += abs(one.time_s - before[1]) <= _AT_ONCE_S
            last_page[one.visitor] = (number, one.time_s)
        return [
            TemplateUse(
                use.method,
                use.template,
                use.route,
                requests[n],
                len(addresses[n]),
                use.leads_to,
                within_a_second[n],
            )
            for n, use in enumerate(found)
        ]


_BY_QUERY = -4  # not known, or the query decides
_UNSAMPLED = (ROBOTS, *KINDS)


def _unsampled(method: str, kind: str) -> PageTemplate:
    use = TemplateUse(method, "/... (not in the sample)", "", 0, 0, Counter())
    return PageTemplate(use, PageKind(kind, "not in the sample"))


def _routed_templates(tree: PathTree, sample: Sequence[SampledRequest]) -> set[tuple[str, str]]:
    """Templates whose query often says what kind of page it is, such as /index.php?route=product."""
    seen: Counter[tuple[str, str]] = Counter()
    routed: Counter[tuple[str, str]] = Counter()
    for one in sample:
        key = (one.method, tree.template(one.path))
        seen[key] += 1
        routed[key] += bool(one.query and route_of(one.query))
    return {key for key, count in routed.items() if count >= max(1, _ROUTED_RATIO * seen[key])}
