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

Each message of the master is a class here; `from_wire` accepts nothing else. A plan carries a digest of
itself and a summary of its schedule, so that no worker runs a plan other than the master's.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from doorbuster.errors import RecordError, RunError, ScenarioError, UsageError
from doorbuster.load.http.allowed_hosts import AllowedHosts
from doorbuster.load.run_plan import Rows, RunPlan, WorkerAssignment
from doorbuster.load.target.endpoint import StoreEndpoint, TargetAccess
from doorbuster.output import one_line
from doorbuster.output.secret_masking import remember_secrets
from doorbuster.records.batch import Batch
from doorbuster.scenario import HeaderValues, Schedule, plan_schedule, read_scenario
from doorbuster.storefronts import Catalogue

CLOCK = "doorbuster_clock"
ASSIGNMENT = "doorbuster_assignment"
BATCH = "doorbuster_batch"
ACKNOWLEDGED = "doorbuster_acknowledged"
TAKE_OVER = "doorbuster_take_over"
RECORD = "doorbuster_record"
CLOSE = "doorbuster_close"

MAX_WORKERS = 10_000
MAX_SENTENCE = 400  # characters of a refusal
SUM_TOLERANCE = 1e-9  # of two machines whose mathematical libraries round differently

Finite = Annotated[float, Field(allow_inf_nan=False)]
RunId = Annotated[str, Field(max_length=200)]
Count = Annotated[int, Field(ge=0, le=2**62)]
Value = str | int | float  # of a catalogue; drivers of users may use numbers
CloseCause = Literal["interrupted", "aborted", "worker_lost", "drain_limit"]


class MessageRefused(RunError):  # noqa: N818  reads as what happened
    """A message of the master that this worker does not follow."""

    def __init__(self, why: str) -> None:
        super().__init__(one_line(why, MAX_SENTENCE))  # it may quote the message


class PlanDiffers(UsageError):  # noqa: N818  reads as what happened
    """This worker would run another plan than the master: its program is another one."""


class MasterMessage(BaseModel):
    """A message of the master, as plain types."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", hide_input_in_errors=True)

    @classmethod
    def from_wire(cls, wire: object) -> Self:
        """The message. Raises: MessageRefused naming the first field that is wrong."""
        try:
            return cls.model_validate(wire)
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False, include_input=False)[0]
            place = ".".join(map(str, first["loc"]))
            raise MessageRefused(f"malformed, {place or 'as a whole'}: {first['msg']}") from error

    def to_wire(self) -> dict[str, Any]:
        """As plain types, for Locust's channel."""
        return self.model_dump()


class ClockQuestion(MasterMessage):
    """The master's clocks at sending."""

    sent: Annotated[list[Finite], Field(min_length=2, max_length=2)]


class Acknowledgement(MasterMessage):
    """A report that the master has received; share_per_s: of the ceiling on requests."""

    run_id: RunId
    seq: Count
    share_per_s: Annotated[Finite, Field(ge=0)] | None


class TakeOver(MasterMessage):
    """More rows of the schedule, as little-endian 64-bit integers."""

    run_id: RunId
    rows: bytes

    @classmethod
    def of(cls, run_id: str, rows: Rows) -> TakeOver:
        return cls(run_id=run_id, rows=rows.astype("<i8").tobytes())

    def row_numbers(self) -> Rows:
        """Raises: MessageRefused if they are no numbers."""
        if len(self.rows) % 8:
            raise MessageRefused("malformed, rows: not a number of 64-bit integers")
        return np.frombuffer(self.rows, dtype="<i8").astype(np.int64)


class Close(MasterMessage):
    """Stop early; cause: of the customers that are then dropped. run_id: empty before the run's plan."""

    run_id: RunId
    cause: CloseCause


class HostsWire(MasterMessage):
    networks: dict[str, list[str]]
    loopback: bool

    def hosts(self) -> AllowedHosts:
        """Raises: MessageRefused for addresses that are none."""
        try:
            return AllowedHosts(self.networks, loopback=self.loopback)
        except ValueError as error:
            raise MessageRefused("malformed, hosts.networks: not an address or network") from error


class HeadersWire(MasterMessage):
    values: dict[str, str]
    secrets: list[str]

    def headers(self) -> HeaderValues:
        """The target's headers; this process then masks their secrets."""
        remember_secrets(self.secrets)
        return HeaderValues(self.values, tuple(self.secrets))


class CatalogueWire(MasterMessage):
    skus: Annotated[list[Value], Field(min_length=1)]
    cumulative_weights: list[Finite]
    search_terms: list[Value]
    categories: list[Value]
    places: list[Value]
    staff: list[Value]

    def catalogue(self) -> Catalogue:
        """Raises: MessageRefused if its columns do not fit together."""
        if len(self.cumulative_weights) != len(self.skus) or len(self.places) not in (0, len(self.skus)):
            raise MessageRefused("malformed, catalogue: columns of different lengths")
        return Catalogue(*(tuple(column) for _, column in self))


class EndpointWire(MasterMessage):
    url: str
    catalogue: CatalogueWire


