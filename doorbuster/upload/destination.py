"""Where the files of a run go: the address, and the store behind it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from doorbuster.errors import UsageError
from doorbuster.upload.stored_file import Store
from doorbuster.upload.stores import FolderStore, s3_store, web_store

_BUCKET = re.compile(r"[A-Za-z0-9._-]{3,255}")


@dataclass(frozen=True, slots=True)
class UploadTarget:
    """`shown`: the address without user, password and query, which may hold secrets."""

    shown: str
    is_folder: bool
    store: Store


def open_destination(text: str) -> UploadTarget:
    """The destination of a URL: s3://BUCKET/PATH, https://HOST/PATH or file:///PATH.

    Raises: UsageError if it is none of these, or credentials or libraries that it needs are missing.
    """
    try:
        url = urlsplit(text)
        local = url.hostname in ("localhost", "127.0.0.1", "::1")
        _ = url.port
    except ValueError as error:  # its text may have a part of a password
        raise UsageError("cannot upload: the host or the port of the address is not valid") from error
    shown = urlunsplit((url.scheme, url.netloc.rpartition("@")[2], url.path, "", ""))
    is_folder = url.path.endswith("/")
    is_bare = not (url.query or url.fragment)
    if url.scheme == "file" and not url.netloc and url.path.strip("/") and is_bare:
        return UploadTarget(shown, is_folder, FolderStore(Path(unquote(url.path)), is_folder=is_folder))
    if url.scheme == "s3" and _BUCKET.fullmatch(url.netloc) and (is_folder or url.path) and is_bare:
        return UploadTarget(shown, is_folder, s3_store(url.netloc, url.path.lstrip("/")))
    if not url.fragment and url.hostname and (url.scheme == "https" or (url.scheme == "http" and local)):
        return UploadTarget(shown, is_folder, web_store(url, is_folder=is_folder))
    raise UsageError(
        f"cannot upload to {shown!r}: it must be s3://BUCKET/PATH, https://HOST/PATH or "
        'file:///PATH; a path that ends with "/" is a folder, and only https may have a query'
    )
