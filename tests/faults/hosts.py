"""Two hosts made of network namespaces: the master's, with the server, and the workers'.

Two cables connect them, so that the one between master and workers can be cut while customers still reach the
server. A slow cable is made with netem where the kernel has it, else by a relay with the same delays.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from itertools import count

from experiment import ROOT, Experiment, SkippedError

PORT = 5557
CONTROL, SHOP = ("10.231.8.1", "10.231.8.2"), ("10.231.9.1", "10.231.9.2")
DELAY_MS, JITTER_MS, LOSS_RATIO = 100, 50, 0.01
SECRET = "a secret of the hosts of this drill"
PAGE = """
title: A run across two hosts
target: {{storefront: "custom:one-page", url: "{url}"}}
demand: {{peak: {peak} customers/s, curve: {{stages: [{{for: {length_s}s, at: 100%}}]}}}}
channels: {{web: {{share: 100%, journeys: {{order_status: 1}}, patience: none, think: {{constant: 1s}}}}}}
thresholds: {{served: ["rate>=99%"], http_req_failed: ["rate<=1%"]}}
safety: {{allow: [{host}], max_rate: 1000 requests/s}}
drain: 10s
"""
_numbers = count()


class TwoHosts:
    """The hosts of one round; `close` removes them."""

    def __init__(self, run: Experiment) -> None:
        if os.geteuid() or shutil.which("ip") is None:
            raise SkippedError("needs root and iproute2")
        self._run = run
        name = f"dbf-{os.getpid()}-{next(_numbers)}"
        self.master, self.worker = f"{name}m", f"{name}w"
        self._devices: list[str] = []
        try:
            for namespace in (self.master, self.worker):
                self._ip("netns", "add", namespace)
                self._ip("-n", namespace, "link", "set", "lo", "up")
            for cable, addresses in (("c", CONTROL), ("s", SHOP)):
                ends = [(self.master, f"m{cable}"), (self.worker, f"w{cable}")]
                self._ip("link", "add", ends[0][1], "netns", self.master, "type", "veth",
                         "peer", "name", ends[1][1], "netns", self.worker)  # fmt: skip
                for (namespace, device), address in zip(ends, addresses, strict=True):
                    self._ip("-n", namespace, "address", "add", f"{address}/24", "dev", device)
                    self._ip("-n", namespace, "link", "set", device, "up")
        except subprocess.CalledProcessError as error:
            self.close()
            raise SkippedError(f"needs network namespaces: {error.stderr.decode().strip()}") from error
        self.control_port = PORT
        self.url = ""

    @staticmethod
    def _ip(*words: str) -> None:
        subprocess.run(["ip", *words], check=True, capture_output=True)

    def on(self, host: str) -> tuple[str, ...]:
        """The words before a command that runs on a host."""
        return ("ip", "netns", "exec", host)

    def serve(self) -> None:
        """Start the server on the master's host, and let the workers' host reach it."""
        local = self._run.serve("--service-ms", "20", prefix=self.on(self.master))
        port = local.rsplit(":", 1)[1]
        relay = self._run.spawn(
            *self.on(self.master), sys.executable, ROOT / "tests/load/relay.py", "--to", f"127.0.0.1:{port}",
            "--listen", SHOP[0],
        )  # fmt: skip
        self.url = f"http://{SHOP[0]}:{int(relay.stdout.readline())}"

    def start(self, *, workers: int = 2, length_s: int = 9, faketime: tuple[str, ...] = ()) -> list:
        """Start master and workers; `faketime`: the offset of each worker's clock."""
        scenario = PAGE.format(url=self.url, host=SHOP[0], peak=40, length_s=length_s)
        environ = {"DOORBUSTER_KEY": SECRET}
        one_step = ROOT / "tests/load/one_step.py"
        self._run.start(
            scenario, workers=0, prefix=self.on(self.master), environ=environ,
            options=("--locustfile", one_step, "--expect-workers", workers, "--bind", CONTROL[0],
                     "--bind-port", PORT, "--confirm-host", SHOP[0]),
        )  # fmt: skip
        return [
            self._run.spawn(
                *self.on(self.worker), *(("faketime", "-f", faketime[number]) if faketime else ()),
                sys.executable, "-m", "doorbuster", "worker", "--master-host", CONTROL[0],
                "--master-port", self.control_port, "--locustfile", one_step,
                environ={**environ, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}, output=f"worker-{number}",
            )
            for number in range(workers)
        ]  # fmt: skip

    def cut(self) -> None:
        """Cut the cable between master and workers, in both directions and without a word to either."""
        self._ip("-n", self.master, "link", "set", "mc", "down")

    def mend(self) -> None:
        self._ip("-n", self.master, "link", "set", "mc", "up")

    def slow_down(self) -> None:
        """Delay and lose packets between master and workers; called before `start`."""
        netem = ("root", "netem", "delay", f"{DELAY_MS}ms", f"{JITTER_MS}ms", "loss", f"{LOSS_RATIO:%}")
        for host, device in ((self.master, "mc"), (self.worker, "wc")):
            words = [*self.on(host), "tc", "qdisc", "add", "dev", device, *netem]
            if subprocess.run(words, check=False, capture_output=True).returncode:
                break
        else:
            return
        relay = self._run.spawn(
            *self.on(self.master), sys.executable, ROOT / "tests/load/relay.py",
            "--to", f"{CONTROL[0]}:{PORT}", "--listen", CONTROL[0], "--delay-ms", DELAY_MS,
            "--jitter-ms", JITTER_MS, "--loss", LOSS_RATIO,
        )  # fmt: skip
        self.control_port = int(relay.stdout.readline())

    def requests(self) -> int:
        """How many requests the server counted."""
        program = f"import urllib.request as u; print(u.urlopen('{self._run.url}/count').read().decode())"
        words = [*self.on(self.master), sys.executable, "-c", program]
        return int(subprocess.run(words, check=True, capture_output=True, text=True).stdout)

    def close(self) -> None:
        for namespace in (self.master, self.worker):
            subprocess.run(["ip", "netns", "delete", namespace], check=False, capture_output=True)
