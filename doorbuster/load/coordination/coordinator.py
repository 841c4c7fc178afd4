"""Coordinates one run on the master (or in the only process): prepare, start, supervise, finish.

The coordinator owns the run file. A worker ships a numbered batch each second; a run ends only when the last
batch of every worker is written, or the worker is lost, which the run file then states.
"""

from __future__ import annotations

import contextlib
import logging
import sys
from contextlib import ExitStack

import gevent
from gevent.event import Event as Flag

from doorbuster.errors import DoorbusterError, RunError, RunInterrupted
from doorbuster.load.coordination.browser_watch import BrowserWatch, start_browsers
from doorbuster.load.coordination.model import RunEnding, RunRequest, WorkerPool
from doorbuster.load.coordination.run_preparation import PreparedRun, prepare_run
from doorbuster.load.coordination.run_supervisor import RunSupervisor
from doorbuster.load.http.send_limit import WINDOW_S
from doorbuster.load.run_plan import REPORT_INTERVAL_S
from doorbuster.load.target.endpoint import set_faults
from doorbuster.output import named_exception
from doorbuster.records.batch import Batch
from doorbuster.records.storable import LEDGER_REFUSED, storable_ledger

logger = logging.getLogger("doorbuster")

SETTLE_LIMIT_S = 20.0  # until two readings of the shop's ledger agree
MAX_LEDGER_PROBLEMS = 20  # sentences about values in the shop's ledger that cannot be used


class RunCoordinator:
    """Coordinates one run; `run` returns at its end. `over` is set by the caller when all is done."""

    def __init__(self, request: RunRequest, workers: WorkerPool) -> None:
        self.request = request
        self.over = Flag()
        self.failure: DoorbusterError | None = None
        self._workers = workers
        self._ending = RunEnding(workers)
        self._supervisor: RunSupervisor | None = None  # from the moment that reports may arrive

    def run(self) -> None:
        """Run until everything is recorded; `failure` is then the error, if any."""
        with ExitStack() as resources:
            try:
                run = prepare_run(self.request, self._workers, self._ending, resources)
                supervisor = self._supervisor = RunSupervisor(run, self._workers, self._ending)
                browsers = _start(run, self._workers, self._ending, resources)
                supervisor.supervise()
                _finish(run, browsers, self._ending, supervisor)
            except DoorbusterError as error:
                self._fail(error)
            except BaseException as error:
                logger.exception("the run failed with an internal error")
                self._fail(RunError(f"internal error, please report it: {named_exception(error)}"))

    def receive(self, batch: Batch) -> None:
        """Take a worker's report; called from Locust's message loop."""
        if self._supervisor is not None:
            self._supervisor.receive(batch)

    def interrupt(self, reason: str) -> None:
        """End the run early: stop the workers, wait for their last reports, read the ledger."""
        self._ending.end_early(reason, "interrupted")

    def _fail(self, error: DoorbusterError) -> None:
        self.failure = error
        logger.error("%s", error)
        with contextlib.suppress(OSError):  # the disk may be full
            sys.stderr.write("".join(f"doorbuster: {line}\n" for line in str(error).splitlines()))
        self._workers.stop_all("aborted")


def _start(
    run: PreparedRun, workers: WorkerPool, ending: RunEnding, resources: ExitStack
) -> BrowserWatch | None:
    """Start everything that works during the run; returns the browsers, if the scenario has any."""
    scenario, access = run.request.scenario, run.plan.access
    run.observer.start(run.plan.started_at, run.request.folder)
    set_faults(scenario, run.target, access, starts_at_unix_s=run.starts_at_unix_s)
    for fault in scenario.target.shop.faults if scenario.target.shop else ():
        run.log.record("fault", fault.sentence, at_s=fault.at_s)
    browsers = start_browsers(
        scenario, run.request.folder, run.target.url, access, run.log, starts_at_unix_s=run.starts_at_unix_s
    )
    if browsers is not None:
        resources.callback(browsers.end_all)
        browsers.record_problems()
    if ending.is_early:  # interrupted during the planning: workers that have stopped start no customers
        raise RunInterrupted("stopped before the first customer arrived; there is nothing to report")
    workers.distribute(run.plan)
    return browsers


def _finish(
    run: PreparedRun, browsers: BrowserWatch | None, ending: RunEnding, supervisor: RunSupervisor
) -> None:
    """All workers have ended: end the rest, read the shop's ledger and close the file."""
    status, reason = ending.status, ending.reason
    if browsers is not None:
        browsers.finish(lambda: ending.is_early)
    if supervisor.reached_ceiling:  # the last second may have had as many requests as allowed
        gevent.sleep(WINDOW_S)
    run.log.observe(*run.observer.stop(gevent.sleep))
    supervisor.reasons.record_problems(run.log)
    ledger = run.ledgers.read(
        run_id=run.request.run_id,
        starts_at_unix_s=run.starts_at_unix_s,
        settle_s=SETTLE_LIMIT_S if status == "finished" else 2 * REPORT_INTERVAL_S,
        record=run.log.record,
        on_clock_set=run.record_clock_step,
    )
    if ledger is not None:
        storable = storable_ledger(ledger)
        for text in storable.problems[:MAX_LEDGER_PROBLEMS]:
            run.log.record(LEDGER_REFUSED, text)
        run.log.persist(run.log.writer.write_ledger, storable.ledger)
    run.notice_clock_steps()
    run.log.complete()
    run.log.persist(run.log.writer.finish, status, reason)
