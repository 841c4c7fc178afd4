"""The built-in sections on real run files: each number against the run, each sentence against the case."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from doorbuster.load.exchange import CAUSES
from doorbuster.records.batch import Batch, CounterSecond, CustomerCount, OrderAttempt
from doorbuster.records.metadata import RunMeta
from doorbuster.records.outcome import Cause
from doorbuster.records.reader import Run
from doorbuster.records.writer import RunWriter
from doorbuster.report import RunContext, Section, load_analysis
from doorbuster.stats.lost_orders import Baskets, MeanBasket, expected_orders
from doorbuster.units import POUND

ROOT = Path(__file__).parents[2]
SCRIPTS = tuple(path.stem for path in sorted((ROOT / "analysis").glob("*.py")))
GOOD = {"broken": None}
REASONS = "Where and why customers left, and what it cost"


def section(name: str, run: Run) -> Section:
    return load_analysis(ROOT / "analysis" / f"{name}.py")(RunContext(run))


def values(found: Section) -> dict[str, float | None]:
    return {name: metric.value for name, metric in found.metrics.items()}


def table(found: Section, title: str) -> list[tuple]:
    return [row for item in found.tables if item.title == title for row in item.rows]


# All of them


@pytest.mark.parametrize("name", SCRIPTS)
@pytest.mark.parametrize(
    "changes", [{}, GOOD, {"rate_per_s": 0.0, "ledger": False}, {"dropped": 5, "missing": 3}]
)
def test_a_section_answers_in_one_sentence_whatever_happened(open_peak, name, changes):
    found = section(name, open_peak(**changes))
    assert found.name == name
    assert found.question.endswith("?")
    assert found.sentence.endswith(".")
    assert found.metrics


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_runs_alone_and_prints_a_page(build_peak, name):
    done = subprocess.run(
        [sys.executable, ROOT / "analysis" / f"{name}.py", build_peak()],
        capture_output=True,
        text=True,
        cwd="/",
    )
    assert done.returncode == 0, done.stderr
    with Run.open(build_peak()) as run:
        found = section(name, run)
    assert found.question in done.stdout
    assert all(item.title.split(",")[0][:30] in done.stdout for item in found.tables)


def test_a_script_without_a_run_prints_its_usage():
    done = subprocess.run([sys.executable, ROOT / "analysis" / "latency.py"], capture_output=True, text=True)
    assert done.returncode == 2
    assert "usage: python latency.py RUN" in done.stderr


def test_a_missing_run_is_one_line_of_error(tmp_path):
    done = subprocess.run(
        [sys.executable, ROOT / "analysis" / "orders.py", tmp_path], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert done.stderr.startswith("orders.py: ")
    assert len(done.stderr.splitlines()) == 1


# Customers


def test_both_success_rates_are_those_of_the_customers(open_peak):
    run = open_peak()
    found, rows = section("customers", run), run.customers()
    for name, pick in (("can_browse", "browse"), ("can_order", "order")):
        tried = sum(row.n for row in rows if getattr(row, pick) is not None)
        could = sum(row.n for row in rows if getattr(row, pick) == 1)
        metric = found.metrics[name]
        assert (metric.value, metric.n) == (could / tried, tried)
        assert metric.low < metric.value < metric.high


def test_the_outage_is_found_where_it_was(open_peak):
    seen = values(section("customers", open_peak(rate_per_s=30.0, broken=(25, 45))))
    assert 22 <= seen["outage_start"] <= 27
    assert 43 <= seen["outage_end"] <= 48
    assert 16 <= seen["outage_duration"] <= 24


def test_an_outage_that_lasts_to_the_end_has_no_recovery(open_peak):
    seen = values(section("customers", open_peak(rate_per_s=30.0, broken=(40, 60))))
    assert 37 <= seen["outage_start"] <= 42
    assert seen["outage_end"] is None


def test_a_run_that_is_ended_while_ordering_is_broken_shows_no_recovery(tmp_path, open_peak):
    def customers(seconds, outcome, browse, order):
        return [CustomerCount(s, "web", "buy", outcome, "", "", browse, order, 4) for s in seconds]

    fine, broken = customers(range(20), "served", 1, 1), customers(range(20, 37), "abandoned", 0, 0)
    never_came = customers(range(37, 75), "dropped", None, None)
    meta = open_peak().meta.changed(run_id="r2")
    with RunWriter.create(tmp_path, meta, {}) as writer:
        writer.write([Batch("w0", 0, final=True, customers=(*fine, *broken, *never_came))])
        writer.finish("interrupted")
    with Run.open(tmp_path) as run:
        seen = values(section("customers", run))
    assert seen["outage_start"] == pytest.approx(20, abs=4)
    assert seen["outage_end"] is None


def test_a_shop_that_holds_was_never_broken(open_peak):
    seen = values(section("customers", open_peak(**GOOD)))
    assert (seen["outage_start"], seen["outage_duration"], seen["outage_end"]) == (None, 0, None)


def test_missed_orders_are_wanted_minus_placed_and_cost_the_mean_basket_of_their_channel(open_peak):
    run = open_peak()
    found, rows = section("customers", run), run.customers()
    missed = {
        channel: sum(row.n for row in rows if row.order == 0 and row.channel == channel)
        for channel in ("web", "store")
    }
    baskets = {
        channel: [
            order.total_pence
            for order in run.orders()
            if order.answer == "acknowledged" and order.channel == channel
        ]
        for channel in missed
    }
    metrics = found.metrics
    assert metrics["missed_orders"].value == sum(missed.values()) > 0
    expected = sum(n * np.mean(baskets[channel]) / 100 for channel, n in missed.items())
    assert metrics["lost_sales"].value == pytest.approx(expected)
    assert metrics["lost_sales"].low < expected < metrics["lost_sales"].high


def test_outcomes_over_time_add_up_to_all_customers(open_peak):
    run = open_peak()
    chart = section("customers", run).figures[0]
    width_s = chart.x[1] - chart.x[0]
    total = sum(value for series in chart.series for value in series.y) * width_s
    assert total == pytest.approx(sum(row.n for row in run.customers()))


def test_customers_the_generator_dropped_count_for_neither_rate(open_peak):
    found = section("customers", open_peak(**GOOD, dropped=5))
    assert found.metrics["customers_dropped"].value == 5
    assert found.metrics["can_order"].value == 1.0


def test_what_customers_left_for_is_a_cause_with_its_share_of_the_missed_orders(open_peak):
    found = section("customers", open_peak())
    reasons = table(found, REASONS)
    missed = found.metrics["missed_orders"].value
    causes = {cause.explains: cause for cause in found.causes}
    for explains, left in (("slow", "abandoned"), ("failed", "turned away")):
        of = [row for row in reasons if row[1] == left]
        most = max(of, key=lambda row: row[5].value)
        cause = causes[explains]
        assert f"{most[5].value:.0f} of the {missed:.0f} missed orders" in cause.evidence
        assert most[0] in cause.advice
    failed = sum(row[5].value for row in reasons if row[1] == "turned away")
    assert causes["failed"].share == pytest.approx(failed / missed)


def test_server_timing_names_the_resource_with_most_of_the_shops_own_time(open_peak):
    (cause,) = section("time_breakdown", open_peak()).causes
    assert (cause.explains, cause.resource) == ("slow", "db")
    assert cause.share == pytest.approx(2 / 3, rel=0.01)  # of 3/4 of the first byte: 1/2 db, 1/4 queue


def test_customers_who_left_are_counted_at_their_step(open_peak):
    run = open_peak()
    seen = values(section("customers", run))
    left = [row for row in run.customers() if row.outcome not in ("served", "dropped")]
    assert seen["left"] == sum(row.n for row in left) > 0
    at_checkout = sum(row.n for row in left if row.step == "checkout")
    assert seen["left_at_checkout"] == at_checkout


def test_the_most_customers_in_the_shop_are_those_the_workers_reported(open_peak):
    run = open_peak()
    (health,) = run.health().values()
    assert values(section("customers", run))["in_shop_max"] == max(row.in_flight for row in health)


# Missed orders


def test_every_missed_order_has_one_reason_and_one_channel(open_peak):
    run = open_peak()
    found = section("customers", run)
    lost = sum(row.n for row in run.customers() if row.order == 0)
    assert found.metrics["missed_orders"].value == lost > 0
    reasons = table(found, REASONS)
    assert sum(row[5].value for row in reasons) == lost
    sales = found.metrics["lost_sales"]
    assert sum(row[6].value for row in reasons) == pytest.approx(sales.value)
    assert 0 < sales.low < sales.value < sales.high
    assert [row[6].value for row in reasons] == sorted((row[6].value for row in reasons), reverse=True)
    channels = table(found, "Outcomes by channel")
    assert sum(getattr(row[-2], "value", 0) for row in channels) == lost


def test_leavers_of_a_journey_in_which_some_order_count_by_the_share_of_the_served():
    customers = sys.modules[load_analysis(ROOT / "analysis" / "customers.py").__module__]
    rows = [
        CustomerCount(0, "print", "deep_link", "served", "", "", 1, 1, 20),
        CustomerCount(0, "print", "deep_link", "served", "", "", 1, None, 80),
        CustomerCount(0, "print", "deep_link", "abandoned", "landing", "patience", 0, None, 50),
    ]
    found, placed = expected_orders(rows)
    assert (found.value, placed) == (30.0, 20)
    assert 20 < found.low < 30 < found.high < 40
    (cause,) = customers.leaving_reasons(rows, Baskets(POUND, {"": MeanBasket(50.0, 1.0)}))
    assert (cause.step, cause.cause, cause.orders.value, cause.sales.value) == (
        "landing",
        "patience",
        10,
        500,
    )
    assert cause.orders.low * 50 - 20 < cause.sales.low < cause.orders.low * 50 < 500
    assert 500 < cause.orders.high * 50 < cause.sales.high
    assert customers.leaving_reasons(rows, Baskets(POUND, {}))[0].sales.value is None


# Orders


def test_a_clean_audit(open_peak):
    found = section("orders", open_peak(**GOOD))
    assert found.sentence.startswith("Yes: all ")
    assert values(found)["orders_missing"] == 0


ATTEMPTS = (
    ("acknowledged", ""), ("acknowledged", ""), ("refused", "sold_out"),
    ("unknown", "status_5xx"), ("unknown", "status_5xx"), ("unknown", "content"), ("unknown", "status_4xx"),
    ("unknown", "first_byte_timeout"), ("unknown", "reset"), ("unknown", "patience"),
)  # fmt: skip


def test_an_order_answered_with_an_error_is_not_an_order_without_an_answer(tmp_path, peaks):
    orders = tuple(
        OrderAttempt(f"r1:{n}", "web", "buy", float(n), n + 0.5, answer, cause, "", 1000, (("a", 1, 1000),))
        for n, (answer, cause) in enumerate(ATTEMPTS)
    )
    meta = RunMeta(
        run_id="r1", title="T", scenario_name="t", scenario_text=peaks.SCENARIO, storefront="reference",
        target_url="http://127.0.0.1:1", shop_profile="replatformed", seed=1, workers=1,
        started_at_unix_ns=0, duration_s=10.0,
    )  # fmt: skip
    with RunWriter.create(tmp_path, meta, {"web": np.ones(10, np.int64)}) as writer:
        writer.write([Batch("w0", 0, final=True, orders=orders)])
        writer.finish("finished")
    with Run.open(tmp_path) as run:
        found = section("orders", run)
    seen = values(found)
    names = ("tried", "acknowledged", "refused", "failed", "unanswered")
    assert [seen[f"orders_{name}"] for name in names] == [10, 2, 1, 4, 3]
    (answers,) = (item for item in found.tables if item.title == "Answers of the shop by channel")
    assert [column.name for column in answers.columns[4:6]] == ["Answered with an error", "No answer"]
    assert answers.rows[0][:6] == ("web", 10, 2, 1, 4, 3)
    (chart,) = found.figures
    assert {series.name: sum(series.y) for series in chart.series} == {
        "acknowledged": 2, "refused": 1, "answered with an error": 4, "no answer": 3,
    }  # fmt: skip


def test_every_cause_of_the_client_is_an_answer_or_none():
    answered = {"bad_response", "too_large", "too_many_redirects", "status_4xx", "status_5xx", "content"}
    no_answer = sys.modules[load_analysis(ROOT / "analysis" / "orders.py").__module__].NO_ANSWER
    assert {*CAUSES, *Cause} - no_answer == {*answered, "worker_lost"}


def test_faults_of_the_ledger_are_counted_and_named(open_peak):
    run = open_peak(lost=2, oversold=3)
    found = section("orders", run)
    assert found.sentence.startswith("No: ")
    assert "2 were missing in the ledger and 3 units" in found.sentence
    assert table(found, "Articles whose stock is wrong")[0][-1] == 3
    assert any(finding.startswith("First keys missing: r1:") for finding in found.findings)
    assert [(fact.label, fact.value) for fact in found.facts] == [("Orders missing", "2")]


def test_without_a_ledger_every_audit_number_is_unknown(open_peak):
    found = section("orders", open_peak(ledger=False))
    assert found.sentence.startswith("Unknown: ")
    seen = values(found)
    assert [
        seen[name] for name in ("orders_missing", "orders_duplicated", "oversold_units", "orders_booked")
    ] == [None] * 4


def test_the_audit_by_channel_adds_up(open_peak):
    rows = table(section("orders", open_peak(lost=2)), "Audit: acknowledged orders and the shop's ledger")
    whole, *parts = (row[1:] for row in rows)
    assert [sum(column) for column in zip(*parts, strict=True)] == list(whole)


# Latency


def test_percentiles_without_anybody_leaving_are_those_of_the_histogram(open_peak):
    run = open_peak(**GOOD, web="partner")
    found = section("latency", run)
    steps = run.histograms_by(lambda series: series.step if series.outcome == "ok" else None)
    left = {series.step for series in run.series if series.outcome == "abandoned"}
    for name, answered, _, _, p50, *_ in table(found, "Response time by step"):
        if name not in left:
            assert p50.value == steps[name].quantile_us(0.5) / 1e3
            assert (p50.n, answered) == (steps[name].n, steps[name].n)


def test_a_percentile_with_too_few_requests_is_refused(open_peak):
    found = section("latency", open_peak(rate_per_s=0.5))
    n = found.metrics["response_p99"].n
    assert 0 < n < 299
    assert values(found)["response_p99"] is None
    assert values(found)["response_p99_9"] is None


def test_failed_requests_are_in_none_of_the_percentiles(open_peak):
    run = open_peak()
    found = section("latency", run)
    timed = run.histogram(match=lambda series: series.outcome != "failed")
    assert found.metrics["response_p50"].n == timed.n


def test_response_time_is_service_time_and_lateness(open_peak):
    rows = table(section("latency", open_peak(**GOOD, lateness_ms=40.0)), "Response time and service time")
    assert rows
    for _, _, response, service, *_ in rows:
        assert response - service == pytest.approx(40.0, abs=1.0)


def test_it_got_slow_when_the_shop_broke(open_peak):
    seen = values(section("latency", open_peak(rate_per_s=30.0, broken=(25, 45))))
    assert 22 <= seen["slo_breach_at"] <= 28


def test_without_a_threshold_three_times_the_baseline_is_slow(open_peak):
    plain = {"scenario_text": "imported"}
    found = section("latency", open_peak(rate_per_s=30.0, broken=(25, 45), meta=plain))
    assert 22 <= values(found)["slo_breach_at"] <= 28
    assert any("three times the baseline" in finding for finding in found.findings)


def test_without_an_untagged_threshold_the_tightest_of_a_step_counts(peaks, open_peak):
    text = peaks.SCENARIO.replace('  http_req_duration: ["p(95)<1s"]\n', "")
    found = section("latency", open_peak(rate_per_s=30.0, broken=(25, 45), meta={"scenario_text": text}))
    assert "2 s (the tightest threshold)" in found.findings[0]


def test_a_steady_shop_did_not_get_slow(open_peak):
    assert values(section("latency", open_peak(**GOOD)))["slo_breach_at"] is None


def test_requests_over_time_add_up_to_all_requests(open_peak):
    run = open_peak()
    chart = section("latency", run).figures[2]
    width_s = chart.x[1] - chart.x[0]
    total = sum(value for series in chart.series for value in series.y) * width_s
    assert total == pytest.approx(run.histogram().n)


# Generator


def test_a_healthy_generator_is_trusted(open_peak):
    run = open_peak(**GOOD)
    found = section("generator_health", run)
    assert found.sentence.startswith(f"Yes: all {run.outcome_totals().planned} planned arrivals were started")
    assert found.findings == ()
    chart = found.figures[0]
    started, planned = chart.series
    assert started.y == planned.y


@pytest.mark.parametrize(("counted", "expected"), [
    ({"HTTP/2": 1200, "WebSocket": 3},
     ["Connections by protocol: HTTP/2 on 1,200 connections, WebSocket on 3."]),
    ({"HTTP/2": 40, "HTTP/1.1 instead of HTTP/2": 1},
     ["The scenario asks for HTTP/2, but 1 connection had to speak HTTP/1.1.",
      "Connections by protocol: HTTP/2 on 40 connections, HTTP/1.1 instead of HTTP/2 on 1."]),
    ({"HTTP/1.1 instead of HTTP/2": 7},
     ["The scenario asks for HTTP/2, but no server agreed: this run measures HTTP/1.1.",
      "Connections by protocol: HTTP/1.1 instead of HTTP/2 on 7 connections."]),
])  # fmt: skip
def test_the_protocols_of_connections_are_stated(open_peak, counted, expected):
    counters = tuple(CounterSecond(3, "", f"protocol:{name}", n) for name, n in counted.items())
    run = open_peak(**GOOD, counters=counters)
    assert list(section("generator_health", run).findings) == expected
    assert run.connections_by_protocol() == counted


def test_answers_that_were_read_leniently_are_counted_by_what_was_odd(open_peak):
    counters = (
        CounterSecond(3, "web", "lenient:lines that end with LF alone", 60),
        CounterSecond(4, "web", "lenient:folded header lines", 2),
        CounterSecond(4, "web", "retries", 5),
    )
    found = section("generator_health", open_peak(**GOOD, counters=counters))
    assert found.metrics["lenient_answers"].value == 62
    (finding,) = found.findings
    assert finding.startswith("62 answers broke HTTP but could be read")
    assert finding.endswith(": lines that end with LF alone (60); folded header lines (2).")
    assert found.sentence.startswith("Yes: ")


@pytest.mark.parametrize(
    "change",
    [
        {"lateness_ms": 80.0}, {"lateness_ms": 80.0, "duration_s": 5, "rate_per_s": 5.0}, {"cpu_ratio": 0.97},
        {"dropped": 3}, {"missing": 4},
    ],
)  # fmt: skip
def test_what_makes_a_run_inconclusive_is_a_finding(open_peak, change):
    found = section("generator_health", open_peak(**GOOD, **change))
    assert found.sentence.startswith("Not fully: ")
    assert len(found.findings) == 1


def test_the_balance_table_balances(open_peak):
    rows = table(section("generator_health", open_peak(dropped=3, missing=4)), "Outcomes of all arrivals")
    for _, planned, *parts in rows:
        assert planned == sum(parts)
    assert rows[-1][-2:] == (3, 4)


def test_a_closed_channel_without_a_plan_is_counted(peaks, tmp_path, open_peak):
    meta = open_peak().meta.changed(run_id="r2")
    row = CustomerCount(0, "phone", "phone_order", "served", "", "", None, 1, 12)
    with RunWriter.create(tmp_path, meta, {}) as writer:
        writer.write([Batch("w0", 0, final=True, customers=(row,))])
        writer.finish("finished")
    with Run.open(tmp_path) as run:
        assert section("generator_health", run).sentence.startswith(("No arrivals", "Not fully"))
        assert section("customers", run).metrics["can_order"].value == 1.0
