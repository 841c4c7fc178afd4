"""Run every step of a driver once and show each exchange: `python -m doorbuster.load.tools.probe`.

It is a process of its own, because the HTTP client runs on gevent; `doorbuster probe` starts it and renders
what it prints: one JSON object a line, of kind "target", "step" or "error".

Rules
- A step that would order is left out with --no-orders, and what needs it is then skipped, not failed.
- Nothing secret is printed: see storefronts.secrets.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

from doorbuster.errors import DoorbusterError, ExitCode, UsageError
from doorbuster.load.target.drivers import find_driver
from doorbuster.load.target.endpoint import LoadedShop, open_target, resolves_to_loopback
from doorbuster.load.tools.driver_probe import DriverProbe
from doorbuster.scenario import Scenario, read_scenario

EMBEDDED = """
title: probe
target: {storefront: reference, shop: {profile: %s, products: 200}}
demand: {peak: 1 customer/s, curve: {stages: [{for: 1s, at: 100%%}]}}
channels: {web: {share: 100%%, journeys: {browse: 1}}}
"""


def _embedded(profile: str, log: Path) -> LoadedShop:
    scenario: Scenario = read_scenario(EMBEDDED % profile, file="probe")
    return open_target(scenario, log)


def _print(row: dict[str, Any]) -> None:
    print(json.dumps(row), flush=True)  # noqa: T201  the protocol with `doorbuster probe`


def _probe(options: argparse.Namespace) -> ExitCode:
    host = urlsplit(options.url).hostname or ""
    if options.url and not resolves_to_loopback(host) and options.confirm_host != host:
        raise UsageError(f"probing {host} needs a confirmation: add --confirm-host {host} if it is yours")
    driver = find_driver(options.storefront, options.locustfile)
    run_id = f"probe-{time.strftime('%Y%m%dT%H%M%S')}"
    with TemporaryDirectory() as folder:
        target = (
            LoadedShop(options.url) if options.url else _embedded(options.profile, Path(folder, "shop.log"))
        )
        try:
            _print({"kind": "target", "url": target.url, "storefront": driver.name})
            worked: dict[str, bool] = {}
            for step in DriverProbe(driver, target.url, orders=options.orders, run_id=run_id).steps():
                worked[step.step] = not step.core or step.result == "ok"
                _print(asdict(step))
        finally:
            target.stop()
    return ExitCode.PASS if all(worked.values()) else ExitCode.FAIL


def main() -> int:
    parser = argparse.ArgumentParser(prog="doorbuster.load.tools.probe")
    parser.add_argument("--url", default="")
    parser.add_argument("--profile", default="replatformed")
    parser.add_argument("--storefront", default="")
    parser.add_argument("--locustfile", default="")
    parser.add_argument("--confirm-host", default="")
    parser.add_argument("--no-orders", dest="orders", action="store_false")
    try:
        return int(_probe(parser.parse_args()))
    except DoorbusterError as error:
        _print({"kind": "error", "text": str(error), "exit_code": int(error.exit_code)})
        return int(error.exit_code)


if __name__ == "__main__":
    sys.exit(main())
