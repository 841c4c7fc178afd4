# ruff: noqa: E501, ISC004 -- tables of lines and messages
"""`doorbuster demand from-log` and `diff`: what they write, what they never write, and what they refuse."""

from __future__ import annotations

import gzip
import json
import math

import pytest
import yaml
from click.testing import CliRunner
from simulated_log import ENTER, FIREFOX, LEAVE, START_S, LoggedPage, combined_lines, simulate

from doorbuster.cli import demand
from doorbuster.errors import DoorbusterError
from doorbuster.scenario import expected_customers, load_scenario

ADDRESSES = {"home": "GET /", "product": "GET /product/17", "add_to_basket": "POST /cart/add"}
CHAIN = {
    ENTER: {"home": 0.6, "product": 0.4},
    "home": {"product": 0.7, LEAVE: 0.3},
    "product": {"product": 0.3, "add_to_basket": 0.2, LEAVE: 0.5},
    "add_to_basket": {LEAVE: 1.0},
}


@pytest.fixture(scope="module")
def log_text():
    pages = simulate(CHAIN, 800, rate_per_s=0.5, think_s=lambda rng: rng.lognormal(math.log(15), 0.7), seed=3)
    return combined_lines(pages, ADDRESSES)


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def call(*words):
        done = CliRunner().invoke(demand.command, [str(word) for word in words])
        if isinstance(done.exception, DoorbusterError):
            return int(done.exception.exit_code), str(done.exception)
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done.exit_code, done.output

    return call


def test_a_log_becomes_a_scenario_that_is_valid_and_agrees_with_it(run, tmp_path, log_text):
    (tmp_path / "a.log").write_text(log_text)
    code, output = run("from-log", "a.log", "--name", "last-year")
    assert (code, "800 visits" in output) == (0, True)
    scenario = load_scenario(tmp_path / "scenarios" / "last-year.yaml")
    assert expected_customers(scenario) == pytest.approx(800, rel=0.001)
    text = (tmp_path / "scenarios" / "last-year.yaml").read_text()
    for figure in ("customers:", "journeys:", "think:"):
        before = text[: text.index(figure)].rstrip().splitlines()[-1]
        assert before.strip().startswith("#"), figure
    page = (tmp_path / "reports" / "last-year-demand" / "index.html").read_text()
    assert page.count("<svg") >= 4
    code, output = run("diff", "a.log", "scenarios/last-year.yaml")
    assert code == 0
    assert "No figure differs" in output
    assert " differ," not in output


def test_a_scenario_of_something_else_differs(run, tmp_path, log_text):
    (tmp_path / "a.log").write_text(log_text)
    assert run("from-log", "a.log")[0] == 0
    changed = yaml.safe_load((tmp_path / "scenarios" / "from-log.yaml").read_text())
    changed["demand"]["customers"] *= 2
    (tmp_path / "scenarios" / "other.yaml").write_text(yaml.safe_dump(changed, sort_keys=False))
    code, output = run("diff", "a.log", "scenarios/other.yaml", "--html", "diff.html")
    assert code == 0, output
    assert "The scenario differs from the log" in output
    assert "visits in the busiest" in (tmp_path / "diff.html").read_text()


def test_files_in_any_order_and_compressed_are_one_log(run, tmp_path, log_text):
    lines = log_text.splitlines(keepends=True)
    half = len(lines) // 2
    (tmp_path / "all.log").write_text(log_text)
    (tmp_path / "late").write_bytes(gzip.compress("".join(lines[half:]).encode()))
    (tmp_path / "early").write_text("".join(lines[:half]))
    assert run("from-log", "all.log", "--name", "all")[0] == 0
    assert run("from-log", "late", "early", "--name", "both")[0] == 0

    def plain(name):
        return yaml.safe_load((tmp_path / "scenarios" / f"{name}.yaml").read_text())

    assert plain("all") == plain("both")


@pytest.mark.truth
def test_several_processes_find_the_same(run, tmp_path, log_text, monkeypatch):
    from doorbuster.access_logs import log_pieces, reading

    (tmp_path / "a.log").write_text(log_text)
    assert run("from-log", "a.log", "--name", "one", "--processes", 1)[0] == 0
    monkeypatch.setattr(reading, "SMALL_BYTES", 0)
    monkeypatch.setattr(log_pieces, "PIECE_BYTES", 30_000)
    monkeypatch.setattr(reading, "PART_BYTES", 20_000)
    assert run("from-log", "a.log", "--name", "two", "--processes", 2)[0] == 0
    one, two = (yaml.safe_load((tmp_path / f"scenarios/{name}.yaml").read_text()) for name in ("one", "two"))
    assert one == two


