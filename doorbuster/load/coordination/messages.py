"""Messages between master and workers over Locust's channel, and their encoding.

| message | from → to | content |
|---|---|---|
| clock | master → worker → master | the master's clocks at sending; the worker's clocks and process |
| assignment | master → worker | the scenario, the worker's share, the start by the worker's counter |
| batch | worker → master | one second of observations, numbered, with the run's id |
| acknowledged | master → worker | the number of a received batch, the run's id, the share of the ceiling |
| take_over | master → worker | rows of the schedule that a lost worker cannot start |
| record | master → worker | a plain Locust file's run: its start by the worker's counter, hosts allowed |
| close | master → worker | stop early, and why |
"""

from __future__ import annotations

from dataclasses import astuple
from typing import Any

import numpy as np

from doorbuster.errors import RecordError
from doorbuster.load.http.allowed_hosts import AllowedHosts
from doorbuster.load.run_plan import Rows, RunPlan, WorkerAssignment
from doorbuster.load.target.endpoint import StoreEndpoint, TargetAccess
from doorbuster.output.secret_masking import remember_secrets
from doorbuster.records.batch import Batch
from doorbuster.scenario import HeaderValues, plan_schedule, read_scenario
from doorbuster.storefronts import Catalogue

CLOCK = "doorbuster_clock"
ASSIGNMENT = "doorbuster_assignment"
BATCH = "doorbuster_batch"
ACKNOWLEDGED = "doorbuster_acknowledged"
TAKE_OVER = "doorbuster_take_over"
RECORD = "doorbuster_record"
CLOSE = "doorbuster_close"


def plan_to_wire(plan: RunPlan, *, index: int, count: int, counter_offset_s: float) -> dict[str, Any]:
    """The plan for worker `index` of `count`. The schedule is not sent: the worker computes the same one."""
    scenario = plan.scenario
    return {
        "run_id": plan.run_id,
        "scenario_text": scenario.source_text,
        "scenario_name": scenario.name,
        "endpoints": {name: (shop.url, astuple(shop.catalogue)) for name, shop in plan.endpoints.items()},
        "headers": plan.access.headers.to_wire(),
        "hosts": plan.access.hosts.to_wire(),
        "started_at": plan.started_at + counter_offset_s,
        "index": index,
        "count": count,
    }


def assignment_from_wire(wire: dict[str, Any], *, worker: str) -> WorkerAssignment:
    """The assignment of the worker that received the message."""
    scenario = read_scenario(wire["scenario_text"], file=wire["scenario_name"])
    headers = HeaderValues.from_wire(wire["headers"])
    remember_secrets(headers.secrets)
    plan = RunPlan(
        access=TargetAccess(wire["run_id"], AllowedHosts.from_wire(wire["hosts"]), headers),
        scenario=scenario,
        schedule=plan_schedule(scenario),
        endpoints={
            name: StoreEndpoint(url, Catalogue(*map(tuple, columns)))
            for name, (url, columns) in wire["endpoints"].items()
        },
        started_at=wire["started_at"],
    )
    return WorkerAssignment(plan, worker, wire["index"], wire["count"])


def batch_to_wire(run_id: str, batch: Batch) -> dict[str, Any]:
    return {"run_id": run_id, **batch.to_wire()}


def batch_from_wire(wire: dict[str, Any]) -> tuple[str, Batch]:
    """The run that the batch belongs to, which need not be the current one, and the batch.

    Raises: RecordError for a malformed message.
    """
    run_id = wire.get("run_id") if isinstance(wire, dict) else None
    if not isinstance(run_id, str):
        raise RecordError("a malformed report of a worker: it names no run")
    return run_id, Batch.from_wire(wire)


def rows_to_wire(rows: Rows) -> dict[str, Any]:
    return {"rows": rows.astype("<i8").tobytes()}


def rows_from_wire(wire: dict[str, Any]) -> Rows:
    return np.frombuffer(wire["rows"], dtype="<i8").astype(np.int64)
