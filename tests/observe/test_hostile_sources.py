"""Sources that answer nonsense, too much, too late or never are stated, bounded, and delay no other."""

from __future__ import annotations

import gzip
import json
import math
import socket
import threading
import time

import psutil
import pytest
from observed import post, values

from doorbuster.observe.collector import MAX_SERIES
from doorbuster.observe.plan import SourcePlan
from doorbuster.observe.sample import SourceError
from doorbuster.observe.sources import command as command_source
from doorbuster.observe.sources import http_reader
from doorbuster.observe.sources.received import MAX_TOTALS

NETWORKS = ["127.0.0.0/8"]


def prometheus_plan(url, **queries):
    settings = {"url": url, "headers": {}, "networks": NETWORKS, "queries": queries or {"busy": "busy"}}
    return SourcePlan("prom", "prometheus", 1.0, (), settings)


def prometheus_answers(values_of, *, ahead_s=0.0):
    """A server of the HTTP API whose range queries give these series: label n to a value by its time."""

    def answer(request):
        if "query_range" not in request.path:
            return (
                200,
                {},
                json.dumps(
                    {
                        "status": "success",
                        "data": {"resultType": "scalar", "result": [0, str(time.time() + ahead_s)]},
                    }
                ).encode(),
            )
        start = float(request.path.partition("start=")[2].partition("&")[0])
        series = [
            {"metric": {"n": str(n)}, "values": [[start, text]]} for n, text in values_of(start).items()
        ]
        data = {"resultType": "matrix", "result": series}
        return 200, {}, json.dumps({"status": "success", "data": data}).encode()

    return answer


def test_a_prometheus_that_sends_html_is_stated(serve, collected):
    with serve(lambda _: (200, {}, b"<html>sign in</html>")) as url:
        rows, events = collected(lambda _, events: events, prometheus_plan(url))

    assert events[0][1] == "source prom cannot be read: the answer is not that of a Prometheus server"
    assert {row[2] for row in rows} == {"up"}


def test_values_that_are_not_numbers_are_left_out(serve, collected):
    answer = prometheus_answers(lambda _: {0: "NaN", 1: "+Inf", 2: "-Inf", 3: "7"})
    with serve(answer) as url:
        rows, events = collected(lambda rows, _: any(row[2] == "busy" for row in rows), prometheus_plan(url))

    assert {(row[3], row[4]) for row in rows if row[2] == "busy"} == {('{"n": "3"}', 7.0)}
    assert events == []


def test_ten_thousand_series_are_bounded_and_stated(serve, collected):
    with serve(prometheus_answers(lambda _: dict.fromkeys(range(10_000), "1"))) as url:
        rows, events = collected(lambda _, events: events, prometheus_plan(url))

    busy = {row[3] for row in rows if row[2] == "busy"}
    assert len(busy) == MAX_SERIES - 1  # and clock_ahead_seconds
    assert "more than 1,000 series" in events[0][1]


def test_a_clock_that_is_minutes_off_is_corrected(serve, collected):
    with serve(prometheus_answers(lambda _: {0: "5"}, ahead_s=-420.0)) as url:
        rows, _ = collected(lambda rows, _: any(row[2] == "busy" for row in rows), prometheus_plan(url))

    (ahead_s,) = {row[4] for row in rows if row[2] == "clock_ahead_seconds"}
    assert ahead_s == pytest.approx(-420, abs=5)
    assert all(0 <= row[0] < 60 for row in rows if row[2] == "busy")


def test_a_counter_that_starts_again_gives_no_negative_rate(serve, collected):
    pages = iter([b"served_total 100\n", b"served_total 3\n"])
    last = [b""]

    def answer(_):
        last[0] = next(pages, last[0])
        return 200, {}, last[0]

    with serve(answer) as url:
        settings = {"url": url, "headers": {}, "networks": NETWORKS}
        rows, _ = collected(
            lambda rows, _: any(row[2] == "served_total" for row in rows),
            SourcePlan("app", "scrape", 1.0, (), settings),
        )

    assert all(0 <= row[4] <= 4 for row in rows if row[2] == "served_total")


def test_an_answer_that_never_ends_is_given_up(source, monkeypatch):
    monkeypatch.setattr(http_reader, "LIMIT_S", 0.3)
    over = threading.Event()

    def drip():
        client, _ = server.accept()
        client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        while not over.wait(0.02):
            try:
                client.sendall(b"a")
            except OSError:
                break
        client.close()

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=drip)
        thread.start()
        found = source(
            "scrape", url=f"http://127.0.0.1:{server.getsockname()[1]}/", headers={}, networks=NETWORKS
        )
        with pytest.raises(SourceError, match=r"took longer than 0\.3 s"):
            list(found.read())
        over.set()
        thread.join()


