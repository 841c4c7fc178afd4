"""The locustfile of docs/how-to/add-a-protocol.md, run against a line server: rows, causes and report."""

from __future__ import annotations

import re
import socketserver
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from doorbuster.records.reader import Run
from doorbuster.report import RunContext, load_analysis

ROOT = Path(__file__).parent.parent.parent
ANSWER_S = 0.02


class LineServer(socketserver.ThreadingTCPServer):
    """Answers each line after ANSWER_S; closes one connection in ten, and never answers another one."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self):
        super().__init__(("127.0.0.1", 0), LineHandler)
        self.connections = 0
        self.lines: list[bytes] = []
        self.lock = threading.Lock()


class LineHandler(socketserver.StreamRequestHandler):
    def handle(self):
        with self.server.lock:
            number = self.server.connections
            self.server.connections += 1
        for line in self.rfile:
            self.server.lines.append(line)
            if number % 10 == 3:
                return
            if number % 10 == 7:
                continue
            time.sleep(ANSWER_S)
            self.wfile.write(b"OK shipped\n")


@pytest.fixture(scope="module")
def line_run(tmp_path_factory):
    """The folder of a finished run, and its server."""
    folder = tmp_path_factory.mktemp("lines")
    text = (ROOT / "docs/how-to/add-a-protocol.md").read_text(encoding="utf-8")
    locustfile, scenario = re.findall(r"```(?:python|yaml)\n(.*?)```", text, re.DOTALL)
    (folder / "lines.py").write_text(locustfile, encoding="utf-8")
    with LineServer() as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}"
        (folder / "lines.yaml").write_text(scenario.replace("http://127.0.0.1:7000", url), encoding="utf-8")
        done = subprocess.run(
            [sys.executable, "-m", "locust", "-f", folder / "lines.py", "--headless", "--only-summary",
             "--scenario", folder / "lines.yaml", "--run-folder", folder / "run"],
            cwd=ROOT, capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        server.shutdown()
    assert (folder / "run").exists(), done.stderr
    return folder / "run", server


def test_each_request_is_a_row_with_its_outcome_and_cause(line_run):
    folder, server = line_run
    with Run.open(folder) as run:
        counts = run.histograms_by(lambda series: (series.step, series.outcome, series.cause), "response")
        totals = run.outcome_totals()
    rows = {key: histogram.n for key, histogram in counts.items()}
    n = server.connections
    assert n == len(server.lines) > 30
    assert rows == {
        ("order_status", "ok", ""): totals.served,
        ("order_status", "failed", "reset"): (n + 6) // 10,
        ("order_status", "abandoned", "patience"): (n + 2) // 10,
    }
    assert sum(rows.values()) == n


def test_the_latency_is_that_of_the_server(line_run):
    with Run.open(line_run[0]) as run:
        response = run.histograms_by(lambda series: series.outcome, "response")
    assert ANSWER_S * 1e6 <= response["ok"].quantile_us(0.1) < 0.3e6
    assert response["abandoned"].quantile_us(0.1) >= 0.4e6 * 0.98


def test_the_report_shows_the_step(line_run):
    with Run.open(line_run[0]) as run:
        section = load_analysis(ROOT / "analysis" / "latency.py")(RunContext(run))
    by_step = section.tables[0]
    assert by_step.title == "Response time by step"
    assert [row[0] for row in by_step.rows] == ["order_status"]
