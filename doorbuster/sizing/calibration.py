"""A short run of a scenario's customers against the embedded shop, to measure what they cost."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

from doorbuster.capacity.load_step_scenario import RateLevel, load_step_text
from doorbuster.capacity.runner import run_scenario
from doorbuster.errors import UsageError
from doorbuster.locust_process import LocustProcess
from doorbuster.records.reader import Run
from doorbuster.scenario import Scenario, estimate
from doorbuster.scenario.overrides import scenario_text
from doorbuster.scenario.parsing.document import read_document
from doorbuster.shop_process import start_shop
from doorbuster.shop_settings import ShopSettings
from doorbuster.sizing.generator_cost import GeneratorCost, measure_cost

LEVEL_S = (4.0, 8.0)  # of a low and a high rate: the difference tells base cost from cost per request
REQUESTS_PER_S = 250.0  # at the high rate: the embedded shop needs the other core
LOW_RATIO = 0.3
MAX_CUSTOMERS_PER_S = 120.0
DRAIN_S = 2.0  # requests without arrivals tell the cost of a request from that of a customer


def calibrate(scenario: Scenario, locustfile: str) -> GeneratorCost:
    """Run the scenario's customers for about a quarter of a minute and measure their cost.

    Raises:
        UsageError: the scenario needs a driver that the embedded shop does not have.
        RunError: nothing was recorded.
    """
    if scenario.target.storefront != "reference":
        raise UsageError(
            f"the calibration uses the embedded shop, and the scenario the driver "
            f"{scenario.target.storefront!r}; give a recorded run of it with --from RUN"
        )
    with tempfile.TemporaryDirectory(prefix="doorbuster-plan-") as name:
        folder = Path(name)
        with start_shop(ShopSettings(profile="replatformed"), folder / "shop.log") as shop:
            text = _calibration_text(scenario, shop.url)
            started: list[float] = []

            def look(process: LocustProcess) -> None:
                if not started and (folder / "run" / "run.sqlite").exists():
                    started.append(time.monotonic())
                over = started and time.monotonic() - started[0] > sum(LEVEL_S) + DRAIN_S + 1
                if over and not process.asked:
                    process.ask_to_stop()  # visits with long think times would last for minutes

            run_scenario(
                text, folder / "run", locustfile, (), what="the calibration", every_s=0.25, look=look
            )
        with Run.open(folder / "run") as run:
            return measure_cost(run)


def _calibration_text(scenario: Scenario, url: str) -> str:
    """The scenario's customers at a low and then a high rate, without anything that could end the run."""
    expected = estimate(scenario)
    requests_per_customer = max(expected.peak_requests_per_s / max(scenario.peak_per_s, 1e-9), 1.0)
    rate_per_s = min(REQUESTS_PER_S / requests_per_customer, MAX_CUSTOMERS_PER_S)
    low_s, high_s = LEVEL_S
    levels = [RateLevel(rate_per_s * LOW_RATIO, low_s), RateLevel(rate_per_s, high_s)]
    document: Any = read_document(load_step_text(scenario, levels, url=url, seed=scenario.seed), "plan").data
    for key in ("thresholds", "freshness", "safety"):
        document.pop(key, None)
    document["target"] = {"storefront": "reference", "url": url}
    document["safety"] = {"allow": ["127.0.0.1"], "max_rate": "5000 requests/s"}
    document["drain"] = "30s"
    return scenario_text(document)
