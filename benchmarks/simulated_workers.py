"""Many workers of one master in a single process: Locust's messages and a report each second, no customers.

    python benchmarks/simulated_workers.py PORT WORKERS

Every worker has a socket of its own, answers the master's clock messages, takes its assignment and then sends
a report of SERIES request series once a second until its schedule has ended. Prints one line when all have
reported for the last time.
"""

from __future__ import annotations

import heapq
import sys
import time
from dataclasses import replace
from functools import cache
from typing import Any

import msgpack
import numpy as np
import zmq

from doorbuster.load.coordination.messages import ACKNOWLEDGED, ASSIGNMENT, BATCH, CLOCK, batch_to_wire
from doorbuster.records.batch import (
    ArrivalCount,
    Batch,
    CustomerCount,
    HealthSecond,
    RequestSecond,
    SeriesKey,
)
from doorbuster.records.histogram import pack
from doorbuster.scenario import read_scenario

SERIES, REQUESTS = 20, 12  # of one worker in one second
STATS_INTERVAL_S = 3.0  # of Locust
LIMIT_S = 120.0


@cache
def observations(second: int) -> Batch:
    """What every worker has observed in one second; computed once, so that the feeder keeps up."""
    rng = np.random.default_rng(second)
    latencies_us = rng.lognormal(11.5, 0.8, (SERIES, REQUESTS)).astype(np.int64)
    keys = [SeriesKey("web", f"journey{number % 8}", f"step{number}", "ok", "") for number in range(SERIES)]
    return Batch(
        "", second,
        requests=tuple(
            RequestSecond(second, key, REQUESTS, 400 * REQUESTS, 9000 * REQUESTS, *[pack(row.tolist())] * 3)
            for key, row in zip(keys, latencies_us, strict=True)
        ),
        customers=tuple(
            CustomerCount(second, "web", f"journey{number}", "served", "", "", 1, None, 5)
            for number in range(8)
        ),
        arrivals=(ArrivalCount(second, "web", 40, 0),),
        health=(HealthSecond(second, 0.4, 1.0, 200, 3, 0, 80_000_000, pack([50] * 40)),),
    )  # fmt: skip


class SimulatedWorker:
    """One socket, and what is due on it."""

    def __init__(self, context: zmq.Context[Any], port: int, number: int) -> None:
        self.name = f"simulated_{number:04}"
        self.socket = context.socket(zmq.DEALER)
        self.socket.setsockopt(zmq.IDENTITY, self.name.encode())
        self.socket.connect(f"tcp://127.0.0.1:{port}")
        self.run_id, self.seq, self.seconds, self.acknowledged = "", 0, 0, set[int]()
        self.started_at, self.state = 0.0, "ready"
        self.send("client_ready", -1)

    def send(self, kind: str, data: Any) -> None:
        self.socket.send(msgpack.packb((kind, data, self.name)))

    def receive(self) -> bool:
        """Handle one message; whether it was the assignment."""
        kind, data, _ = msgpack.unpackb(self.socket.recv(), strict_map_key=False)
        if kind == CLOCK:
            self.send(CLOCK, {"sent": data["sent"], "there": (time.time(), time.perf_counter()), "pid": 1,
                              "created_unix_s": 0.0, "descriptors": 65_536})  # fmt: skip
        elif kind == ASSIGNMENT:
            self.run_id, self.started_at = data["run_id"], data["started_at"]
            scenario = read_scenario(data["scenario_text"], file="bench")
            self.seconds = int(scenario.demand.duration_s)
            return True
        elif kind == "spawn" and self.state == "ready":
            self.state = "running"
            self.send("spawning_complete", {"user_classes_count": {"GeneratorUser": 1}, "user_count": 1})
        elif kind == ACKNOWLEDGED:
            self.acknowledged.add(data["seq"])
        return False

    def send_report(self) -> bool:
        """Send the next report; whether it was the last."""
        final = self.seq + 1 >= self.seconds
        report = replace(observations(self.seq), worker=self.name, final=final)
        self.send(BATCH, batch_to_wire(self.run_id, report))
        self.seq += 1
        return final


def simulate(port: int, count: int) -> None:
    """Run until all workers have sent their last report and it is acknowledged."""
    context = zmq.Context()
    context.set(zmq.MAX_SOCKETS, count + 64)
    workers = [SimulatedWorker(context, port, number) for number in range(count)]
    by_socket = {worker.socket: worker for worker in workers}
    poller = zmq.Poller()
    for worker in workers:
        poller.register(worker.socket, zmq.POLLIN)
    now = time.perf_counter()
    due: list[tuple[float, int, str]] = []
    for number in range(count):  # spread over the interval, as processes that start one after the other are
        heapq.heappush(due, (now + number / count, number, "heartbeat"))
        heapq.heappush(due, (now + STATS_INTERVAL_S * number / count, number, "stats"))
    give_up_at = now + LIMIT_S
    waiting = set(range(count))
    while waiting and time.perf_counter() < give_up_at:
        timeout_ms = max(0, int((due[0][0] - time.perf_counter()) * 1e3)) if due else 50
        for socket, _ in poller.poll(min(timeout_ms, 50)):
            worker = by_socket[socket]
            number = int(worker.name.rpartition("_")[2])
            if worker.receive():
                heapq.heappush(due, (worker.started_at + 1 + number / count, number, "report"))
            if worker.seq and worker.seq >= worker.seconds and worker.seq - 1 in worker.acknowledged:
                waiting.discard(number)
        while due and due[0][0] <= time.perf_counter():
            at, number, kind = heapq.heappop(due)
            worker = workers[number]
            if kind == "heartbeat":
                worker.send(kind, {"state": worker.state, "current_cpu_usage": 10, "current_memory_usage": 1})
                heapq.heappush(due, (at + 1, number, kind))
            elif kind == "stats":
                worker.send(kind, {"stats": [], "stats_total": _NO_STATS, "errors": {},
                                   "user_classes_count": {"GeneratorUser": 1}, "user_count": 1})  # fmt: skip
                heapq.heappush(due, (at + STATS_INTERVAL_S, number, kind))
            elif not worker.send_report():
                heapq.heappush(due, (at + 1, number, kind))
    print(len(waiting), flush=True)
    for worker in workers:
        worker.send("quit", None)
        worker.socket.close(linger=1000)


_NO_STATS = {
    "name": "Aggregated", "method": "", "last_request_timestamp": None, "start_time": 0.0, "num_requests": 0,
    "num_none_requests": 0, "num_failures": 0, "total_response_time": 0, "max_response_time": 0,
    "min_response_time": None, "total_content_length": 0, "response_times": {}, "num_reqs_per_sec": {},
    "num_fail_per_sec": {},
}  # fmt: skip

if __name__ == "__main__":
    simulate(int(sys.argv[1]), int(sys.argv[2]))
