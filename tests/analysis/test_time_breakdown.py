"""Where the time goes, on simulated runs: each number against what was recorded."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from doorbuster.records.batch import CounterSecond, Exemplar, SeriesKey
from doorbuster.records.reader import Run
from doorbuster.report import RunContext, Section, load_analysis, summary_lines

ROOT = Path(__file__).parents[2]


def section(name: str, run: Run) -> Section:
    return load_analysis(ROOT / "analysis" / f"{name}.py")(RunContext(run))


def rows(found: Section, title: str) -> list[tuple]:
    return [row for table in found.tables if table.title == title for row in table.rows]


def test_the_parts_of_a_step_add_up_to_its_mean_response(open_peak):
    run = open_peak(broken=None)
    by_step = run.histograms_by(lambda series: series.step if series.outcome == "ok" else None)
    table = rows(section("time_breakdown", run), "Parts of a step's time")
    assert {row[0]: row[1] for row in table} == {step: found.n for step, found in by_step.items()}
    for step, _, mean_ms, *each_ms in table:
        assert sum(each_ms) == pytest.approx(mean_ms)
        assert mean_ms == pytest.approx(by_step[step].mean_us / 1e3, rel=1e-3)


def test_connecting_is_taken_out_of_the_time_to_the_first_byte(open_peak):
    found = section("time_breakdown", open_peak(broken=None))
    table = {row[0]: row for row in rows(found, "Parts of a step's time")}
    took = {row[:2]: row[2:] for row in rows(found, "Duration of the parts where they occurred")}
    n, mean_ms, median, p95, longest_ms = took["home", "connecting"]
    assert n == table["home"][1]  # each visit opens its connection there
    assert 0 < table["home"][4] <= 2.001  # ms: what the simulation takes at most
    assert table["home"][4] == pytest.approx(mean_ms, rel=1e-3)
    assert median.low <= median.value <= median.high <= p95.value <= longest_ms <= 2.001
    assert median.value == pytest.approx(found.metrics["connect_p50"].value)
    assert (table["product"][4], ("product", "connecting") in took) == (0, False)


def test_requests_after_the_first_are_not_part_of_the_body(open_peak):
    found = section("time_breakdown", open_peak(broken=None))
    table = {row[0]: row for row in rows(found, "Parts of a step's time")}
    _, answered, *_, body_ms, later_ms = table["product"]
    assert later_ms == pytest.approx(body_ms, rel=0.01)  # the simulation halves what follows the first byte
    assert {row[7] for step, row in table.items() if step != "product"} == {0}
    ((step, n, each, connect_ms, wait_ms, more_body_ms),) = rows(found, "Parts of a later request")
    assert (step, n, each, connect_ms) == ("product", answered, 1.0, 0)
    assert wait_ms + more_body_ms == pytest.approx(later_ms, rel=0.01)
    assert wait_ms == more_body_ms
    total_ms = sum(row[1] * row[2] for row in table.values())
    assert found.metrics["later_share"].value == pytest.approx(answered * later_ms / total_ms)


def test_the_shop_s_own_account_is_weighted_by_what_each_answer_stands_for(open_peak):
    run = open_peak(broken=None)
    table = {row[:2]: row for row in rows(section("time_breakdown", run), "Server-Timing by step")}
    answered = run.histograms_by(lambda series: series.step if series.outcome == "ok" else None, "first_byte")
    for step, found in answered.items():
        _, _, mean_ms, median, _, read, weight = table[step, "db"]
        if median is not None:
            assert median.low <= median.value <= median.high
            assert (median.n, median.value) == (read, pytest.approx(mean_ms, rel=0.5))
        assert read < weight <= found.n + 1
        assert mean_ms == pytest.approx(found.mean_us / 2e3, rel=0.35)  # half the first byte, from a sample
        assert table[step, "queue"][2] == pytest.approx(mean_ms / 2, rel=0.01)


def test_the_share_of_the_cache_is_that_of_the_answers_read(open_peak):
    found = section("time_breakdown", open_peak(broken=None))
    table = rows(found, "Cache hits of the sampled answers")
    hits, misses = sum(row[2] for row in table), sum(row[3] for row in table)
    metric = found.metrics["cache_hits"]
    assert metric.value == pytest.approx(hits / (hits + misses))
    assert metric.low < 0.75 < metric.high  # three seconds in four hit


def test_a_run_without_step_timings_shows_what_it_has(open_peak):
    found = section("time_breakdown", open_peak(broken=None, notes=False))
    assert [bool(figure.note) for figure in found.figures] == [True]
    assert (found.metrics["connect_share"].value, found.metrics["connect_mean"].value) == (None, None)
    assert rows(found, "Server-Timing by step") == []


def test_the_title_names_the_largest_part_of_the_slowest_step(open_peak):
    found = section("time_breakdown", open_peak())
    slowest = max(rows(found, "Parts of a step's time"), key=lambda row: row[2])
    assert found.figures[0].title.startswith(f"{slowest[0]} takes longest: ")
    assert found.figures[0].title.endswith("waiting for the first byte")
    assert f"the slowest step is {slowest[0]}" in found.sentence


def test_reloads_and_retries_show_as_amplification(open_peak):
    run = open_peak(
        counters=(CounterSecond(30, "web", "retries", 60), CounterSecond(31, "web", "reloads", 40))
    )
    found = section("errors", run)
    attempts = {name: int(n.sum()) for name, n in run.request_counts(lambda series: series.channel).items()}
    (store, web) = rows(found, "Retries and reloads")
    assert web == ("web", attempts["web"] - 100, 60, 40, attempts["web"] / (attempts["web"] - 100), 0)
    assert store[:5] == ("store", attempts["store"], 0, 0, 1.0)
    total = sum(attempts.values())
    assert found.metrics["retry_amplification"].value == pytest.approx(total / (total - 100))
    assert len(found.findings) == 1


def test_without_retries_there_is_no_retry_table(open_peak):
    found = section("errors", open_peak())
    assert rows(found, "Retries and reloads") == []
    assert (found.metrics["retry_amplification"].value, found.metrics["degraded"].value) == (1.0, 0)


def test_a_part_that_failed_is_named_with_the_orders_that_went_on(open_peak):
    counters = tuple(CounterSecond(second, "web", "degraded:recommendations", 2) for second in range(5, 15))
    run = open_peak(broken=None, counters=counters)
    found = section("errors", run)
    ((step, asked, failed, tried, went_on),) = rows(found, "Degraded parts: failures that ended no visit")
    meanwhile = [order for order in run.orders() if 5 <= order.intended_s < 15]
    assert (step, asked, failed, tried) == ("recommendations", 20, 20, len(meanwhile))
    assert went_on.value == sum(order.answer == "acknowledged" for order in meanwhile) / tried
    assert found.findings[-1].startswith("recommendations failed 20 times")


def test_waiting_for_a_connection_is_added_up(open_peak):
    run = open_peak()
    seconds = sum(len(rows) for rows in run.health().values())
    assert section("generator_health", run).metrics["pool_wait"].value == pytest.approx(2.5 * seconds)


def test_the_slowest_requests_are_shown_with_their_request_id(open_peak):
    found = section("errors", open_peak())
    assert rows(found, "Slowest requests") == [(1, "checkout", "web", "ok", 2000.0, "req-1")]


def test_the_first_errors_of_each_step_and_cause_come_before_repeated_ones():
    def error(second: int, step: str, detail: str) -> Exemplar:
        return Exemplar("error", second, SeriesKey("web", "buy", step, "failed", "http_503"), 9, "", detail)

    script = sys.modules[load_analysis(ROOT / "analysis" / "errors.py").__module__]
    found = [error(3, "pay", "out"), error(1, "pay", "a\n b"), error(9, "home", "x" * 999)]
    (table,) = script._exemplar_tables(found, "")
    assert [row[0] for row in table.rows] == [1, 9, 3]
    assert [row[-1] for row in table.rows] == ["a b", "x" * script.MAX_DETAIL, "out"]


def test_the_first_error_of_every_failed_step_is_shown_however_rare_it_is():
    def error(second: int, step: str, cause: str) -> Exemplar:
        return Exemplar("error", second, SeriesKey("web", "buy", step, "failed", cause), 9, "", cause)

    script = sys.modules[load_analysis(ROOT / "analysis" / "errors.py").__module__]
    often = [error(n, f"step-{n % 12:02d}", f"cause-{n}") for n in range(60)]
    (table,) = script._exemplar_tables([*often, error(600, "rare", "status_5xx")], "")
    assert [(row[0], row[1]) for row in table.rows] == [
        *((n, f"step-{n:02d}") for n in range(12)),
        (600, "rare"),
    ]
    lines = summary_lines([Section("errors", "Q?", "A.", tables=(table,))])
    assert len(lines) == 1 + 13
    assert "rare" in lines[-1]
