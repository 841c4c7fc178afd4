"""The hosts that a client may connect to, with the addresses for which each of them was confirmed.

Rules
- Both count, at every dial: the name in the URL and the address to which it resolves then. A name that has
  another address than when it was confirmed is refused, whoever answers for it by now (DNS rebinding).
- Spellings do not: `127.1`, `0x7f000001`, `[::ffff:127.0.0.1]` and `LOCALHOST.` are one host.
- A target on this machine may lead to this machine under any of its names and ports; another target may not,
  unless it is named, too.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Final

from doorbuster.load.exchange import RequestFailed
from doorbuster.load.http.dns import Address

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

LOOPBACK_NETWORKS: Final = ("127.0.0.0/8", "::1/128")
_NUMERIC: Final = re.compile(r"[0-9a-fx]+(\.[0-9a-fx]+){0,3}")
_KNOWN_DIALS: Final = 4096


class AllowedHosts:
    """What may be dialled; never changed.

    networks: addresses or networks by canonical name. loopback: whether this machine may be dialled as
    "localhost" or by any of its loopback addresses.
    """

    __slots__ = ("_also", "_known", "_networks", "loopback", "networks")

    def __init__(self, networks: Mapping[str, Iterable[str]], *, loopback: bool) -> None:
        self.networks = {canonical_host(name): tuple(some) for name, some in networks.items()}
        self.loopback = loopback
        self._networks = {
            name: tuple([ipaddress.ip_network(one) for one in some]) for name, some in self.networks.items()
        }
        self._known: dict[tuple[str, str], bool] = {}
        self._also: AllowedHosts | None = None

    def to_wire(self) -> dict[str, Any]:
        """As plain types, for a message."""
        return {"networks": {name: list(some) for name, some in self.networks.items()},
                "loopback": self.loopback}  # fmt: skip

    def narrowed_by(self, other: AllowedHosts | None) -> AllowedHosts:
        """What both allow."""
        if other is None:
            return self
        made = AllowedHosts(self.networks, loopback=self.loopback)
        made._also = other
        return made

    def lists(self, host: str) -> bool:
        """Whether this host is named, rather than only another name of this machine."""
        return canonical_host(host) in self._networks

    def names(self, host: str) -> bool:
        """Whether requests for this host may be sent at all, whatever its address."""
        name = canonical_host(host)
        here = name in self._networks or (self.loopback and is_loopback_name(name))
        return here and (self._also is None or self._also.names(host))

    def permits(self, host: str, address: str) -> bool:
        """Whether this address may be dialled for this host."""
        known = self._known.get((host, address))
        if known is None:
            if len(self._known) >= _KNOWN_DIALS:
                self._known.clear()
            known = self._known[host, address] = self._decide(canonical_host(host), address)
        return known

    def permitted(self, host: str, found: tuple[Address, ...]) -> tuple[Address, ...]:
        """Those of the resolved addresses that may be dialled.

        Raises: RequestFailed("host_not_allowed") if there is none.
        """
        some = tuple([one for one in found if self.permits(host, one.sockaddr[0])])
        if not some:
            raise RequestFailed("host_not_allowed", self.refusal(host, found[0].sockaddr[0]))
        return some

    def address(self, host: str, port: int) -> tuple[str, int]:
        """Look up where to connect to, for a session that opens its connection itself.

        Raises: RequestFailed("dns"), or RequestFailed("host_not_allowed") if that must not be loaded.
        """
        if not self.names(host):
            raise RequestFailed("host_not_allowed", host)
        try:
            rows = socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise RequestFailed("dns", f"{host}: {error}") from None
        return str(
            self.permitted(host, tuple([Address(row[0], row[4]) for row in rows]))[0].sockaddr[0]
        ), port

    def refusal(self, host: str, address: str) -> str:
        """The text for an address that may not be dialled."""
        return host if not self.names(host) else f"{host} at {address}"

    def _decide(self, name: str, address: str) -> bool:
        numeric = numeric_address(address.partition("%")[0])
        if numeric is None or (self._also is not None and not self._also.permits(name, address)):
            return False
        networks = self._networks.get(name)
        if networks is None:
            return self.loopback and is_loopback_name(name) and numeric.is_loopback
        return any(numeric in network for network in networks)


LOOPBACK_ONLY: Final = AllowedHosts({}, loopback=True)
NO_HOSTS: Final = AllowedHosts({}, loopback=False)


@lru_cache(maxsize=4096)
def canonical_host(text: str) -> str:
    """One spelling for all spellings of a host: lower case, no final dot, addresses in their usual form."""
    host = text.strip().lower()
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    host = host.rstrip(".")
    if not host.isascii():
        try:
            host = host.encode("idna").decode("ascii")
        except UnicodeError:
            return host
    numeric = numeric_address(host)
    return host if numeric is None else str(numeric)


def numeric_address(host: str) -> IPAddress | None:
    """The address that a text is, in any form that `getaddrinfo` takes for one; None for a name."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        if not _NUMERIC.fullmatch(host):
            return None
        try:
            return ipaddress.IPv4Address(socket.inet_aton(host))
        except OSError:
            return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def is_loopback_name(name: str) -> bool:
    """Whether a canonical name is this machine's by definition."""
    numeric = numeric_address(name)
    return name == "localhost" if numeric is None else numeric.is_loopback
