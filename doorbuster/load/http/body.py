"""The body of a request: form fields, JSON, raw bytes, files or pieces, as bytes and their content type."""

from __future__ import annotations

import json as stdlib_json
import mimetypes
from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any, Protocol
from urllib.parse import urlencode
from uuid import uuid4

import orjson

from doorbuster.load.http.headers import checked, checked_name


class Readable(Protocol):
    def read(self) -> bytes | str: ...


Data = Mapping[str, Any] | Iterable[Any] | bytes | bytearray | str | Readable
Content = bytes | bytearray | str | Readable
FileSpec = (
    Content
    | tuple[str | None, Content]
    | tuple[str | None, Content, str | None]
    | tuple[str | None, Content, str | None, Mapping[str, str]]
)
Files = Mapping[str, FileSpec] | Iterable[tuple[str, FileSpec]]


class Body:
    """type_line: the Content-Type header, or b"" where only the caller knows it. is_text: given as text."""

    __slots__ = ("content", "is_chunked", "is_text", "type_line")

    def __init__(
        self, content: bytes, type_line: bytes, *, is_chunked: bool = False, is_text: bool = False
    ) -> None:
        self.content = content
        self.type_line = type_line
        self.is_chunked = is_chunked
        self.is_text = is_text


NO_BODY = Body(b"", b"")
_JSON_LINE = b"Content-Type: application/json\r\n"
_FORM_LINE = b"Content-Type: application/x-www-form-urlencoded\r\n"


def encode_body(data: Data | None, json: Any, files: Files | None) -> Body:
    """The body of a request. Raises: ValueError if more than one kind is given, or something unsendable."""
    if json is not None and not data:
        if files:
            raise ValueError("a request has one body: give json, or data and files, not both")
        return Body(json_bytes(json), _JSON_LINE)
    if json is not None:
        raise ValueError("a request has one body: give json or data, not both")
    if files:
        return multipart(data, files)
    if data is None or (not data and isinstance(data, Mapping | list | tuple)):
        return NO_BODY
    if isinstance(data, bytes):
        return Body(data, b"")
    if isinstance(data, str | bytearray | memoryview) or hasattr(data, "read"):
        return Body(read_content(data), b"", is_text=isinstance(data, str))
    if not isinstance(data, Mapping | list | tuple):
        return _pieces(data)
    return _form(data)


def json_bytes(value: Any) -> bytes:
    """JSON by orjson; by the standard library for what orjson refuses (integers beyond 64 bits, keys that are
    no text). Raises: ValueError for NaN, infinity and what has no JSON.
    """
    try:
        text = orjson.dumps(value)
        if b"null" not in text:  # orjson writes null for NaN and infinity
            return text
        if not _has_nan(value):
            return text
    except TypeError:
        pass
    try:
        return stdlib_json.dumps(value, allow_nan=False).encode()
    except TypeError as error:
        raise ValueError(f"this has no JSON: {error}") from None


def _has_nan(value: Any) -> bool:
    if isinstance(value, float):
        return value - value != 0.0
    if isinstance(value, dict):
        return any(map(_has_nan, value.values()))
    return isinstance(value, list | tuple) and any(map(_has_nan, value))


def multipart(data: Data | None, files: Files) -> Body:
    """multipart/form-data (RFC 7578) of form fields and files."""
    boundary = uuid4().hex
    parts: list[bytes] = []
    if data is not None and (isinstance(data, bytes | bytearray | str) or hasattr(data, "read")):
        raise ValueError("data beside files must be form fields: a mapping or pairs of name and value")
    for name, value in _fields(data) if data is not None else []:
        text = value if isinstance(value, bytes) else str(value).encode()
        parts.append(_part(boundary, f'name="{_quoted(name)}"', "", {}, text))
    for name, spec in files.items() if isinstance(files, Mapping) else files:
        if spec is None:
            continue
        filename, content, content_type, headers = _file(name, spec)
        disposition = f'name="{_quoted(name)}"'
        if filename is not None:
            disposition += f'; filename="{_quoted(filename)}"'
        parts.append(_part(boundary, disposition, content_type, headers, content))
    parts.append(f"--{boundary}--\r\n".encode())
    return Body(b"".join(parts), f"Content-Type: multipart/form-data; boundary={boundary}\r\n".encode())


def _file(name: str, spec: Any) -> tuple[str | None, bytes, str, Mapping[str, str]]:
    filename: str | None = name
    content, content_type = spec, None
    headers: Mapping[str, str] = {}
    if isinstance(spec, tuple | list):
        if not 2 <= len(spec) <= 4:
            raise ValueError(
                "a file is content, (filename, content), (filename, content, type) or"
                f" (filename, content, type, headers) (got {spec!r})"
            )
        filename, content = spec[0], spec[1]
        content_type = spec[2] if len(spec) > 2 else None
        headers = (spec[3] if len(spec) > 3 else None) or {}
    elif isinstance(getattr(spec, "name", None), str):
        filename = spec.name.rsplit("/", 1)[-1]
    if content_type is None and filename is not None:
        content_type = mimetypes.guess_type(filename)[0] or "application/octet-stream"
    return filename, read_content(content), content_type or "", headers


def _part(
    boundary: str, disposition: str, content_type: str, headers: Mapping[str, str], content: bytes
) -> bytes:
    own = {checked_name(name): checked(name, value) for name, value in headers.items() if value is not None}
    given = {name.lower() for name in own}
    lines = [f"--{boundary}"]
    if "content-disposition" not in given:
        lines.append(f"Content-Disposition: form-data; {disposition}")
    if content_type and "content-type" not in given:
        lines.append(f"Content-Type: {checked('Content-Type', content_type)}")
    lines += [f"{name}: {value}" for name, value in own.items()]
    return "\r\n".join((*lines, "", "")).encode() + content + b"\r\n"


def _quoted(text: Any) -> str:
    name = text.decode() if isinstance(text, bytes) else str(text)
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")


def read_content(value: Any) -> bytes:
    """Text, bytes or a file as bytes. Raises: ValueError for anything else."""
    if hasattr(value, "read"):
        value = value.read()
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    raise ValueError(f"a body must be text, bytes or a file (got {type(value).__name__})")


def _form(data: Any) -> Body:
    return Body(urlencode(_fields(data)).encode("ascii"), _FORM_LINE, is_text=True)


def _pieces(data: Any) -> Body:
    """A body from an iterator: one chunk for each piece, as requests sends it; pairs make a form."""
    try:
        pieces = iter(data)
    except TypeError:
        raise ValueError(f"data must be fields, text, bytes or a file (got {type(data).__name__})") from None
    first = next(pieces, b"")
    if isinstance(first, tuple):
        return _form(list(chain((first,), pieces)))
    chunks = [read_content(piece) for piece in chain((first,), pieces)]
    text = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks if chunk)
    return Body(text + b"0\r\n\r\n", b"", is_chunked=True)


def _fields(data: Any) -> list[tuple[Any, Any]]:
    """Pairs of name and value; a list repeats its name, and None is left out, also in a list."""
    try:
        return field_pairs(data.items() if isinstance(data, Mapping) else data)
    except (TypeError, ValueError):
        raise ValueError(f"data must be fields, text, bytes or a file (got {type(data).__name__})") from None


def field_pairs(pairs: Iterable[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    """Pairs of a query or a form, as requests sends them: a list repeats its name, None is left out."""
    flat = []
    for key, value in pairs:
        several = hasattr(value, "__iter__") and not isinstance(value, str | bytes)
        flat += [(key, item) for item in (value if several else (value,)) if item is not None]
    return flat
