"""Where the files of a run go: the address, and the store behind it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from doorbuster.errors import UsageError
from doorbuster.upload.stored_file import Store
from doorbuster.upload.stores import FolderStore, HttpStore, s3_store


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
    url = urlsplit(text)
    shown = urlunsplit((url.scheme, url.netloc.rpartition("@")[2], url.path, "", ""))
    is_folder = url.path.endswith("/")
    local = url.hostname in ("localhost", "127.0.0.1", "::1")
    if url.scheme == "file" and not url.netloc and url.path.strip("/"):
        return UploadTarget(shown, is_folder, FolderStore(Path(url.path), is_folder=is_folder))
    if url.scheme == "s3" and url.netloc and (is_folder or url.path):
        return UploadTarget(shown, is_folder, s3_store(url.netloc, url.path.lstrip("/")))
    if (url.scheme == "https" and url.netloc) or (url.scheme == "http" and local):
        return UploadTarget(shown, is_folder, HttpStore(text, is_folder=is_folder))
    raise UsageError(
        f"cannot upload to {shown or text!r}: it must be s3://BUCKET/PATH, https://HOST/PATH or "
        'file:///PATH; a path that ends with "/" is a folder'
    )
