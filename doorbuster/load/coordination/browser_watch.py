"""The browser probes of a run, beside its workers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from urllib.parse import urlsplit

import gevent

from doorbuster.browsers.probes import BrowserProbes
from doorbuster.load.coordination.run_log import RunLog
from doorbuster.load.exchange import RequestFailed
from doorbuster.load.http.allowed_hosts import AllowedHosts, canonical_host, numeric_address
from doorbuster.load.runtime.notes import note
from doorbuster.load.target.endpoint import TargetAccess
from doorbuster.scenario import RUN_HEADER, Browsers, Scenario

LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "::1")


class BrowserWatch:
    """The running probes of one run, and what they record. Started by `start_browsers`."""

    def __init__(self, settings: Browsers, probes: BrowserProbes, log: RunLog) -> None:
        self._settings, self._probes, self._log = settings, probes, log

    def record_problems(self) -> None:
        """Record and say what the probes could not do since the last call."""
        for problem in self._probes.problems:
            note(f"browsers: {problem}")
            self._log.record("browser", problem)
        self._probes.problems.clear()

    def finish(self, is_ended_early: Callable[[], bool]) -> None:
        """Let the probes see whether the shop recovers, then end them and record what they measured."""
        until = perf_counter() + self._settings.after_s
        while not is_ended_early() and perf_counter() < until:
            gevent.sleep(min(1.0, self._settings.after_s))
        found = self._probes.finish(complete=not is_ended_early())
        self.record_problems()
        if self._probes.requests:
            self._log.record("browser", self._probes.requests.sentence(self._settings.reserved_per_s))
        self._log.persist(self._log.writer.write_browsers, found)
        self._probes.remove_files()

    def end_all(self) -> None:
        """End every probe at once; nothing happens if `finish` has ended them."""
        self._probes.end_all()


def start_browsers(
    scenario: Scenario, folder: Path, url: str, access: TargetAccess, log: RunLog, *, starts_at_unix_s: float
) -> BrowserWatch | None:
    """The probes of a scenario, started; None without `browsers`."""
    if scenario.browsers is None:
        return None
    probes = BrowserProbes.start(
        folder,
        scenario.browsers,
        scenario.target.storefront,
        url=url,
        addresses=browser_addresses(access.hosts, url),
        headers={RUN_HEADER: access.run_id, **access.headers.values},
        secrets=access.headers.secrets,
        starts_at_unix_s=starts_at_unix_s,
    )
    return BrowserWatch(scenario.browsers, probes, log)


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
