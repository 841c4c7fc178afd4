"""Every rule of the audit, on sections as scripts return them; and that those names exist."""

from __future__ import annotations

from dataclasses import replace

import pytest

from doorbuster.cli.section_scripts import analysis_scripts
from doorbuster.forecast.forecast_result import read_forecast
from doorbuster.report.section import CauseEvidence, Metric, Section
from doorbuster.season.capacity_evidence import read_searches
from doorbuster.season.quick_wins import quick_wins
from doorbuster.season.reserve import reserve
from doorbuster.season.run_evidence import read_runs, run_folders, with_sections
from doorbuster.season.season_file import SeasonLimits


@pytest.fixture
def run(season, add_sample):
    """The sample run, without sections: 246 orders were expected in it."""
    add_sample()
    found, unusable = read_runs(run_folders([season / "runs"]), SeasonLimits())
    assert unusable == []
    return found[0]


@pytest.fixture
def forecast(started):
    return read_forecast(started / "forecast" / "forecast.json")


def section(name: str, metrics: dict[str, float], sentence: str = "", **more) -> Section:
    return Section(
        name, "?", sentence, metrics={key: Metric(value, "count") for key, value in metrics.items()}, **more
    )


def wins_of(run, forecast, *sections):
    return quick_wins([replace(run, sections=sections)], None, None, forecast)


@pytest.mark.parametrize(
    ("kind", "name", "metrics"),
    [
        ("oversold_units", "orders", {"oversold_units": 3}),
        ("orders_missing", "orders", {"orders_missing": 3}),
        ("orders_duplicated", "orders", {"orders_duplicated": 3}),
        ("orders_unacknowledged", "orders", {"orders_unacknowledged": 3}),
        ("orders_wrong_total", "orders", {"orders_wrong_total": 3}),
    ],
)
def test_orders_that_went_wrong_are_scaled_to_the_peak_day(run, forecast, kind, name, metrics):
    (win,) = wins_of(run, forecast, section(name, metrics))
    assert win.kind == kind
    assert win.is_integrity
    assert win.orders.value == pytest.approx(3 / 246 * forecast.count("day", "orders").median, rel=0.01)
    assert wins_of(run, forecast, section(name, dict.fromkeys(metrics, 0))) == []


@pytest.mark.parametrize(
    ("kind", "name", "metrics", "clean"),
    [
        ("isolation", "channel_isolation", {"slowed": 1}, {"slowed": 0}),
        ("staleness", "propagation_delay", {"never_visible": 2}, {"never_visible": 0}),
        ("retries", "errors", {"retry_amplification": 1.5}, {"retry_amplification": 1.05}),
        ("cache", "time_breakdown", {"cache_hits": 0.2}, {"cache_hits": 0.9}),
        (
            "shedding", "customers",
            {"customers": 100, "customers_abandoned": 40, "customers_turned_away": 1},
            {"customers": 100, "customers_abandoned": 40, "customers_turned_away": 30},
        ),
    ],
)  # fmt: skip
def test_findings_without_a_number_of_orders_are_named(run, forecast, kind, name, metrics, clean):
    (win,) = wins_of(run, forecast, section(name, metrics, "What was found."))
    assert win.kind == kind
    assert win.orders is None
    assert win.advice
    assert wins_of(run, forecast, section(name, clean)) == []


def test_the_strongest_cause_explains_missed_orders(run, forecast):
    causes = (
        CauseEvidence("slow", "database", "queries took long", "80 % of it.", "Add an index.", 0.8),
        CauseEvidence("slow", "queue", "requests waited", "90 % of it.", "Add workers.", 0.9),
    )
    customers = Section(
        "customers", "?", "", metrics={"missed_orders": Metric(24.6, "count", 20, 30, 246)}, causes=causes
    )
    (win,) = wins_of(run, forecast, customers)
    assert win.advice == "Add workers."
    assert "because requests waited" in win.finding
    day = forecast.count("day", "orders").median
    assert (win.orders.value, win.orders.low, win.orders.high) == pytest.approx(
        (0.1 * day, 20 / 246 * day, 30 / 246 * day), rel=0.01
    )


def test_a_search_names_the_step_and_a_missing_recovery(season, forecast, add_search):
    rate = forecast.rate.median
    add_search("first", rate, rate * 0.9, rate * 1.1, breaks_at_step="checkout", recovered=False)
    (search,), _ = read_searches([season / "capacity"])
    wins = {win.kind: win for win in quick_wins([], search, reserve(forecast, search.capacity), forecast)}
    assert "step checkout is the slowest" in wins["capacity"].finding
    assert wins["capacity"].orders.value > 0
    assert "does not recover" in wins["recovery"].finding


def test_orders_come_before_findings_without_a_number_and_integrity_before_the_rest(run, forecast):
    wins = wins_of(
        run, forecast,
        section("orders", {"oversold_units": 1}),
        section("errors", {"retry_amplification": 2}),
        Section("customers", "?", "", metrics={"missed_orders": Metric(50, "count", n=246)}),
    )  # fmt: skip
    assert [win.kind for win in wins] == ["bottleneck", "oversold_units", "retries"]


def test_the_sections_have_the_metrics_that_the_audit_reads(run):
    found = {one.name: set(one.metrics) for one in with_sections(run, analysis_scripts()).sections}
    assert {"missed_orders", "customers", "customers_abandoned", "customers_turned_away"} <= found[
        "customers"
    ]
    wrong = {"missing", "duplicated", "unacknowledged", "wrong_total"}
    assert {"oversold_units", *(f"orders_{name}" for name in wrong)} <= found["orders"]
    assert "slowed" in found["channel_isolation"]
    assert "never_visible" in found["propagation_delay"]
    assert "retry_amplification" in found["errors"]
    assert "cache_hits" in found["time_breakdown"]
