"""Settings of a client: timeouts, limits, TLS, names and proxies."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field

from doorbuster.load.http.allowed_hosts import AllowedHosts
from doorbuster.load.http.route import Route
from doorbuster.load.http.send_limit import RequestCeiling

KIB = 1024
MIB = 1024 * KIB


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Limits in seconds; None means no limit.

    connect_s: name look-up, TCP, proxy and TLS together. first_byte_s: from the end of the request to the
    first byte of the response. total_s: the whole call, with waiting, redirects and the body.
    """

    connect_s: float | None = 10.0
    first_byte_s: float | None = 60.0
    total_s: float | None = 60.0

    def __post_init__(self) -> None:
        for value in (self.connect_s, self.first_byte_s, self.total_s):
            if value is not None and not value > 0:
                raise ValueError(f"a timeout must be > 0 s (got {value!r}); for no limit, write None")


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpSettings:
    """How a client behaves; shared by any number of clients.

    connections_per_host: parallel connections of one customer to one origin, as browsers do.
    max_head_bytes, max_body_bytes: limits on the wire; max_decoded_bytes: limit after decompression.
    verify, ca_file, client_cert_file, client_key_file: TLS; one SSLContext per process for equal values.
    ssl_context: replaces these four.
    tls_resumption: a customer's further connections resume its own TLS session. Sessions are never shared
      between customers, because every real visitor costs the shop a full handshake.
    dns_ttl_s: how long a process keeps the addresses of a name; 0 asks for every connection.
    hosts: what connections may go to, also after a redirect; None: anything.
    target_headers: sent with every request to a host that `hosts` lists, and to no other; secrets, so never
      shown.
    source_addresses: local addresses, used in turn; each gives about 28,000 more ports to one destination.
    proxy: "http://[user:password@]host:port" for every request; proxies_from_env: HTTP_PROXY, HTTPS_PROXY
      and NO_PROXY. Without either, the environment is ignored.
    request_id_header: name of the header with `Exchange.request_id`; "" sends none.
    trace_share: share of the requests with an id, 0..1, that carry `traceparent` and `baggage`.
    record_hops: one Exchange for each redirect; False gives one for the whole chain, as Locust counts.
    check_bodies: decode every compressed body inside the request, so that a corrupt body fails the request
      even if the customer never reads it. It costs the decoding.
    ceiling: the limit on requests and connections that all clients with these settings share; None: no limit.
    """

    timeouts: Timeouts = Timeouts()
    max_redirects: int = 20
    connections_per_host: int = 6
    max_head_bytes: int = 64 * KIB
    max_body_bytes: int = 64 * MIB
    max_decoded_bytes: int = 64 * MIB
    verify: bool = True
    ca_file: str = ""
    client_cert_file: str = ""
    client_key_file: str = ""
    ssl_context: ssl.SSLContext | None = None
    tls_resumption: bool = True
    dns_ttl_s: float = 60.0
    hosts: AllowedHosts | None = None
    source_addresses: tuple[str, ...] = ()
    proxy: str = ""
    proxies_from_env: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)
    target_headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    user_agent: str = "doorbuster"
    accept_encoding: str = "gzip, deflate, br, zstd"
    request_id_header: str = ""
    trace_share: float = 0.0
    max_cookies: int = 200
    record_hops: bool = True
    check_bodies: bool = False
    ceiling: RequestCeiling | None = None

    def __post_init__(self) -> None:
        for name, least in (
            ("max_redirects", 0),
            ("connections_per_host", 1),
            ("max_head_bytes", KIB),
            ("max_body_bytes", 0),
            ("max_decoded_bytes", 0),
            ("dns_ttl_s", 0),
            ("max_cookies", 0),
        ):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be >= {least} (got {getattr(self, name)!r})")

    @property
    def route(self) -> Route:
        """TLS and proxies of a client that does not change them."""
        return Route(self.verify, self.ca_file, self.client_cert_file, self.client_key_file, None)


def timeouts_from(
    value: float | tuple[float | None, float | None] | Timeouts | None, default: Timeouts
) -> Timeouts:
    """The `timeout=` of a call: total seconds, (connect, first byte) as in requests, or Timeouts."""
    if value is None:
        return default
    if isinstance(value, Timeouts):
        return value
    if isinstance(value, tuple):
        if len(value) != 2:
            raise ValueError(f"timeout must be seconds, (connect, first byte) or Timeouts (got {value!r})")
        return Timeouts(connect_s=value[0], first_byte_s=value[1], total_s=default.total_s)
    return Timeouts(connect_s=default.connect_s, first_byte_s=default.first_byte_s, total_s=float(value))
