"""The page of a season over a real run: its answer, indicators, quick wins and risks."""

from __future__ import annotations

import json
import shutil
import sqlite3
from dataclasses import replace
from datetime import date

import pytest
from click.testing import CliRunner

from doorbuster.cli import doorbuster
from doorbuster.cli.section_scripts import analysis_scripts
from doorbuster.errors import DoorbusterError, RecordError, UsageError
from doorbuster.forecast.forecast_peak import ForecastSettings
from doorbuster.forecast.forecast_result import read_forecast
from doorbuster.forecast.input.columns import HistoryOptions
from doorbuster.history.identity import TimelineKey
from doorbuster.history.store import History, HistoryRun, Sample, StoredMetric
from doorbuster.season.indicators import LABELS, IndicatorDay, Reading, indicator_weeks
from doorbuster.season.page import season_page
from doorbuster.season.render import render_digest, render_season_html, render_season_markdown
from doorbuster.season.season_file import read_season
from doorbuster.season.season_status import season_status
from doorbuster.season.starter import start_season
from doorbuster.season.what_if import NOT_TESTED

SAMPLE_DAY = date(2026, 11, 22)


@pytest.fixture
def status(season):
    def read(today: date = date(2026, 11, 29)):
        scripts = [path for path in analysis_scripts() if path.stem in ("customers", "orders", "errors")]
        return season_status(read_season(season), scripts, today)

    return read


def test_an_empty_season_says_what_is_missing(status):
    found = status()
    assert found.answer == "unknown"
    page = season_page(found)
    assert "is not measured yet" in page.sentence
    assert page.facts[-1].value == str((found.season.peak_date - date(2026, 11, 29)).days)
    assert any("capacity of the shop is unknown" in risk.risk for risk in found.risks)
    assert all(one.answer == NOT_TESTED for one in found.what_ifs)
    assert {reading.colour for reading in found.readings.values()} == {"unknown"}


def test_a_failed_run_gives_red_indicators_and_ranked_quick_wins(status, add_sample):
    add_sample()
    found = status()
    assert found.days[0].day == SAMPLE_DAY
    assert found.readings["can_browse"].colour == "red"
    assert found.readings["can_order"].colour == "red"
    win = next(win for win in found.wins if win.kind == "bottleneck")
    forecast = found.forecast.count("day", "orders").median
    assert win.orders.value == pytest.approx(51 / 246 * forecast, rel=0.02)  # missed of expected orders
    assert win.evidence == "sample: customers"
    assert any(win.kind == "shedding" for win in found.wins)
    ranks = [win.rank for win in found.wins]
    assert ranks == sorted(ranks)
    assert found.money.value > 0


@pytest.mark.parametrize(
    ("factor", "answer"), [(3.0, "yes"), (1.2, "probably"), (0.8, "probably not"), (0.2, "no")]
)
def test_the_answer_follows_from_headroom(season, status, add_search, factor, answer):
    rate = read_forecast(season / "forecast" / "forecast.json").rate.median
    add_search("first", rate * factor, rate * factor * 0.95, rate * factor * 1.05)
    found = status()
    assert found.answer == answer
    assert found.readings["headroom"].value == pytest.approx(factor)
    probability = found.reserve.headroom.held_probability
    more = next(one for one in found.what_ifs if one.question == "Demand +20 %")
    assert more.hold_probability <= probability


def test_a_failed_run_of_the_expected_peak_overrules_the_capacity(season, status, add_search, add_sample):
    rate = read_forecast(season / "forecast" / "forecast.json").rate.median
    add_search("first", rate * 3, rate * 2.9, rate * 3.1)
    add_sample()
    text = (season / "season.yaml").read_text()
    (season / "ms-christmas-2004.yaml").write_text("")
    (season / "season.yaml").write_text(text.replace("forecast/peak-median.yaml,", "ms-christmas-2004.yaml,"))
    found = status()
    assert found.answer == "no"
    page = season_page(found)
    assert page.sentence.startswith(
        "The run of the expected peak failed (sample). By capacity alone it would"
    )
    assert (page.facts[0].value, page.facts[0].detail[:17]) == ("no", "by capacity alone")


def test_evidence_of_different_shops_is_named(season, status, add_search, add_sample):
    add_sample()
    assert not any("different targets" in risk.risk for risk in status().risks)
    folder = add_search("first", 5.0, 4.0, 6.0)
    shutil.copy(season / "runs" / "sample" / "run.sqlite", folder)
    with sqlite3.connect(folder / "run.sqlite") as db:
        db.execute("UPDATE meta SET value = '\"replatformed\"' WHERE key = 'shop_profile'")
    db.close()
    risk = next(risk for risk in status().risks if "different targets" in risk.risk)
    assert "the headroom is that of embedded shop, replatformed" in risk.risk


