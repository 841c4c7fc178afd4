"""The section of a capacity search, and of a run that is not part of one."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from doorbuster.capacity.result_file import RecordedEstimate, RecordedLoadStep, SearchResult, find_search
from doorbuster.errors import RecordError
from doorbuster.records.reader import Run
from doorbuster.report import RunContext, load_analysis

ROOT = Path(__file__).parents[2]
READING = RecordedEstimate("http_req_duration: p(95)<1s", 0.5, 0.1, 0.9)
RESULT = SearchResult(
    scenario="sale", title="A sale", sentence="Capacity is 20 customers/s.",
    rate_per_s=20.0, low=18.0, high=22.0,
    at_least=False, binding="http_req_duration: p(95)<1s", method="line", recovered=True, flags=("wide",),
    elapsed_s=300.0, finished=True, demand_per_s=10.0, requests_per_customer=5.0, orders_per_customer=0.1,
    load_steps=(
        RecordedLoadStep("ramp", 10.0, 3.0, 10.0, 10, "pass", "kept", False, 10.0, 15.0, "01", ()),
        RecordedLoadStep("ramp", 40.0, 3.0, 10.0, 10, "fail", "broke", True, 25.0, 15.0, "02", (READING,)),
    ),
)  # fmt: skip


@pytest.fixture
def search(build_peak, tmp_path):
    """Function (changes of the result) -> an open run of a search that ended so."""

    def make(**changes) -> Run:
        shutil.copy(build_peak() / "run.sqlite", tmp_path / "run.sqlite")
        replace(RESULT, **changes).write(tmp_path)
        return Run.open(tmp_path)

    return make


def section(name, run):
    return load_analysis(ROOT / "analysis" / f"{name}.py")(RunContext(run))


def test_a_result_is_read_as_it_was_written_also_from_a_load_step_below(search):
    run = search()
    assert find_search(run.path) == RESULT
    assert find_search(run.path.parent / "01" / "run.sqlite") == RESULT


def test_a_damaged_result_is_named(search):
    run = search()
    (run.path.parent / "capacity.json").write_text("{}")
    with pytest.raises(RecordError, match=r"capacity\.json: cannot be read"):
        find_search(run.path)


def test_the_answer_is_in_customers_requests_and_orders(search):
    found = section("capacity", search())
    assert found.sentence == "Capacity is 20 customers/s."
    requests, orders = found.metrics["requests_rate"], found.metrics["orders_rate"]
    assert (requests.value, requests.low, requests.high) == (100.0, 90.0, 110.0)
    assert orders.value == pytest.approx(2.0)
    per_hour = found.tables[0].rows[2]
    assert per_hour[1].value == 72_000


def test_headroom_is_capacity_over_demand_with_a_probability(search):
    found = section("capacity", search())
    ratio = found.metrics["headroom"]
    assert (ratio.value, ratio.low, ratio.high) == (2.0, pytest.approx(1.8), pytest.approx(2.2))
    assert found.metrics["sufficient_probability"].value > 0.999
    assert found.metrics["demand"].value == 10.0


def test_a_shop_that_did_not_give_in_has_at_least_that_much(search):
    found = section("capacity", search(at_least=True, high=None))
    assert found.metrics["headroom"].at_least


def test_a_search_without_an_answer_invents_none(search):
    found = section("capacity", search(rate_per_s=None, low=None, high=None, sentence="Unknown."))
    assert all(metric.value is None for key, metric in found.metrics.items() if key in ("rate", "headroom"))
    assert not found.not_applicable


def test_an_ordinary_run_has_no_capacity(open_peak):
    found = section("capacity", open_peak())
    assert found.not_applicable
    assert "`doorbuster capacity`" in found.sentence


def test_the_answer_heads_the_report_of_the_search_and_not_that_of_a_load_step(search):
    run = search()
    folder = run.path.parent
    (folder / "01").mkdir()
    shutil.copy(run.path, folder / "01" / "run.sqlite")
    assert section("capacity", run).headline
    assert not section("capacity", Run.open(folder / "01")).headline
    (folder / "scaling.json").touch()
    assert not section("capacity", run).headline


def test_a_load_step_without_anything_bad_is_drawn_at_what_it_may_have_missed(search):
    unseen = replace(RESULT.load_steps[0], estimates=(RecordedEstimate(READING.name, None, None, -0.7),))
    chart = section("capacity", search(load_steps=(unseen, RESULT.load_steps[1]))).figures[0]
    assert [series.name for series in chart.series] == [READING.name, "no violation seen: at most"]
    assert chart.series[1].y == (pytest.approx(0.497, abs=0.001), None)
    assert [mark.label for mark in chart.moments] == ["95 % interval from", "capacity", "to"]


def test_a_flag_is_explained(search):
    found = section("capacity", search(flags=("non-stationary", "wide", "recovery not tested")))
    assert "The interval is wide. Four times the --budget halves it." in found.findings
    assert "non-stationary" not in " ".join(found.findings)


def test_a_range_without_a_capacity_is_reported_as_such(search):
    sentence = "capacity cannot be told within ± 25 %; it is between 12 and 45 customers/s (95 % interval)."
    unknown = search(rate_per_s=None, low=12.0, high=45.0, flags=("near idle",), sentence=sentence)
    found = section("capacity", unknown)
    assert sentence in found.sentence
    assert any("near the response time of an idle shop" in line for line in found.findings)
    assert "capacity" not in [mark.label for mark in found.figures[0].moments]
