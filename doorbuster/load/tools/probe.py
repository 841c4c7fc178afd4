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

from doorbuster.errors import ExitCode, UsageError
from doorbuster.load.target.driver_lookup import find_driver
from doorbuster.load.target.endpoint import LoadedShop, resolves_to_loopback
from doorbuster.load.tools.command_interface import print_row, run_tool
from doorbuster.load.tools.driver_probe import DriverProbe
from doorbuster.shop_process import start_shop
from doorbuster.shop_settings import ShopSettings

PRODUCTS = 200  # of the embedded shop


def probe(
    *, url: str, profile: str, storefront: str, locustfile: str, confirm_hosts: list[str], orders: bool
) -> ExitCode:
    """Probe the shop at `url`, or the embedded shop in this profile; empty texts mean that none was given.

    Raises: UsageError, TargetError.
    """
    host = urlsplit(url).hostname or ""
    if url and not resolves_to_loopback(host) and host not in confirm_hosts:
        raise UsageError(f"probing {host} needs a confirmation: add --confirm-host {host} if it is yours")
    driver = find_driver(storefront, locustfile)
    run_id = f"probe-{time.strftime('%Y%m%dT%H%M%S')}"
    with TemporaryDirectory() as folder:
        target = LoadedShop(url)
        if not url:
            shop = start_shop(ShopSettings(profile=profile, products=PRODUCTS), Path(folder, "shop.log"))
            target = LoadedShop(shop.url, shop)
        try:
            print_row({"kind": "target", "url": target.url, "storefront": driver.name})
            worked: dict[str, bool] = {}
            for step in DriverProbe(
                driver, target.url, orders=orders, run_id=run_id, hosts=confirm_hosts
            ).steps():
                worked[step.step] = not step.core or step.result == "ok"
                print_row(asdict(step))
        finally:
            target.stop()
    return ExitCode.PASS if all(worked.values()) else ExitCode.FAIL


if __name__ == "__main__":
    sys.exit(run_tool(probe))