def test_one_server_less_is_answered_by_a_search_of_that_size_only(season, status, add_search):
    add_search("smaller", 5.0, 4.5, 5.5, size=3)
    add_search("now", 8.0, 7.5, 8.5, size=4)
    (season / "capacity" / "now" / "capacity.json").touch()  # the later one
    answers = {one.question: one for one in status().what_ifs}
    assert answers["One server less"].is_tested
    assert "smaller" in answers["One server less"].evidence
    assert not answers["Retries off"].is_tested


def test_a_stated_folder_answers_a_question(season, status, add_sample):
    add_sample("without-retries")
    with (season / "season.yaml").open("a") as file:
        file.write("what_if: {retries_off: runs/without-retries}\n")
    answers = {one.question: one for one in status().what_ifs}
    assert answers["Retries off"].answer.startswith("FAIL")


def test_the_trend_of_five_searches_is_stated(season, status, add_search):
    import os

    rate = read_forecast(season / "forecast" / "forecast.json").rate.median
    for week in range(6):
        folder = add_search(f"week-{week}", rate * 0.97**week, None, None)
        stamp = 1_790_000_000 + week * 7 * 86_400
        os.utime(folder / "capacity.json", (stamp, stamp))
    found = status()
    section = next(one for one in season_page(found).sections if one.name == "trend")
    assert "The headroom changes by −12" in section.sentence
    assert "On the day of the peak" in section.sentence


def day(when: date, value: float, colour: str) -> IndicatorDay:
    readings = {name: Reading(name, colour, value, f"{value}", "") for name in LABELS}
    return IndicatorDay(when, readings, "")


def test_a_week_has_its_last_value_its_worst_colour_and_the_week_before():
    days = [day(date(2026, 11, 20), 3.0, "green"), day(date(2026, 11, 23), 1.0, "red"),
            day(date(2026, 11, 29), 2.0, "green"), day(date(2026, 12, 9), 2.5, "amber")]  # fmt: skip
    weeks = indicator_weeks(days)
    assert [(week.year, week.week) for week in weeks] == [(2026, 47), (2026, 48), (2026, 50)]
    assert weeks[1].readings["headroom"].value == 2.0
    assert weeks[1].worst["headroom"] == "red"
    assert weeks[1].before["headroom"].value == 3.0
    assert weeks[2].before == {}  # week 49 has no reading


def test_every_format_shows_the_same_answer(season, status, add_search, add_sample):
    rate = read_forecast(season / "forecast" / "forecast.json").rate.median
    add_search("first", rate * 1.2, rate, rate * 1.4)
    add_sample()
    found = status()
    html, markdown, digest = render_season_html(found), render_season_markdown(found), render_digest(found)
    probability = season_page(found).facts[0].value
    assert probability in markdown
    assert probability.replace(" %", "\u00a0%") in html
    assert "<script" not in html
    assert "days left" in digest
    for label in LABELS.values():
        assert label in html
        assert label in markdown
        assert label in digest


def test_foreign_text_is_shown_as_text(season, status):
    text = (season / "season.yaml").read_text()
    (season / "season.yaml").write_text(
        text.replace('title: "Peak', 'title: "<script>alert(1)</script> | Peak')
    )
    html = render_season_html(status())
    assert "<script>" not in html
    assert "&lt;script&gt;" in html


def test_damaged_evidence_is_listed_and_the_rest_is_used(season, status, add_sample, add_search):
    add_sample()
    (season / "runs" / "damaged").mkdir()
    (season / "runs" / "damaged" / "run.sqlite").write_bytes(b"SQLite format 3\0 and no more")
    kept = add_search("kept", 5.0, 4.0, 6.0)
    (kept / "run.sqlite").write_bytes(b"SQLite format 3\0 and no more")
    (season / "capacity" / "damaged").mkdir()
    (season / "capacity" / "damaged" / "capacity.json").write_text("{}")
    found = status()
    assert len(found.runs) == 1
    assert len(found.searches) == 1
    assert sum("damaged" in text for text in found.unusable) == 2


def test_a_damaged_forecast_is_an_error(season, status):
    (season / "forecast" / "forecast.json").write_text(json.dumps({"schema": "doorbuster.forecast/1"}))
    with pytest.raises(RecordError, match="cannot be read"):
        status()


def test_init_does_not_touch_an_existing_season(season):
    with pytest.raises(UsageError, match=r"season\.yaml exists"):
        start_season(season, (), ForecastSettings(), HistoryOptions(), "GB", date(2026, 11, 29))


