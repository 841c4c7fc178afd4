"""Watches a run file: the state of a run now, or at any speed that of a finished one."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from doorbuster.errors import RecordError
from doorbuster.live.state import LiveState, PhaseSpan, RunState
from doorbuster.live.thresholds import StandingThresholds, judged_views
from doorbuster.live.totals import LiveTotals
from doorbuster.records.metadata import RunMeta
from doorbuster.records.row_stream import NewRows, RowPosition, StreamedRun
from doorbuster.scenario.recorded import planned_phases, recorded_scenario
from doorbuster.stats.proportion import clopper_pearson

THRESHOLD_CPU_RATIO = 0.02  # of one core: intervals over the whole run are computed less often as it grows


class RunPicture:
    """The state of one run from its rows; the caller reads them."""

    def __init__(self, run: StreamedRun) -> None:
        self.meta = run.meta
        scenario = recorded_scenario(self.meta.scenario_text)
        self._phases = planned_phases(scenario)
        self._spans = tuple(PhaseSpan(one.name, one.from_s, one.to_s) for one in self._phases)
        self._totals = LiveTotals(run.planned(), duration_s=self.meta.duration_s)
        self._thresholds = StandingThresholds(scenario, self._phases)
        self._views = self._thresholds.views(at_s=0.0)
        self._views_due_s = 0.0  # by the processor time of this process

    def add(self, rows: NewRows, *, at_s: float) -> None:
        """Add the rows up to a moment."""
        self._totals.add(rows, at_s=at_s)
        self._thresholds.add(rows.reports)

    def state(self, meta: RunMeta, *, at_s: float, sparing: bool = False) -> LiveState:
        """The run at a moment; `meta` says whether it has ended by then.

        Args: sparing: evaluate the thresholds only as often as `THRESHOLD_CPU_RATIO` allows.
        """
        totals, customers = self._totals, meta.workload == "open"
        ended = meta.status != "running"
        self._evaluate(at_s, at_once=ended or not sparing)
        state: RunState = "running" if at_s < meta.duration_s else "draining"
        if meta.status != "running":
            state = meta.status
        waits = totals.in_shop > 0 and not ended
        return LiveState(
            title=meta.title, target=meta.target_url, state=state, reason=meta.status_reason, at_s=at_s,
            duration_s=meta.duration_s, phases=self._spans, has_customers=customers, planned=totals.planned,
            finished=totals.finished, in_shop=totals.in_shop, sent_home=totals.sent_home,
            silent_s=max(0.0, at_s - totals.last_ended_s) if waits else 0.0,
            measures=totals.measures(at_s=at_s, has_customers=customers), outcomes=totals.shown_outcomes(),
            thresholds=self._views, steps=totals.steps(), channels=totals.channels(at_s=at_s),
            generator=totals.generator(), chart=totals.chart(), events=totals.events(),
        )  # fmt: skip

    def _evaluate(self, at_s: float, *, at_once: bool) -> None:
        began_s = time.thread_time()
        if at_once or time.monotonic() >= self._views_due_s:
            self._views = self._thresholds.views(at_s=at_s)
            took_s = time.thread_time() - began_s
            self._views_due_s = time.monotonic() + took_s / THRESHOLD_CPU_RATIO


class RunMonitor:
    """The state of a run that is being recorded into a folder."""

    def __init__(self, folder: Path) -> None:
        clopper_pearson(1, 2)  # imports scipy before the run: the import takes longer than a refresh
        self.folder = folder
        self._picture: RunPicture | None = None
        self._position = RowPosition()

    def look(self) -> LiveState | None:
        """The state now; None before the run file exists."""
        try:
            with StreamedRun.open(self.folder, own=True) as run:
                if self._picture is None:
                    self._picture = RunPicture(run)
                meta = run.meta
                now_ns = meta.finished_at_unix_ns or time.time_ns()
                at_s = max(0.0, (now_ns - meta.started_at_unix_ns) / 1e9)
                self._picture.add(run.new_rows(self._position), at_s=at_s)
        except RecordError:
            return None
        return self._picture.state(meta, at_s=at_s, sparing=True)

    def judged(self, ended: LiveState) -> LiveState:
        """The state of a run that has ended, with the thresholds that only its ledger decides."""
        with StreamedRun.open(self.folder, own=True) as run:
            return dataclasses.replace(ended, thresholds=judged_views(run, ended.thresholds))


def replay(path: Path, *, speed: float) -> Iterator[LiveState]:
    """The states of a finished run, one for each second that passes here; at `speed` times its own pace.

    Raises: RecordError if the file cannot be read.
    """
    with closing(StreamedRun.open(path)) as run:
        final, picture = run.meta, RunPicture(run)
        running = final.changed(status="running", status_reason="")
        began_s, shown_s, at_s = time.monotonic(), 0.0, 0.0
        for at_s, rows in run.replay():
            picture.add(rows, at_s=at_s)
            if at_s >= shown_s + speed:
                time.sleep(max(0.0, began_s + at_s / speed - time.monotonic()))
                shown_s = at_s
                yield picture.state(running, at_s=at_s)
        ended = picture.state(final, at_s=at_s)
        yield dataclasses.replace(ended, thresholds=judged_views(run, ended.thresholds))
