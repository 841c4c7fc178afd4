"""The files of a report, from real run files: what they say, and that nothing foreign acts in them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from doorbuster.errors import RecordError
from doorbuster.gate import judge, verdict
from doorbuster.records.batch import Event
from doorbuster.records.reader import Run
from doorbuster.report import (
    Chart,
    Column,
    Fact,
    Metric,
    Section,
    Series,
    Table,
    analyse_run,
    in_order,
    summary_lines,
    write_report,
)  # fmt: skip
from doorbuster.report.overview import lead_cause
from doorbuster.scenario import read_scenario
from doorbuster.scenario.thresholds.language import read_thresholds

ROOT = Path(__file__).parents[2]
HOSTILE = (
    "</script><img src=x onerror=alert(1)> ]]> | `x` *b* @me #1 $\\frac & \"q\" 'q'\n"
    "\u202e\x00\x1b[31m\ud800 &lt; end"
)


@pytest.fixture(scope="session")
def report(build_peak, tmp_path_factory):
    """Writes the report of a peak with these changes; gives its folder."""

    def write(*, thresholds=None, sections=None, **changes) -> Path:
        folder = tmp_path_factory.mktemp("report")
        with Run.open(build_peak(**changes)) as run:
            found = analyse_run(run, [ROOT / "analysis"]).sections if sections is None else sections
            wanted = (
                read_scenario(run.meta.scenario_text).thresholds
                if thresholds is None
                else read_thresholds(thresholds)
            )
            results = judge(run, found, wanted)
            write_report(run, found, results, verdict(run, results), folder)
        return folder

    return write


@pytest.fixture(scope="session")
def failed(report) -> Path:
    return report()


class Page(HTMLParser):
    """Elements, attributes and text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data):
        if self.cdata_elem is None:  # neither script nor style
            self.text.append(data)


def words(html: str) -> str:
    return re.sub(r"\s+", " ", " ".join(Page(html).text))


def section_of(text: str) -> Section:
    """A section in which every text is the given one."""
    values = (Metric(1.0, "ms", 0.5, None, 3, text), text, None)
    return Section(
        name=text, question=text, sentence=text, findings=(text,), metrics={text: Metric(2.0, meaning=text)},
        recommendations=(text,), facts=(Fact(text, text, text), Fact(text, text, text)), group=text,
        tables=(Table(text, (Column(text), Column(text), Column(text)), (values,), text, in_summary=True),),
        figures=(
            Chart("bars", text, text, text, (text, text + "2"), (Series(text, (1.0, 2.0)),), note=text),
            Chart(
                "lines", text, text, text, (0.0, 1.0),
                (Series(text, (1.0, None)), Series(text, (2.0, 3.0))),
            ),
            Chart("stacked", text, text, text, (), ()),
        ),
    )  # fmt: skip


# The page


def test_a_report_is_these_files(failed):
    assert sorted(path.name for path in failed.iterdir()) == [
        "badge.json",
        "index.html",
        "junit.xml",
        "load-performance.json",
        "summary.json",
        "summary.md",
    ]


def test_the_page_is_complete_in_itself(failed):
    page = Page((failed / "index.html").read_text(encoding="utf-8"))
    loading = {
        "link", "img", "iframe", "object", "embed", "video", "audio", "source", "base", "form",
    }  # fmt: skip
    assert loading.isdisjoint(page.tags)
    targets = [value for name, value in page.attributes if name in ("href", "src", "xlink:href", "action")]
    assert targets
    assert all(target.startswith("#") for target in targets)
    assert page.tags.count("script") == 2  # the run's data, and the page's own script
    (policy,) = (value for name, value in page.attributes if "default-src" in value)
    assert re.fullmatch(
        r"default-src 'none'; style-src 'sha256-\S+'; script-src 'sha256-\S+'; font-src data:; "
        r"base-uri 'none'; form-action 'none'",
        policy,
    )
    assert "style" not in [name for name, _ in page.attributes]
    assert "url(http" not in (failed / "index.html").read_text(encoding="utf-8")


