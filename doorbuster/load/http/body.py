"""Request bodies: form fields, JSON, raw bytes or files, as bytes with their content type."""

from __future__ import annotations

import json as stdlib_json
import mimetypes
from collections.abc import Iterable, Mapping
from typing import Any, Protocol
from urllib.parse import urlencode
from uuid import uuid4

import orjson


class Readable(Protocol):
    def read(self) -> bytes | str: ...


Data = Mapping[str, Any] | Iterable[tuple[str, Any]] | bytes | bytearray | str | Readable
Content = bytes | bytearray | str | Readable
FileSpec = Content | tuple[str, Content] | tuple[str, Content, str]
Files = Mapping[str, FileSpec] | Iterable[tuple[str, FileSpec]]


class Body:
    """type_line is the Content-Type header, b"" if only the caller knows it."""

    __slots__ = ("content", "type_line")

    def __init__(self, content: bytes, type_line: bytes) -> None:
        self.content = content
        self.type_line = type_line


NO_BODY = Body(b"", b"")
_JSON_LINE = b"Content-Type: application/json\r\n"
_FORM_LINE = b"Content-Type: application/x-www-form-urlencoded\r\n"


def encode_body(data: Data | None, json: Any, files: Files | None) -> Body:
    """The body of a request. Raises: ValueError if more than one kind is given, or a value cannot be sent."""
    if json is not None:
        if data is not None or files is not None:
            raise ValueError("a request has one body: give json, or data and files, not both")
        return Body(json_bytes(json), _JSON_LINE)
    if files:
        return multipart(data, files)
    if data is None:
        return NO_BODY
    if isinstance(data, bytes):
        return Body(data, b"")
    if isinstance(data, str | bytearray) or hasattr(data, "read"):
        return Body(_content(data), b"")
    return Body(urlencode(_pairs(data), doseq=True).encode("ascii"), _FORM_LINE)


def json_bytes(value: Any) -> bytes:
    """JSON by orjson, or by the standard library for what orjson refuses (NaN keys, huge integers, …)."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return stdlib_json.dumps(value).encode()


def multipart(data: Data | None, files: Files) -> Body:
    """multipart/form-data (RFC 7578) of form fields and files."""
    boundary = uuid4().hex
    parts: list[bytes] = []
    if data is not None and (isinstance(data, bytes | bytearray | str) or hasattr(data, "read")):
        raise ValueError("data beside files must be form fields: a mapping or pairs of name and value")
    for name, value in _pairs(data) if data is not None else []:
        for item in value if isinstance(value, list | tuple) else (value,):
            text = item if isinstance(item, bytes) else str(item).encode()
            parts.append(_part(boundary, f'name="{_quoted(name)}"', "", text))
    for name, spec in files.items() if isinstance(files, Mapping) else files:
        filename, content, content_type = _file(name, spec)
        disposition = f'name="{_quoted(name)}"; filename="{_quoted(filename)}"'
        parts.append(_part(boundary, disposition, content_type, content))
    parts.append(f"--{boundary}--\r\n".encode())
    return Body(b"".join(parts), f"Content-Type: multipart/form-data; boundary={boundary}\r\n".encode())


def _file(name: str, spec: FileSpec) -> tuple[str, bytes, str]:
    filename, content, content_type = name, spec, ""
    if isinstance(spec, tuple):
        if len(spec) == 3:
            filename, content, content_type = spec
        elif len(spec) == 2:
            filename, content = spec
        else:
            raise ValueError(
                f"a file is content, (filename, content) or (filename, content, type) (got {spec!r})"
            )
    elif isinstance(getattr(spec, "name", None), str):
        filename = getattr(spec, "name", name).rsplit("/", 1)[-1]
    guessed = content_type or mimetypes.guess_type(filename)[0] or "application/octet-stream"
    return filename, _content(content), guessed


def _part(boundary: str, disposition: str, content_type: str, content: bytes) -> bytes:
    kind = f"Content-Type: {content_type}\r\n" if content_type else ""
    head = f"--{boundary}\r\nContent-Disposition: form-data; {disposition}\r\n{kind}\r\n"
    return head.encode() + content + b"\r\n"


def _quoted(text: str) -> str:
    return text.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")


def _content(value: Any) -> bytes:
    if hasattr(value, "read"):
        value = value.read()
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    raise ValueError(f"a body must be text, bytes or a file (got {type(value).__name__})")


def _pairs(data: Any) -> list[tuple[str, Any]]:
    pairs = data.items() if isinstance(data, Mapping) else data
    try:
        return [(key, value) for key, value in pairs if value is not None]
    except (TypeError, ValueError):
        raise ValueError(f"data must be fields, text, bytes or a file (got {type(data).__name__})") from None