def test_the_searches_of_a_history_count(season, status):
    key = TimelineKey("peak-median 1a2b3c4d capacity", "https://shop.example", "Linux", "main")
    with History.open(season / "history.sqlite", create=True) as history:
        for week, rate in enumerate((8.0, 9.0)):
            run = HistoryRun(
                f"r{week} capacity", (1_790_000_000 + week * 604_800) * 10**9, f"commit{week}", ""
            )
            metric = StoredMetric("capacity", "per_s", "higher", True)
            history.add(key, run, {metric: Sample(rate, rate * 0.9, rate * 1.1, 5)})
    with (season / "season.yaml").open("a") as file:
        file.write("history: history.sqlite\n")
    found = status()
    assert [one.capacity.value for one in found.searches] == [8.0, 9.0]
    assert found.search.commit == "commit1"
    assert found.readings["headroom"].value == pytest.approx(9.0 / found.forecast.rate.median)


def test_init_uses_the_history_in_the_folder(started, tmp_path, monkeypatch):
    monkeypatch.setattr("doorbuster.season.starter.model_forecasters", lambda _country: {})
    (tmp_path / "s" / "history").mkdir(parents=True)
    own = (started / "history" / "orders.csv").read_text().replace("hour,orders", "time,orders")
    (tmp_path / "s" / "history" / "orders.csv").write_text(own)
    _, sentence = start_season(
        tmp_path / "s", (), ForecastSettings(), HistoryOptions(), "GB", date(2026, 11, 29)
    )
    assert "built-in" not in sentence
    assert (tmp_path / "s" / "history" / "orders.csv").read_text() == own


def test_init_leaves_nothing_behind_when_the_history_is_too_short(tmp_path, monkeypatch):
    monkeypatch.setattr("doorbuster.season.starter.model_forecasters", lambda _country: {})
    file = tmp_path / "orders.csv"
    file.write_text("date,orders\n2026-01-01,5\n2026-01-02,6\n")
    with pytest.raises(UsageError, match="less than a year"):
        start_season(tmp_path / "s", (file,), ForecastSettings(), HistoryOptions(), "GB", date(2026, 11, 29))
    assert not (tmp_path / "s").exists()


def test_the_commands_write_and_print(season, add_sample):
    add_sample()
    done = CliRunner().invoke(doorbuster, ["season", "report", str(season), "--today", "2026-11-29"])
    assert not isinstance(done.exception, DoorbusterError | Exception) or isinstance(
        done.exception, SystemExit
    )
    assert {"season.html", "season.md", "digest.md"} <= {file.name for file in season.iterdir()}
    done = CliRunner().invoke(doorbuster, ["season", "digest", str(season), "--today", "2026-11-29"])
    assert "Can order" in done.output
    assert done.output.strip() == (season / "digest.md").read_text().strip()


def test_a_run_says_nothing_about_the_shop_when_its_generator_was_overloaded(status, add_sample):
    add_sample()
    found = status()
    unusable = [replace(run, unusable="the generator was overloaded") for run in found.runs]
    from doorbuster.season.indicators import indicator_days

    assert indicator_days(unusable, [], found.forecast, found.season.limits, found.money) == []


def test_the_first_sheet_of_the_pdf_answers_the_board(season, status, add_search, add_sample):
    pytest.importorskip("reportlab")
    pdfium = pytest.importorskip("pypdfium2")
    from doorbuster.season.pdf import render_season_pdf

    rate = read_forecast(season / "forecast" / "forecast.json").rate.median
    add_search("first", rate * 1.2, rate, rate * 1.4)
    add_sample()
    found = status()
    document = pdfium.PdfDocument(render_season_pdf(found))
    text = " ".join(document[0].get_textpage().get_text_bounded().split())
    page = season_page(found)
    assert page.badge in text
    assert page.facts[0].value in text
    for label in LABELS.values():
        assert label in text
    assert page.steps[0].split()[0] in text
    assert len(document) <= 6


def test_a_search_without_a_result_says_so_and_the_next_commands_can_be_copied(season, status, add_search):
    add_search("first", None, None, None, sentence="Capacity is unknown: no load step was long enough.")
    page = season_page(status())
    assert page.sentence.endswith(
        "what the shop can take is not known, because the only result was unusable."
    )
    first, second, third = page.steps
    assert first.startswith("No result can be used yet. Repair this first: ")
    assert first.endswith("/capacity/first: capacity is unknown: no load step was long enough.")
    scenario = season / "forecast" / "peak-median.yaml"
    assert second.endswith(f"Next: doorbuster capacity {scenario} --out {season / 'capacity'}/NAME.")
    assert third.endswith(f"Next: doorbuster run {scenario} --out {season / 'runs'}/NAME.")
