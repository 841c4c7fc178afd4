"""The browser probes of a run, beside its workers."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from doorbuster.browsers.probes import BrowserProbes
from doorbuster.load.exchange import RequestFailed
from doorbuster.load.http.allowed_hosts import AllowedHosts, canonical_host, numeric_address
from doorbuster.load.target.endpoint import TargetAccess
from doorbuster.scenario import RUN_HEADER, Scenario

LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "::1")


def start_browsers(
    scenario: Scenario, folder: Path, url: str, access: TargetAccess, *, starts_at_unix_s: float
) -> BrowserProbes | None:
    """The probes of a scenario, started; None without `browsers`."""
    if scenario.browsers is None:
        return None
    return BrowserProbes.start(
        folder,
        scenario.browsers,
        scenario.target.storefront,
        url=url,
        addresses=browser_addresses(access.hosts, url),
        headers={RUN_HEADER: access.run_id, **access.headers.values},
        secrets=access.headers.secrets,
        starts_at_unix_s=starts_at_unix_s,
    )


def browser_addresses(hosts: AllowedHosts, url: str) -> dict[str, str]:
    """The hosts that a browser may load, each with the one permitted address that it will use.

    A browser looks names up by itself; so that it reaches no other address than was confirmed, it is told.
    """
    found: dict[str, str] = {}
    names = [*hosts.networks, canonical_host(urlsplit(url).hostname or "")]
    for name in (*names, *(LOOPBACK_HOSTS if hosts.loopback else ())):
        try:
            address, _ = hosts.address(name, 443)
        except RequestFailed:
            continue
        is_own_address = numeric_address(name) is not None or name == "localhost"
        found[name] = name if is_own_address else address
    return found
