"""Decides which hosts a command may load: those that the scenario lists and the command line confirms.

Rules
- A host on this machine needs no confirmation. Every other host needs one by name, `--confirm-host NAME`,
  which covers the addresses that the name has at that moment. A name whose addresses change, such as that
  of a load balancer, is confirmed with them: `--confirm-host NAME=203.0.113.0/24,198.51.100.7`.
- Link-local, multicast and unspecified addresses are never covered by a name.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Collection, Iterable, Sequence

from doorbuster.errors import UsageError
from doorbuster.load.http.allowed_hosts import (
    LOOPBACK_NETWORKS,
    AllowedHosts,
    IPAddress,
    canonical_host,
    numeric_address,
)


def permitted_hosts(
    targets: Sequence[str],
    allow: Sequence[str] | None,
    confirmed: Collection[str],
    *,
    doing: str = "loading",
) -> AllowedHosts:
    """The hosts that a command may load.

    Args:
        targets: hosts of the URLs to be loaded. allow: the scenario's `safety.allow`, which must list them
            unless they are on this machine; None: every confirmed host counts as listed.
        confirmed: values of --confirm-host. doing: for the message.

    Raises: UsageError for a target that is not listed, or a host that is not confirmed.
    """
    confirmations = _confirmations(confirmed)
    listed = confirmations if allow is None else [canonical_host(name) for name in allow]
    seen = {name: addresses_of(name) for name in map(canonical_host, (*targets, *listed))}
    for name in map(canonical_host, targets):
        if allow is not None and not _on_loopback(seen[name]) and name not in listed:
            allowed = ", ".join(allow) or "loopback only"
            raise UsageError(
                f"{name} may not be loaded: the scenario's safety.allow does not list it (allowed: "
                f"{allowed}); add it there if the shop is yours"
            )
    missing = [name for name in seen if name not in confirmations and not _on_loopback(seen[name])]
    if missing:
        options = " ".join(f"--confirm-host {name}" for name in missing)
        shown = " and ".join(_with_addresses(name, seen[name]) for name in missing)
        raise UsageError(
            f"{doing} {shown} needs a confirmation: add {options} if you may load "
            f"{'it' if len(missing) == 1 else 'them'} right now"
        )
    networks = {
        name: LOOPBACK_NETWORKS if _on_loopback(found) else confirmations[name] or _covered(name, found)
        for name, found in seen.items()
    }
    on_loopback = not targets or any(_on_loopback(seen[canonical_host(name)]) for name in targets)
    return AllowedHosts(networks, loopback=on_loopback)


def addresses_of(host: str) -> tuple[IPAddress, ...]:
    """The addresses of a host now; none for an unknown host."""
    try:
        rows = socket.getaddrinfo(host, None, 0, socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return ()
    found = (numeric_address(str(row[4][0]).partition("%")[0]) for row in rows)
    return tuple(dict.fromkeys(address for address in found if address is not None))


def _on_loopback(addresses: Sequence[IPAddress]) -> bool:
    return bool(addresses) and all(address.is_loopback for address in addresses)


def _covered(name: str, addresses: Iterable[IPAddress]) -> tuple[str, ...]:
    """The addresses that the confirmation of a name covers."""
    return tuple(
        str(address)
        for address in addresses
        if numeric_address(name) is not None
        or not (address.is_link_local or address.is_multicast or address.is_unspecified)
    )


def _with_addresses(name: str, addresses: Sequence[IPAddress]) -> str:
    if numeric_address(name) is not None or not addresses:
        return name
    return f"{name} ({', '.join(map(str, addresses))})"


def _confirmations(texts: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Networks by name, from NAME or NAME=NETWORK,...; none if the name's own addresses count.

    Raises: UsageError for what is not a network.
    """
    found: dict[str, tuple[str, ...]] = {}
    for text in texts:
        name, mark, rest = text.partition("=")
        networks = [one.strip() for one in rest.split(",")] if mark else []
        try:
            known = [str(ipaddress.ip_network(one)) for one in networks]
        except ValueError as error:
            raise UsageError(
                f"--confirm-host {text}: write addresses or networks after =, e.g. 203.0.113.0/24 ({error})"
            ) from None
        found[canonical_host(name)] = (*found.get(canonical_host(name), ()), *known)
    return found