def test_the_mapping_decides_on_the_kinds_of_pages(run, tmp_path):
    addresses = {"home": "GET /start", "product": "GET /ware/{}", "add_to_basket": "POST /rein"}
    visits = [LoggedPage(START_S + 60 * n + 9 * k, n, page) for n in range(9)
              for k, page in enumerate(("home", "product", "add_to_basket"))]  # fmt: skip
    (tmp_path / "a.log").write_text(combined_lines(visits, addresses))
    (tmp_path / "map.yaml").write_text(
        'pages: {"GET /ware/{id}": product, "POST /rein": add_to_basket, "GET /st*": home}'
    )
    assert run("from-log", "a.log", "--map", "map.yaml")[0] == 0
    chain = yaml.safe_load((tmp_path / "scenarios" / "from-log.yaml").read_text())["journeys"]
    assert set(next(iter(chain.values()))["chain"]) == {"enter", "home", "product", "add_to_basket"}


def test_no_address_cookie_query_or_user_agent_is_written(run, tmp_path):
    secrets = (
        "203.0.113.77",
        "s3cr3t-cookie",
        "ann@example.com",
        "pink+slippers",
        "Firefox",
        "jane-doe-4711",
    )
    lines = []
    for n in range(60):
        for k, path in enumerate(
            ("/", "/search?q=pink+slippers&mail=ann@example.com", "/account/jane-doe-4711/x")
        ):
            lines.append(json.dumps({
                "msec": START_S + n * 40 + k * 7, "remote_addr": "203.0.113.77", "status": 200, "request_time": 0.1,
                "request": f"GET {path} HTTP/1.1", "http_user_agent": FIREFOX, "uid": f"s3cr3t-cookie-{n}",
                "http_referer": "https://shop.example/?q=pink+slippers",
            }))  # fmt: skip
    (tmp_path / "visits.json").write_text("\n".join(lines) + "\n")
    code, output = run("from-log", "visits.json")
    assert code == 0
    assert "60 visits" in output
    written = [path for path in tmp_path.rglob("*") if path.is_file() and path.name != "visits.json"]
    assert len(written) == 4
    for text in (output, *(path.read_text() for path in written)):
        assert [secret for secret in secrets if secret in text] == []


def lines_at(*seconds, address="GET /"):
    return combined_lines(
        [LoggedPage(START_S + at_s, n, "home") for n, at_s in enumerate(seconds)], {"home": address}
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("#Version: 1.0\n#Fields: date time c-ip cs-method cs-uri-stem sc-status\n",
         "a.log: no request found in 2 lines; is this the right log?"),
        (lines_at(*range(30)) + '{"time": 1}\n' * 10, "a.log:31: not a line of an Apache or nginx combined log: "
         "its shape is '{\"aaaa\": 0}'; 10 of 40 lines are not. Split a file that mixes formats"),
        (lines_at(0) .replace("2023", "1970"), "a.log: has the time 1970-11-14 22:13:20 UTC, which is before 1990"),
        (lines_at(0).replace("14/Nov/2023:22", "31/Nov/2023:27"), "a.log:1: no request found in 1 line: not a line of an Apache or nginx combined log: its shape is"),
        (lines_at(0).replace("Nov", "Nom"), "a.log:1: no request found in 1 line"),
        (lines_at(0).replace("2023", "2093"), "a.log: has the time 2093-11-14 22:13:20 UTC"),
        (lines_at(0, address="GET /static/x.css"), "a.log: no visit by a person found: of 1 requests, 0 are by programs, "
         "1 for static files"),
        ("when,what\n1,2\n", "a.log:1: not an access log that can be read; it begins with 'when,what"),
        ("timestamp,url,status\n2023-11-14 22:13:20,/,200\n", "a.log:2: the time '2023-11-14 22:13:20' has no time "
         "zone; name it with --zone"),
    ],
)  # fmt: skip
def test_a_log_that_cannot_be_used_is_refused_and_nothing_is_written(text, message, run, tmp_path):
    (tmp_path / "a.log").write_text(text)
    code, output = run("from-log", "a.log")
    assert code == 2
    assert message in output
    assert len(output.splitlines()) == 1
    assert [path.name for path in tmp_path.rglob("*")] == ["a.log"]


