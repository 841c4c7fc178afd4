"""How long until a change is seen: something is changed, and every channel is asked until it shows it.

Rules of this module:
- One worker does this, beside the customers, with clients of its own: what it sends is load on the shop, but
  is counted nowhere as a customer's.
- Each kind of change (see `changes`) has a rhythm of its own. What was changed is put back as soon as the
  channels were looked at, at the end of the run at the latest; the run file's events name the products.
- A time runs from the shop's word that the change is done to the end of the first answer that shows it.
  Between two looks lies a tenth of the time since the change, and never less than 50 ms: so exact is a time.
"""

from __future__ import annotations

from collections.abc import Mapping
from time import perf_counter
from typing import TYPE_CHECKING

import gevent
from gevent.pool import Group

from doorbuster.load.engine.sleep_scheduler import sleep_until
from doorbuster.load.freshness.product_edits import REFUSALS, EditTarget, Observation, ProductEdit, edits_of
from doorbuster.records.batch import Event, FreshnessReading
from doorbuster.storefronts import Storefront

if TYPE_CHECKING:
    from doorbuster.load.engine.generator import WorkerAssignment
    from doorbuster.load.engine.recorder import Recorder

SHORTEST_WAIT_S = 0.05
WAIT_RATIO = 0.1
RESTORE_TRIES = 3
STOP_LIMIT_S = 8.0  # the worker's last report must still come in time


class FreshnessWatch:
    """Looks again and again until it is stopped; what it saw goes to the recorder."""

    def __init__(
        self,
        assignment: WorkerAssignment,
        driver: type[Storefront],
        recorder: Recorder,
        *,
        tag: Mapping[str, str],
    ) -> None:
        freshness = assignment.scenario.freshness
        assert freshness is not None, "who starts this has looked"
        self._every_s, self._timeout_s = freshness.every_s, freshness.timeout_s
        self._started_at = assignment.started_at
        self._closes_at = assignment.started_at + assignment.schedule.duration_s
        self._recorder = recorder
        self._changes = edits_of(EditTarget(assignment, driver, tag))
        self._work = Group()  # one loop for each kind of change, and their looks

    def start(self) -> None:
        """The kinds take turns: each begins its own share of the interval later."""
        for at, change in enumerate(self._changes, start=1):
            first_at = self._started_at + self._every_s * at / (len(self._changes) + 1)
            self._work.spawn(self._run, change, first_at)

    def stop(self) -> None:
        """End, with everything as it was; returns within STOP_LIMIT_S even if the shop hangs."""
        self._work.kill()
        with gevent.Timeout(STOP_LIMIT_S, False):
            for change in self._changes:
                self._put_back(change)
        for change in self._changes:
            for told in change.remaining():
                self._tell(told)
            change.close()

    # ---- inside

    def _run(self, change: ProductEdit, due_at: float) -> None:
        number, learnt = 0, False
        while due_at < self._closes_at:
            sleep_until(due_at)
            learnt = learnt or self._learn(change)
            if learnt:
                self._look_for(change, number)
                number += 1
            behind = max(perf_counter() - due_at, 0.0)
            due_at += self._every_s * (int(behind / self._every_s) + 1)

    def _learn(self, change: ProductEdit) -> bool:
        try:
            self._tell(change.fetch())
        except REFUSALS:
            return False
        return True

    def _look_for(self, change: ProductEdit, number: int) -> None:
        """Make one change, look at all channels side by side, put it back; if we cannot, `stop` does."""
        asked_at = perf_counter()
        try:
            looks = change.apply(number)
        except REFUSALS:
            at_s = asked_at - self._started_at
            refused = FreshnessReading(at_s, change.sku, "", "refused", None, None, 0, 0, change.what)
            self._recorder.readings.append(refused)
        else:
            changed_at = perf_counter()
            gevent.joinall([
                self._work.spawn(self._watch, change, channel, look, changed_at)
                for channel, look in looks.items()
            ])  # fmt: skip
        self._put_back(change)

    def _watch(self, change: ProductEdit, channel: str, look: Observation, changed_at: float) -> None:
        """Ask one channel until it shows the change; what came of it is one reading, however this ends."""
        outcome, took_s, old_s, looks, unread = "cut_short", None, None, 0, 0
        try:
            while outcome == "cut_short":
                asked_s = perf_counter() - changed_at
                shown = look()
                answered_s = perf_counter() - changed_at
                looks += 1
                if shown:
                    outcome, took_s = "seen", answered_s
                    break
                if shown is None:
                    unread += 1
                else:
                    old_s = asked_s
                if answered_s >= self._timeout_s:
                    outcome = "not_seen" if old_s is None else "stale"
                    break
                wait_s = max(SHORTEST_WAIT_S, WAIT_RATIO * answered_s)
                gevent.sleep(min(wait_s, self._timeout_s - answered_s))
        finally:
            at_s = changed_at - self._started_at
            self._recorder.readings.append(
                FreshnessReading(
                    at_s, change.sku, channel, outcome, took_s, old_s, looks, unread, change.what
                )
            )

    def _put_back(self, change: ProductEdit) -> None:
        for _ in range(RESTORE_TRIES):
            try:
                change.revert()
            except REFUSALS:
                continue
            return

    def _tell(self, text: str) -> None:
        self._recorder.event(Event(perf_counter() - self._started_at, "freshness", text))
