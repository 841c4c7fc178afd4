"""The reasons to end a run before its schedule does."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from doorbuster.gate import AbortWatch
from doorbuster.load.coordination.run_log import RunLog
from doorbuster.load.runtime.notes import note
from doorbuster.load.runtime.supervision import COMMAND_VARIABLE
from doorbuster.load.target.observation import EVENT_KIND
from doorbuster.records.batch import Batch, ObservedValue
from doorbuster.scenario import LocustScenario, Scenario

KILL_FILE = "STOP"


class StopReasons:
    """The scenario's abort rules, a stop file in the run's folder, the end of the command that waits."""

    def __init__(self, scenario: Scenario | LocustScenario, folder: Path) -> None:
        self._abort = AbortWatch(scenario)
        self._kill_file = folder / KILL_FILE
        command = os.environ.get(COMMAND_VARIABLE, "")
        self._command = int(command) if command.isdigit() else None

    def check(self, batches: Sequence[Batch], observed: Sequence[ObservedValue], *, at_s: float) -> str:
        """The first reason that holds after these new reports; empty without any."""
        fired = self._abort.feed(batches, observed, at_s=at_s)
        if fired is not None:
            return fired
        if self._kill_file.exists():
            return f"the stop file {self._kill_file} exists"
        if self._command is not None and os.getppid() != self._command:
            return "the command that started the run has exited"
        return ""

    def record_problems(self, log: RunLog) -> None:
        """Record and say, after the run, which abort rules could not be evaluated."""
        for problem in self._abort.problems():
            note(problem)
            log.record(EVENT_KIND, problem)
