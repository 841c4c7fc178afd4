"""Prepares the shop under test: starts the embedded shop, checks permission, reads the catalogue."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from doorbuster.errors import TargetError
from doorbuster.load.http.allowed_hosts import LOOPBACK_ONLY, AllowedHosts
from doorbuster.load.http.client import HttpClient
from doorbuster.load.http.send_limit import RequestCeiling
from doorbuster.load.http.settings import HttpSettings
from doorbuster.load.target.catalogue_check import checked_catalogue
from doorbuster.load.target.content_errors import content_error
from doorbuster.load.target.driver_lookup import driver_error
from doorbuster.load.target.permission import permitted_hosts
from doorbuster.output import exception_text, masked
from doorbuster.output.secret_masking import remember_secrets
from doorbuster.scenario import NO_HEADERS, RUN_HEADER, HeaderValues, LocustScenario, Scenario, fill_headers
from doorbuster.shop_process import ShopProcess, start_shop
from doorbuster.storefronts import DRIVERS, Catalogue, HttpResponse, Rejected, Storefront

PREPARE_LIMIT_S = 10.0


@dataclass(frozen=True, slots=True)
class TargetAccess:
    """What all clients of a run have in common: its id, the hosts they may load, the target's headers."""

    run_id: str
    hosts: AllowedHosts = LOOPBACK_ONLY
    headers: HeaderValues = NO_HEADERS

    def settings(self, **more: Any) -> HttpSettings:
        """Settings of clients of the shop; `more` are further fields of them."""
        return HttpSettings(
            headers={RUN_HEADER: self.run_id},
            target_headers=self.headers.values,
            hosts=self.hosts,
            **more,
        )


def target_headers(scenario: Scenario | LocustScenario) -> HeaderValues:
    """The target's headers, with their values from the environment, which this process then masks.

    Raises: UsageError for variables that are not set.
    """
    filled = fill_headers(scenario.target.headers, os.environ)
    remember_secrets(filled.secrets)
    return filled


@dataclass(frozen=True, slots=True)
class StoreEndpoint:
    """The shop of one merchant: its URL and its products."""

    url: str
    catalogue: Catalogue


@dataclass(slots=True)
class LoadedShop:
    """The shop under test; `process` is the embedded shop if this run started one."""

    url: str
    process: ShopProcess | None = None
    merchants: Mapping[str, str] = field(default_factory=dict)  # URL by merchant, if there are several

    @property
    def urls(self) -> Mapping[str, str]:
        """URL by merchant; "" is the only merchant of a shop."""
        return self.merchants or {"": self.url}

    def stop(self) -> None:
        """End the embedded shop, if this run started one."""
        if self.process is not None:
            self.process.stop()
            self.process = None


def open_target(scenario: Scenario, log: Path) -> LoadedShop:
    """The scenario's target, started if it is the embedded shop.

    Raises:
        TargetError: the embedded shop did not start; the message quotes its log.
    """
    if scenario.target.url is not None:
        return LoadedShop(scenario.target.url)
    assert scenario.target.shop is not None, "a validated target has a url or a shop"
    process = start_shop(scenario.target.shop.settings, log)
    return LoadedShop(process.url, process, process.merchants)


def set_faults(
    scenario: Scenario, target: LoadedShop, access: TargetAccess, *, starts_at_unix_s: float
) -> None:
    """Send the scenario's faults to the embedded shop; other shops are left alone.

    Raises: TargetError if the shop rejects them.
    """
    shop = scenario.target.shop
    if shop is None or not shop.faults or target.process is None:
        return
    plan = {"starts_at_unix_s": starts_at_unix_s, "faults": [fault.wire for fault in shop.faults]}
    for url in target.urls.values():
        client = UnmeasuredClient(url, access, limit_s=PREPARE_LIMIT_S)
        try:
            answer = client.request("POST", "/control/faults", json=plan)
        finally:
            client.close()
        if answer.cause:
            raise TargetError(f"the embedded shop rejected target.shop.faults: {answer.cause} {answer.text}")


def check_allowed(scenario: Scenario, url: str, *, confirmed_hosts: Collection[str]) -> AllowedHosts:
    """The hosts that a run may load; loopback needs neither to be listed nor confirmed.

    Every host of the scenario's `safety.allow` needs a confirmation, because a run may load all of them.

    Raises:
        UsageError: the target is not in `safety.allow`, or a host was not confirmed by name.
    """
    return permitted_hosts([urlsplit(url).hostname or ""], scenario.safety.allow, confirmed_hosts)


class UnmeasuredClient:
    """A client for requests that are not measured, such as reading the catalogue and the ledger."""

    def __init__(
        self, url: str, access: TargetAccess, *, limit_s: float, ceiling: RequestCeiling | None = None
    ) -> None:
        self._http = HttpClient(url, settings=access.settings(ceiling=ceiling))
        self._limit_s = limit_s
        self.last_cause: str | None = None
        """Cause of the latest request, "" if it succeeded; None before the first."""

    def request(self, method: str, url: str, **options: Any) -> HttpResponse:
        answer: HttpResponse = self._http.request(method, url, timeout=self._limit_s, **options)
        self.last_cause = answer.cause
        return answer

    def close(self) -> None:
        self._http.close()


def read_catalogue(
    driver: type[Storefront], url: str, access: TargetAccess, ceiling: RequestCeiling | None = None
) -> Catalogue:
    """The products on sale; reading them also checks the shop and its driver.

    Raises:
        TargetError: the shop cannot be reached, refuses, or is of another kind.
        AnalysisError: a user's driver raised.
    """
    client = UnmeasuredClient(url, access, limit_s=PREPARE_LIMIT_S, ceiling=ceiling)
    try:
        found = driver.prepare(client)
    except Rejected as refusal:
        if refusal.cause == "host_not_allowed":
            way_out = (
                "the shop leads to a host that is not in safety.allow, or that has other addresses than when "
                "it was confirmed; allow it if you may load it"
            )
        else:
            way_out = f"is the shop running, and is it a '{driver.name}' storefront?"
        reason = masked(" ".join(str(refusal).split()))
        raise TargetError(f"{url} cannot be loaded: {reason}; {way_out}") from refusal
    except BaseException as error:
        page = content_error(error, client.last_cause)
        if page is None and driver not in DRIVERS.values():
            raise driver_error(driver, "prepare", error) from error
        raise TargetError(
            f"the responses of {url} are not those of a '{driver.name}' storefront "
            f"({page or exception_text(error)}); "
            "correct the driver, or name another one in target.storefront"
        ) from error
    finally:
        client.close()
    catalogue = checked_catalogue(driver, found)
    if not catalogue.skus:
        raise TargetError(
            f"the '{driver.name}' driver found no products at {url}; add products, or run `doorbuster probe` "
            "to check the driver"
        )
    return catalogue
