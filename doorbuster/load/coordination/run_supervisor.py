"""Supervises a run that has started: takes and writes the reports of the workers, and notices lost ones."""

from __future__ import annotations

import logging
from math import inf
from time import perf_counter

from doorbuster.load.coordination.model import RunEnding, WorkerPool
from doorbuster.load.coordination.run_preparation import PreparedRun
from doorbuster.load.coordination.stop_reasons import StopReasons
from doorbuster.load.http.send_limit import share_of
from doorbuster.load.run_plan import REPORT_INTERVAL_S
from doorbuster.records.batch import Batch, ObservedValue
from doorbuster.records.outcome import CEILING_DELAYED

logger = logging.getLogger("doorbuster")

LAST_MESSAGES_S = 0.2  # wait for what a worker sent before its process ended
SLOW_S = 2 * REPORT_INTERVAL_S  # for one turn of the supervision


class RunSupervisor:
    """Supervision of one run, until every worker has finished or is lost."""

    def __init__(self, run: PreparedRun, workers: WorkerPool, ending: RunEnding) -> None:
        self.reached_ceiling = False
        self._run, self._workers, self._ending = run, workers, ending
        self.reasons = StopReasons(run.request.scenario, run.request.folder)

    def receive(self, batch: Batch) -> None:
        """Queue a worker's report, acknowledge it and renew the worker's share of the ceiling."""
        registry, now_s = self._run.registry, self._run.now_s()
        limit_per_s, share_per_s = self._run.request.scenario.customers_max_rate_per_s, None
        if registry.heard(batch.worker, now_s=now_s):
            share_per_s = share_of(limit_per_s, *registry.place(batch.worker, now_s=now_s))
        self.reached_ceiling |= any(row.name == CEILING_DELAYED for row in batch.counters)
        self._run.log.receive(batch)
        self._workers.acknowledge(batch.worker, batch.seq, share_per_s)

    def supervise(self) -> None:
        """Once a second: write reports, detect lost workers, check the reasons to stop."""
        registry, log = self._run.registry, self._run.log
        while not registry.complete:
            began_at = perf_counter()
            ended = self._workers.ended_workers() & set(registry.waiting_for)
            log.wait(LAST_MESSAGES_S if ended else REPORT_INTERVAL_S)
            observed = self._observe()
            batches = log.write_queue()
            self._run.notice_clock_steps()
            reason = self.reasons.check(batches, observed, at_s=self._run.now_s())
            if reason and not self._ending.is_early:
                logger.warning("stopping: %s", reason)
                log.record("abort", reason)
                self._ending.end_early(reason, "aborted")
            is_slow = perf_counter() - began_at > SLOW_S  # stopped or busy: reports may still be in a queue
            self._lose_silent(ended, is_slow=is_slow)

    def _observe(self) -> list[ObservedValue]:
        """Queue what was observed since the last call, to be written with the next reports."""
        values, events = self._run.observer.read(self._run.now_s())
        self._run.log.observe(values, events)
        return values

    def _lose_silent(self, ended: frozenset[str], *, is_slow: bool) -> None:
        """Lose the workers that have ended, do not report, or should have sent their last report by now."""
        registry, now_s = self._run.registry, self._run.now_s()
        if is_slow:
            for name in registry.waiting_for:
                registry.heard(name, now_s=now_s)
        else:
            timed_out = registry.timed_out(now_s=now_s)
            for name in registry.waiting_for:
                if name in ended or name in timed_out:
                    self._lose(name, has_ended=name in ended)
        if perf_counter() > self._ending.close_by:
            for name in registry.waiting_for:
                self._lose(name, has_ended=False)

    def _lose(self, name: str, *, has_ended: bool) -> None:
        """Record the loss of a worker and its customers; reassign its later arrivals."""
        from_s = inf if self._ending.is_early else self._run.now_s() + REPORT_INTERVAL_S
        loss = self._run.registry.lose(name, from_s=from_s, has_ended=has_ended)
        reassigned = sum(len(rows) for rows in loss.reassigned_to.values())
        text = (
            f"{name} stopped reporting; {sum(row.n for row in loss.customers)} of its customers have no "
            f"outcome, {reassigned} later arrivals were reassigned to {len(loss.reassigned_to)} other workers"
        )
        logger.error("worker lost: %s", text)
        self._run.log.record("worker_lost", text)
        self._run.log.add_loss(loss)
        self._workers.stop_worker(name)
        for other, rows in loss.reassigned_to.items():
            self._workers.reassign(other, rows)
