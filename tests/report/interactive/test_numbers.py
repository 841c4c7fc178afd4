"""What the page computes from its histograms equals what Python computes from the run, to the last digit."""

from __future__ import annotations

import json
from collections.abc import Iterable
from importlib.resources import files

import pytest

from doorbuster.records.histogram import BINS, HALF, Histogram
from doorbuster.records.outcome import RequestOutcome
from doorbuster.report.formatting import format_clock, format_metric, format_value
from doorbuster.report.section import Column, Table, bucket_s, time_metric
from doorbuster.report.shown_table import shown_table
from doorbuster.stats.latency_quantiles import LatencyQuantile, TimeBlock
from doorbuster.stats.quantile import minimum_n
from doorbuster.stats.windows import window_quantiles

PEAK = {"rate_per_s": 25.0, "broken": (20, 45)}
EMPTY = Histogram.empty()
OUTCOMES = {
    "answered": RequestOutcome.OK,
    "failed": RequestOutcome.FAILED,
    "abandoned": RequestOutcome.ABANDONED,
}
ROWS = """JSON.stringify([...document.querySelector('#latency [aria-label="Response times"] tbody').rows].map(
  (row) => [...row.cells].map((cell) => [cell.textContent, cell.querySelector("data")?.value ?? null])))"""
HEADS = """[...document.querySelectorAll('#latency [aria-label="Response times"] thead th')].map(
  (cell) => cell.textContent.replace(/[▲▼]/, ""))"""


@pytest.fixture(scope="module")
def loaded(browser, page):
    browser.open(page(**PEAK).as_uri())
    browser.ready()
    assert browser.problems() == []
    return browser


def show(browser, filters: str) -> None:
    browser.js(f"new Promise((done) => {{ addEventListener('hashchange', () => done(), {{ once: true }});"
               f" location.hash = {json.dumps(f'#latency?{filters}')}; }})")  # fmt: skip


def quantiles(found: dict, outcome: str | None, shares: Iterable[float]) -> tuple[LatencyQuantile, ...]:
    """Quantiles of histograms by outcome: past abandoned requests, or of one outcome alone."""
    if outcome is not None:
        return window_quantiles(TimeBlock(found.get(OUTCOMES[outcome], EMPTY), EMPTY), tuple(shares))
    block = TimeBlock(found.get(RequestOutcome.OK, EMPTY), found.get(RequestOutcome.ABANDONED, EMPTY))
    return window_quantiles(block, tuple(shares))


def text_of(one: LatencyQuantile) -> str:
    """As the report writes it."""
    return format_metric(time_metric(one))


@pytest.mark.parametrize(
    "filters",
    [
        {},
        {"p": "90"},
        {"channel": "web", "p": "99.9"},
        {"channel": "web", "from": "20", "to": "45", "p": "75"},
        {"journey": "buy", "by": "channel", "p": "12.5"},
        {"step": "checkout", "p": "33.3"},
        {"outcome": "answered", "from": "10", "to": "50"},
        {"outcome": "failed", "by": "journey", "p": "99.99"},
        {"outcome": "abandoned", "step": "product"},
    ],
    ids=lambda filters: "&".join(f"{name}={value}" for name, value in filters.items()) or "all",
)
def test_the_table_of_response_times(loaded, open_peak, filters):
    show(loaded, "&".join(f"{name}={value}" for name, value in filters.items()))
    run = open_peak(**PEAK)
    by = filters.get("by", "step")
    seconds = (int(filters.get("from", 0)), int(filters.get("to", 10**6)))
    chosen = {name: filters[name] for name in ("channel", "journey", "step") if name in filters}
    found = run.histograms_by(
        lambda key: (
            (getattr(key, by), key.outcome)
            if all(getattr(key, name) == value for name, value in chosen.items())
            and filters.get("outcome")
            in (None, *(word for word, end in OUTCOMES.items() if end == key.outcome))
            else None
        ),
        seconds=seconds,
    )
    shares = sorted({0.5, 0.95, 0.99, float(filters.get("p", "95")) / 100})
    results, counts = {}, {}
    for name in {name for name, _ in found}:
        of = {end: times for (group, end), times in found.items() if group == name}
        results[name] = quantiles(of, filters.get("outcome"), shares)
        counted = of if "outcome" in filters else {end: one for end, one in of.items() if end != "failed"}
        counts[name] = str(sum(one.n for one in counted.values()))
    table = shown_table(
        Table(
            "",
            tuple(Column(f"p{share * 100:g}") for share in shares),
            tuple(tuple(time_metric(one) for one in row) for row in results.values()),
        )
    )
    expected = {
        name: [
            counts[name],
            *(
                (None if one.value_us is None else str(int(one.value_us)), cell.value)
                for one, cell in zip(results[name], cells, strict=True)
            ),
        ]
        for name, cells in zip(results, table.rows, strict=True)
    }
    heads = loaded.js(HEADS)
    rows = json.loads(loaded.js(ROWS))
    assert heads[2 : 2 + len(shares)] == list(table.heads)
    actual = {
        row[0][0]: [row[1][1], *((cell[1], cell[0]) for cell in row[2 : 2 + len(shares)])] for row in rows
    }
    assert actual == expected
    assert any(cell[0] for row in expected.values() for cell in row[1:])


