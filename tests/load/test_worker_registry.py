"""The worker registry: a report counts once, a silent worker is lost, and its customers are accounted for."""

from __future__ import annotations

import numpy as np
import pytest

from doorbuster.load.coordination.worker_registry import SHARE_LIMIT_S, SILENCE_LIMIT_S, WorkerRegistry
from doorbuster.records.batch import ArrivalCount, Batch, CustomerCount
from doorbuster.scenario import Schedule
from doorbuster.scenario.planning.schedule import ChannelJourney

CLASSES = (ChannelJourney("web", "buy"), ChannelJourney("store", "pos_sale"))
WORKERS = ("ann", "bob", "cid")


def schedule(n: int = 30) -> Schedule:
    """One arrival every 0.5 s, alternating between web and store."""
    return Schedule(
        duration_s=n / 2,
        channel_journeys=CLASSES,
        intended_s=np.arange(n) * 0.5,
        channel_journey_index=(np.arange(n) % 2).astype(np.uint16),
        arrival_index=np.arange(n, dtype=np.int64),
    )


def registry(plan: Schedule | None = None) -> WorkerRegistry:
    return WorkerRegistry(plan or schedule(), WORKERS, now_s=0.0)


def served(worker: str, seq: int, plan: Schedule, rows: np.ndarray, *, final: bool = False) -> Batch:
    """A report with these rows started and served."""
    counts: dict[tuple[int, str, str], int] = {}
    for row in rows.tolist():
        channel_journey = plan.channel_journeys[plan.channel_journey_index[row]]
        key = (int(plan.intended_s[row]), *channel_journey)
        counts[key] = counts.get(key, 0) + 1
    return Batch(
        worker, seq, final=final,
        customers=tuple(CustomerCount(s, c, j, "served", "", "", 1, 1, n) for (s, c, j), n in counts.items()),
        arrivals=tuple(ArrivalCount(s, c, n, 0) for (s, c, _), n in counts.items()),
    )  # fmt: skip


def test_a_report_counts_once_however_often_it_arrives():
    found = registry()
    assert found.register(Batch("ann", 0), now_s=1)
    assert not found.register(Batch("ann", 0), now_s=2)


def test_reports_may_arrive_in_any_order():
    found = registry()
    for name in WORKERS:
        assert found.register(Batch(name, 1, final=True), now_s=1)
        assert not found.complete
    for name in WORKERS:
        assert found.register(Batch(name, 0), now_s=2)
    assert found.complete


def test_a_worker_with_a_missing_report_has_not_finished():
    found = registry()
    found.register(Batch("ann", 2, final=True), now_s=1)
    found.register(Batch("ann", 0), now_s=1)
    assert "ann" in found.waiting_for


def test_a_worker_times_out_only_after_the_limit_and_never_once_finished():
    found = registry()
    found.register(Batch("ann", 0, final=True), now_s=1)
    found.register(Batch("bob", 0), now_s=4)
    assert found.timed_out(now_s=SILENCE_LIMIT_S) == ()
    assert found.timed_out(now_s=SILENCE_LIMIT_S + 0.1) == ("cid",)
    assert found.timed_out(now_s=4 + SILENCE_LIMIT_S + 0.1) == ("bob", "cid")


def test_later_arrivals_of_a_lost_worker_are_distributed_evenly():
    loss = registry().lose("bob", from_s=6.0)
    rows = np.concatenate(list(loss.reassigned_to.values()))
    assert {"ann", "cid"} == set(loss.reassigned_to)
    assert sorted(row for row in range(30) if row % 3 == 1 and row * 0.5 >= 6.0) == sorted(rows.tolist())
    assert abs(len(loss.reassigned_to["ann"]) - len(loss.reassigned_to["cid"])) <= 1


def test_customers_of_a_lost_worker_without_an_outcome_are_dropped():
    plan, found = schedule(), registry()
    own = np.arange(1, 30, 3)
    found.register(served("bob", 0, plan, own[:2]), now_s=3)
    loss = found.lose("bob", from_s=6.0)
    unaccounted = [row for row in own.tolist() if row * 0.5 < 6.0][2:]
    assert (
        len(unaccounted) == sum(row.n for row in loss.customers) == sum(row.dropped for row in loss.arrivals)
    )
    assert {("dropped", "worker_lost")} == {(row.outcome, row.cause) for row in loss.customers}


