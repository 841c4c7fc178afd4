"""Real servers receive the stream of a run that is being recorded, and answer with its figures."""

from __future__ import annotations

import json
import re
import threading
import time
import urllib.parse
import urllib.request
from pathlib import Path

import pytest
from streamed_run import SERIES, batch_of
from streaming_ports import free_port

from doorbuster.records.reader import Run
from doorbuster.streaming.destination import parse_destinations
from doorbuster.streaming.stream import RunStream

DASHBOARD = Path(__file__).parents[2] / "deploy" / "grafana" / "doorbuster.json"
K6_QUERIES = [  # of the panels of Grafana's dashboard 19665, with its variables replaced
    'avg(k6_vus{testid=~"$run"})',
    'avg(k6_http_req_duration_p95{testid=~"$run"})',
    'avg(k6_http_req_duration_p99{testid=~"$run", expected_response="true"})',
    'avg(k6_http_req_duration_p99{testid=~"$run", expected_response="false"})',
    'sum(irate(k6_http_reqs_total{testid=~"$run"}[1m]))',
    'sum(irate(k6_http_reqs_total{testid=~"$run", expected_response="false"}[1m]))',
    'avg(round(k6_http_req_failed_rate{testid=~"$run"}, 0.1)*100)',
    'avg(irate(k6_data_sent_total{testid=~"$run"}[1m]))',
    'avg(irate(k6_data_received_total{testid=~"$run"}[1m]))',
    'avg(k6_iteration_duration_p95{testid=~"$run"})',
    'avg(k6_dropped_iterations_total{testid=~"$run"})',
    'round(k6_checks_rate{testid=~"$run"}, 0.1)',
    'avg(k6_http_req_waiting_p95{testid=~"$run"})',
    'avg by(name, method, status) (k6_http_req_duration_min{testid=~"$run"})',
    'avg by(name, method, status) (k6_http_req_duration_max{testid=~"$run"})',
]


def stream_while_recording(new_run, folder: Path, destination: str, *, every_s: float = 0.2):
    """Record a run of some seconds in a second or two of real time, and stream it meanwhile."""
    stream = RunStream(folder, parse_destinations([destination]), every_s=every_s)
    stream.open()
    tallies = []
    follower = threading.Thread(
        target=lambda: tallies.extend(stream.follow(is_cancelled=lambda: False)), daemon=True
    )
    with new_run(folder) as writer:
        follower.start()
        for second in range(6):
            writer.write([batch_of(second, "one"), batch_of(second, "two")])
            time.sleep(every_s)
        writer.finish("finished")
    follower.join(20)
    (tally,) = tallies
    assert tally.lost == 0, tally.reason
    return tally


def query(url: str, text: str) -> list:
    address = f"{url}/api/v1/query?" + urllib.parse.urlencode({"query": text})
    with urllib.request.urlopen(address) as answer:
        return json.load(answer)["data"]["result"]


@pytest.fixture(scope="module")
def streamed(prometheus, tmp_path_factory) -> tuple[str, Path]:
    """Prometheus after a run of the session."""
    import numpy as np
    from streamed_run import meta

    from doorbuster.records.writer import RunWriter

    folder = tmp_path_factory.mktemp("streamed") / "run"
    stream_while_recording(
        lambda where: RunWriter.create(where, meta(), {"web": np.full(60, 7)}),
        folder,
        f"prometheus-native={prometheus}/api/v1/write",
    )
    return prometheus, folder


def test_prometheus_counts_what_the_run_file_counts(streamed):
    url, folder = streamed
    with Run.open(folder) as run:
        recorded = sum(found.sum() for found in run.request_counts(lambda _: "all").values())
        p90_s = run.histogram(match=lambda series: series.has_latency).quantile_us(0.9) / 1e6
    assert query(url, "sum(doorbuster_requests_total)")[0]["value"][1] == str(recorded)
    by_cause = query(url, 'sum by (cause) (doorbuster_requests_total{outcome!="ok"})')
    assert {row["metric"]["cause"] for row in by_cause} == {"status_503", "patience"}
    # The quantile is one of buckets: it lies in the bucket of the exact one.
    bucketed = "histogram_quantile(0.9, sum by (le) (doorbuster_response_time_seconds_bucket))"
    found = float(query(url, bucketed)[0]["value"][1])
    edges = sorted(
        float(row["metric"]["le"]) for row in query(url, "doorbuster_generator_lateness_seconds_bucket")
    )
    low = max(edge for edge in [0.0, *edges] if edge < p90_s)
    high = min(edge for edge in edges if edge >= p90_s)
    assert low <= found <= high
    assert len(query(url, "doorbuster_requests_total")) == len(SERIES)


