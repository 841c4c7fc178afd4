"""The section of a sweep over concurrency, and of a shop at several sizes."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from doorbuster.capacity.result_file import ScalingPoint, ScalingResult, SearchResult, find_scaling
from doorbuster.capacity.usl import Scalability
from doorbuster.cli import doorbuster
from doorbuster.errors import RecordError
from doorbuster.records.reader import Run
from doorbuster.report import RunContext, load_analysis

ROOT = Path(__file__).parents[2]
PEAKED, SATURATED = Scalability(0.05, 0.002, 50.0), Scalability(0.05, 0.0, 50.0)
SEARCH = SearchResult(
    scenario="sale", title="A sale", sentence="Capacity is 20 customers/s.",
    rate_per_s=20.0, low=18.0, high=22.0, at_least=False,
    binding="p(95)", method="line", recovered=True, flags=(), elapsed_s=300.0, finished=True,
    demand_per_s=35.0,
)  # fmt: skip


def swept(curve: Scalability, sizes=(1, 2, 4, 8, 16, 32, 64), kind="sweep", **changes) -> ScalingResult:
    points = tuple(
        ScalingPoint(n, curve.throughput_per_s(n) * (1 + 0.01 * (-1) ** k), None, None, 0.1, 10.0, f"{n}")
        for k, n in enumerate(sizes)
    )
    return ScalingResult(kind, "A sale: web", "web", True, points=points, **changes)


@pytest.fixture
def section(build_peak, tmp_path):
    """Function (result) -> the section of a run that belongs to it."""

    def make(result: ScalingResult | None):
        shutil.copy(build_peak() / "run.sqlite", tmp_path / "run.sqlite")
        if result is not None:
            result.write(tmp_path)
        return load_analysis(ROOT / "analysis" / "scalability.py")(
            RunContext(Run.open(tmp_path / "run.sqlite"))
        )

    return make


def test_a_result_is_read_as_it_was_written(tmp_path):
    result = swept(PEAKED)
    result.write(tmp_path)
    assert find_scaling(tmp_path / "run.sqlite") == find_scaling(tmp_path / "01" / "run.sqlite") == result
    (tmp_path / "scaling.json").write_text("{}")
    with pytest.raises(RecordError, match=r"scaling\.json: cannot be read"):
        find_scaling(tmp_path / "run.sqlite")


def test_an_ordinary_run_is_silent(section):
    assert section(None).not_applicable


def test_a_peak_within_the_sweep_has_an_interval(section):
    found = section(swept(PEAKED))
    assert "Throughput peaks at 2" in found.sentence  # sqrt((1 - .05) / .002) = 21.8
    assert "extrapolated" not in found.sentence
    peak = found.metrics["peak_n"]
    assert peak.low < 21.8 < peak.high
    assert [table.title for table in found.tables][1] == "Choice of the law"
    assert len(found.figures) == 2


def test_a_peak_beyond_the_sweep_is_called_extrapolated_and_is_no_metric(section):
    found = section(swept(Scalability(0.05, 0.002, 50.0), sizes=range(1, 21)))
    assert "(extrapolated)" in found.sentence
    assert found.metrics["peak_n"].value is None


def test_saturation_without_a_peak_is_no_peak(section):
    found = section(swept(SATURATED))
    assert "no peak: Amdahl's law" in found.sentence
    assert found.metrics["peak_n"].value is None


def test_five_points_are_too_few_for_a_law(section):
    found = section(swept(PEAKED, sizes=(1, 2, 4, 8, 16)))
    assert "6 different sizes" in found.sentence
    assert "contention" not in found.metrics


def test_a_sharp_knee_fits_no_law(section):
    # Two workers, a page at a time each: in proportion up to two seats, and nothing more from there on.
    knee = [(1, 4.5), (2, 8.9), (4, 9.4), (8, 9.5), (16, 9.4), (32, 9.5)]
    points = tuple(ScalingPoint(n, x, 0.95 * x, 1.05 * x, 0.1, 10.0, f"{n}") for n, x in knee)
    found = section(replace(swept(PEAKED), points=points))
    assert "no peak, and no law fits" in found.sentence
    assert any("points miss it" in text for text in found.findings)


def test_the_curve_heads_the_report_of_its_folder(section, tmp_path):
    assert section(swept(PEAKED)).headline
    (tmp_path / "01").mkdir()
    shutil.copy(tmp_path / "run.sqlite", tmp_path / "01" / "run.sqlite")
    below = load_analysis(ROOT / "analysis" / "scalability.py")(RunContext(Run.open(tmp_path / "01")))
    assert not below.headline
    assert not below.not_applicable


def test_an_interrupted_sweep_is_reported(section):
    assert "interrupted" in section(replace(swept(PEAKED), finished=False)).findings[0]


def test_the_instances_needed_follow_from_the_demand(section):
    result = swept(SATURATED, kind="sizes", demand_per_s=400.0, demand_high_per_s=2000.0)
    found = section(result)
    assert found.metrics["needed"].value == 13  # 50 n / (1 + .05 (n - 1)) >= 400 from 12.7 on
    assert "13 instances are needed, by this law" in found.sentence
    assert any("no number of instances is enough" in told for told in found.findings)


def searches(tmp_path, build_peak, rates, **changes) -> list[str]:
    words = []
    for size, rate in rates.items():
        folder = tmp_path / f"of-{size}"
        folder.mkdir()
        shutil.copy(build_peak() / "run.sqlite", folder / "run.sqlite")
        replace(SEARCH, rate_per_s=rate, low=0.9 * rate, high=1.1 * rate, **changes).write(folder)
        words.append(f"{size}={folder}")
    return words


def test_scale_joins_searches_by_size(tmp_path, build_peak):
    words = searches(tmp_path, build_peak, {1: 10.0, 2: 19.0, 4: 36.0, 8: 60.0})
    done = CliRunner().invoke(doorbuster, ["scale", *words, "--out", str(tmp_path / "curve")])
    assert done.exit_code == 0, done.output
    said = done.output.replace("│", " ").split()
    assert "8 instances are needed, as measured, with 95 % certainty" in " ".join(said)
    assert "10 customers per second with a size of 1 and 60 with 8." in " ".join(said)
    assert "capacity grow with the size" in (tmp_path / "curve" / "index.html").read_text()
    result = find_scaling(tmp_path / "curve" / "run.sqlite")
    assert [(point.n, point.per_s) for point in result.points] == [(1, 10.0), (2, 19.0), (4, 36.0), (8, 60.0)]


@pytest.mark.parametrize(
    ("rates", "strip", "message"),
    [
        ({1: 10.0}, False, "at least two different sizes are needed"),
        ({1: 10.0, 2: 19.0}, True, "size unknown; state it, e.g. 4="),
    ],
)
def test_scale_refuses_results_that_are_not_a_curve(tmp_path, build_peak, rates, strip, message):
    words = searches(tmp_path, build_peak, rates)
    words = [word.partition("=")[2] for word in words] if strip else words
    done = CliRunner().invoke(doorbuster, ["scale", *words, "--out", str(tmp_path / "curve")])
    assert message in str(done.exception)


def test_scale_joins_scenarios_that_differ_in_the_shop_and_refuses_other_customers(tmp_path, build_peak):
    text = Run.open(build_peak()).meta.scenario_text
    words = searches(tmp_path, build_peak, {1: 10.0})
    for size, other in ((2, text.replace("title:", "seed: 9\ntitle: 2 of", 1)), (3, text + "drain: 7s\n")):
        folder = tmp_path / f"of-{size}"
        folder.mkdir()
        shutil.copy(build_peak(meta={"scenario_text": other}) / "run.sqlite", folder / "run.sqlite")
        replace(SEARCH, scenario=f"shop-{size}").write(folder)
        words.append(f"{size}={folder}")
    joined = CliRunner().invoke(doorbuster, ["scale", *words[:2], "--out", str(tmp_path / "two")])
    assert joined.exit_code == 0, joined.output
    refused = CliRunner().invoke(doorbuster, ["scale", *words, "--out", str(tmp_path / "three")])
    assert "have different customers or thresholds" in str(refused.exception)
    assert not (tmp_path / "three").exists()


def test_a_search_of_the_embedded_shop_knows_its_size(tmp_path, build_peak):
    words = [
        *searches(tmp_path, build_peak, {1: 10.0}, size=1),
        *searches(tmp_path, build_peak, {3: 25.0}, size=3),
    ]
    folders = [word.partition("=")[2] for word in words]
    done = CliRunner().invoke(doorbuster, ["scale", *folders, "--out", str(tmp_path / "curve")])
    assert done.exit_code == 0, done.output
    assert [point.n for point in find_scaling(tmp_path / "curve" / "run.sqlite").points] == [1, 3]
