"""Measures how long a change takes to become visible: edits a product and polls every channel for it.

Rules of this module:
- One worker does this, with clients of its own: its requests are load on the shop, but are not counted as a
  customer's.
- Each kind of edit (see `product_edits`) has its own interval. An edit is reverted as soon as all channels
  were polled, at the end of the run at the latest; the run file's events name the products.
- A time runs from the shop's confirmation of the edit to the end of the first answer that shows it. The pause
  between two polls is a tenth of the time since the edit, at least 50 ms; it is the resolution of the time.
"""

from __future__ import annotations

import traceback
from time import perf_counter

import gevent
from gevent.pool import Group

from doorbuster.load.freshness.product_edits import REFUSALS, EditTarget, Observation, ProductEdit, edits_for
from doorbuster.load.http.send_limit import RequestCeiling
from doorbuster.load.recording.recorder import Recorder
from doorbuster.load.run_plan import RunPlan
from doorbuster.load.runtime.sleep_scheduler import sleep_until
from doorbuster.records.batch import Event, FreshnessReading
from doorbuster.records.outcome import Cause
from doorbuster.scenario import Freshness
from doorbuster.storefronts import Storefront

MIN_WAIT_S = 0.05
WAIT_RATIO = 0.1
RESTORE_TRIES = 3
STOP_LIMIT_S = 8.0  # the worker's last report must still come in time


class FreshnessWatch:
    """Edits products and polls the channels until it is stopped; its readings go to the recorder."""

    def __init__(
        self,
        plan: RunPlan,
        settings: Freshness,
        driver: type[Storefront],
        recorder: Recorder,
        ceiling: RequestCeiling,
    ) -> None:
        self._every_s, self._timeout_s = settings.every_s, settings.timeout_s
        self._started_at, self._closes_at = plan.started_at, plan.closes_at
        self._recorder = recorder
        self._edits = edits_for(EditTarget(plan, driver, ceiling), timeout_s=settings.timeout_s)
        self._is_stopped = False
        self._work = Group()  # one loop per kind of edit, and one greenlet per channel that is polled

    def start(self) -> None:
        """Start one loop per kind of edit, evenly spaced over the interval."""
        for number, edit in enumerate(self._edits, start=1):
            first_at = self._started_at + self._every_s * number / (len(self._edits) + 1)
            self._work.spawn(self._run, edit, first_at)

    def stop(self) -> None:
        """Stop and revert all edits; returns within STOP_LIMIT_S even if the shop hangs."""
        self._is_stopped = True
        self._work.kill()
        try:
            with gevent.Timeout(STOP_LIMIT_S, False):
                for edit in self._edits:
                    self._revert(edit)
        except BaseException as error:  # noqa: BLE001  the report must still be sent
            self._driver_raised(error)
        for edit in self._edits:
            for text in edit.remaining():
                self._record_event(text)
            edit.close()

    # ---- inside

    def _run(self, edit: ProductEdit, due_at: float) -> None:
        number, has_fetched = 0, False
        while due_at < self._closes_at:
            sleep_until(due_at)
            try:
                has_fetched = has_fetched or self._fetch(edit)
                if has_fetched:
                    number += 1
                    self._measure(edit, number - 1)
            except BaseException as error:  # noqa: BLE001  a driver may raise anything
                self._driver_raised(error)
            behind = max(perf_counter() - due_at, 0.0)
            due_at += self._every_s * (int(behind / self._every_s) + 1)

    def _fetch(self, edit: ProductEdit) -> bool:
        try:
            self._record_event(edit.fetch())
        except REFUSALS:
            return False
        return True

    def _measure(self, edit: ProductEdit, number: int) -> None:
        """Make one edit, poll all channels at once, revert it; if that fails, `stop` reverts it."""
        sent_at = perf_counter()
        try:
            observations = edit.apply(number)
        except REFUSALS:
            at_s = sent_at - self._started_at
            refused = FreshnessReading(at_s, edit.sku, "", "refused", None, None, 0, 0, edit.what)
            self._recorder.secondary_metrics.readings.append(refused)
        else:
            changed_at = perf_counter()
            gevent.joinall([
                self._work.spawn(self._poll, edit, channel, shows_change, changed_at)
                for channel, shows_change in observations.items()
            ])  # fmt: skip
        self._revert(edit)

    def _poll(self, edit: ProductEdit, channel: str, shows_change: Observation, changed_at: float) -> None:
        """Poll one channel until it shows the change; records one reading, however this ends."""
        outcome, seen_s, old_s, polls, unread = "cut_short", None, None, 0, 0
        try:
            while outcome == "cut_short":
                asked_s = perf_counter() - changed_at
                shown = shows_change()
                answered_s = perf_counter() - changed_at
                polls += 1
                if shown:
                    outcome, seen_s = "seen", answered_s
                    break
                if shown is None:
                    unread += 1
                else:
                    old_s = asked_s
                if answered_s >= self._timeout_s:
                    outcome = "not_seen" if old_s is None else "stale"
                    break
                wait_s = max(MIN_WAIT_S, WAIT_RATIO * answered_s)
                gevent.sleep(min(wait_s, self._timeout_s - answered_s))
        except BaseException as error:  # noqa: BLE001  a driver may raise anything
            self._driver_raised(error)
        finally:
            at_s = changed_at - self._started_at
            self._recorder.secondary_metrics.readings.append(
                FreshnessReading(at_s, edit.sku, channel, outcome, seen_s, old_s, polls, unread, edit.what)
            )

    def _revert(self, edit: ProductEdit) -> None:
        for _ in range(RESTORE_TRIES):
            try:
                edit.revert()
            except REFUSALS:
                continue
            return

    def _driver_raised(self, error: BaseException) -> None:
        """Record what a driver raised besides refusals. Raises: the error if it ends this watch."""
        if self._is_stopped and isinstance(error, gevent.GreenletExit):
            raise error  # of `stop`
        text = "".join(traceback.format_exception(error))
        self._recorder.event(Event(perf_counter() - self._started_at, Cause.SCRIPT_EXCEPTION, text))

    def _record_event(self, text: str) -> None:
        self._recorder.event(Event(perf_counter() - self._started_at, "freshness", text))
