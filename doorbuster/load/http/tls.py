"""TLS over a non-blocking socket: contexts shared by the process, sessions kept per customer.

Rules: equal settings share one SSLContext, because loading the CA bundle takes about 30 ms; certificates are
verified unless the settings say otherwise. The handshake and all records go through memory (`wrap_bio`), so
plain and encrypted connections wait in the same way and nothing depends on a patched ssl module.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Final

from doorbuster.load.exchange import RequestFailed

HTTP1_ALPN: Final[tuple[str, ...]] = ("http/1.1",)
_RECORD_BYTES: Final = 64 * 1024


@lru_cache(maxsize=32)
def context_for(
    verify: bool, ca_file: str, cert_file: str, key_file: str, alpn: tuple[str, ...] = HTTP1_ALPN
) -> ssl.SSLContext:
    """The process-wide context of these settings. Raises: ValueError if a file cannot be used.

    alpn: the protocols to offer, the preferred one first.
    """
    try:
        folder = bool(ca_file) and Path(ca_file).is_dir()
        context = ssl.create_default_context(
            cafile=None if folder else ca_file or None, capath=ca_file if folder else None
        )
        if cert_file:
            context.load_cert_chain(cert_file, key_file or None)
    except (OSError, ssl.SSLError) as error:
        raise ValueError(f"the CA file, client certificate or its key cannot be used: {error}") from None
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(list(alpn))
    return context


class TlsChannel:
    """An encrypted connection with the calls of a non-blocking socket: send, recv, close.

    Args: wait: blocks the greenlet until the socket is readable (False) or writable (True), or raises.
    """

    __slots__ = ("_incoming", "_outgoing", "_queued", "_socket", "_wait", "tls")

    def __init__(
        self,
        sock: socket.socket,
        context: ssl.SSLContext,
        server_hostname: str,
        session: ssl.SSLSession | None,
        wait: Callable[[bool], None],
    ) -> None:
        self._socket = sock
        self._wait = wait
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._queued = b""  # records that the socket has not accepted yet
        self.tls = context.wrap_bio(
            self._incoming, self._outgoing, server_hostname=server_hostname, session=session
        )

    def handshake(self) -> None:
        """Raises: RequestFailed("tls") for certificates, names, protocols and alerts."""
        while True:
            try:
                self.tls.do_handshake()
            except ssl.SSLWantReadError:
                self._flush()
                self._receive_records()
            except ssl.SSLError as error:
                self._send_alert()
                raise RequestFailed("tls", tls_detail(error)) from None
            except ssl.CertificateError as error:
                raise RequestFailed("tls", str(error)) from None
            else:
                self._flush()
                return

    def send(self, data: bytes | memoryview) -> int:
        """Encrypt and send everything; waits while the socket is full."""
        sent = 0
        view = memoryview(data)
        while sent < len(view):
            sent += self.tls.write(view[sent : sent + _RECORD_BYTES])
            self._flush()
        return sent

    def send_now(self, data: bytes) -> bool:
        """Encrypt everything and send what the socket accepts now; returns whether nothing is left."""
        sent = 0
        view = memoryview(data)
        while sent < len(view):
            sent += self.tls.write(view[sent : sent + _RECORD_BYTES])
        return self._push()

    def recv(self, size: int) -> bytes:
        """Decrypted bytes; b"" at the end. Raises: BlockingIOError if none have arrived."""
        while True:
            try:
                return self.tls.read(size)
            except ssl.SSLWantReadError:
                if self._outgoing.pending:
                    self._push()
                self._feed(self._socket.recv(_RECORD_BYTES))
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                return b""

    def close(self) -> None:
        self._socket.close()

    def _receive_records(self) -> None:
        while True:
            try:
                self._feed(self._socket.recv(_RECORD_BYTES))
            except BlockingIOError:
                self._wait(False)
            else:
                return

    def _feed(self, records: bytes) -> None:
        if records:
            self._incoming.write(records)
        else:
            self._incoming.write_eof()

    def _flush(self) -> None:
        while not self._push():
            self._wait(True)

    def _push(self) -> bool:
        """Send records, as far as the socket accepts them now; returns whether nothing is left."""
        self._queued += self._outgoing.read()
        try:
            while self._queued:
                sent = self._socket.send(self._queued)
                self._queued = self._queued[sent:]
        except BlockingIOError:
            return False
        return True

    def _send_alert(self) -> None:
        """Send the alert, as far as the socket accepts it at once."""
        try:
            self._socket.send(self._outgoing.read())
        except OSError:
            return


def tls_detail(error: ssl.SSLError) -> str:
    """The error message without OpenSSL's file and line."""
    message = getattr(error, "verify_message", "")
    reason = str(error.reason or error).replace("_", " ").lower()
    return f"{reason}: {message}" if message else reason
