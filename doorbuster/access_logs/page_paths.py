"""Addresses of pages without their variable parts: /product/123 and /product/456 become /product/{id}.

The templates are learnt from a sample of requests, as a tree of path segments. A segment is variable if it
looks like a number, a code or a title, if it follows a word for products or categories, or if it has many
different values. A literal segment stays only where several visitors used it: one that a single visitor used
may be personal, such as a name.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import parse_qsl

from doorbuster.storefronts.har.vocabulary import CATEGORY, PRODUCT, ROUTING, TERMS, every_word

VARIABLE = "{id}"
MAX_LITERALS = 40  # a segment with more different values than this has its rare ones made variable
MIN_VISITORS = 3
MAX_DEPTH = 8
_RARE_RATIO = 0.02
_CODE = re.compile(r"[0-9]+|[0-9a-f-]{8,}|.*\d.*\d.*\d.*|.{32,}|.*[%|,=:;+~@].*", re.IGNORECASE)
_CODE_WORDS = re.compile(r"[a-z]{1,4}\d{1,2}|v\d", re.IGNORECASE)  # parts of an API's address, such as v2


OPERATION_NAMES = ("operationname", "operation_name", "opname")  # of GraphQL
_WORD = re.compile(r"[a-z]+")


class SampledRequest(NamedTuple):
    """A request of the sample; `visitor` is any value that tells visitors apart."""

    method: str
    path: str
    query: str
    visitor: int
    time_s: float


def split_request(request: bytes) -> tuple[str, str, str]:
    """Method, path and query of b"GET /path?query HTTP/1.1"; empty texts for what is not a request."""
    text = request.decode("utf-8", "replace")
    method, _, rest = text.partition(" ")
    target = rest.partition(" HTTP/")[0]
    if not target.startswith("/") or not method.isalpha():
        return "", "", ""
    path, _, query = target.partition("?")
    return method.upper(), path, query


def route_of(query: str) -> str:
    """What a query says about the kind of page: a router's parameter, or that it has a search term."""
    if not query:
        return ""
    parts = parse_qsl(query, max_num_fields=None)[:50]
    for name, value in parts:
        if name.lower() in OPERATION_NAMES and re.fullmatch(r"[A-Za-z_]\w{0,80}", value):
            return f"?operationName={value}"
    for name, value in parts:
        if name.lower() in ROUTING and re.fullmatch(r"[A-Za-z][A-Za-z0-9_/-]{0,60}", value):
            return f"?{name}={value}"
    names = [name.lower() for name, _ in parts]
    if "add-to-cart" in names:
        return "?add-to-cart={id}"
    term = next((name for name in names if name in TERMS), "")
    return f"?{term}={{term}}" if term else ""


@dataclass(slots=True)
class _Node:
    """A place in the tree: its literal segments, the node of all variable ones, and whether a path ends."""

    literals: dict[str, _Node] = field(default_factory=dict)
    variable: _Node | None = None


class PathTree:
    """The templates of a shop."""

    def __init__(self, sample: Iterable[SampledRequest]) -> None:
        paths: dict[tuple[str, ...], list[set[int] | int]] = {}
        for request in sample:
            row = paths.setdefault(_segments(request.path), [0, set()])
            row[0] += 1  # type: ignore[operator]
            row[1].add(request.visitor)  # type: ignore[union-attr]
        rows = [(segments, int(row[0]), row[1]) for segments, row in paths.items()]  # type: ignore[arg-type]
        self._root = _grow([(s, n, v) for s, n, v in rows if isinstance(v, set)], 0, "")

    def template(self, path: str) -> str:
        """The template of a path; segments that the sample lacks are variable."""
        parts, node = [], self._root
        for segment in _segments(path):
            known = node.literals.get(segment) if node is not None else None
            if known is not None:
                parts.append(segment)
                node = known
            else:
                parts.append(VARIABLE)
                node = node.variable or _EMPTY if node is not None else _EMPTY
        return "/" + "/".join(parts)


_EMPTY = _Node()
_Row = tuple[tuple[str, ...], int, set[int]]


def _segments(path: str) -> tuple[str, ...]:
    return tuple(part for part in path.split("/") if part)[:MAX_DEPTH]


def _grow(rows: Sequence[_Row], depth: int, parent: str) -> _Node:
    node = _Node()
    groups: dict[str, list[_Row]] = defaultdict(list)
    for row in rows:
        if len(row[0]) > depth:
            groups[row[0][depth]].append(row)
    if not groups:
        return node
    variable = set(_variable_segments(groups, parent))
    merged = [row for segment in variable for row in groups[segment]]
    if merged:
        node.variable = _grow(merged, depth + 1, VARIABLE)
    for segment, own in groups.items():
        if segment not in variable:
            node.literals[segment] = _grow(own, depth + 1, segment)
    return node


def _variable_segments(groups: dict[str, list[_Row]], parent: str) -> Iterator[str]:
    counts = Counter({segment: sum(row[1] for row in rows) for segment, rows in groups.items()})
    total, many = counts.total(), len(groups) > MAX_LITERALS
    known = every_word()
    after_noun = parent.lower() in PRODUCT | CATEGORY
    deeper = {segment for segment, rows in groups.items() if any(len(row[0]) > 1 for row in rows)}
    for segment, rows in groups.items():
        visitors = set().union(*(row[2] for row in rows))
        if (
            (_CODE.fullmatch(segment) and not _CODE_WORDS.fullmatch(segment))
            or (after_noun and (len(groups) > 2 or segment not in deeper))
            or (many and counts[segment] < _RARE_RATIO * total)
            or (len(visitors) < MIN_VISITORS and not known.issuperset(_WORD.findall(segment.lower())))
        ):
            yield segment
