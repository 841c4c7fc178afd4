"""Which messages a worker follows: each run and each row once, and none of another run."""

from __future__ import annotations

import numpy as np
import pytest

from doorbuster.load.coordination.messages import Assignment, Close, MessageRefused, PlanDiffers, TakeOver
from doorbuster.load.coordination.worker_inbox import MAX_AHEAD_S, MAX_LATE_S, WorkerInbox
from tests.fuzz.master_messages import COUNT, plan

RUN, OTHER = "run-1", "run-2"
NOW = 1_000.0


def message(run_id: str = RUN, **changes) -> dict:
    made = Assignment.of(plan(run_id), index=0, count=COUNT, counter_offset_s=NOW + 1.0)
    return made.model_copy(update=changes).to_wire()


@pytest.fixture
def inbox() -> WorkerInbox:
    """That of a worker which has run 1."""
    made = WorkerInbox("w1")
    made.assignment(message(), now=NOW, is_busy=False)
    return made


def rows_of(*rows: int, run_id: str = RUN) -> dict:
    return TakeOver.of(run_id, np.array(rows)).to_wire()


def test_an_assignment_is_what_the_master_sent():
    found = WorkerInbox("w1").assignment(message(), now=NOW, is_busy=False)
    assert (found.worker, found.index, found.count) == ("w1", 0, COUNT)
    assert found.plan.endpoints == plan(RUN).endpoints
    assert found.plan.access.headers == plan(RUN).access.headers
    assert np.array_equal(found.plan.schedule.intended_s, plan(RUN).schedule.intended_s)


def test_a_run_is_assigned_once_even_after_its_end(inbox):
    with pytest.raises(MessageRefused, match="the run run-1 was assigned before"):
        inbox.assignment(message(), now=NOW, is_busy=True)
    inbox.end()
    with pytest.raises(MessageRefused, match="the run run-1 was assigned before"):
        inbox.assignment(message(), now=NOW, is_busy=False)
    assert inbox.assignment(message(OTHER), now=NOW, is_busy=False).plan.run_id == OTHER


def test_another_run_waits_for_the_end_of_this_one(inbox):
    with pytest.raises(MessageRefused, match="the run run-1 still goes on, run-2 cannot begin"):
        inbox.assignment(message(OTHER), now=NOW, is_busy=True)


@pytest.mark.parametrize("late_s", [-MAX_AHEAD_S - 2.0, MAX_LATE_S + 2.0])
def test_an_assignment_of_another_time_is_refused(late_s):
    with pytest.raises(MessageRefused, match="s from now"):
        WorkerInbox("w1").assignment(message(), now=NOW + late_s, is_busy=False)


def test_a_changed_plan_is_refused():
    changed = {**message(), "started_at": NOW + 2.0}
    with pytest.raises(MessageRefused, match="damaged: its content is not what the master sent"):
        WorkerInbox("w1").assignment(changed, now=NOW, is_busy=False)


def test_another_schedule_is_no_matter_of_one_message():
    summary = Assignment.from_wire(message()).schedule
    more = summary.model_copy(update={"arrivals": [n + 1 for n in summary.arrivals]})
    with pytest.raises(PlanDiffers, match="this worker computes another schedule of"):
        WorkerInbox("w1").assignment(message(schedule=more), now=NOW, is_busy=False)


def test_a_row_is_started_once(inbox):
    assert inbox.rows_to_take_over(rows_of(4, 1, 1)).tolist() == [1, 4]
    with pytest.raises(MessageRefused, match="1 of its rows belong to this worker already"):
        inbox.rows_to_take_over(rows_of(4, 5))
    with pytest.raises(MessageRefused, match="1 of its rows belong to this worker already"):
        inbox.rows_to_take_over(rows_of(0))  # its own share
    assert inbox.rows_to_take_over(rows_of(5)).tolist() == [5]


@pytest.mark.parametrize("rows", [(10**9,), (-1,)])
def test_rows_that_no_schedule_has_are_refused(inbox, rows):
    with pytest.raises(MessageRefused, match="of a schedule of"):
        inbox.rows_to_take_over(rows_of(*rows))


def test_orders_of_another_run_have_no_effect(inbox):
    with pytest.raises(MessageRefused, match="it belongs to the run run-2, this worker has run-1"):
        inbox.rows_to_take_over(rows_of(1, run_id=OTHER))
    with pytest.raises(MessageRefused, match=r"it belongs to the run \(none yet\), this worker has run-1"):
        inbox.cause_to_close(Close(run_id="", cause="aborted").to_wire())
    assert inbox.cause_to_close(Close(run_id=RUN, cause="aborted").to_wire()) == "aborted"


def test_a_worker_without_a_run_can_be_told_that_none_comes():
    assert WorkerInbox("w1").cause_to_close(Close(run_id="", cause="interrupted").to_wire()) == "interrupted"


@pytest.mark.parametrize("wire", [None, [], "x", {}, {"run_id": RUN}, {"run_id": RUN, "rows": b"1234567"}])
def test_what_is_no_message_is_refused_in_one_sentence(inbox, wire):
    for follow in (inbox.rows_to_take_over, inbox.cause_to_close):
        with pytest.raises(MessageRefused, match=r"^malformed, "):
            follow(wire)