class ScheduleSummary(MasterMessage):
    """What two schedules have in common only if they are the same: arrivals of each kind, and their times."""

    arrivals: list[Count]
    sum_s: Finite

    @classmethod
    def of(cls, schedule: Schedule) -> ScheduleSummary:
        counts = np.bincount(schedule.channel_journey_index, minlength=len(schedule.channel_journeys))
        return cls(arrivals=counts.tolist(), sum_s=float(schedule.intended_s.sum()))

    def check(self, schedule: Schedule) -> None:
        """Raises: PlanDiffers for another schedule."""
        own = ScheduleSummary.of(schedule)
        if own.arrivals != self.arrivals or not math.isclose(own.sum_s, self.sum_s, rel_tol=SUM_TOLERANCE):
            raise PlanDiffers(
                f"this worker computes another schedule of {sum(own.arrivals):,} arrivals, the master's has "
                f"{sum(self.arrivals):,}; install the same versions of doorbuster and numpy on both"
            )


class PlanMessage(MasterMessage):
    """A message with a worker's part of a plan. digest: of all other fields."""

    run_id: Annotated[RunId, Field(min_length=1)]
    scenario_text: str
    headers: HeadersWire
    hosts: HostsWire
    started_at: Finite  # by the worker's `perf_counter`
    index: Annotated[int, Field(ge=0, lt=MAX_WORKERS)]
    count: Annotated[int, Field(ge=1, le=MAX_WORKERS)]
    schedule: ScheduleSummary
    digest: str = ""

    @classmethod
    def from_wire(cls, wire: object) -> Self:
        message = super().from_wire(wire)
        if message.digest != message._computed_digest():
            raise MessageRefused("damaged: its content is not what the master sent")
        if message.index >= message.count:
            raise MessageRefused(f"malformed, index: {message.index} of {message.count} workers")
        return message

    def to_wire(self) -> dict[str, Any]:
        return {**self.model_dump(), "digest": self._computed_digest()}

    def _computed_digest(self) -> str:
        content = json.dumps(self.model_dump(exclude={"digest"}), sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()


class Assignment(PlanMessage):
    """The plan of a run of customers. The schedule is not sent: the worker computes the same one."""

    scenario_name: str
    endpoints: Annotated[dict[str, EndpointWire], Field(min_length=1)]

    @classmethod
    def of(cls, plan: RunPlan, *, index: int, count: int, counter_offset_s: float) -> Assignment:
        """The plan for worker `index` of `count`, whose counter is ahead of the master's."""
        endpoints = {
            name: {"url": shop.url, "catalogue": _columns(shop.catalogue)}
            for name, shop in plan.endpoints.items()
        }
        return cls.model_validate(
            {
                "run_id": plan.run_id,
                "scenario_text": plan.scenario.source_text,
                "scenario_name": plan.scenario.name,
                "endpoints": endpoints,
                "headers": plan.access.headers.to_wire(),
                "hosts": plan.access.hosts.to_wire(),
                "started_at": plan.started_at + counter_offset_s,
                "index": index,
                "count": count,
                "schedule": ScheduleSummary.of(plan.schedule),
            }
        )

    def assignment(self, worker: str) -> WorkerAssignment:
        """The part of `worker`, with the schedule that it computes itself.

        Raises:
            MessageRefused: an address or a catalogue is malformed.
            PlanDiffers: the scenario cannot be read here, or its schedule is not the master's.
        """
        try:
            scenario = read_scenario(self.scenario_text, file=self.scenario_name)
        except ScenarioError as error:
            raise PlanDiffers(
                f"this worker cannot read the master's scenario ({' '.join(str(error).split())[:300]}); "
                "install the same version of doorbuster on both"
            ) from error
        schedule = plan_schedule(scenario)
        self.schedule.check(schedule)
        plan = RunPlan(
            access=TargetAccess(self.run_id, self.hosts.hosts(), self.headers.headers()),
            scenario=scenario,
            schedule=schedule,
            endpoints={
                name: StoreEndpoint(shop.url, shop.catalogue.catalogue())
                for name, shop in self.endpoints.items()
            },
            started_at=self.started_at,
        )
        return WorkerAssignment(plan, worker, self.index, self.count)


def _columns(catalogue: Catalogue) -> dict[str, list[Any]]:
    return {name: list(column) for name, column in asdict(catalogue).items()}


class RecordOrder(PlanMessage):
    """A plain Locust file's run. named: hosts that get the target's headers. ratios: by user class."""

    named: list[str]
    ratios: dict[str, Annotated[Finite, Field(ge=0)]]
    max_rate_per_s: Annotated[Finite, Field(ge=0)] | None


def batch_to_wire(run_id: str, batch: Batch) -> dict[str, Any]:
    return {"run_id": run_id, **batch.to_wire()}


def batch_from_wire(wire: dict[str, Any]) -> tuple[str, Batch]:
    """The run that the batch belongs to, which need not be the current one, and the batch.

    Raises: RecordError for a malformed message.
    """
    run_id = wire.get("run_id") if isinstance(wire, Mapping) else None
    if not isinstance(run_id, str):
        raise RecordError("a malformed report of a worker: it names no run")
    return run_id, Batch.from_wire(wire)
