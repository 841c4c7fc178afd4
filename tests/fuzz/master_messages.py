"""Messages of the master: changed, cut, replayed, out of order, of another run; a worker follows or refuses.

Each case is the life of one worker: orders of one or two runs in any order, some of them damaged. What the
worker follows is exactly what the master sent, and no row of a schedule is started twice.
"""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from pathlib import Path
from random import Random
from time import perf_counter
from typing import Any

import msgpack
import numpy as np
from locust.rpc.protocol import Message

from doorbuster.load.coordination.messages import (
    Acknowledgement,
    Assignment,
    ClockQuestion,
    Close,
    MessageRefused,
    PlanDiffers,
    RecordOrder,
    ScheduleSummary,
    TakeOver,
)
from doorbuster.load.coordination.worker_inbox import WorkerInbox
from doorbuster.load.http.allowed_hosts import AllowedHosts
from doorbuster.load.locust_plugin.worker_port import UserOrder
from doorbuster.load.run_plan import RunPlan
from doorbuster.load.target.endpoint import StoreEndpoint, TargetAccess
from doorbuster.scenario import HeaderValues, plan_schedule, read_scenario
from doorbuster.storefronts import Catalogue
from tests.fuzz.mutations import mutated_bytes, mutated_value

SCENARIO = """
title: fuzz
target: {storefront: reference, url: "http://127.0.0.1:1"}
demand: {peak: 20 customers/s, curve: {stages: [{for: 3s, at: 100%}]}}
channels: {web: {share: 100%, journeys: {browse: 1, buy: 1}}}
"""
WORKER, COUNT = "w1", 3
RUNS = ("20261129T000000-aaaaaa", "20261129T000000-bbbbbb")


@lru_cache
def plan(run_id: str) -> RunPlan:
    scenario = read_scenario(SCENARIO, file="fuzz.yaml")
    return RunPlan(
        TargetAccess(
            run_id,
            AllowedHosts({"shop.example": ["192.0.2.1/32"]}, loopback=True),
            HeaderValues({"X-Waf": "open"}, ("open-sesame",)),
        ),
        scenario,
        plan_schedule(scenario),
        {"": StoreEndpoint("http://127.0.0.1:1", Catalogue(("A", "B"), (1.0, 2.0), ("red",), ("c",)))},
        started_at=0.0,
    )


def orders(run_id: str) -> list[tuple[str, dict[str, Any]]]:
    """Each order of one run, as the master encodes it."""
    of = plan(run_id)
    part = Assignment.of(of, index=0, count=COUNT, counter_offset_s=perf_counter() + 1.0)
    record = RecordOrder(
        **{name: getattr(part, name) for name in RecordOrder.model_fields if hasattr(part, name)},
        named=["127.0.0.1"], ratios={"User": 1.0}, max_rate_per_s=None,
    )  # fmt: skip
    users = {
        "timestamp": 1.0,
        "host": None,
        "stop_timeout": 0.0,
        "parsed_options": {},
        "user_classes_count": {},
    }
    return [
        ("assignment", part.to_wire()),
        ("take_over", TakeOver.of(run_id, np.arange(1, len(of.schedule), COUNT)).to_wire()),
        ("take_over", TakeOver.of(run_id, np.arange(2, len(of.schedule), COUNT)).to_wire()),
        ("close", Close(run_id=run_id, cause="aborted").to_wire()),
        ("acknowledged", Acknowledgement(run_id=run_id, seq=3, share_per_s=10.0).to_wire()),
        ("clock", ClockQuestion(sent=[1.0, 2.0]).to_wire()),
        ("record", record.to_wire()),
        ("users", users),
    ]


def case(rng: Random, folder: Path) -> str:
    sent = [order for run_id in RUNS[: rng.choice((1, 1, 2))] for order in orders(run_id)]
    if rng.random() < 0.5:
        rng.shuffle(sent)
    sent += rng.choices(sent, k=rng.randrange(4))
    damaged = set(rng.sample(range(len(sent)), k=rng.randrange(1, 4)))
    inbox, started = WorkerInbox(WORKER), Counter[int]()
    for number, (kind, content) in enumerate(sent):
        received = _received(rng, kind, content) if number in damaged else _through_channel(kind, content)
        try:
            _follow(inbox, kind, received, started)
        except (MessageRefused, PlanDiffers) as why:
            sentence = str(why)
            assert len(sentence.splitlines()) == 1, sentence
            assert len(sentence) < 600, sentence
    assert all(n == 1 for n in started.values())
    return "ran a plan" if started else "ran none"


def _follow(inbox: WorkerInbox, kind: str, content: Any, started: Counter[int]) -> None:
    """What a worker does with a message, up to the load itself."""
    if kind == "assignment":
        part = inbox.assignment(content, now=perf_counter(), is_busy=bool(started))
        original = plan(part.plan.run_id)
        assert (part.plan.scenario, part.plan.endpoints) == (original.scenario, original.endpoints)
        assert part.plan.access.hosts.to_wire() == original.access.hosts.to_wire()
        assert part.plan.access.headers == original.access.headers
        assert (part.index, part.count) == (0, COUNT)
        started.update(range(part.index, len(part.plan.schedule), part.count))
    elif kind == "take_over":
        started.update(inbox.rows_to_take_over(content).tolist())
    elif kind == "close":
        assert inbox.cause_to_close(content)
    elif kind == "acknowledged":
        assert Acknowledgement.from_wire(content).seq >= 0
    elif kind == "clock":
        assert len(ClockQuestion.from_wire(content).sent) == 2
    elif kind == "record":
        order = RecordOrder.from_wire(content)
        order.hosts.hosts(), order.headers.headers()
        order.schedule.check(plan(RUNS[0]).schedule)
        assert ScheduleSummary.of(plan(RUNS[0]).schedule) == order.schedule
    else:
        assert UserOrder.from_wire(content).timestamp == UserOrder.from_wire(content).timestamp


def _through_channel(kind: str, content: Any) -> Any:
    return Message.unserialize(Message(kind, content, WORKER).serialize()).data


def _received(rng: Random, kind: str, content: Any) -> Any:
    """The content after a change: of values, or of the bytes on the channel; None if Locust skips it."""
    if rng.random() < 0.6:
        return mutated_value(rng, content)
    try:
        return Message.unserialize(mutated_bytes(rng, Message(kind, content, WORKER).serialize())).data
    except (ValueError, TypeError, KeyError, AttributeError, msgpack.exceptions.UnpackException):
        return None
