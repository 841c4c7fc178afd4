"""Runs every step of a driver once and prints each exchange, for `doorbuster probe`.

The rows are of kind "target", "step" or "error". Without orders, steps that would order are skipped, and so
are the steps that need an order. Secrets are masked: see `output.secret_masking`.
"""

from __future__ import annotations

import sys
import time
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

from doorbuster.errors import ExitCode
from doorbuster.load.target.driver_lookup import find_driver
from doorbuster.load.target.endpoint import (
    LoadedShop,
    TargetAccess,
    target_headers,
)
from doorbuster.load.target.permission import permitted_hosts
from doorbuster.load.tools.command_interface import print_row, run_tool
from doorbuster.load.tools.driver_probe import DriverProbe
from doorbuster.scenario import read_scenario
from doorbuster.shop_process import start_shop
from doorbuster.shop_settings import ShopSettings

PRODUCTS = 200  # of the embedded shop


def probe(
    *,
    url: str,
    profile: str,
    storefront: str,
    locustfile: str,
    scenario_text: str,
    scenario_name: str,
    confirm_hosts: list[str],
    orders: bool,
) -> ExitCode:
    """Probe the shop at `url`, the scenario's target or the embedded shop; empty texts mean none was given.

    Raises: UsageError, TargetError, ScenarioError.
    """
    scenario = read_scenario(scenario_text, file=scenario_name) if scenario_text else None
    url = url or (scenario.target.url or "" if scenario else "")
    run_id = f"probe-{time.strftime('%Y%m%dT%H%M%S')}"
    host = (urlsplit(url).hostname or "") if url else "127.0.0.1"
    allow = scenario.safety.allow if scenario is not None else None
    access = TargetAccess(run_id, permitted_hosts([host], allow, confirm_hosts, doing="probing"))
    if scenario is not None:
        storefront = storefront or scenario.target.storefront
        access = TargetAccess(run_id, access.hosts, target_headers(scenario))
    driver = find_driver(storefront, locustfile)
    with TemporaryDirectory() as folder:
        target = LoadedShop(url)
        if not url:
            settings = ShopSettings(profile=profile, products=PRODUCTS)
            if scenario is not None and scenario.target.shop is not None:
                settings = scenario.target.shop.settings
            shop = start_shop(settings, Path(folder, "shop.log"))
            target = LoadedShop(shop.url, shop, shop.merchants)
        try:
            print_row({"kind": "target", "url": target.url, "storefront": driver.name})
            worked = True
            first_url = next(iter(target.urls.values()))
            for step in DriverProbe(driver, first_url, access, orders=orders, scenario=scenario).steps():
                worked = worked and (not step.core or step.result == "ok")
                print_row(asdict(step))
        finally:
            target.stop()
    return ExitCode.PASS if worked else ExitCode.FAIL


if __name__ == "__main__":
    sys.exit(run_tool(probe))
