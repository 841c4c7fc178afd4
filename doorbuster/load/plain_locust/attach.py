"""Attaches the recorder to Locust before it loads the locustfile.

A locustfile that calls doorbuster's `install` is left to it; every other one is plain, and is recorded.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

import gevent
from locust.runners import WorkerRunner

from doorbuster.errors import ExitCode
from doorbuster.load.http.generator_limits import raise_descriptor_limit
from doorbuster.load.locust_plugin.channel_key import protect_channel
from doorbuster.load.locust_plugin.master_port import check_messages
from doorbuster.load.locust_plugin.plugin import (
    add_options,
    exit_on_error,
    host_on_command_line,
    is_installed,
)
from doorbuster.load.locust_plugin.web_ui import open_peak_tab
from doorbuster.load.locust_plugin.worker_port import check_messages_of_master
from doorbuster.load.plain_locust.checks import check_start
from doorbuster.load.plain_locust.client_guard import ClientGuard
from doorbuster.load.plain_locust.plain_master import PlainMaster
from doorbuster.load.plain_locust.plain_worker import PlainWorker
from doorbuster.load.plain_locust.script_exceptions import report_everything_raised
from doorbuster.load.plain_locust.visits import NoUsersDispatcher, end_visits_after_their_tasks
from doorbuster.load.runtime.notes import note
from doorbuster.load.runtime.supervision import end_with_command
from doorbuster.output import protect_streams
from doorbuster.output.logs import log_text, protect_logs
from doorbuster.output.secret_masking import remember_variables_of_drivers


def attach(events: Any) -> Attachment:
    """Listen to Locust's events; called before any locustfile is loaded."""
    check_messages()
    check_messages_of_master()
    with exit_on_error():
        protect_channel()
    return Attachment(events)


class Attachment:
    """What decides, once the locustfile is loaded, whether it is recorded; has_started: a run has begun."""

    has_started = False

    def __init__(self, events: Any) -> None:
        self._events = events
        self._node: PlainMaster | PlainWorker | None = None
        protect_streams(log_text)
        events.init_command_line_parser.add_listener(add_options)
        events.init.add_listener(self._on_init)
        # The first listener, so that requests of the file's own listeners belong to the run.
        events.test_start.add_listener(self._on_test_start)
        self._is_ready = False
        end_with_command(self._on_command_lost)

    def _on_command_lost(self) -> None:
        """A worker may wait for its master for minutes; later, its node does this."""
        if not self._is_ready:
            os._exit(int(ExitCode.INTERRUPTED))

    def _on_init(self, environment: Any, **_: Any) -> None:
        self._is_ready = True
        if is_installed(self._events):
            return
        raise_descriptor_limit()
        protect_logs()
        remember_variables_of_drivers()
        guard = ClientGuard()
        guard.watch_clients()
        report_everything_raised()
        end_visits_after_their_tasks()
        if isinstance(environment.runner, WorkerRunner):
            self._node = PlainWorker(environment, guard)
            return
        with exit_on_error():
            plan = check_start(environment)
            if (
                environment.host
                and plan.scenario.target.url is None
                and not host_on_command_line(sys.argv[1:])
            ):
                note(
                    f"the host {environment.host} comes from LOCUST_HOST or locust.conf and replaces the one "
                    f"in {environment.locustfile}"
                )
            max_rate_per_s = plan.scenario.safety.max_rate_per_s
            guard.begin(plan.hosts, plan.named_hosts(plan.targets), plan.headers, max_rate_per_s)
            if plan.is_open:
                environment.dispatcher_class = NoUsersDispatcher
            peak_tab = open_peak_tab(environment, plan.scenario.title)
            master = PlainMaster(environment, plan, guard, peak_tab)
            self._node = master
        gevent.signal_handler(signal.SIGINT, master.on_interrupt)
        # Locust sets its timer next: without this it would count from before the locustfile was loaded.
        gevent.get_hub().loop.update_now()

    def _on_test_start(self, **_: Any) -> None:
        self.has_started = True
        if isinstance(self._node, PlainMaster):
            self._node.start_run()
