"""A YAML text as plain values, with the line and column of every key and value.

Keys are always strings. Duplicate keys, empty values, values that contain themselves and tags are problems.
Timestamps and sexagesimal numbers of YAML 1.1 (2004-12-02, 1:30) stay strings.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import yaml

from doorbuster.errors import FileProblem
from doorbuster.scenario.parsing.diagnostics import At, KeyIssue, Path, key_text, preview

try:
    from yaml import CSafeLoader as Loader
except ImportError:  # PyYAML built without libyaml: same marks, only slower
    from yaml import SafeLoader as Loader  # type: ignore[assignment]

MAX_CHARACTERS = 1_000_000
MAX_DEPTH = 40  # levels of nesting
MAX_NODES = 100_000  # after aliases are followed

_TAG = "tag:yaml.org,2002:"
_NOT_ALLOWED = re.compile(  # by YAML 1.1 and 1.2, c-printable
    "[^\t\n\r\u0020-\u007e\u0085\u00a0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]|\ufeff"
)
_INT = re.compile(r"[-+]?(?:0|[1-9][0-9_]*)")
_FLOAT = re.compile(r"[-+]?(?:[0-9][0-9_]*)?\.?[0-9_]+(?:[eE][-+]?[0-9]+)?|[-+]?[0-9][0-9_]*\.")


class SourceLocation(NamedTuple):
    """Line and column, from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Document:
    """Values of a YAML text and their locations; `problems` are errors in the YAML itself."""

    file: str
    text: str
    data: Any = None
    keys: dict[Path, SourceLocation] = field(default_factory=dict)
    values: dict[Path, SourceLocation] = field(default_factory=dict)
    unusable: set[Path] = field(default_factory=set)  # already reported; suppress further issues
    problems: list[FileProblem] = field(default_factory=list)

    def place(self, path: Path, at: At = "value") -> SourceLocation:
        """Location of `path`, or of the nearest enclosing mapping or list that exists."""
        if at == "key" and path in self.keys:
            return self.keys[path]
        while path and path not in self.values:
            path = path[:-1]
        return self.values.get(path, SourceLocation(1, 1))

    def where(self, path: Path) -> str:
        """Location of `path` as "file:line:column"."""
        line, column = self.place(path)
        return f"{self.file}:{line}:{column}"

    def problem(self, issue: KeyIssue) -> FileProblem:
        """The issue with its location in this file."""
        line, column = self.place(issue.path, issue.at)
        return FileProblem(
            self.file, line, column, key_text(issue.path), issue.rule, issue.got, issue.way_out
        )