def dashboard_queries() -> list[tuple[str, str]]:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    return [(panel["title"], target["expr"]) for panel in panels for target in panel["targets"]]


def test_native_histograms_count_every_request_and_state_its_quantile(streamed):
    url, folder = streamed
    with Run.open(folder) as run:
        times = run.histogram()
        p90_s = times.quantile_us(0.9) / 1e6
    asked = "histogram_count(sum(k6_http_req_duration_seconds))"
    assert query(url, asked)[0]["value"][1] == str(times.n)
    asked = "histogram_sum(sum(k6_http_req_duration_seconds))"
    assert float(query(url, asked)[0]["value"][1]) == pytest.approx(times.mean_us * times.n / 1e6, rel=1e-3)
    asked = "histogram_quantile(0.9, sum(k6_http_req_duration_seconds))"
    assert float(query(url, asked)[0]["value"][1]) == pytest.approx(p90_s, rel=0.1)  # a bucket is 9 % wide
    asked = "histogram_quantile(0.99, sum by(testid) (rate(k6_http_req_duration_seconds[1m])))"  # of 18030
    assert query(url, asked)


def test_every_query_of_the_dashboard_finds_data(streamed):
    url, _ = streamed
    (run,) = query(url, "doorbuster_run_info")
    for title, text in dashboard_queries():
        asked = text.replace("$run", run["metric"]["run_id"]).replace("$__rate_interval", "1m")
        assert "$" not in asked
        found = query(url, asked)
        assert found, (title, asked)
        assert any(row["value"][1] != "NaN" for row in found), (title, asked)


def test_every_query_of_the_dashboard_for_k6_finds_data(streamed):
    url, _ = streamed
    (run,) = query(url, "doorbuster_run_info")
    for text in K6_QUERIES:
        assert query(url, text.replace("$run", run["metric"]["run_id"])), text


def test_panels_of_the_dashboard_do_not_overlap_and_variables_are_defined():
    dashboard = json.loads(DASHBOARD.read_text())
    cells = set()
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        own = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not own & cells, panel["title"]
        assert place["x"] + place["w"] <= 24
        cells |= own
    names = {f"${variable['name']}" for variable in dashboard["templating"]["list"]} | {"$__rate_interval"}
    used = {name for _, text in dashboard_queries() for name in re.findall(r"\$\w+", text)}
    assert used <= names


def test_a_scraped_page_has_the_totals(new_run, tmp_path):
    port = free_port()
    pages = []

    def scrape():
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=2) as answer:
                    pages.append(answer.read().decode())
            except OSError:
                return
            time.sleep(0.05)

    stream = RunStream(tmp_path / "run", parse_destinations([f"metrics={port}"]), every_s=0.2)
    stream.open()
    scraper = threading.Thread(target=scrape, daemon=True)
    scraper.start()
    with new_run() as writer:
        writer.write([batch_of(0)])
        thread = threading.Thread(target=stream.follow, kwargs={"is_cancelled": lambda: False}, daemon=True)
        thread.start()
        until = time.monotonic() + 10
        while not (pages and 'doorbuster_orders_total{answer="acknowledged"' in pages[-1]):
            assert time.monotonic() < until
            time.sleep(0.02)
        writer.finish("finished")
    thread.join(10)
    scraper.join(10)
    assert 'k6_http_reqs_total{expected_response="true",name="search"' in pages[-1]
    assert not scraper.is_alive()  # the page is closed with the run


def test_influxdb_counts_what_the_run_file_counts(influxdb, new_run, tmp_path):
    folder = tmp_path / "run"
    stream_while_recording(new_run, folder, f"influxdb={influxdb}?db=shop")
    with Run.open(folder) as run:
        times = run.histogram(match=lambda series: series.has_latency)
    asked = "SELECT last(\"count\"), last(p95) FROM doorbuster_response_time_seconds WHERE step = 'all'"
    address = f"{influxdb}/query?" + urllib.parse.urlencode({"db": "shop", "q": asked})
    with urllib.request.urlopen(address) as answer:
        (_, n, p95_s) = json.load(answer)["results"][0]["series"][0]["values"][0]
    assert n == times.n
    assert p95_s == times.quantile_us(0.95) / 1e6