def test_every_id_is_used_once_and_every_reference_has_its_id(failed):
    text = (failed / "index.html").read_text(encoding="utf-8")
    page = Page(text)
    ids = [value for name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    used = {value[1:] for name, value in page.attributes if name == "href"} | set(
        re.findall(r"url\(#([^)]+)\)", text)
    )
    assert used <= set(ids)


def test_the_order_of_the_page_is_verdict_facts_thresholds_sections_method(failed):
    text = words((failed / "index.html").read_text(encoding="utf-8"))
    order = [
        "FAIL", "Could order", "Sales lost", "Broke for arrivals from", "Capacity", "Customers per second",
        "Why", "What to fix first", "Next", "Confidence",
        "Which thresholds were met?", "Customers and orders", "Could customers browse and order",
        "Did every order arrive",
        "How long did customers wait",
        "Reliability of the results", "How was this measured", "The scenario of this run",
    ]  # fmt: skip
    at = 0
    for part in order:
        at = text.index(part, at)


def test_what_several_runs_say_together_heads_the_page_and_the_summary(report):
    asked = Section("capacity", "How many?", "Capacity is 20 customers/s.", headline=True)
    folder = report(sections=[Section("latency", "How slow?", "Slow."), asked])
    page = (folder / "index.html").read_text()
    assert "<title>How many? · " in page
    assert "<h1>Capacity is 20 customers/s.</h1>" in page
    places = [page.index(f">{text}<") for text in ("How many?", "Which thresholds were met?", "How slow?")]
    assert places == sorted(places)
    assert (
        (folder / "summary.md").read_text().startswith("### Capacity is 20 customers/s.\n\nOne of the runs:")
    )


def test_what_to_fix_first_stands_beside_its_evidence(failed, build_peak):
    with Run.open(build_peak()) as run:
        cause = lead_cause(analyse_run(run, [ROOT / "analysis"]).sections)
    page = words((failed / "index.html").read_text(encoding="utf-8"))
    texts = [text.replace(" %", "\N{NO-BREAK SPACE}%") for text in (cause.evidence, cause.advice)]
    places = [page.index(" ".join(text.split())) for text in (*texts, "Which thresholds were met?")]
    assert places == sorted(places)


def test_the_figures_are_those_of_the_run(failed, open_peak):
    run = open_peak()
    web = [row for row in run.customers() if row.order is not None and row.channel == "web"]
    wanted, could = sum(row.n for row in web), sum(row.n for row in web if row.order)
    text = words((failed / "index.html").read_text(encoding="utf-8"))
    assert f"Could order, web {could / wanted * 100:.1f} %" in text
    assert f"{could} of {wanted} customers; all channels" in text


def test_every_result_has_a_sign_and_a_word(failed):
    text = (failed / "index.html").read_text(encoding="utf-8")
    for word, sign in (("pass", "✓"), ("fail", "✗"), ("warn", "!")):
        assert f'<span class="mark {word}"><span aria-hidden="true">{sign}</span> {word}</span>' in text


def test_every_figure_that_the_script_does_not_draw_has_its_numbers_in_a_table(failed):
    text = (failed / "index.html").read_text(encoding="utf-8")
    drawn = sum(
        part.count("<figure>")
        for part in re.findall(
            r'data-panel="(?!section)\w+" hidden></div>\s*(?:</details>\s*)?'
            r'<div class="static">(.*?)</section>',
            text,
            re.S,
        )
    )
    assert drawn >= 8
    redrawn = text.count('data-panel="section" data-figure=')
    assert redrawn >= 1
    assert text.count("<figure>") - drawn - redrawn == text.count("The numbers behind this figure")
    assert text.count("<svg ") == text.count("<figure>") + 1  # the chart of the first screen


def test_the_same_run_gives_the_same_bytes(report, failed):
    again = report()
    for name in ("index.html", "summary.md", "junit.xml", "summary.json"):
        assert (again / name).read_bytes() == (failed / name).read_bytes()


def test_a_run_in_which_nothing_happened_has_a_report(report):
    folder = report(rate_per_s=0.0, ledger=False)
    assert (
        json.loads((folder / "summary.json").read_text(encoding="utf-8"))["verdict"]["status"]
        == "inconclusive"
    )
    assert "no customer came" in words((folder / "index.html").read_text(encoding="utf-8"))


def test_importing_the_report_imports_no_heavy_library():
    heavy = ("matplotlib", "scipy", "rich")
    program = f"import sys, doorbuster.report; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_report_that_cannot_be_written_leaves_the_old_one_alone(failed, report, open_peak, tmp_path):
    folder = tmp_path / "taken"
    folder.write_text("a file", encoding="utf-8")
    run = open_peak()
    with pytest.raises(RecordError, match="cannot write the report"):
        write_report(run, (), (), verdict(run, ()), folder)
    assert folder.read_text(encoding="utf-8") == "a file"


# Hostile texts


@pytest.fixture(scope="session")
def attacked(report) -> Path:
    """A report in which the shop, the scenario and a script say hostile things wherever they can."""
    safe = HOSTILE.replace("\ud800", "").replace("\x00", "")  # the run file itself holds UTF-8
    meta = {
        "title": safe, "story": safe, "scenario_text": safe, "target_url": safe, "status_reason": safe,
        "versions": {safe: safe}, "machine": {"hostname": safe, safe: safe}, "git_commit": safe,
        "scenario_name": safe,
    }  # fmt: skip
    return report(
        thresholds={"can_order": ["rate>=99%"]}, sections=(section_of(HOSTILE),), meta=meta, web="we<b>|`",
        checkout=safe, cause=safe, events=(Event(1.0, safe, safe),), reason=safe,
    )  # fmt: skip


def test_hostile_text_makes_no_element_and_no_attribute(attacked):
    text = (attacked / "index.html").read_text(encoding="utf-8")
    page = Page(text)
    assert "img" not in page.tags
    assert page.tags.count("script") == 2
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert "<img src=x onerror=alert(1)>" in words(text)
    assert not re.search("[\x00-\x08\x0b-\x1f\u202e\ud800-\udfff]", text)


def test_hostile_text_leaves_the_junit_file_valid(attacked):
    tree = ET.parse(attacked / "junit.xml")
    suite = tree.find("testsuite")
    assert "]]>" in suite.get("name")
    assert suite.find("testcase").get("name") == "can_order: rate>=99%"


def test_hostile_text_stays_one_line_of_plain_text_in_markdown(attacked, failed):
    hostile, plain = ((folder / "summary.md").read_text(encoding="utf-8") for folder in (attacked, failed))
    assert hostile.count("\n- **") == 1
    assert plain.count("\n- **") == len(json.loads((failed / "summary.json").read_text())["sections"])
    assert "\\<img" in hostile
    assert not re.search(r"(?<!\\)[`$]", hostile)
    assert "@me" not in hostile
    assert "#1 " not in hostile
    table = [line for line in hostile.splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in table} == {4, 7, 8}


def test_hostile_text_survives_in_json(attacked):
    document = json.loads((attacked / "summary.json").read_text(encoding="utf-8"))
    assert document["sections"][0]["sentence"] == re.sub("[\u202e\x00\x1b\ud800]", "\ufffd", HOSTILE)


def test_hostile_text_makes_one_clean_line_per_request_in_the_terminal():
    for line in summary_lines([section_of(HOSTILE + "\x9b31m\x7f")]):
        assert not re.search("[\x00-\x1f\x7f-\x9f\u202e\ud800-\udfff]", line)


def test_sections_are_sorted_by_group_and_by_their_own_order():
    names = {"late": ("Performance", 310), "own": ("", 500), "early": ("Performance", 300)}
    names |= {"trust": ("Reliability", 900), "users": ("Performance", 320), "first": ("Customers", 200)}
    sections = [Section(name, "?", ".", group=group, order=order) for name, (group, order) in names.items()]
    sections.append(Section("not shown", "?", ".", not_applicable=True))
    sections.append(Section("sweep", "?", ".", order=999, headline=True))
    assert [section.name for section in in_order(sections)] == [
        "sweep", "first", "early", "late", "users", "own", "trust",
    ]  # fmt: skip


# JSON and Markdown


def test_the_summary_for_programs_carries_every_number(failed, open_peak):
    document = json.loads((failed / "summary.json").read_text(encoding="utf-8"))
    run = open_peak()
    totals = run.outcome_totals()
    assert document["schema"] == "doorbuster.summary/1"
    assert document["verdict"]["status"] == "fail"
    assert document["verdict"]["exit_code"] == 99
    assert (
        document["outcome_totals"]["planned"]
        == totals.planned
        == sum(list(document["outcome_totals"].values())[1:])
    )
    assert len(document["thresholds"]) == 8
    order = document["thresholds"][1]
    assert (order["selector"], order["threshold"], order["status"]) == ("can_order", "rate>=99%", "fail")
    assert order["low"] < order["observed"] < order["high"] < order["bound"]
    metric = document["metrics"]["customers.can_order"]
    assert [metric[name] for name in ("value", "low", "high", "n")] == [
        order[name] for name in ("observed", "low", "high", "n")
    ]
    assert [section["name"] for section in document["sections"]] == [
        "customers", "orders", "fulfilment", "phases", "latency", "errors", "time_breakdown",
        "workload_fidelity", "consistency_checks", "generator_health",
    ]  # fmt: skip


def test_the_summary_for_a_pull_request_starts_with_the_verdict(failed):
    lines = (failed / "summary.md").read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("### ❌ FAIL: ")
    assert "| Could order, web | Sales lost | Broke for arrivals from | Capacity |" in lines
    assert sum(line.startswith(("| ✗ fail", "| ✓ pass", "| ! warn")) for line in lines) == 8


# A real browser


def chromium() -> str:
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("browser tests need Chromium: apt-get install chromium")
    return found


def browse(page: Path, profile: Path, *options: str) -> str:
    done = subprocess.run(
        [chromium(), "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync",
         f"--user-data-dir={profile}", *options, page.as_uri()],
        capture_output=True, text=True, timeout=90,
    )  # fmt: skip
    return done.stdout


def test_a_browser_shows_the_page(failed, tmp_path):
    dom = browse(failed / "index.html", tmp_path, "--dump-dom")
    assert "<title>FAIL · A sale, simulated</title>" in dom
    assert dom.count("<svg") == (failed / "index.html").read_text(encoding="utf-8").count("<svg ")


def test_a_browser_runs_nothing_of_a_hostile_page(attacked, tmp_path):
    dom = browse(attacked / "index.html", tmp_path, "--dump-dom")
    assert "&lt;img src=x onerror=alert(1)&gt;" in dom
    assert "<img" not in dom
    assert dom.count("<script") == 2


def test_the_top_of_the_page_fits_on_a_screen(failed, tmp_path):
    """The manager's screen ends above 800 pixels of a 1280 pixel wide window."""
    probe = tmp_path / "probe.html"
    text = (failed / "index.html").read_text(encoding="utf-8")
    policy = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>')
    measure = "document.title = document.querySelector('.screen').getBoundingClientRect().bottom"
    script = f"<script>{measure}</script></body>"
    probe.write_text(policy.sub("", text).replace("</body>", script), encoding="utf-8")
    started = time.monotonic()
    dom = browse(probe, tmp_path / "profile", "--window-size=1280,800", "--dump-dom")
    assert time.monotonic() - started < 60
    bottom = float(re.search(r"<title>([\d.]+)</title>", dom)[1])
    assert 100 < bottom < 800
