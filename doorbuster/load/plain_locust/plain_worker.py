"""The recorder on a worker: starts with the master's message, ends when Locust has stopped the users."""

from __future__ import annotations

from functools import partial
from typing import Any

from locust.runners import STATE_RUNNING, STATE_SPAWNING

from doorbuster.load.coordination.messages import CLOSE, RECORD
from doorbuster.load.locust_plugin.node import end_with_parent
from doorbuster.load.locust_plugin.report_channel import ReportChannel
from doorbuster.load.plain_locust.host_guard import HostGuard
from doorbuster.load.plain_locust.request_recorder import RequestRecorder


class PlainWorker:
    """One worker of a distributed plain run."""

    def __init__(self, environment: Any, guard: HostGuard) -> None:
        self._environment = environment
        self._guard = guard
        end_with_parent(environment)
        self._recorder: RequestRecorder | None = None
        self._reports = ReportChannel(environment, environment.runner.quit)
        environment.runner.register_message(RECORD, self._on_record)
        environment.runner.register_message(CLOSE, self._on_close, concurrent=True)
        environment.events.test_stop.add_listener(self._on_test_stop)

    def _on_record(self, msg: Any, **_: Any) -> None:
        """The next run: it arrives before Locust's message to start users."""
        run_id = msg.data["run_id"]
        self._guard.allowed = frozenset(msg.data["hosts"])
        self._reports.begin(run_id)
        self._recorder = RequestRecorder(
            self._environment,
            self._guard,
            self._environment.runner.client_id,
            msg.data["started_at"],
            partial(self._reports.ship, run_id),
        )

    def _on_close(self, **_: Any) -> None:
        """The run ends: Locust's master tells its workers only when its own records are closed."""
        if self._environment.runner.state in (STATE_RUNNING, STATE_SPAWNING):
            self._environment.runner.stop()
        else:
            self._on_test_stop()

    def _on_test_stop(self, **_: Any) -> None:
        recorder, self._recorder = self._recorder, None
        if recorder is not None:
            recorder.finish()
