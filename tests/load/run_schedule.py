"""Runs the real generator in Locust with a given schedule, as a separate process.

    python tests/load/run_schedule.py URL FOLDER < schedule.json

Standard input: {"intended_s": [...], "duration_s": ..., "stall": null or [at, for]}, all in seconds of the
run; the stall is for tests/truth/stall_server.py. Standard output: a summary of the batches, as JSON:
counts of started, dropped and served customers, and the histograms of response times and lateness.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from time import perf_counter, time
from urllib.request import urlopen

import numpy as np
from locust.env import Environment  # patches the interpreter, so it comes first

from doorbuster.load.engine.generator import Generator
from doorbuster.load.run_plan import RunPlan, WorkerAssignment
from doorbuster.load.target.endpoint import StoreEndpoint, TargetAccess
from doorbuster.records.batch import Batch
from doorbuster.scenario import Schedule, load_scenario
from doorbuster.scenario.planning.schedule import ChannelJourney

LEAD_S = 0.2
SCENARIO = """
title: Given schedule
target: {{storefront: "custom:one-page", url: "{url}"}}
demand: {{peak: 1 customers/s, curve: {{stages: [{{for: 1s, at: 100%}}]}}}}
channels: {{web: {{share: 100%, journeys: {{order_status: 1}}, patience: none, think: {{constant: 1s}}}}}}
safety: {{max_rate: 1000000 requests/s, max_in_flight: 100000}}
drain: 10s
"""


def main(url: str, folder: str, plan: dict) -> dict:
    path = Path(folder, "schedule.yaml")
    path.write_text(SCENARIO.format(url=url))
    spec = importlib.util.spec_from_file_location("one_step", Path(__file__).with_name("one_step.py"))
    one_step = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(one_step)
    environment = Environment(user_classes=[one_step.CustomerUser])
    environment.create_local_runner()
    intended_s = np.array(plan["intended_s"])
    n = len(intended_s)
    schedule = Schedule(
        duration_s=plan["duration_s"],
        channel_journeys=(ChannelJourney("web", "order_status"),),
        intended_s=intended_s,
        channel_journey_index=np.zeros(n, dtype=np.uint16),
        arrival_index=np.arange(n),
    )
    batches: list[Batch] = []
    started_at = perf_counter() + LEAD_S
    if plan["stall"]:
        at_s, for_s = plan["stall"]
        urlopen(f"{url}/stall/{time() + started_at - perf_counter() + at_s}/{for_s}").close()
    endpoint = StoreEndpoint(url, one_step.OnePage.prepare(None))
    plan = RunPlan(TargetAccess("schedule"), load_scenario(path), schedule, {"": endpoint}, started_at)
    Generator(
        environment, WorkerAssignment(plan, "w", index=0, count=1), one_step.OnePage, batches.append
    ).run()
    return {
        "final": [batch.final for batch in batches],
        "started": sum(row.started for batch in batches for row in batch.arrivals),
        "dropped": sum(row.dropped for batch in batches for row in batch.arrivals),
        "served": sum(row.n for batch in batches for row in batch.customers if row.outcome == "served"),
        "recorded": sum(row.n for batch in batches for row in batch.requests),
        "response": b"".join(row.response for batch in batches for row in batch.requests).hex(),
        "lateness": b"".join(row.lateness for batch in batches for row in batch.health).hex(),
    }


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:], json.load(sys.stdin))))
