"""Every kind of source against a real server, process or sender on loopback."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request
from pathlib import Path

import pytest
from observed import post, values

from doorbuster.observe.plan import ResourceRule, Selection, SourcePlan
from doorbuster.observe.sample import SourceError

LOOPBACK_NETWORKS = ["127.0.0.0/8", "::1/128"]


def scrape_plan(url, **more):
    settings = {"url": url, "headers": {}, "networks": LOOPBACK_NETWORKS}
    return SourcePlan("app", "scrape", 1.0, more.pop("metrics", ()), {**settings, **more})


def until(find, limit_s=10.0):
    """The first result that is true."""
    end = time.monotonic() + limit_s
    while not (found := find()) and time.monotonic() < end:
        time.sleep(0.02)
    return found


def test_an_endpoint_is_scraped_every_second_with_its_secret(serve, collected):
    seen = []

    def answer(request):
        seen.append(request.headers["Authorization"])
        n = len(seen)
        return 200, {}, f'# TYPE served counter\nserved {n * 10}\nbusy{{db="a"}} 3\nworkers 4\n'.encode()

    rule = ResourceRule("db", "utilisation", Selection("busy", {}), Selection("workers", {}))
    with serve(answer) as url:
        plan = scrape_plan(f"{url}/metrics", headers={"Authorization": "Bearer hush"})
        rows, events = collected(lambda rows, _: len(rows) > 10, plan, resources=[rule])

    assert events == []
    assert set(seen) == {"Bearer hush"}
    by_name = {(name, labels): value for _, _, name, labels, value in rows}
    assert by_name["busy", '{"db": "a"}'] == 3
    assert by_name["utilisation", '{"resource": "db"}'] == 0.75
    assert by_name["up", "{}"] == 1
    assert 5 < by_name["served", "{}"] < 20  # ten more each second
    seconds = [second for second, _, name, _, _ in rows if name == "up"]
    assert seconds == sorted(set(seconds))


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        pytest.param(
            (302, {"Location": "http://127.0.0.1/"}, b""),
            "status 302, which is not followed",
            marks=pytest.mark.truth,
        ),
        ((500, {}, b"out of order"), "status 500: out of order"),
        ((200, {}, b"<html>"), "line 1 is not in the text format"),
    ],
)
def test_a_source_that_fails_is_stated_once_and_recovers(serve, collected, answer, reason):
    answers = [answer, answer, (200, {}, b"a 1\n")]

    def give(_):
        return answers.pop(0) if len(answers) > 1 else answers[0]

    with serve(give) as url:
        rows, events = collected(lambda rows, _: any(row[2] == "a" for row in rows), scrape_plan(url))

    texts = [text for _, text in events]
    assert len(texts) == 2
    assert texts[0].startswith("source app cannot be read: ")
    assert reason in texts[0]
    assert texts[1] == "source app can be read again"
    assert [row[4] for row in rows if row[2] == "up"][:3] == [0, 0, 1]


def test_an_address_that_was_not_allowed_is_not_asked(serve, source):
    with serve(lambda _: (200, {}, b"a 1\n")) as url:
        found = source("scrape", url=url, headers={}, networks=["203.0.113.0/24"])
        with pytest.raises(SourceError, match=r"has the address 127\.0\.0\.1, which was not allowed"):
            list(found.read())


def test_a_server_that_closes_its_connections_is_read_again(serve, source):
    with serve(lambda _: (200, {"Connection": "close"}, b"a 1\n")) as url:
        found = source("scrape", url=url, headers={}, networks=LOOPBACK_NETWORKS)
        assert [next(iter(found.read())).value for _ in range(3)] == [1, 1, 1]


def test_series_beyond_the_bound_and_unwanted_ones_are_left_out(serve, collected):
    many = "\n".join(f'a{{n="{n}"}} 1' for n in range(1_500)) + "\nb 2\n"
    with serve(lambda _: (200, {}, many.encode())) as url:
        rows, events = collected(lambda rows, _: rows, scrape_plan(url))
        chosen, said = collected(lambda rows, _: rows, scrape_plan(url, metrics=("b*",)))

    assert len({row[3] for row in rows if row[2] == "a"}) == 1_000
    assert "more than 1,000 series" in events[0][1]
    assert {row[2] for row in chosen} == {"b", "up"}
    assert said == []


def test_a_process_and_what_it_started_are_observed(source, free_port):
    port = free_port()
    program = (
        "import signal, socket, subprocess, sys\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit())\n"
        f"s = socket.create_server(('127.0.0.1', {port}), backlog=5)\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print('ready', flush=True)\n"
        "try:\n    while True: sum(range(10000))\nfinally:\n    child.kill()\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as running:
        running.stdout.readline()
        clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(3)]
        by_port = source("process", port=port)
        by_number = source("process", pid=running.pid)
        by_command = source("process", command=f"('127.0.0.1', {port})")
        list(by_port.read())
        time.sleep(0.3)
        found = values(by_port.read())
        same = [values(one.read()) for one in (by_number, by_command)]
        for client in clients:
            client.close()
        running.terminate()
        running.wait(20)
        with pytest.raises(SourceError, match=f"no process listening on port {port}"):
            list(by_port.read())

    assert found["processes", ()] == 2
    assert found["threads", ()] >= 2
    assert found["resident_memory_bytes", ()] > 5e6
    assert found["accept_queue", ()] == 3
    busiest = found["utilisation", (("resource", "busiest thread of src"),)]
    assert busiest > 0.8  # it computes all the time; waiting for a processor counts
    assert all(one["processes", ()] == 2 for one in same)


def test_the_machine_states_its_resources(source):
    found = source("machine")
    list(found.read())

    seen = values(found.read())

    resources = {dict(labels)["resource"] for name, labels in seen if name == "utilisation"}
    assert {"processors", "memory"} <= resources
    assert all(0 <= value <= 1 for (name, _), value in seen.items() if name == "utilisation")


def test_a_command_prints_its_values_or_says_why_not(source):
    assert values(source("command", run="echo queue 17; echo jobs 3").read())["queue", ()] == 17
    with pytest.raises(SourceError, match="ended with code 3: no queue"):
        source("command", run="echo no queue >&2; exit 3").read()


def test_statsd_messages_add_up(source, free_port):
    port = free_port(socket.SOCK_DGRAM)
    found = source("statsd", port=port)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for message in (
            "shop.orders:2|c", "shop.orders:1|c|@0.5", "queue:7|g", "queue:-2|g", "page:120|ms|#host:a",
            "page:80|ms|#host:a", "nonsense", "a:b|c",
        ):  # fmt: skip
            sender.sendto(message.encode(), ("127.0.0.1", port))
        seen = until(lambda: (now := values(found.read()))["statsd_refused_total", ()] == 2 and now)

    assert seen["shop_orders", ()] == 4  # two, and one that stands for two
    assert seen["queue", ()] == 5
    assert seen["page_ms_sum", (("host", "a"),)] == 200
    assert seen["page_ms_count", (("host", "a"),)] == 2


def test_graphite_lines_keep_their_time(source, free_port):
    port = free_port()
    found = source("graphite", port=port)
    with socket.create_connection(("127.0.0.1", port)) as sender:
        sender.sendall(f"shop.queue 7 {time.time() - 30:.0f}\nbad line\n".encode())
        (sample, refused) = until(lambda: (now := found.read()) and len(now) == 2 and now)

    assert (sample.name, sample.value) == ("shop_queue", 7)
    assert sample.at == pytest.approx(time.perf_counter() - 30, abs=5)
    assert refused.value in (0, 1)


def otlp_metrics(at_unix_s):
    stamp = str(round(at_unix_s * 1e9))

    def attribute(key, value):
        return {"key": key, "value": {"stringValue": value}}

    points = [{"timeUnixNano": stamp, "asInt": "41", "attributes": [attribute("db.role", "primary")]}]
    delta = [{"timeUnixNano": stamp, "startTimeUnixNano": str(int(stamp) - 10**10), "asDouble": 50.0}]
    spread = [{"timeUnixNano": stamp, "count": "10", "sum": 2.5}]
    return {
        "resourceMetrics": [
            {
                "resource": {"attributes": [attribute("service.name", "shop")]},
                "scopeMetrics": [
                    {
                        "metrics": [
                            {"name": "db.pool.used", "gauge": {"dataPoints": points}},
                            {
                                "name": "orders",
                                "sum": {
                                    "isMonotonic": True,
                                    "aggregationTemporality": 1,
                                    "dataPoints": delta,
                                },
                            },
                            {
                                "name": "db.time",
                                "histogram": {"aggregationTemporality": 2, "dataPoints": spread},
                            },
                        ]
                    }
                ],
            }
        ]
    }


def otlp_spans():
    spans = [
        {"name": "charge", "startTimeUnixNano": "1000000000", "endTimeUnixNano": "1500000000"},
        {
            "name": "charge", "startTimeUnixNano": "0", "endTimeUnixNano": "100000000",
            "status": {"code": "STATUS_CODE_ERROR"},
        },
    ]  # fmt: skip
    service = {"attributes": [{"key": "service.name", "value": {"stringValue": "payment"}}]}
    return {"resourceSpans": [{"resource": service, "scopeSpans": [{"spans": spans}]}]}


def test_otlp_in_json_gives_metrics_and_times_of_spans(source, free_port):
    port = free_port()
    found = source("otlp", port=port)
    json_type = {"Content-Type": "application/json"}
    zipped = gzip.compress(json.dumps(otlp_spans()).encode())

    assert post(port, "/v1/metrics", json.dumps(otlp_metrics(time.time())).encode(), **json_type) == 200
    assert post(port, "/v1/traces", zipped, **json_type, **{"Content-Encoding": "gzip"}) == 200
    assert post(port, "/v1/metrics", b'{"resourceMetrics": [{"scopeMetrics": 3}]}', **json_type) == 400
    assert post(port, "/v1/metrics", b"[]", **json_type) == 400
    assert post(port, "/v1/traces", b"not gzip", **json_type, **{"Content-Encoding": "gzip"}) == 400
    assert post(port, "/elsewhere", b"{}", **json_type) == 404

    samples = list(found.read())
    seen = values(samples)
    service, charge = (("service", "shop"),), (("service", "payment"), ("span", "charge"))
    assert seen["db_pool_used", (("db_role", "primary"), *service)] == 41
    assert seen["orders", service] == 5  # 50 in ten seconds
    assert (seen["db_time_count", service], seen["db_time_sum", service]) == (10, 2.5)
    assert seen["span_count_total", charge] == 2
    assert seen["span_errors_total", charge] == 1
    assert seen["span_seconds_sum", charge] == pytest.approx(0.6)
    (used,) = [one for one in samples if one.name == "db_pool_used"]
    assert used.at == pytest.approx(time.perf_counter(), abs=5)


def test_the_clock_of_an_otlp_sender_is_corrected(source, free_port):
    port = free_port()
    found = source("otlp", port=port)
    body = json.dumps(otlp_metrics(time.time() + 3600)).encode()

    assert post(port, "/v1/metrics", body, **{"Content-Type": "application/json"}) == 200

    samples = {one.name: one for one in found.read()}
    assert samples["db_pool_used"].at == pytest.approx(time.perf_counter(), abs=5)
    assert samples["clock_ahead_seconds"].value == pytest.approx(3600, abs=5)


def test_otlp_in_protobuf_is_the_same(source, free_port):
    pytest.importorskip("opentelemetry.proto", reason="needs pip install 'doorbuster[otlp]'")
    from google.protobuf.json_format import ParseDict
    from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

    port = free_port()
    found = source("otlp", port=port)
    body = ParseDict(otlp_metrics(time.time()), ExportMetricsServiceRequest()).SerializeToString()

    assert post(port, "/v1/metrics", body, **{"Content-Type": "application/x-protobuf"}) == 200
    assert post(port, "/v1/metrics", b"\xff\xff", **{"Content-Type": "application/x-protobuf"}) == 400

    assert values(found.read())["db_pool_used", (("db_role", "primary"), ("service", "shop"))] == 41


@pytest.fixture
def prometheus(tmp_path, free_port):
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("prometheus is not on this machine (apt install prometheus)")
    port = free_port()
    target = f"127.0.0.1:{port}"
    (tmp_path / "p.yml").write_text(
        json.dumps(
            {
                "global": {"scrape_interval": "1s"},
                "scrape_configs": [{"job_name": "self", "static_configs": [{"targets": [target]}]}],
            }
        )
    )
    command = [
        program, f"--config.file={tmp_path / 'p.yml'}", f"--storage.tsdb.path={tmp_path / 'data'}",
        f"--web.listen-address={target}",
    ]  # fmt: skip
    with (tmp_path / "log").open("wb") as log:
        running = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        url = f"http://{target}"
        query = f"{url}/api/v1/query?query=count(up)"

        def scraped():
            try:
                with urllib.request.urlopen(query, timeout=1) as answer:
                    return json.load(answer)["data"]["result"]
            except OSError:
                return None

        assert until(scraped, 30), (tmp_path / "log").read_text()[-2000:]
        yield url
    finally:
        running.terminate()
        running.wait(timeout=30)


@pytest.mark.truth
def test_prometheus_answers_range_queries_on_our_clock(prometheus, source):
    started_at = time.perf_counter()
    found = source(
        "prometheus", url=prometheus, headers={}, networks=LOOPBACK_NETWORKS, started_at=started_at,
        queries={"self_up": "up", "broken": "up +"},
    )  # fmt: skip
    with pytest.raises(SourceError, match=r"status 400.*parse error"):
        until(lambda: list(found.read()) and None)
    good = source(
        "prometheus", url=prometheus, headers={}, networks=LOOPBACK_NETWORKS, started_at=started_at,
        queries={"self_up": "up"},
    )  # fmt: skip

    samples = []
    assert until(lambda: samples.extend(good.read()) or len(samples) >= 3)

    samples = [one for one in samples if one.name != "clock_ahead_seconds"]
    assert {one.value for one in samples} == {1.0}
    assert {dict(one.labels)["job"] for one in samples} == {"self"}
    seconds = [one.at - started_at for one in samples]
    assert seconds == sorted(seconds)
    assert all((second - 0.5) == pytest.approx(round(second - 0.5), abs=0.02) for second in seconds)
    assert abs(good.ahead_s) < 1.0  # the same machine


@pytest.fixture
def postgres(free_port):
    pytest.importorskip("psycopg", reason="needs pip install 'doorbuster[databases]'")
    folders = [Path(found).parent for found in [shutil.which("initdb")] if found]
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    programs = next((folder for folder in folders if (folder / "initdb").exists()), None)
    if programs is None or (os.geteuid() == 0 and shutil.which("runuser") is None):
        pytest.skip("PostgreSQL is not on this machine (apt install postgresql)")
    as_user = ["runuser", "-u", "nobody", "--"] if os.geteuid() == 0 else []  # it refuses to run as root
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="doorbuster-test-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o777)
        data = f"{folder}/data"
        init = [*as_user, str(programs / "initdb"), "-D", data, "-U", "shop", "-A", "trust", "-N"]
        subprocess.run(init, check=True, capture_output=True, cwd="/")
        command = [
            *as_user, str(programs / "postgres"), "-D", data, "-p", str(port), "-h", "127.0.0.1",
            "-k", "", "-c", "max_connections=20", "-c", "fsync=off",
        ]  # fmt: skip
        running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/")
        try:
            yield f"host=127.0.0.1 port={port} user=shop dbname=postgres"
        finally:
            running.terminate()
            running.wait(timeout=30)


def test_postgresql_states_connections_and_waiting_locks(postgres, source):
    import psycopg

    def connected():
        try:
            return psycopg.connect(postgres)
        except psycopg.OperationalError:
            return None

    first = until(connected, 30)
    first.execute("CREATE TABLE stock (n int)")
    first.commit()
    first.execute("LOCK TABLE stock")
    found = source("postgresql", dsn=postgres)
    with psycopg.connect(postgres) as second:
        waiter = threading.Thread(target=lambda: second.execute("LOCK TABLE stock"))
        waiter.start()
        seen = until(lambda: (now := values(found.read()))["lock_waiting", ()] == 1 and now)
        first.rollback()
        waiter.join()
    first.close()

    assert seen["utilisation", (("resource", "connections of src"),)] == 3 / 20
    assert seen["saturation", (("resource", "locks of src"),)] == 1
    assert seen["connections", (("state", "idle in transaction"),)] == 1
    assert seen["longest_transaction_seconds", ()] > 0
    assert seen["commits_total", ()] >= 1


PASSWORD = "ferns/and€gravel"


@pytest.fixture
def mariadb(free_port):
    """The address of a server with 20 connections, the same with a wrong password, and its process."""
    pytest.importorskip("pymysql", reason="needs pip install 'doorbuster[databases]'")
    server = shutil.which("mariadbd") or shutil.which("mariadbd", path="/usr/sbin")
    install = shutil.which("mariadb-install-db")
    if server is None or install is None:
        pytest.skip("MariaDB is not on this machine (apt install mariadb-server)")
    user = "nobody" if os.geteuid() == 0 else None  # it refuses to run as root
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="doorbuster-test-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o777)
        (start := Path(folder) / "start.sql").write_text(
            "SET NAMES utf8mb4;\n"
            f"CREATE USER shop@localhost IDENTIFIED BY '{PASSWORD}';\n"
            "GRANT ALL ON *.* TO shop@localhost;\n"
        )
        data = f"--datadir={folder}/data"
        made = [install, "--no-defaults", data, "--skip-test-db"]
        subprocess.run(made, check=True, capture_output=True, cwd="/", user=user)
        command = [
            server, "--no-defaults", data, f"--port={port}", "--bind-address=127.0.0.1",
            f"--socket={folder}/s", f"--init-file={start}", "--max-connections=20",
            "--innodb-flush-log-at-trx-commit=0",
        ]  # fmt: skip
        running = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/", user=user
        )
        try:
            address = f"mysql://shop:{urllib.parse.quote(PASSWORD, safe='')}"
            yield f"{address}@127.0.0.1:{port}", f"{address}x@127.0.0.1:{port}/mysql", running
        finally:
            running.terminate()
            running.wait(timeout=30)


def test_mysql_states_connections_and_row_locks(mariadb, source, monkeypatch):
    import pymysql

    from doorbuster.observe.sources.mysql import connection_settings

    address, wrong, server = mariadb
    monkeypatch.setattr("doorbuster.observe.sources.mysql.TIMEOUT_S", 1)

    def connected():
        try:
            return pymysql.connect(**{**connection_settings(address), "read_timeout": 60})
        except pymysql.OperationalError:
            return None

    first, second = until(connected, 30), connected()
    cursor = first.cursor()
    for sql in (
        "CREATE DATABASE shop",
        "CREATE TABLE shop.stock (n INT PRIMARY KEY, left_over INT)",
        "INSERT INTO shop.stock VALUES (1, 5)",
        "BEGIN",
        "UPDATE shop.stock SET left_over = 4",
    ):
        cursor.execute(sql)
    found = source("mysql", dsn=address)
    waiting = ("saturation", (("resource", "row locks of src"),))
    waiter = threading.Thread(target=second.cursor().execute, args=("UPDATE shop.stock SET left_over = 3",))
    waiter.start()
    seen = until(lambda: (now := values(found.read()))[waiting] == 1 and now)
    first.rollback()
    waiter.join()

    assert seen["utilisation", (("resource", "connections of src"),)] == 3 / 20
    assert seen["threads_running", ()] >= 2
    assert seen["innodb_row_lock_waits_total", ()] == 1
    assert seen["questions_total", ()] > 5
    with pytest.raises(SourceError, match="Access denied for user 'shop'") as refused:
        list(source("mysql", dsn=wrong).read())
    assert "gravel" not in str(refused.value)

    # As a server process that hangs, and one that has ended.
    server.send_signal(signal.SIGSTOP)
    try:
        with pytest.raises(SourceError, match="timed out"):
            _ = [list(found.read()) for _ in range(100)]  # its threads stop one after the other
    finally:
        server.send_signal(signal.SIGCONT)
    assert until(lambda: values(found.read())[waiting] == 0)
    server.terminate()
    server.wait(30)
    with pytest.raises(SourceError, match="Lost connection"):
        list(found.read())
    with pytest.raises(SourceError, match="Can't connect"):
        list(found.read())


@pytest.mark.parametrize(
    "dsn", ["mysql://shop:ferns/and@127.0.0.1:3306/x", "mysql://[::1", "postgresql://x@y", "host=127.0.0.1"]
)
def test_an_address_that_cannot_be_read_is_not_quoted(source, dsn):
    pytest.importorskip("pymysql", reason="needs pip install 'doorbuster[databases]'")
    with pytest.raises(SourceError, match="must be mysql://user:password@host") as refused:
        source("mysql", dsn=dsn)
    assert "ferns" not in str(refused.value)


def test_a_database_that_is_away_is_a_failed_reading(source, free_port):
    pytest.importorskip("psycopg", reason="needs pip install 'doorbuster[databases]'")
    pytest.importorskip("pymysql", reason="needs pip install 'doorbuster[databases]'")
    port = free_port()
    with pytest.raises(SourceError):
        list(source("postgresql", dsn=f"host=127.0.0.1 port={port} user=x").read())
    with pytest.raises(SourceError):
        list(source("mysql", dsn=f"mysql://x:y@127.0.0.1:{port}/z").read())
