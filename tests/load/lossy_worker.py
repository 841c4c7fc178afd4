"""A locustfile of tests: workers of tests/load/one_step.py with an unreliable channel to the master.

Of a worker's reports, the first, fourth, seventh… is lost, the second, fifth… is duplicated, and the third,
sixth… is delayed past later ones; the last report and every second acknowledgement are lost. Only the first
transmission of a message is affected. Each fault is printed.
"""

from __future__ import annotations

import sys
from pathlib import Path

import gevent
from locust import events

sys.path.insert(0, str(Path(__file__).parent))

from one_step import CustomerUser, GeneratorUser, RunShape

from doorbuster.load.coordination.messages import ACKNOWLEDGED, BATCH

__all__ = ["CustomerUser", "GeneratorUser", "RunShape"]

LATE_S = 1.6


@events.init.add_listener
def make_unreliable(environment, **_):
    """Wrap the sending and receiving of this worker's messages."""
    runner = environment.runner
    send = runner.send_message
    sent, heard = set(), set()
    listener, concurrent = runner.custom_messages[ACKNOWLEDGED]

    def send_unreliably(kind, data=None, client_id=None):
        if kind != BATCH or data["seq"] in sent:
            send(kind, data, client_id)
            return
        sent.add(data["seq"])
        fault = "last-lost" if data["final"] else ("lost", "twice", "late")[data["seq"] % 3]
        print(fault, data["seq"], flush=True)
        if fault == "twice":
            send(kind, data, client_id)
            send(kind, data, client_id)
        elif fault == "late":
            gevent.spawn_later(LATE_S, send, kind, data, client_id)

    def listen_unreliably(msg, **rest):
        if msg.data["seq"] % 2 and msg.data["seq"] not in heard:
            heard.add(msg.data["seq"])
            print("answer-lost", msg.data["seq"], flush=True)
        else:
            listener(msg=msg, **rest)

    runner.send_message = send_unreliably
    runner.custom_messages[ACKNOWLEDGED] = (listen_unreliably, concurrent)
