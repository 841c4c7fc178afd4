"""A locustfile of tests: a worker that kills itself with SIGKILL at its last report.

DIES_WHEN=before: before the report is sent. DIES_WHEN=after: right after its acknowledgement.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from locust import events

sys.path.insert(0, str(Path(__file__).parent))

from one_step import CustomerUser, GeneratorUser, RunShape

from doorbuster.load.coordination.messages import ACKNOWLEDGED, BATCH

__all__ = ["CustomerUser", "GeneratorUser", "RunShape"]


@events.init.add_listener
def prepare_to_die(environment, **_):
    """Wrap the sending of the last report and the receipt of its acknowledgement."""
    runner, when = environment.runner, os.environ["DIES_WHEN"]
    send = runner.send_message
    listener, concurrent = runner.custom_messages[ACKNOWLEDGED]
    last = []

    def send_or_die(kind, data=None, client_id=None):
        if kind == BATCH and data["final"]:
            last.append(data["seq"])
            if when == "before":
                os.kill(os.getpid(), signal.SIGKILL)
        send(kind, data, client_id)

    def listen_or_die(msg, **rest):
        listener(msg=msg, **rest)
        if msg.data["seq"] in last:
            os.kill(os.getpid(), signal.SIGKILL)

    runner.send_message = send_or_die
    runner.custom_messages[ACKNOWLEDGED] = (listen_or_die, concurrent)
