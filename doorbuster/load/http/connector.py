"""Opens connections: DNS, TCP from the chosen local address, proxy tunnel and TLS, within one deadline.

Rules: the addresses of a name are tried in turn, each with an equal part of the remaining time. A connection
that could not be opened is closed before the exception leaves this module.
"""

from __future__ import annotations

import errno
import os
import socket
import ssl
import sys
from collections.abc import Callable
from functools import cache
from math import inf
from typing import Final

import gevent.monkey

from doorbuster.load.exchange import RequestFailed
from doorbuster.load.http.allowed_hosts import AllowedHosts
from doorbuster.load.http.connection import Connection
from doorbuster.load.http.dns import Address
from doorbuster.load.http.generator_limits import NO_DESCRIPTORS, NO_PORTS, limit_cause
from doorbuster.load.http.gevent_socket import HubResources
from doorbuster.load.http.proxy import Proxy, connect_request
from doorbuster.load.http.request_target import RequestTarget
from doorbuster.load.http.route import Route
from doorbuster.load.http.settings import HttpSettings
from doorbuster.load.http.tls import HTTP1_ALPN, context_for

# The base class of `socket.socket` and of gevent's: `GeventSocket` replaces what they add, which saves memory
# and time per customer.
_Socket: Final[type[socket.socket]] = gevent.monkey.get_original("socket", "SocketType")
_IP_BIND_ADDRESS_NO_PORT: Final = 24  # choose the port in connect(), when the destination is known
_MAX_CONNECT_ANSWER_BYTES: Final = 16 * 1024
_IN_PROGRESS: Final = (errno.EINPROGRESS, errno.EALREADY, errno.EWOULDBLOCK)


