"""Which messages of its master a worker follows. Pure: the time is an argument.

Rules:
- A run is assigned to a worker once, near its start, and not while another one goes on.
- A row of the schedule is started once, however many messages assign it to this worker.
- Messages of another run than the current one have no effect.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from doorbuster.load.coordination.messages import Assignment, Close, MessageRefused, PlanMessage, TakeOver
from doorbuster.load.run_plan import Rows, WorkerAssignment

MAX_AHEAD_S = 3_600.0  # from the assignment to the start of the run
MAX_LATE_S = 60.0  # long after this, the master has given the worker up


class WorkerInbox:
    """The runs that a master has assigned to one worker."""

    def __init__(self, worker: str) -> None:
        self._worker = worker
        self._run_id = ""
        self._known: set[str] = set()
        self._owned: npt.NDArray[np.bool_] = np.zeros(0, bool)

    def begin(self, message: PlanMessage, *, now: float, is_busy: bool) -> None:
        """A run begins. now: by `perf_counter`. is_busy: whether the one before still goes on.

        Raises: MessageRefused if this worker has been given it before, or cannot begin it.
        """
        if message.run_id in self._known:
            raise MessageRefused(f"the run {message.run_id} was assigned before")
        if is_busy:
            raise MessageRefused(f"the run {self._run_id} still goes on, {message.run_id} cannot begin")
        ahead_s = message.started_at - now
        if not -MAX_LATE_S <= ahead_s <= MAX_AHEAD_S:
            raise MessageRefused(f"the start of the run {message.run_id} is {ahead_s:,.0f} s from now")
        self._known.add(message.run_id)
        self._run_id = message.run_id

    def assignment(self, wire: object, *, now: float, is_busy: bool) -> WorkerAssignment:
        """The assignment in a message, which begins a run.

        Raises:
            MessageRefused: see `begin`; or it is malformed.
            PlanDiffers: this worker would run another plan.
        """
        message = Assignment.from_wire(wire)
        self.begin(message, now=now, is_busy=is_busy)
        found = message.assignment(self._worker)
        self._owned = np.zeros(len(found.plan.schedule), bool)
        self._owned[found.index :: found.count] = True
        return found

    def rows_to_take_over(self, wire: object) -> Rows:
        """The rows that this worker starts as well, in ascending order.

        Raises: MessageRefused for rows of another run, that do not exist, or that it has already.
        """
        message = TakeOver.from_wire(wire)
        self._check_run(message.run_id)
        rows = np.unique(message.row_numbers())
        if rows.size and not 0 <= rows[0] <= rows[-1] < len(self._owned):
            raise MessageRefused(f"rows up to {rows[-1]:,} of a schedule of {len(self._owned):,}")
        if self._owned[rows].any():
            raise MessageRefused(
                f"{int(self._owned[rows].sum()):,} of its rows belong to this worker already"
            )
        self._owned[rows] = True
        return rows

    def cause_to_close(self, wire: object) -> str:
        """Why the current run ends early; also before it is assigned.

        Raises: MessageRefused for another run.
        """
        message = Close.from_wire(wire)
        self._check_run(message.run_id)
        return message.cause

    def end(self) -> None:
        """The current run is over."""
        self._run_id, self._owned = "", np.zeros(0, bool)

    def _check_run(self, run_id: str) -> None:
        if run_id != self._run_id:
            mine = f"this worker has {self._run_id}" if self._run_id else "this worker has none"
            raise MessageRefused(f"it belongs to the run {run_id or '(none yet)'}, {mine}")