def test_a_clock_that_goes_back_is_refused_unless_lines_are_unsorted(run, tmp_path):
    first, second = lines_at(0).rstrip("\n"), lines_at(7200).rstrip("\n")
    (tmp_path / "a.log").write_text(f"{first}\n{second}\n{first}\n")
    code, output = run("from-log", "a.log")
    assert (code, "a.log:3: the clock goes back by 120 min; correct the times" in output) == (2, True)
    assert run("from-log", "a.log", "--unsorted")[0] == 0


def test_a_file_that_is_given_twice_is_refused(run, tmp_path):
    (tmp_path / "a.log").write_text(lines_at(0))
    code, output = run("from-log", "a.log", "./a.log")
    assert (code, "a.log: is given twice, so its requests would count twice; name it once" in output) == (
        2,
        True,
    )


def test_logs_of_several_formats_are_refused(run, tmp_path):
    (tmp_path / "a.log").write_text(lines_at(0))
    (tmp_path / "b.log").write_text(
        '{"ts": 1700000000, "request": {"method": "GET", "uri": "/"}, "status": 200}\n'
    )
    code, output = run("from-log", "a.log", "b.log")
    assert (code, "b.log:1: is a JSON lines of Caddy, but a.log is an Apache or nginx combined log" in output) == (
        2, True)  # fmt: skip


def test_a_compressed_log_that_is_cut_off_says_so(run, tmp_path, log_text):
    (tmp_path / "a.gz").write_bytes(gzip.compress(log_text.encode())[:-900])
    code, output = run("from-log", "a.gz")
    assert (code, "a.gz ends early: its compression is cut off or damaged" in output) == (0, True)


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        ("pages: {GET /: shop}\ncolour: red", ["pages.GET / must be one of home, category", "colour is not a valid key"]),
        ("columns: {time: t}", ["columns must name time, and path or request"]),
        ("columns: {time: t, path: p, size: s}\nunit: h", ["columns.size must be one of", "unit must be one of ns, us"]),
        ("unit: ms", ["unit has no effect without columns"]),
        ("- a", ["must be a mapping with keys such as columns and pages"]),
    ],
)  # fmt: skip
def test_a_wrong_mapping_is_refused_with_every_problem(text, messages, run, tmp_path):
    (tmp_path / "a.log").write_text(lines_at(0))
    (tmp_path / "map.yaml").write_text(text)
    code, output = run("from-log", "a.log", "--map", "map.yaml")
    assert code == 2
    assert [message for message in messages if message not in output] == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--name", "Last Year"], "--name: must be lower-case letters"),
        (["--gap", "soon"], "--gap soon:"),
        (["--gap", "0s"], "--gap must be 1 s to"),
        (["--zone", "Mars"], "'Mars' is not a time zone"),
        (["--zone", "UTC"], "a.log: --zone has no effect: its times name their zone; leave it out"),
    ],
)
def test_wrong_options_are_refused(words, message, run, tmp_path):
    (tmp_path / "a.log").write_text(lines_at(0))
    code, output = run("from-log", "a.log", *words)
    assert (code, message in output) == (2, True)


def test_an_existing_scenario_stays_unless_it_may_be_replaced(run, tmp_path):
    (tmp_path / "a.log").write_text(lines_at(0, 50))
    assert run("from-log", "a.log")[0] == 0
    code, output = run("from-log", "a.log")
    assert (code, "from-log.yaml: exists; choose another --name, or add --replace" in output) == (2, True)
    assert run("from-log", "a.log", "--replace")[0] == 0


def test_a_scenario_without_pages_cannot_be_compared(run, tmp_path):
    (tmp_path / "a.log").write_text(lines_at(0, 50))
    (tmp_path / "tills.yaml").write_text(
        "{title: Tills, target: {shop: {profile: replatformed}}, demand: {peak: 1/s, curve: {stages: [{for: 9s, at: 100%}]}},"
        " channels: {store: {share: 100%, journeys: {pos_sale: 1}}}}"
    )
    code, output = run("diff", "a.log", "tills.yaml")
    assert (code, "has no open channel whose customers visit pages" in output) == (2, True)