def test_a_started_customer_without_an_outcome_is_dropped_but_not_as_an_arrival():
    plan, found = schedule(), registry()
    found.register(Batch("bob", 0, arrivals=(ArrivalCount(0, "store", 1, 0),)), now_s=3)
    loss = found.lose("bob", from_s=1.0)
    assert [(r.second, r.channel, r.journey, r.n) for r in loss.customers] == [(0, "store", "pos_sale", 1)]
    assert loss.arrivals == ()
    assert plan.channel_journey_index[1] == 1


def test_a_closed_loop_customer_in_the_shop_is_dropped_with_its_worker():
    found = registry()
    one_served = CustomerCount(2, "phone", "phone_order", "served", "", "", 1, 1, 1)
    two_called = ArrivalCount(2, "phone", 2, 0)
    found.register(Batch("bob", 0, customers=(one_served,), arrivals=(two_called,)), now_s=3)
    phone = [row for row in found.lose("bob", from_s=0.0).customers if row.channel == "phone"]
    assert [(r.second, r.channel, r.journey, r.outcome, r.n) for r in phone] == [
        (2, "phone", "", "dropped", 1)
    ]


def test_reports_of_a_lost_worker_are_ignored():
    found = registry()
    found.lose("bob", from_s=0.0)
    assert not found.register(Batch("bob", 0), now_s=1)
    assert "bob" not in found.waiting_for


def test_reassigned_arrivals_are_reassigned_again_if_their_worker_is_lost():
    found = registry()
    found.lose("bob", from_s=0.0)
    loss = found.lose("ann", from_s=0.0)
    assert {"cid"} == set(loss.reassigned_to)
    assert len(loss.reassigned_to["cid"]) == 10 + 5  # its own, and half of bob's


def test_without_another_worker_all_later_arrivals_are_dropped():
    plan = schedule()
    found = WorkerRegistry(plan, ("ann",), now_s=0.0)
    loss = found.lose("ann", from_s=5.0)
    assert loss.reassigned_to == {}
    assert len(plan) == sum(row.n for row in loss.customers)


@pytest.mark.parametrize("lost_at_s", [0.0, 3.3, 7.0, 14.9])
def test_every_arrival_is_accounted_for_exactly_once_whenever_a_worker_is_lost(lost_at_s):
    plan, found = schedule(), registry()
    done = {name: np.arange(number, 30, 3) for number, name in enumerate(WORKERS)}
    before = done["bob"][plan.intended_s[done["bob"]] < lost_at_s - 1]
    found.register(served("bob", 0, plan, before), now_s=lost_at_s)
    loss = found.lose("bob", from_s=lost_at_s + 1)
    heirs = np.concatenate([np.asarray(rows) for rows in loss.reassigned_to.values()])
    dropped = sum(row.n for row in loss.customers)
    assert len(done["ann"]) + len(done["cid"]) + len(before) + len(heirs) + dropped == 30


# ---- shares of the ceiling on requests


def test_the_share_of_a_silent_worker_goes_to_the_others_when_it_is_no_longer_valid():
    found = registry()
    assert [found.place(name, now_s=1.0) for name in WORKERS] == [(0, 3), (1, 3), (2, 3)]
    assert found.heard("ann", now_s=2.0)
    found.lose("ann", from_s=7.5)
    assert not found.heard("ann", now_s=7.0)
    assert found.place("bob", now_s=2.0 + SHARE_LIMIT_S - 0.1) == (1, 3)
    assert found.place("bob", now_s=2.0 + SHARE_LIMIT_S) == (0, 2)


def test_the_share_of_an_ended_process_goes_to_the_others_at_once():
    found = registry()
    found.heard("ann", now_s=2.0)
    found.lose("ann", from_s=2.5, has_ended=True)
    assert [found.place(name, now_s=2.5) for name in ("bob", "cid")] == [(0, 2), (1, 2)]


def test_a_worker_that_has_finished_needs_no_share():
    found = registry()
    found.register(Batch("bob", 0, final=True), now_s=1)
    assert [found.place(name, now_s=1.0) for name in ("ann", "cid")] == [(0, 2), (1, 2)]
    assert found.place("bob", now_s=1.0) == (0, 2)


def test_a_report_that_was_received_counts_before_it_is_written():
    found = registry()
    found.heard("ann", now_s=SILENCE_LIMIT_S + 1)
    assert found.timed_out(now_s=SILENCE_LIMIT_S + 1) == ("bob", "cid")
