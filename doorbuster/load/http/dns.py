"""Addresses of host names, cached per process for a set time; concurrent look-ups of a name share one query.

Rules: the addresses of a name's first family are used in turn, so that the load spreads over all addresses of
a load balancer; addresses of the other family are fallbacks. Failures are not cached.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import gevent
import gevent.socket

from doorbuster.load.exchange import RequestFailed
from doorbuster.load.http.generator_limits import limit_cause


class Address(NamedTuple):
    """The arguments of socket() and connect()."""

    family: int
    sockaddr: tuple[Any, ...]


class _Known(NamedTuple):
    addresses: tuple[Address, ...]
    until: float


class Resolver:
    """The cached names of one process. Args: clock: seconds; only differences count."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._known: dict[tuple[str, int], _Known] = {}
        self._asking: dict[tuple[str, int], gevent.Greenlet] = {}
        self._turn = 0

    def addresses(
        self, host: str, port: int, *, ttl_s: float, timeout_s: float | None
    ) -> tuple[Address, ...]:
        """The addresses in the order in which to try them. Raises: RequestFailed("dns")."""
        literal = _literal(host, port)
        if literal is not None:
            return (literal,)
        key = (host, port)
        known = self._known.get(key)
        if known is None or known.until <= self._clock():
            known = self._ask(key, ttl_s, timeout_s)
        addresses = known.addresses
        self._turn += 1
        same = [address for address in addresses if address.family == addresses[0].family]
        shift = self._turn % len(same)
        rest = [address for address in addresses if address.family != addresses[0].family]
        return (*same[shift:], *same[:shift], *rest)

    def _ask(self, key: tuple[str, int], ttl_s: float, timeout_s: float | None) -> _Known:
        question = self._asking.get(key)
        if question is None:
            question = self._asking[key] = gevent.spawn(self._look_up, key)
        question.join(timeout_s)
        if not question.dead:
            raise RequestFailed("dns", f"no answer for {key[0]} within {timeout_s:.3g} s")
        answer = question.value
        if isinstance(answer, RequestFailed):
            raise answer
        if not isinstance(answer, tuple):
            raise RequestFailed("dns", f"{key[0]}: {answer}")
        known = _Known(answer, self._clock() + ttl_s)
        self._known[key] = known
        return known

    def _look_up(self, key: tuple[str, int]) -> tuple[Address, ...] | str | RequestFailed:
        try:
            answers = gevent.socket.getaddrinfo(*key, 0, socket.SOCK_STREAM)
        except (OSError, UnicodeError, MemoryError, RuntimeError) as error:
            limit = limit_cause(error)
            if limit:
                return RequestFailed(limit, f"look-up of {key[0]}: {error}")
            return str(error) or type(error).__name__
        finally:
            self._asking.pop(key, None)
        found = tuple(dict.fromkeys(Address(int(family), sockaddr) for family, _, _, _, sockaddr in answers))
        return found or "the name has no address"


@lru_cache(maxsize=1024)
def _literal(host: str, port: int) -> Address | None:
    if ":" not in host and not host[-1:].isdigit():
        return None
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    if address.version == 6:
        return Address(socket.AF_INET6, (host, port, 0, 0))
    return Address(socket.AF_INET, (host, port))
