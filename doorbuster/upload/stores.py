"""The three kinds of store: a folder of this machine, a web server that accepts PUT, and S3.

Checksums: a folder is read again after writing; HTTP sends `Content-Digest` (RFC 9530); S3 gets the SHA-256
as `x-amz-checksum-sha256` and in the signature, refuses a body that differs, and returns what it stored.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from base64 import b64encode
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import requests

from doorbuster.errors import UploadError, UsageError
from doorbuster.upload.stored_file import RetryableError, StoredFile

TOKEN_VARIABLE = "DOORBUSTER_UPLOAD_TOKEN"  # noqa: S105  the name of a variable
TIMEOUTS_S = (10.0, 120.0)  # connecting; silence of the server
S3_MAX_BYTES = 5 * 2**30  # of one object that is stored with a single request
RETRYABLE = frozenset((408, 425, 429, 500, 502, 503, 504))
_SHOWN_CHARACTERS = 300


class FolderStore:
    """Copies into a folder, or to one file."""

    def __init__(self, path: Path, *, is_folder: bool) -> None:
        self._path = path
        self._is_folder = is_folder

    def put(self, file: StoredFile) -> None:
        target = self._path / file.name if self._is_folder else self._path
        partial = target.with_name(f".{target.name}.partial")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file.path, partial)
            with partial.open("rb") as copy:
                if hashlib.file_digest(copy, "sha256").digest() != file.sha256:
                    raise RetryableError("the copy differs from the file")
            partial.replace(target)
        except OSError as error:
            raise UploadError(f"{file.name} was not uploaded to {target}: {error.strerror}") from error


class HttpStore:
    """Sends each file with PUT, with the bearer token of an environment variable if it is set."""

    def __init__(self, url: str, *, is_folder: bool, auth: Any = None, max_bytes: int | None = None) -> None:
        self._url = urlsplit(url)
        self._is_folder = is_folder
        self._auth = auth
        self._max_bytes = max_bytes
        self._session = requests.Session()
        self._session.trust_env = auth is None  # ~/.netrc must not replace a signature

    def headers(self, file: StoredFile) -> dict[str, str]:
        """The checksum, and the token."""
        headers = {"Content-Digest": f"sha-256=:{b64encode(file.sha256).decode()}:"}
        if token := os.environ.get(TOKEN_VARIABLE):
            headers["Authorization"] = f"Bearer {token}"
        return headers

    def put(self, file: StoredFile) -> None:
        size = file.path.stat().st_size
        if self._max_bytes is not None and size > self._max_bytes:
            limit = f"S3 takes {S3_MAX_BYTES / 2**30:g} GiB in one request"
            raise UploadError(f"{file.name} is {size / 2**30:.1f} GiB; {limit}")
        path = self._url.path + (quote(file.name) if self._is_folder else "")
        url = urlunsplit(self._url._replace(path=path))
        try:
            with file.path.open("rb") as body:
                answer = self._session.put(
                    url, data=body if size else b"", headers=self.headers(file), auth=self._auth,
                    timeout=TIMEOUTS_S, allow_redirects=False,
                )  # fmt: skip
        except (requests.ConnectionError, requests.Timeout) as error:
            raise RetryableError(f"no answer ({type(error).__name__})") from error
        except requests.RequestException as error:
            raise UploadError(f"{file.name} was not uploaded: {error}") from error
        self.check(answer, file)

    def check(self, answer: requests.Response, file: StoredFile) -> None:
        """Raises: RetryableError or UploadError unless the file is stored."""
        if 200 <= answer.status_code < 300:
            return
        text = " ".join(answer.text[:_SHOWN_CHARACTERS].split())
        said = f"the server answered {answer.status_code}{f': {text}' if text else ''}"
        if answer.status_code in RETRYABLE:
            after = answer.headers.get("Retry-After", "")
            raise RetryableError(said, float(after) if after.isdigit() else None)
        raise UploadError(f"{file.name} was not uploaded: {said}")


class S3Store(HttpStore):
    """Signed requests (Signature Version 4), one for each file."""

    def headers(self, file: StoredFile) -> dict[str, str]:
        checksum = b64encode(file.sha256).decode()
        return {"x-amz-sdk-checksum-algorithm": "SHA256", "x-amz-checksum-sha256": checksum}

    def check(self, answer: requests.Response, file: StoredFile) -> None:
        super().check(answer, file)
        stored = answer.headers.get("x-amz-checksum-sha256")
        if stored is not None and stored != b64encode(file.sha256).decode():
            raise RetryableError("the stored object has another checksum")


def s3_store(bucket: str, prefix: str) -> S3Store:
    """The store of a bucket, with credentials, region and endpoint from AWS's environment variables.

    Raises: UsageError if a variable or the library is missing.
    """
    try:
        from requests_aws4auth import AWS4Auth
    except ImportError as error:
        raise UsageError("s3:// needs a library: pip install 'doorbuster[s3]'") from error
    environ = os.environ
    missing = [name for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY") if not environ.get(name)]
    if missing:
        raise UsageError(f"s3:// needs credentials in the environment: {' and '.join(missing)} not set")
    region = environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or "us-east-1"
    endpoint = environ.get("AWS_ENDPOINT_URL_S3") or environ.get("AWS_ENDPOINT_URL")
    base = f"{endpoint.rstrip('/')}/{bucket}" if endpoint else f"https://{bucket}.s3.{region}.amazonaws.com"
    auth = AWS4Auth(
        environ["AWS_ACCESS_KEY_ID"], environ["AWS_SECRET_ACCESS_KEY"], region, "s3",
        session_token=environ.get("AWS_SESSION_TOKEN"),
    )  # fmt: skip
    is_folder = not prefix or prefix.endswith("/")
    return S3Store(f"{base}/{quote(prefix)}", is_folder=is_folder, auth=auth, max_bytes=S3_MAX_BYTES)
