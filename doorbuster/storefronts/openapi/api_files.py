"""The files of an OpenAPI document: the one that is named, and those in its folder that references lead to.

- Every reference is made absolute when its file is read: "#/components/x" in models/cart.yaml becomes
  "models/cart.yaml#/components/x". References of the first file to itself stay as they are.
- Only files in the folder of the first are read. A document is as trustworthy as its source, and what it
  refers to ends up in a driver: no address is fetched, and no path leads out of the folder.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import yaml

from doorbuster.errors import UsageError

MAX_DOCUMENT_BYTES = 32 << 20  # of all files together
MAX_VALUES = 5_000_000  # with YAML aliases written out
MAX_REFERENCES = 50  # one after the other
_FAST_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_BUNDLE = "bundle the document first, e.g. with redocly bundle"


class ApiFiles:
    """Reads files on demand and follows references between them.

    Raises: UsageError for a first file that is neither YAML nor JSON.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._folder = path.absolute().parent.resolve()
        self._first = path.resolve()
        self._room = MAX_DOCUMENT_BYTES
        self._read: dict[str, Any] = {}
        self._anchors: dict[tuple[str, str], Any] = {}
        self.data = self._content("")

    def resolve(self, value: Any) -> Any:
        """A value with its own reference followed; 3.1 allows keys beside a reference.

        Raises: UsageError for a reference that leads nowhere, out of the folder, or round in a circle.
        """
        for _ in range(MAX_REFERENCES):
            if not isinstance(value, Mapping) or not isinstance(value.get("$ref"), str):
                return value
            beside = {key: inner for key, inner in value.items() if key != "$ref"}
            found = self._at(value["$ref"])
            value = {**found, **beside} if isinstance(found, Mapping) else found
        raise UsageError(f"{self.path}: its references go round in a circle; repair the document")

    def _at(self, reference: str) -> Any:
        file, _, pointer = reference.partition("#")
        content = self._content(file, reference)
        if (file, pointer) in self._anchors:
            return self._anchors[file, pointer]
        if pointer and not pointer.startswith("/"):
            raise self._lost(reference)
        for part in pointer.split("/")[1:]:
            found = _member(content, unquote(part).replace("~1", "/").replace("~0", "~"))
            if found is None:
                raise self._lost(reference)
            content = found
        return content

    def _lost(self, reference: str) -> UsageError:
        return UsageError(f"{self.path}: {reference[:200]} leads nowhere; repair the document")

    def _content(self, file: str, reference: str = "") -> Any:
        """The content of a file, by its path relative to the folder; "" is the first."""
        if file not in self._read:
            path = self._checked_path(file, reference) if file else self.path
            content = self._loaded(path)
            _Absolute(self, file, path).apply(content)
            self._read[file] = content
        return self._read[file]

    def _checked_path(self, file: str, reference: str) -> Path:
        cause = f"{self.path}: refers to {reference[:200]}"
        if _is_address(file):
            raise UsageError(f"{cause}, which is not read from elsewhere; {_BUNDLE}")
        try:
            path = (self._folder / file).resolve()
            if not path.is_relative_to(self._folder):
                raise UsageError(f"{cause}, outside {self._folder}; {_BUNDLE}")
            if not path.is_file():
                raise UsageError(f"{cause}, but there is no such file; repair the document")
        except (OSError, ValueError):
            raise UsageError(f"{cause}, which is no path; repair the document") from None
        return path

    def name_of(self, file: str, reference: str) -> str:
        """A reference in `file`, made absolute."""
        other, hash_sign, pointer = reference.partition("#")
        if other and not _is_address(other):
            path = (self._folder / file).parent / unquote(other) if file else self._folder / unquote(other)
            other = self._relative(path)
        else:
            other = other or file
        return f"{other}{hash_sign}{pointer}"

    def _relative(self, path: Path) -> str:
        """The path relative to the folder, which may begin with "..", or "" for the first file."""
        try:
            found = path.resolve()
        except (OSError, ValueError):
            return str(path)
        if found == self._first:
            return ""
        return (
            found.relative_to(self._folder).as_posix() if found.is_relative_to(self._folder) else str(found)
        )

    def _loaded(self, path: Path) -> Any:
        """Raises: UsageError for what cannot be read, is too large, or is neither YAML nor JSON."""
        try:
            with path.open("rb") as opened:
                raw = opened.read(self._room + 1)
            self._room -= len(raw)
            if self._room < 0:
                size = f"larger than {MAX_DOCUMENT_BYTES >> 20} MB"
                raise UsageError(f"{path}: is {size} with the files before; this is no API description")
            return _parsed(raw)
        except OSError as error:
            raise UsageError(f"{path}: cannot be read: {error.strerror}") from error
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark
            place = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)
            raise UsageError(f"{place}: is neither YAML nor JSON: {error.problem}") from error
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            reason = " ".join(str(error).split())[:160]
            raise UsageError(f"{path}: is neither YAML nor JSON: {reason}") from error

    def remember_anchor(self, file: str, name: str, value: Any) -> None:
        """A place that "#name" leads to, by `$anchor` of JSON Schema."""
        self._anchors.setdefault((file, name), value)


class _Absolute:
    """Makes the references of one file absolute, each object once, and counts the values with aliases."""

    def __init__(self, files: ApiFiles, file: str, path: Path) -> None:
        self._files, self._file, self._path = files, file, path
        self._sizes: dict[int, int] = {}

    def apply(self, content: Any) -> None:
        """Raises: UsageError for YAML aliases that contain themselves or expand to too much."""
        try:
            size = self._size(content)
        except RecursionError:
            size = MAX_VALUES + 1
        if size > MAX_VALUES:
            raise UsageError(f"{self._path}: its YAML aliases expand to too much; this is no API description")

    def _size(self, value: Any) -> int:
        if not isinstance(value, dict | list):
            return 1
        if id(value) in self._sizes:
            return self._sizes[id(value)]
        self._sizes[id(value)] = MAX_VALUES + 1  # for an alias inside what it stands for
        if isinstance(value, dict):
            if isinstance(value.get("$ref"), str):
                value["$ref"] = self._files.name_of(self._file, value["$ref"])
            if isinstance(value.get("$anchor"), str):
                self._files.remember_anchor(self._file, value["$anchor"], value)
        inner = value.values() if isinstance(value, dict) else value
        self._sizes[id(value)] = size = min(1 + sum(map(self._size, inner)), MAX_VALUES + 1)
        return size


def _is_address(reference: str) -> bool:
    return bool(_SCHEME.match(reference)) or reference.startswith("//")


def _parsed(raw: bytes) -> Any:
    """JSON, else YAML. JSON first, because YAML takes a hundred times as long and refuses its tabs."""
    if raw.lstrip()[:1] == b"{":
        try:
            return json.loads(raw)
        except ValueError:
            pass  # YAML in braces, or a mistake, whose place the YAML reader names
    try:
        return yaml.load(raw, _FAST_LOADER)  # noqa: S506 -- a safe loader
    except yaml.YAMLError:
        return yaml.safe_load(raw)  # its messages name the place of a mistake more exactly


def _member(holder: Any, key: str) -> Any:
    """The member of a mapping, also by a number as YAML reads it, or of a list; None if there is none."""
    if isinstance(holder, Mapping):
        return holder[key] if key in holder else next((v for k, v in holder.items() if str(k) == key), None)
    if isinstance(holder, list) and key.isascii() and key.isdigit() and int(key) < len(holder):
        return holder[int(key)]
    return None