def read_document(text: str, file: str) -> Document:
    """The values of a YAML text with their locations; errors are collected in `.problems`."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        place = _place_of(text, error.start)
        return _failed(file, text, *place, "must be UTF-8 text", "a lone surrogate")
    if len(text) > MAX_CHARACTERS:
        return _failed(file, text, 0, 0, "is too large for a scenario", f"over {MAX_CHARACTERS:,} characters")
    depth = _deepest(text)
    if depth is not None:
        rule = f"must not nest deeper than {MAX_DEPTH} levels"
        return _failed(file, text, depth.line, depth.column, rule, "")
    try:
        root = yaml.compose(text, Loader=Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = _position(mark, text.split("\n")) if mark else SourceLocation(0, 0)
        reason = (error.problem or error.context or "").replace("\n", " ")
        return _failed(file, text, place.line, place.column, "is not valid YAML", reason)
    except yaml.YAMLError:
        found = _NOT_ALLOWED.search(text)
        place = _place_of(text, found.start()) if found else SourceLocation(1, 1)
        got = f"the character U+{ord(found[0]):04X}" if found else "a character that YAML does not allow"
        return _failed(file, text, *place, "is not valid YAML", got)
    if root is None:
        return _failed(file, text, 0, 0, "is empty", "")
    document = Document(file, text)
    data = _Walk(document).value(root, ())
    document = replace(document, data=data)
    if not isinstance(data, dict) and not document.problems:
        document.problems.append(
            FileProblem(
                file, 1, 1, "", "must be a mapping of keys such as title, target, demand", preview(data)
            )
        )
    return document


def _failed(file: str, text: str, line: int, column: int, rule: str, got: str) -> Document:
    way_out = {
        "is empty": 'start with "title:", "target:", "demand:" and "channels:"',
        "is not valid YAML": "check the indentation, quotes and brackets just before this position",
    }.get(rule, "")
    rows = text.split("\n")
    if rule == "is not valid YAML" and line and "${" in rows[min(line, len(rows)) - 1]:
        way_out = 'put a value with ${…} inside braces in quotes: {X-Api-Key: "${API_KEY}"}'
    return Document(file, text, problems=[FileProblem(file, line, column, "", rule, got, way_out)])


def _place_of(text: str, index: int) -> SourceLocation:
    """Line and column of a character."""
    before = text[:index]
    return SourceLocation(before.count("\n") + 1, index - before.rfind("\n"))


def _deepest(text: str) -> SourceLocation | None:
    """Location where the text nests too deeply, or None; syntax errors are found by the actual parse."""
    depth = 0
    try:
        for event in yaml.parse(text, Loader=Loader):
            if isinstance(event, yaml.CollectionStartEvent):
                depth += 1
                if depth > MAX_DEPTH:
                    return _position(event.start_mark, text.split("\n"))
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1
    except yaml.YAMLError:
        return None
    return None


def _position(mark: Any, rows: list[str]) -> SourceLocation:
    """Line and column from 1; a position after the end of the text becomes the end of its last line."""
    if mark is None:
        return SourceLocation(1, 1)
    if mark.line < len(rows):
        return SourceLocation(mark.line + 1, mark.column + 1)
    return SourceLocation(len(rows), len(rows[-1]) + 1)


class _Walk:
    """Converts composed nodes to values; records locations and problems in the document."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.rows = document.text.split("\n")
        self.open: list[yaml.Node] = []
        self.nodes = 0

    def value(self, node: yaml.Node, path: Path) -> object:
        self.document.values[path] = place = self.place(node)
        self.nodes += 1
        if self.nodes == MAX_NODES + 1:
            self.report(place, path, f"has more than {MAX_NODES:,} values after resolving aliases")
        if self.nodes > MAX_NODES:
            return None
        if isinstance(node, yaml.ScalarNode):
            return self.scalar(node, path)
        if node in self.open or len(self.open) > MAX_DEPTH:
            self.report(place, path, "contains itself through an alias")
            return None
        if node.tag not in (_TAG + "map", _TAG + "seq"):
            self.report(place, path, "must not carry a YAML tag", node.tag)
            return None
        self.open.append(node)
        try:
            if isinstance(node, yaml.MappingNode):
                return self.mapping(node, path)
            return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]
        finally:
            self.open.pop()

    def mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        own: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if key_node.tag == _TAG + "merge":
                merged = {**self.merged(value_node, path), **merged}
        for key_node, value_node in node.value:
            if key_node.tag == _TAG + "merge":
                continue
            if not isinstance(key_node, yaml.ScalarNode):
                self.report(self.place(key_node), path, "has a key that is not a string")
                continue
            key = key_node.value
            here = (*path, key)
            if key in own:
                first = self.document.keys[here].line
                self.report(self.place(key_node), here, f"is a duplicate (first on line {first})")
                continue
            self.document.keys[here] = self.place(key_node)
            own[key] = self.value(value_node, here)
        return {**merged, **own}

    def merged(self, node: yaml.Node, path: Path) -> dict[str, Any]:
        """The mapping(s) of `<<:`; in a list, earlier mappings take precedence, as in YAML."""
        sources = node.value if isinstance(node, yaml.SequenceNode) else [node]
        result: dict[str, Any] = {}
        own_place = self.document.values[path]
        for source in sources:
            value = self.value(source, path) if isinstance(source, yaml.MappingNode) else None
            if not isinstance(value, dict):
                self.report(self.place(source), path, "can only merge (<<) mappings")
                continue
            result = {**value, **result}
        self.document.values[path] = own_place
        return result

    def scalar(self, node: yaml.ScalarNode, path: Path) -> object:
        tag, text = node.tag.removeprefix(_TAG), node.value
        if tag == "null":
            self.report(self.place(node), path, "is empty", way_out="give it a value, or delete the key")
            return None
        if tag == "bool":
            return text.lower() in ("yes", "true", "on")
        if tag in ("int", "float"):
            return _number(text)
        if tag in ("str", "timestamp", "value", "merge"):
            return text
        self.report(self.place(node), path, "must not carry a YAML tag", node.tag)
        return None

    def report(self, place: SourceLocation, path: Path, rule: str, got: str = "", way_out: str = "") -> None:
        self.document.unusable.add(path)
        problem = FileProblem(self.document.file, *place, key_text(path), rule, got, way_out)
        self.document.problems.append(problem)

    def place(self, node: yaml.Node) -> SourceLocation:
        return _position(node.start_mark, self.rows)


def _number(text: str) -> int | float | str:
    """The number in a plain decimal text, else the text itself (1:30, 0x1F, .inf)."""
    digits = text.replace("_", "")
    if _INT.fullmatch(text) and len(digits) < 20:
        return int(digits)
    return float(digits) if _FLOAT.fullmatch(text) and len(digits) < 40 else text
