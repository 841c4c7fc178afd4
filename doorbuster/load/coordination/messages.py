"""What master and workers tell each other over Locust's own channel, and how it looks on the wire.

| message | from → to | carries |
|---|---|---|
| clock | master → worker → master | our clocks when it was sent; the worker's, and which process it is |
| orders | master → worker | the scenario, its share, when the run starts by the worker's counter |
| batch | worker → master | one second of observations, numbered, and of which run |
| acknowledged | master → worker | the number of a batch that is on disk, and of which run |
| take_over | master → worker | rows of the schedule that a lost worker can no longer let in |
| close | master → worker | stop early, and why |
"""

from __future__ import annotations

from dataclasses import astuple
from typing import Any

import numpy as np

from doorbuster.load.coordination.coordinator import RunPlan
from doorbuster.load.coordination.worker_registry import Rows
from doorbuster.load.target.endpoint import StoreEndpoint
from doorbuster.records.batch import Batch
from doorbuster.scenario import Scenario, plan_schedule, read_scenario
from doorbuster.storefronts import Catalogue

CLOCK = "doorbuster_clock"
ORDERS = "doorbuster_orders"
BATCH = "doorbuster_batch"
ACKNOWLEDGED = "doorbuster_acknowledged"
TAKE_OVER = "doorbuster_take_over"
CLOSE = "doorbuster_close"


def orders_to_wire(
    orders: RunPlan, scenario: Scenario, *, index: int, count: int, counter_offset_s: float
) -> dict[str, Any]:
    """The plan for worker `index` of `count`. The schedule is not sent: the worker computes the same one."""
    return {
        "run_id": orders.run_id,
        "scenario_text": scenario.source_text,
        "scenario_name": scenario.name,
        "places": {name: (place.url, astuple(place.catalogue)) for name, place in orders.places.items()},
        "started_at": orders.started_at + counter_offset_s,
        "index": index,
        "count": count,
    }


def scenario_from_wire(wire: dict[str, Any]) -> Scenario:
    return read_scenario(wire["scenario_text"], file=wire["scenario_name"])


def orders_from_wire(wire: dict[str, Any], scenario: Scenario) -> RunPlan:
    return RunPlan(
        run_id=wire["run_id"],
        schedule=plan_schedule(scenario),
        places={
            name: StoreEndpoint(url, Catalogue(*map(tuple, columns)))
            for name, (url, columns) in wire["places"].items()
        },
        started_at=wire["started_at"],
    )


def batch_to_wire(run_id: str, batch: Batch) -> dict[str, Any]:
    return {"run_id": run_id, **batch.to_wire()}


def batch_from_wire(wire: dict[str, Any]) -> tuple[str, Batch]:
    """The run that the batch belongs to, which need not be the one under way, and the batch."""
    return wire["run_id"], Batch.from_wire(wire)


def rows_to_wire(rows: Rows) -> dict[str, Any]:
    return {"rows": rows.astype("<i8").tobytes()}


def rows_from_wire(wire: dict[str, Any]) -> Rows:
    return np.frombuffer(wire["rows"], dtype="<i8").astype(np.int64)
