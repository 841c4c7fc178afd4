"""Reads a URL over one kept connection: only from allowed addresses, no redirects, bounded answers."""

from __future__ import annotations

import http.client
import ipaddress
import ssl
import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple
from urllib.parse import urlsplit

from doorbuster.observe.sample import SourceError

TIMEOUT_S = 5.0  # without a byte
LIMIT_S = 10.0  # of a whole answer
MAX_BYTES = 16 * 2**20
MAX_SHOWN = 150  # bytes of an error page
_CHUNK = 65_536


class HttpText(NamedTuple):
    """Body and headers of an answer with status 200."""

    text: str
    headers: Mapping[str, str]


class HttpReader:
    """GETs paths of one origin.

    Args: networks: that the origin's address must belong to, such as "127.0.0.0/8".
    """

    def __init__(self, url: str, headers: Mapping[str, str], networks: Sequence[str]) -> None:
        self._url = urlsplit(url)
        self._headers = {"User-Agent": "doorbuster", "Accept-Encoding": "identity", **headers}
        self._networks = [ipaddress.ip_network(network) for network in networks]
        self._connection: http.client.HTTPConnection | None = None

    @property
    def path(self) -> str:
        """Path and query of the URL."""
        return (self._url.path or "/") + (f"?{self._url.query}" if self._url.query else "")

    def get(self, path: str) -> HttpText:
        """The answer. Raises: SourceError, OSError."""
        was_kept = self._connection is not None
        try:
            try:
                return self._get(path)
            except ConnectionError:  # also http.client.RemoteDisconnected
                if not was_kept:
                    raise
                self.close()  # the server had closed the kept connection
                return self._get(path)
        except http.client.HTTPException as error:
            self.close()
            raise SourceError(f"the answer is not HTTP ({type(error).__name__})") from error
        except Exception:
            self.close()
            raise

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _get(self, path: str) -> HttpText:
        connection = self._connection or self._open()
        connection.request("GET", path, headers=self._headers)
        answer = connection.getresponse()
        body = _read_body(answer)
        if answer.status != http.client.OK:
            hint = ", which is not followed" if answer.status in (301, 302, 303, 307, 308) else ""
            said = f": {body[:MAX_SHOWN].decode('utf-8', 'replace')}" if body and not hint else ""
            raise SourceError(f"the server answered with status {answer.status}{hint}{said}")
        if answer.will_close:
            self.close()
        return HttpText(body.decode("utf-8", "replace"), {k.lower(): v for k, v in answer.getheaders()})

    def _open(self) -> http.client.HTTPConnection:
        host = self._url.hostname or ""
        connection: http.client.HTTPConnection
        if self._url.scheme == "https":
            context = ssl.create_default_context()
            connection = http.client.HTTPSConnection(host, self._url.port, timeout=TIMEOUT_S, context=context)
        else:
            connection = http.client.HTTPConnection(host, self._url.port, timeout=TIMEOUT_S)
        connection.connect()
        address = ipaddress.ip_address(connection.sock.getpeername()[0].partition("%")[0])
        if not any(address in network for network in self._networks if network.version == address.version):
            connection.close()
            raise SourceError(f"{host} has the address {address}, which was not allowed")
        self._connection = connection
        return connection


def _read_body(answer: http.client.HTTPResponse) -> bytes:
    """The body of an answer, in bounded size and time."""
    body, until = bytearray(), time.monotonic() + LIMIT_S
    while chunk := answer.read1(_CHUNK):
        body += chunk
        if len(body) > MAX_BYTES:
            raise SourceError(f"the answer is longer than {MAX_BYTES // 2**20} MB")
        if time.monotonic() > until:
            raise SourceError(f"the answer took longer than {LIMIT_S:g} s")
    if answer.length:  # read1 does not raise for it
        raise SourceError("the server closed the connection within the answer")
    answer.close()  # lets the connection take another request
    return bytes(body)
