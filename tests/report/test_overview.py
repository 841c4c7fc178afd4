"""The manager's screen: one value and interval for each figure in every format, a screen for every run."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from doorbuster.gate import customer_rate, judge, verdict
from doorbuster.records.batch import CounterSecond
from doorbuster.records.reader import Run
from doorbuster.report import analyse_run, write_report
from doorbuster.report.formatting import format_interval
from doorbuster.report.overview import build_overview, known_causes, lead_cause
from doorbuster.report.render.overview_terminal import print_overview
from doorbuster.report.section import CauseEvidence, Metric, Section
from doorbuster.scenario import read_scenario
from doorbuster.scenario.thresholds.language import read_thresholds

ROOT = Path(__file__).parents[2]
SECTIONS = ("customers", "phases", "time_breakdown", "users", "capacity")
GOOD = {"broken": None, "rate_per_s": 20.0}
INTERVAL = re.compile(r"([\d.,]+)(?: %)? to ([\d.,]+) %")


def judged(run: Run, thresholds=None):
    sections = analyse_run(run, [ROOT / "analysis" / f"{name}.py" for name in SECTIONS]).sections
    wanted = (
        read_scenario(run.meta.scenario_text).thresholds
        if thresholds is None
        else read_thresholds(thresholds)
    )
    results = judge(run, sections, wanted)
    found = verdict(run, results, known_causes(sections))
    return sections, results, found, build_overview(run, sections, results, found)


def spaced(text: str) -> str:
    return re.sub(r"\s+", " ", text.replace("\N{NO-BREAK SPACE}", " ").replace("\\", ""))


def intervals(text: str) -> set[tuple[str, str]]:
    """Every interval in per cent, each end without its unit."""
    return {(low.rstrip("."), high) for low, high in INTERVAL.findall(spaced(text))}


@pytest.fixture(scope="module")
def failing(build_peak, tmp_path_factory):
    """The overview of a failing peak, and the folder of its report."""
    folder = tmp_path_factory.mktemp("overview")
    thresholds = {
        "can_order": ["rate>=99%"], "can_order{channel:web}": ["rate>=99%"],
        "can_order{phase:peak}": ["rate>=99%"], "can_browse{channel:web}": ["rate>=99%"],
        "served{phase:peak}": ["rate>=50%"],
    }  # fmt: skip
    with Run.open(build_peak()) as run:
        sections, results, found, overview = judged(run, thresholds)
        write_report(run, sections, results, found, folder, overview=overview)
    return overview, sections, results, folder


def test_a_rate_has_one_value_and_one_interval_in_every_place(failing):
    overview, sections, results, folder = failing
    by_name = {section.name: section for section in sections}
    seen = {str(result.threshold): (result.observed, result.low, result.high, result.n) for result in results}

    def numbers(metric: Metric):
        return metric.value, metric.low, metric.high, metric.n

    web = next(row for row in overview.channels if row.channel == "web")
    headline = next(figure for figure in overview.figures if figure.key == "can_order{channel:web}")
    tables = {table.title: table for section in sections for table in section.tables}
    channel = {column.name: cell for column, cell in zip(
        tables["Outcomes by channel"].columns,
        next(row for row in tables["Outcomes by channel"].rows if row[0] == "web"), strict=True,
    )}  # fmt: skip
    phase = {column.name: cell for column, cell in zip(
        tables["Phases of the peak"].columns,
        next(row for row in tables["Phases of the peak"].rows if row[0] == "peak"), strict=True,
    )}  # fmt: skip
    assert seen["can_order{channel:web}: rate>=99%"] == numbers(web.could) == numbers(headline.metric)
    assert seen["can_order{channel:web}: rate>=99%"] == numbers(channel["could order"])
    assert (
        seen["can_browse{channel:web}: rate>=99%"]
        == numbers(web.could_browse)
        == numbers(channel["could browse"])
    )
    assert seen["can_order: rate>=99%"] == numbers(by_name["customers"].metrics["can_order"])
    assert seen["can_order{phase:peak}: rate>=99%"] == numbers(phase["Could order"])
    assert seen["served{phase:peak}: rate>=50%"] == numbers(by_name["phases"].metrics["goodput_peak"])
    document = json.loads((folder / "summary.json").read_text())
    figure = next(one for one in document["overview"]["figures"] if one["key"] == headline.key)
    assert [figure["metric"][name] for name in ("value", "low", "high", "n")] == list(
        numbers(headline.metric)
    )


def test_every_format_shows_the_same_figures(failing, capsys):
    overview, _, results, folder = failing
    print_overview(overview)
    page, markdown = ((folder / name).read_text() for name in ("index.html", "summary.md"))
    text = {
        "page": spaced(re.sub(r"<[^>]+>", " ", page)), "markdown": spaced(markdown),
        "terminal": spaced(capsys.readouterr().out),
    }  # fmt: skip
    junit = spaced(ET.tostring(ET.parse(folder / "junit.xml").getroot(), encoding="unicode"))
    document = json.loads((folder / "summary.json").read_text())
    for figure in overview.figures:
        wanted = [figure.value_text]
        wanted += [format_interval(figure.metric)] if figure.metric is not None else []
        for name, shown in text.items():
            for part in wanted:
                assert part in shown, (name, figure.label)
        assert figure.value_text in [one["text"] for one in document["overview"]["figures"]]
    for result in results:
        if result.low is None or result.high is None:
            continue
        low, high = (f"{100 * end:.1f}" for end in (result.low, result.high))
        for name, shown in (*text.items(), ("junit", junit)):
            if name != "terminal":
                assert (low, high) in intervals(shown), (name, str(result.threshold))
    sentence = document["verdict"]["sentence"]
    assert sentence in spaced(markdown)
    assert sentence.partition(": ")[2].partition(" ")[2] in text["page"]
    assert sentence in junit.replace("&#x27;", "'").replace("&apos;", "'")


def test_sales_lost_state_their_scope_and_when_it_broke_its_recovery(failing):
    overview = failing[0]
    figures = {figure.key: figure for figure in overview.figures}
    assert "expected orders in these 1m" in figures["lost_sales"].detail
    assert figures["lost_sales"].metric.low < figures["lost_sales"].metric.value
    assert "recovered at" in figures["outage_start"].detail
    assert figures["capacity"].value_text == "Not measured"
    assert figures["capacity"].command == "doorbuster capacity sale.yaml"
    chart = overview.chart
    assert [mark.label for mark in chart.moments] == ["broke", "recovered"]
    assert [series.name for series in chart.overlay] == ["planned"]


CAUSES = {
    "slow": CauseEvidence("slow", "queue", "requests queued", "90 % is queue.", "Add workers.", 0.9),
    "cpu": CauseEvidence("slow", "CPU", "the CPU was busy", "97 % busy.", "Add cores.", 0.97),
    "step": CauseEvidence("slow", "home", "home was slow", "Most left at home.", "Make home faster."),
    "failed": CauseEvidence("failed", "503", "checkout failed", "9 of 10.", "Fix 503.", 0.9),
    "rare": CauseEvidence("failed", "503", "checkout failed", "1 of 10.", "Fix 503.", 0.1),
}


@pytest.mark.parametrize(
    ("names", "lead", "of_answers"),
    [
        (("slow", "cpu", "step"), "cpu", "cpu"),
        (("slow", "failed"), "failed", "slow"),
        (("slow", "rare"), "slow", "slow"),
        (("step", "rare"), "step", None),
        (("rare",), "rare", None),
        ((), None, None),
    ],
)
def test_the_cause_with_the_largest_known_share_leads(names, lead, of_answers):
    sections = [Section(name, "?", ".", causes=(CAUSES[name],)) for name in names]
    assert lead_cause(sections) == CAUSES.get(lead)
    found = known_causes(sections)
    assert found.lost_customers == (CAUSES[lead].because if lead else "")
    assert found.slow_answers == (CAUSES[of_answers].because if of_answers else "")


# Every kind of run has a screen


KINDS = {
    "passed": GOOD,
    "failed": {},
    "one channel": {"web": "store"},
    "interrupted": {"status": "interrupted", "reason": "stopped with Ctrl-C"},
    "aborted": {"status": "aborted", "reason": "turned_away: 95 % in the last 10 s"},
    "inconclusive": {**GOOD, "lateness_ms": 80.0},
    "nobody came": {"rate_per_s": 0.0, "ledger": False},
    "closed": {"meta": {"workload": "closed", "storefront": "", "scenario_text": ""}},
    "visits of a plain file": {"meta": {"storefront": "", "scenario_text": ""}},
    "without phases": {"meta": {"duration_s": 31.0}},
    "without notes": {"notes": False},
}
RARE = ("one channel", "aborted", "without phases", "without notes")


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=pytest.mark.truth if kind in RARE else ()) for kind in KINDS]
)
def test_every_kind_of_run_has_a_sensible_screen(kind, open_peak, capsys):
    changes = dict(KINDS[kind])
    if kind == "closed":
        changes["counters"] = tuple(CounterSecond(n, "", "answered", 5) for n in range(60))
    run = open_peak(**changes)
    _, _, found, overview = judged(run, None if run.meta.scenario_text else {})
    assert overview.status == found.status
    assert 3 <= len(overview.figures) <= 5
    assert overview.about
    assert overview.confidence
    assert overview.why or found.status == "pass"
    assert all(figure.value_text for figure in overview.figures)
    text = " ".join([overview.sentence, *overview.why, *(figure.detail for figure in overview.figures)])
    assert "None" not in text
    assert "nan" not in text
    print_overview(overview)
    assert len(capsys.readouterr().out.splitlines()) < 50
    assert bool(overview.fix_first) == (found.status in ("fail", "aborted"))


def test_eight_channels_each_have_a_row_the_worst_first(open_peak):
    run = open_peak()
    rows = [
        row._replace(channel=f"channel {at % 8}")
        for at, row in enumerate(run.customers())
        if row.channel == "web"
    ]
    run.customers = lambda _bucket_s=1: tuple(rows)
    _, _, _, overview = judged(run)
    assert len(overview.channels) == 8
    shares = [row.could.value for row in overview.channels]
    assert shares == sorted(shares)
    for row in overview.channels:
        assert row.could.value == customer_rate(rows, "can_order", {"channel": row.channel}).ratio
        assert row.wanted == row.got + row.lost


def test_channels_show_their_change_against_the_baseline(build_peak, tmp_path):
    import shutil

    from click.testing import CliRunner

    from doorbuster.cli import doorbuster as program

    scenario = tmp_path / "relative.yaml"
    with Run.open(build_peak()) as run:
        text = run.meta.scenario_text
    scenario.write_text(f'{text}  served: ["rate>=baseline-1%"]\n')
    for name, changes in (("good", GOOD), ("bad", {"rate_per_s": 20.0})):
        shutil.copytree(build_peak(**changes), tmp_path / name)
    args = ["gate", str(tmp_path / "bad"), "--scenario", str(scenario), "--baseline", str(tmp_path / "good")]
    done = CliRunner().invoke(program, [*args, "--out", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    document = json.loads((tmp_path / "out" / "summary.json").read_text())
    web = next(row for row in document["overview"]["channels"] if row["channel"] == "web")
    assert re.fullmatch(r"−[\d.]+ pp \(−[\d.]+ to −[\d.]+\)", web["change"])
    page = spaced((tmp_path / "out" / "index.html").read_text())
    assert "Against " in page
    assert f'class="number bad">{web["change"]}' in page