def test_the_chart_of_percentiles_over_time(loaded, open_peak):
    show(loaded, "channel=web&from=0&to=60&p=80")
    run = open_peak(**PEAK)
    found = run.histograms_by(lambda key: key.outcome if key.channel == "web" and key.has_latency else None)
    n = sum(times.n for times in found.values())
    width = bucket_s(60, most=min(60, max(4, n // (2 * minimum_n(0.95)))))
    by_window = run.histograms_by(
        lambda key: key.outcome if key.channel == "web" and key.has_latency else None, bucket_s=width
    )
    expected = []
    for window in range(60 // width):
        of = {end: times for (end, at), times in by_window.items() if at == window}
        texts = [text_of(one) for one in quantiles(of, None, (0.5, 0.8, 0.95, 0.99))]
        expected.append([format_clock(window * width), *texts])
    assert loaded.js(numbers_of("Response time of web")) == [["from", "p50", "p80", "p95", "p99"], *expected]


def numbers_of(title: str) -> str:
    """An expression: opens the numbers of a chart and reads them."""
    return f"""new Promise((done) => {{ const look = () => {{
      const figure = [...document.querySelectorAll("figure.chart")].find(
        (one) => one.querySelector("figcaption").textContent.startsWith({json.dumps(title)}));
      if (figure) figure.querySelector("details").open = true;
      const table = figure?.querySelector("table");
      if (!table || figure.ariaBusy === "true") return requestAnimationFrame(look);
      done([...table.rows].map((row) => [...row.cells].map((cell) => cell.textContent)));
    }}; look(); }})"""


def test_arrivals_and_outcomes_by_second(loaded, open_peak):
    run = open_peak(**PEAK)
    show(loaded, "channel=web&from=10&to=40")
    web = run.arrivals()["web"]
    rows = loaded.js(numbers_of("Customers per second"))
    assert [row[1:3] for row in rows[1:]] == [
        [f"{planned}/s", f"{started}/s"]
        for planned, started in zip(web.planned[10:40].tolist(), web.started[10:40].tolist(), strict=True)
    ]
    served = [0] * 30
    for customer in run.customers():
        if customer.channel == "web" and 10 <= customer.second < 40 and customer.outcome == "served":
            served[customer.second - 10] += customer.n
    rows = loaded.js(numbers_of("What became of the customers"))
    place = rows[0].index("served")
    assert [row[place] for row in rows[1:]] == [f"{n}/s" for n in served]


def test_the_page_and_the_run_file_have_one_layout_of_histograms():
    script = (files("doorbuster.report.interactive") / "js/histogram.js").read_text(encoding="utf-8")
    assert f"const HALF = {HALF};\nconst BINS = {BINS};\n" in script


def test_numbers_are_written_as_python_writes_them(loaded):
    values = [0.0005, 0.001125, 0.01225, 0.1, 0.99949, 0.9995, 1.005, 2.345, 59.99, 60.5, 61.5, 3725.4, 0.0]
    values += [n / 8000 for n in range(1, 400, 3)] + [1234.5, 99_950.5, 123_456.7]
    script = (files("doorbuster.report.interactive") / "js/format.js").read_text(encoding="utf-8")
    for name, unit in (
        ("durationText", "s"),
        ("shareText", "ratio"),
        ("countText", "count"),
        ("rateText", "per_s"),
    ):
        found = loaded.js(f"(() => {{ {script}; return {json.dumps(values)}.map({name}); }})()")
        assert [text.replace("\u00a0", " ") for text in found] == [format_value(one, unit) for one in values]


def test_the_change_of_each_step_against_a_baseline(browser, page, open_peak):
    calm = {"rate_per_s": 25.0, "broken": None, "seed": 2}
    browser.open(page(baseline=calm, **PEAK).as_uri() + "#latency?p=90")
    browser.ready()
    assert browser.problems() == []
    values = {}
    for name, run in (("now", open_peak(**PEAK)), ("before", open_peak(**calm))):
        found = run.histograms_by(lambda key: key.outcome if key.step == "home" else None)
        (values[name],) = quantiles(found, None, [0.9])
    change = values["now"].value_us / values["before"].value_us - 1
    heads, rows = browser.js(HEADS), json.loads(browser.js(ROWS))
    (row,) = (row for row in rows if row[0][0] == "home")
    assert row[heads.index("Change of p90")][0].replace("\u00a0", " ") == f"+{format_value(change, 'ratio')}"
