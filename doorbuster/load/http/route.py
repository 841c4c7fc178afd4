"""How a request reaches its host: TLS and proxies, as requests' `verify`, `cert` and `proxies` state them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

Verify = bool | str
Cert = str | tuple[str, str]
Proxies = Mapping[str, str | None]


class Route(NamedTuple):
    """Requests of equal routes share connections. proxies: None leaves the choice to the settings."""

    verify: bool
    ca_file: str
    cert_file: str
    key_file: str
    proxies: tuple[tuple[str, str], ...] | None

    def with_verify(self, verify: Any) -> Route:
        """verify: True, False, or the path of a CA file or folder. Raises: ValueError."""
        if isinstance(verify, bool):
            return self._replace(verify=verify, ca_file="") if not verify else self._replace(verify=True)
        return self._replace(verify=True, ca_file=_existing("verify", verify))

    def with_cert(self, cert: Any) -> Route:
        """cert: a PEM file with certificate and key, or both as a pair of files. Raises: ValueError."""
        if isinstance(cert, tuple | list):
            if len(cert) != 2:
                raise ValueError(f"cert must be a file or (certificate file, key file) (got {cert!r})")
            return self._replace(cert_file=_existing("cert", cert[0]), key_file=_existing("cert", cert[1]))
        return self._replace(cert_file=_existing("cert", cert) if cert else "", key_file="")

    def with_proxies(self, proxies: Any) -> Route:
        """proxies: URLs by "http", "https", "all", "http://host" and so on; None means no proxy.

        Raises: ValueError.
        """
        if not isinstance(proxies, Mapping):
            raise ValueError(f'proxies must be like {{"http": "http://proxy:3128"}} (got {proxies!r})')
        merged = dict(self.proxies or ())
        for key, url in proxies.items():
            scheme, separator, host = key.lower().partition("://")
            if scheme not in ("http", "https", "all") or (separator and not host):
                raise ValueError(f"a proxy is set for http, https, all or scheme://host (got {key!r})")
            merged[key.lower()] = url or ""
        return self._replace(proxies=tuple(merged.items()))


def chosen_proxy(proxies: tuple[tuple[str, str], ...], scheme: str, host: str) -> str | None:
    """The proxy's URL, "" for a direct connection, or None where nothing was said about this host."""
    known = dict(proxies)
    for key in (f"{scheme}://{host}", scheme, f"all://{host}", "all"):
        if key in known:
            return known[key]
    return None


def _existing(option: str, path: Any) -> str:
    try:
        text = os.fspath(path)
    except TypeError:
        raise ValueError(f"{option} must be a path (got {path!r})") from None
    name = os.fsdecode(text)
    if not Path(name).exists():
        raise ValueError(f"{option}: there is no file {name!r}")
    return name