class Connector:
    """Opens connections of one customer to one origin, and keeps its TLS session between them."""

    __slots__ = ("_clock", "_opened", "_proxy", "_route", "_settings", "_target", "_wire", "session")

    def __init__(
        self,
        target: RequestTarget,
        settings: HttpSettings,
        wire: HubResources,
        clock: Callable[[], float],
        *,
        proxy: Proxy | None,
        route: Route,
        opened: Callable[[], None],
    ) -> None:
        self._opened = opened
        self._target = target
        self._settings = settings
        self._wire = wire
        self._clock = clock
        self._proxy = proxy
        self._route = route
        self.session: ssl.SSLSession | None = None

    def open(self, connect_deadline: float, total_deadline: float) -> Connection:
        """A connection ready for its first request. Raises: RequestFailed."""
        deadline = min(connect_deadline, total_deadline)
        cause = "connect_timeout" if connect_deadline <= total_deadline else "total_timeout"
        target, proxy = self._target, self._proxy
        allowed = self._settings.hosts
        host, port = (proxy.host, proxy.port) if proxy else (target.host, target.port)
        if allowed is not None:
            for name in (target.host, host):
                if not allowed.names(name):
                    raise RequestFailed("host_not_allowed", name)
            if proxy:
                self._check_behind_proxy(allowed, deadline)
        try:
            addresses = self._addresses(host, port, deadline)
            if allowed is not None:
                addresses = allowed.permitted(host, addresses)
            connection = self._connect_any(addresses, deadline, cause)
        except RequestFailed as failure:
            if proxy and failure.cause not in ("total_timeout", "host_not_allowed"):
                raise RequestFailed("proxy", f"{host}:{port}: {failure}") from None
            raise
        try:
            connection.deadline, connection.timeout_cause = deadline, cause
            if proxy and target.secure:
                _tunnel(connection, target, proxy)
            if target.secure:
                self._encrypt(connection)
        except BaseException:
            connection.close()
            raise
        self._opened()
        return connection

    def _addresses(self, host: str, port: int, deadline: float) -> tuple[Address, ...]:
        return self._wire.resolver.addresses(
            host, port, ttl_s=self._settings.dns_ttl_s, timeout_s=self._left_s(deadline)
        )

    def _check_behind_proxy(self, allowed: AllowedHosts, deadline: float) -> None:
        """Check the target's address as it is known here: the proxy looks it up itself."""
        target = self._target
        try:
            found = self._addresses(target.host, target.port, deadline)
        except RequestFailed:
            return  # a name that only the proxy knows
        allowed.permitted(target.host, found)

    def remember_session(self, connection: Connection) -> None:
        """Keep the TLS session for this customer's next connection; TLS 1.3 sends it after the handshake.

        Reading it costs more than a request, because ssl copies it, certificates included. So it is read
        after the first answer, and once more if it had no ticket by then.
        """
        tls = connection.tls
        connection.session_reads -= 1
        if tls is None or not self._settings.tls_resumption:
            connection.session_reads = 0
            return
        session = tls.session
        if session is not None:
            self.session = session
            if session.has_ticket:
                connection.session_reads = 0

    def _left_s(self, deadline: float) -> float | None:
        return None if deadline == inf else max(deadline - self._clock(), 0.001)

    def _connect_any(self, addresses: tuple[Address, ...], deadline: float, cause: str) -> Connection:
        failure: RequestFailed | None = None
        for position, address in enumerate(addresses):
            left_s = self._left_s(deadline)
            share = inf if left_s is None else self._clock() + left_s / (len(addresses) - position)
            try:
                return self._connect(address, share, cause)
            except RequestFailed as error:
                failure = failure or error
                if self._clock() >= deadline:
                    break
        assert failure is not None
        raise failure

    def _connect(self, address: Address, deadline: float, cause: str) -> Connection:
        place = f"{address.sockaddr[0]}:{address.sockaddr[1]}"
        try:
            sock = _Socket(address.family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        except OSError as error:
            cause = limit_cause(error) or "connect_failed"
            raise RequestFailed(cause, f"{place}: {error.strerror}") from None
        if sock.fileno() > self._wire.last_descriptor:
            sock.close()
            raise RequestFailed(NO_DESCRIPTORS, f"{place}: {os.strerror(errno.EMFILE)}")
        settings = self._settings
        connection = Connection(
            sock,
            self._clock,
            max_head_bytes=settings.max_head_bytes,
            max_body_bytes=settings.max_body_bytes,
        )
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._bind(sock, address)
            code = sock.connect_ex(address.sockaddr)
            if code == errno.EINPROGRESS:
                # The handshake with a near host ends within the call, which only a second call shows.
                code = sock.connect_ex(address.sockaddr)
            if code == errno.EISCONN:
                code = 0
            if code in _IN_PROGRESS:
                connection.deadline, connection.timeout_cause = deadline, cause
                connection.wait_writable()
                code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if code:
                raise RequestFailed(_connect_cause(code), f"{place}: {os.strerror(code)}")
        except OSError as error:
            connection.close()
            raise RequestFailed(_connect_cause(error.errno or 0), f"{place}: {error.strerror}") from None
        except RequestFailed as failure:
            connection.close()
            raise RequestFailed(failure.cause, failure.detail or f"{place}: no answer") from None
        except BaseException:
            connection.close()
            raise
        return connection

    def _bind(self, sock: socket.socket, address: Address) -> None:
        sources = _sources_for(self._settings.source_addresses, address.family == socket.AF_INET6)
        if sources:
            self._wire.source_turn += 1
            if sys.platform == "linux":
                sock.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
            source = sources[self._wire.source_turn % len(sources)]
            try:
                sock.bind((source, 0))
            except OSError as error:
                cause = limit_cause(error) or "connect_failed"
                raise RequestFailed(cause, f"from {source}: {error.strerror}") from None

    def _encrypt(self, connection: Connection) -> None:
        route = self._route
        context = self._settings.ssl_context
        if context is None or route != self._settings.route:
            context = context_for(route.verify, route.ca_file, route.cert_file, route.key_file, HTTP1_ALPN)
        connection.start_tls(context, self._target.host, self.session)


@cache
def _sources_for(addresses: tuple[str, ...], v6: bool) -> tuple[str, ...]:
    """The local addresses of this address family."""
    return tuple([address for address in addresses if (":" in address) == v6])


def _connect_cause(code: int) -> str:
    if code == errno.ECONNREFUSED:
        return "connect_refused"
    if code == errno.ECONNRESET:
        return "reset"
    if code == errno.EADDRNOTAVAIL:
        return NO_PORTS
    if code == errno.ETIMEDOUT:
        return "connect_timeout"
    return limit_cause(OSError(code, "")) or "connect_failed"


def _tunnel(connection: Connection, target: RequestTarget, proxy: Proxy) -> None:
    sock = connection.socket
    answer = b""
    try:
        sock.sendall(connect_request(target, proxy))
        while b"\r\n\r\n" not in answer:
            connection.wait_readable()
            piece = sock.recv(4096)
            answer += piece
            if not piece or len(answer) > _MAX_CONNECT_ANSWER_BYTES:
                raise RequestFailed("proxy", "the proxy closed the connection instead of opening a tunnel")
    except OSError as error:
        raise RequestFailed("proxy", f"the proxy broke off: {error.strerror or error}") from None
    status_line = answer.partition(b"\r\n")[0].decode("latin-1")
    if not (status_line.startswith("HTTP/1.") and status_line[9:10] == "2"):
        raise RequestFailed("proxy", f"the proxy refused the tunnel: {status_line}")
