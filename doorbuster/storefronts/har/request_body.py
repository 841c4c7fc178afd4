"""What a recorded request carried: form fields, multipart fields, JSON of any shape, or text."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NoReturn
from urllib.parse import parse_qsl

MAX_BODY_CHARACTERS = 200_000
MAX_JSON_DEPTH = 40
_TEXT_LIKE = re.compile(r"^$|text/|json|xml|urlencoded|javascript|graphql")
_PART_NAME = re.compile(r';\s*name="((?:[^"\\]|\\.)*)"', re.IGNORECASE)
_PART_FILE = re.compile(r";\s*filename\*?=", re.IGNORECASE)
_BOUNDARY = re.compile(r'boundary="?([^";,\s]{1,200})', re.IGNORECASE)


class UnusableError(ValueError):
    """A recorded entry that cannot be replayed; the message says why."""


@dataclass(frozen=True, slots=True)
class RequestBody:
    """The body as it was sent.

    value: pairs of name and text for forms, the JSON value, or text. `content_type` is set where it differs
    from what the kind implies. `files`: names of file fields; recordings do not hold their content.
    """

    kind: Literal["none", "form", "multipart", "json", "text"] = "none"
    value: Any = ()
    content_type: str = ""
    files: tuple[str, ...] = ()


def read_body(post_data: Any) -> RequestBody:
    """The body of a HAR entry's `postData`. Raises: UnusableError if it cannot be sent again."""
    if not isinstance(post_data, Mapping):
        return RequestBody()
    kind = str(post_data.get("mimeType") or "").lower()
    text = post_data.get("text")
    text = text if isinstance(text, str) else ""
    if post_data.get("encoding") == "base64":
        text = decoded_base64(text)
    if len(text) > MAX_BODY_CHARACTERS:
        raise UnusableError(f"its body is longer than {MAX_BODY_CHARACTERS:,} characters")
    listed, files = _listed(post_data.get("params"))
    if "multipart" in kind:
        fields, in_text = _multipart(text, str(post_data.get("mimeType")))
        return RequestBody("multipart", fields or listed, files=in_text or files)
    value = _json_value(text)
    if value is not _NOT_JSON and ("json" in kind or isinstance(value, dict | list)):
        _refuse_deep(value)
        return RequestBody("json", value, "" if "json" in kind else kind.partition(";")[0])
    if "urlencoded" in kind or (not kind and ("=" in text or listed)):
        # The text first: some browsers leave the list as it was sent, with %40 for @, and others do not.
        return RequestBody("form", tuple(parse_qsl(text, keep_blank_values=True)) or listed)
    if not text:
        return RequestBody("form", listed) if listed else RequestBody()
    if not _TEXT_LIKE.search(kind):
        raise UnusableError(f"its body is not text ({kind[:60]})")
    return RequestBody("text", text, kind.partition(";")[0])


def decoded_base64(text: str) -> str:
    try:
        return base64.b64decode(text, validate=False).decode("utf-8", "replace")
    except (binascii.Error, ValueError):
        return ""


def depth_of(value: Any) -> int:
    """How deep lists and objects are nested; iterative, because recordings may nest without end."""
    level, depth = [value], 0
    while level and depth <= MAX_JSON_DEPTH:
        nested = [one for one in level if isinstance(one, dict | list) and one]
        level = [inner for one in nested for inner in (one.values() if isinstance(one, dict) else one)]
        depth += 1
    return depth - 1


_NOT_JSON = object()


def _json_value(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return _NOT_JSON


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _refuse_deep(value: Any) -> None:
    if depth_of(value) >= MAX_JSON_DEPTH:
        raise UnusableError(f"its JSON is nested deeper than {MAX_JSON_DEPTH} levels")


def _listed(params: Any) -> tuple[tuple[tuple[str, str], ...], tuple[str, ...]]:
    """Fields and names of files in the list that browsers keep beside the text."""
    fields, files = [], []
    for row in params if isinstance(params, list) else ():
        if not isinstance(row, Mapping) or not isinstance(row.get("name"), str):
            continue
        if row.get("fileName"):
            files.append(row["name"])
        else:
            fields.append((row["name"], str(row.get("value") or "")))
    return tuple(fields), tuple(files)


def _multipart(text: str, content_type: str) -> tuple[tuple[tuple[str, str], ...], tuple[str, ...]]:
    """Fields and names of files in the text of a multipart form (RFC 7578)."""
    found = _BOUNDARY.search(content_type)
    first = text.lstrip().partition("\n")[0].strip()
    delimiter = f"--{found[1]}" if found else first
    if not delimiter.startswith("--") or delimiter not in text:
        return (), ()
    fields, files = [], []
    for part in text.replace("\r\n", "\n").split(delimiter)[1:]:
        head, gap, value = part.partition("\n\n")
        name = _PART_NAME.search(head)
        if not gap or name is None:
            continue
        if _PART_FILE.search(head):
            files.append(name[1])
        else:
            fields.append((name[1], value.removesuffix("\n")))
    return tuple(fields), tuple(files)