def test_a_source_that_hangs_is_not_up_and_delays_no_other(serve, collected, monkeypatch):
    monkeypatch.setattr("doorbuster.observe.collector.SILENT_S", 0.5)
    over = threading.Event()

    def hang(_):
        over.wait(8)
        return 200, {}, b"late 1\n"

    with serve(hang) as slow, serve(lambda _: (200, {}, b"a 1\n")) as quick:
        plans = [
            SourcePlan(name, "scrape", 1.0, (), {"url": url, "headers": {}, "networks": NETWORKS})
            for name, url in (("slow", slow), ("quick", quick))
        ]
        rows, events = collected(lambda _, events: events, *plans)
        over.set()

    assert events[0][1] == "source slow cannot be read: no answer for 0.5 s"
    assert any(row[1:3] == ("slow", "up") and row[4] == 0.0 for row in rows)
    assert any(row[1:3] == ("quick", "a") for row in rows)


@pytest.mark.parametrize(
    ("run", "reason"),
    [
        ("sleep 60 & echo queue 1; sleep 60", "took longer than 0.5 s"),
        ("yes queue 1", "printed more than 1 MB"),
        ("yes >&2", "printed more than 1 MB"),
        ("exec >&- 2>&-; sleep 60", "took longer than 0.5 s"),
    ],
)
def test_a_command_is_bounded_in_time_and_output(source, monkeypatch, run, reason):
    monkeypatch.setattr(command_source, "TIMEOUT_S", 0.5)
    began_at = time.monotonic()
    with pytest.raises(SourceError, match=reason):
        source("command", run=run).read()
    assert time.monotonic() - began_at < 5


def test_a_command_leaves_nothing_behind(source):
    seen = values(source("command", run="sleep 60 & echo started $!").read())

    # It kept the output open, and would have outlived the command.
    until = time.monotonic() + 10
    while psutil.pid_exists(pid := int(seen["started", ()])) and time.monotonic() < until:
        time.sleep(0.02)
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_garbage_for_otlp_is_counted_and_answered(source, free_port):
    port = free_port()
    found = source("otlp", port=port)
    as_json = {"Content-Type": "application/json"}
    point = {"asInt": 10**400, "timeUnixNano": "1"}
    huge = {
        "resourceMetrics": [
            {"scopeMetrics": [{"metrics": [{"name": "a", "gauge": {"dataPoints": [point]}}]}]}
        ]
    }
    bomb = gzip.compress(b"0" * (64 * 2**20))

    assert post(port, "/v1/metrics", b"[" * 100_000, **as_json) == 400
    assert post(port, "/v1/metrics", json.dumps(huge).encode(), **as_json) == 400
    assert post(port, "/v1/metrics", bomb, **as_json, **{"Content-Encoding": "gzip"}) == 413
    assert post(port, "/v1/metrics", b"\x00\xff", **as_json) == 400
    assert values(found.read())["otlp_refused_total", ()] == 4


def test_many_spans_are_bounded(source, free_port):
    port = free_port()
    found = source("otlp", port=port)
    spans = [{"name": str(n), "startTimeUnixNano": "0", "endTimeUnixNano": "1"} for n in range(MAX_TOTALS)]
    body = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}).encode()

    assert post(port, "/v1/traces", body, **{"Content-Type": "application/json"}) == 200
    seen = found.read()
    assert len(seen) == MAX_TOTALS + 1
    assert values(seen)["otlp_refused_total", ()] == 3 * MAX_TOTALS  # four metrics of each span


def test_values_of_another_century_are_left_out(collected, free_port):
    port, sent = free_port(), []

    def is_over(_, events):
        if not sent:
            try:
                with socket.create_connection(("127.0.0.1", port), timeout=1) as sender:
                    sender.sendall(f"far 1 4000000000\nendless 1 inf\nnow 1 {time.time():.0f}\n".encode())
                sent.append(True)
            except OSError:
                return False
        return bool(events)

    rows, events = collected(is_over, SourcePlan("g", "graphite", 1.0, (), {"port": port}))

    assert "dates values more than an hour before or a minute after now" in events[0][1]
    assert {row[2] for row in rows} >= {"now", "up"}
    assert not {"far", "endless"} & {row[2] for row in rows}
    assert all(math.isfinite(row[0]) for row in rows)


def test_a_flood_of_statsd_is_counted_not_parsed(source, free_port):
    port = free_port(socket.SOCK_DGRAM)
    found = source("statsd", port=port)
    message = b"\n".join(b"a%d:1|c" % n for n in range(3_000))
    until = time.monotonic() + 10
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        seen = {}
        while seen.get(("statsd_refused_total", ()), 0) < 30_000 and time.monotonic() < until:
            for _ in range(20):
                sender.sendto(message, ("127.0.0.1", port))
            seen = values(found.read())

    assert seen["statsd_refused_total", ()] >= 30_000
    assert len(seen) == MAX_TOTALS + 1
