"""The three kinds of store: a folder of this machine, a web server that accepts PUT, and S3.

Checksums: a folder is read again after writing; HTTP sends `Content-Digest` (RFC 9530); S3 gets the SHA-256
as `x-amz-checksum-sha256` and in the signature, refuses a body that differs, and returns what it stored.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import re
import shutil
import ssl
from base64 import b64encode
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlsplit, urlunsplit

import requests
from requests.auth import AuthBase, HTTPBasicAuth

from doorbuster.errors import UploadError, UsageError
from doorbuster.output.secret_masking import remember_secrets
from doorbuster.upload.stored_file import RetryableError, StoredFile

TOKEN_VARIABLE = "DOORBUSTER_UPLOAD_TOKEN"  # noqa: S105  the name of a variable
TIMEOUTS_S = (10.0, 120.0)  # connecting; silence of the server
S3_MAX_BYTES = 5 * 2**30  # of one object that is stored with a single request
RETRYABLE = frozenset((408, 425, 429, 500, 502, 503, 504))
_S3_DAMAGED = re.compile(r"<Code>(BadDigest|IncompleteBody|RequestTimeout|XAmzContentSHA256Mismatch)</Code>")
_SHOWN_CHARACTERS = 300
MIN_SIGNATURE = 12  # characters of a value in a query that may be a signature


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
            try:
                shutil.copyfile(file.path, partial)
                with partial.open("rb") as copy:
                    if hashlib.file_digest(copy, "sha256").digest() != file.sha256:
                        raise RetryableError("the copy differs from the file")
                partial.replace(target)
            finally:
                partial.unlink(missing_ok=True)  # on a full disk it would take what others need
        except OSError as error:
            raise UploadError(f"{file.name} was not uploaded to {target}: {error.strerror}") from error


class TokenAuth(AuthBase):
    """A bearer token, or nothing. With any `auth`, requests leaves credentials of ~/.netrc alone."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._token:
            request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class HttpStore:
    """Sends each file with PUT. Redirects are not followed: credentials stay with the host that was named."""

    def __init__(self, url: SplitResult, *, is_folder: bool, auth: AuthBase) -> None:
        self._url = url
        self._is_folder = is_folder
        self._auth = auth
        self._session = requests.Session()

    def headers(self, file: StoredFile) -> dict[str, str]:
        """The checksum."""
        return {"Content-Digest": f"sha-256=:{b64encode(file.sha256).decode()}:"}

    def body(self, opened: BinaryIO) -> Any:
        """The content of a file that is not empty, without a copy in memory."""
        return opened

    def put(self, file: StoredFile) -> None:
        path = self._url.path + (quote(file.name) if self._is_folder else "")
        url = urlunsplit(self._url._replace(path=path))
        try:
            with file.path.open("rb") as opened:
                body = self.body(opened) if file.path.stat().st_size else b""
                answer = self._session.put(
                    url, data=body, headers=self.headers(file), auth=self._auth, timeout=TIMEOUTS_S,
                    allow_redirects=False,
                )  # fmt: skip
        except requests.exceptions.SSLError as error:
            raise UploadError(f"{file.name} was not uploaded: {_reason(error)}") from error
        except (requests.ConnectionError, requests.Timeout) as error:
            raise RetryableError(f"no answer ({_reason(error)})") from error
        except requests.RequestException as error:
            raise UploadError(f"{file.name} was not uploaded: {_reason(error)}") from error
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
        if 300 <= answer.status_code < 400:
            said += "; redirects are not followed: name the final address"
        raise UploadError(f"{file.name} was not uploaded: {said}")


class S3Store(HttpStore):
    """Signed requests (Signature Version 4), one for each file."""

    def headers(self, file: StoredFile) -> dict[str, str]:
        checksum = b64encode(file.sha256).decode()
        return {"x-amz-sdk-checksum-algorithm": "SHA256", "x-amz-checksum-sha256": checksum}

    def body(self, opened: BinaryIO) -> Any:
        """Mapped, because the signer would read a file into memory."""
        return memoryview(mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ))

    def put(self, file: StoredFile) -> None:
        size = file.path.stat().st_size
        if size > S3_MAX_BYTES:
            limit = f"S3 takes {S3_MAX_BYTES / 2**30:g} GiB in one request"
            raise UploadError(f"{file.name} is {size / 2**30:.1f} GiB; {limit}")
        super().put(file)

    def check(self, answer: requests.Response, file: StoredFile) -> None:
        if answer.status_code == 400 and (damaged := _S3_DAMAGED.search(answer.text)):
            raise RetryableError(f"the server answered 400: {damaged[1]}")
        super().check(answer, file)
        stored = answer.headers.get("x-amz-checksum-sha256")
        if stored is not None and stored != b64encode(file.sha256).decode():
            raise RetryableError("the stored object has another checksum")


def _reason(error: BaseException) -> str:
    """The innermost cause in words; the outer ones quote the address, whose query may be a secret."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate is not accepted ({error.verify_message})"
    return (isinstance(error, OSError) and error.strerror) or type(error).__name__


def web_store(url: SplitResult, *, is_folder: bool) -> HttpStore:
    """The store of a web server, with the user of the address or the token of the environment.

    Raises: UsageError if there are both.
    """
    token = os.environ.get(TOKEN_VARIABLE, "")
    signed = [value for _, value in parse_qsl(url.query) if len(value) >= MIN_SIGNATURE]
    remember_secrets([*signed, *([token] if token else [])])  # the server may quote what it was sent
    auth: AuthBase = TokenAuth(token)
    if url.username is not None:
        if token:
            raise UsageError(f"the address has a user, and {TOKEN_VARIABLE} is set: use one of them")
        user, password = unquote(url.username), unquote(url.password or "")
        remember_secrets([password or user])
        auth = HTTPBasicAuth(user, password)
    bare = url._replace(netloc=url.netloc.rpartition("@")[2])
    return HttpStore(bare, is_folder=is_folder, auth=auth)


def s3_store(bucket: str, prefix: str) -> S3Store:
    """The store of a bucket, with credentials, region and endpoint from AWS's environment variables.

    Raises: UsageError if a variable or the library is missing, or the endpoint is no URL.
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
    if endpoint and not re.fullmatch(r"https?://[^/@?#]+(/[^?#]*)?", endpoint):
        raise UsageError(
            "AWS_ENDPOINT_URL must be a URL such as https://minio.example.com:9000, without user"
        )
    if not endpoint and "." in bucket:  # no certificate has a name of so many parts
        endpoint = f"https://s3.{region}.amazonaws.com"
    base = f"{endpoint.rstrip('/')}/{bucket}" if endpoint else f"https://{bucket}.s3.{region}.amazonaws.com"
    remember_secrets(
        environ[name] for name in ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN") if environ.get(name)
    )
    auth = AWS4Auth(
        environ["AWS_ACCESS_KEY_ID"], environ["AWS_SECRET_ACCESS_KEY"], region, "s3",
        session_token=environ.get("AWS_SESSION_TOKEN"),
    )  # fmt: skip
    is_folder = not prefix or prefix.endswith("/")
    return S3Store(urlsplit(f"{base}/{quote(prefix)}"), is_folder=is_folder, auth=auth)
