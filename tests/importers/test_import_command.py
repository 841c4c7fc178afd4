"""`doorbuster import` as a user meets it: verdicts, refusals, and nothing half-written."""

import json

import pytest
import result_files
from click.testing import CliRunner
from result_files import requests, write

from doorbuster.cli import doorbuster
from doorbuster.errors import DoorbusterError

SENT = requests()
LIMITS = """
title: Nightly
thresholds:
  http_req_duration: ["p(95)<{p95}"]
  http_req_failed: ["rate<60%"]
"""


def run_import(tmp_path, *args):
    """(exit code, output); the output ends with the message of an error."""
    result = CliRunner().invoke(doorbuster, ["import", *map(str, args)], standalone_mode=False)
    if isinstance(result.exception, DoorbusterError):
        return int(result.exception.exit_code), result.output + str(result.exception)
    if result.exception is not None:
        raise result.exception
    return result.return_value, result.output


@pytest.mark.parametrize(("p95", "code"), [(100_000, 0), (1, 99)])
@pytest.mark.parametrize("form", [result_files.k6_json, result_files.k6_summary, result_files.jmeter_csv])
def test_thresholds_decide(form, p95, code, tmp_path):
    path = write(tmp_path, form, SENT)
    (tmp_path / "limits.yaml").write_text(LIMITS.format(p95=p95))
    found, output = run_import(
        tmp_path, path, "--scenario", tmp_path / "limits.yaml", "--out", tmp_path / "run"
    )
    assert found == code, output
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["verdict"]["status"] == ("pass" if code == 0 else "fail")
    assert (tmp_path / "run" / "index.html").exists()


def test_a_percentile_that_was_not_reported_is_unknown(tmp_path):
    path = write(tmp_path, result_files.k6_summary, SENT)
    (tmp_path / "limits.yaml").write_text('title: t\nthresholds:\n  http_req_duration: ["p(97)<1s"]\n')
    code, output = run_import(
        tmp_path, path, "--scenario", tmp_path / "limits.yaml", "--out", tmp_path / "run"
    )
    assert code == 96
    assert "does not report this value; it reports p(50), p(90), p(95)" in output


@pytest.mark.parametrize("form", result_files.HIDING, ids=lambda form: form.__name__)
def test_a_failure_rate_of_successes_is_unknown(form, tmp_path):
    path = write(tmp_path, form, SENT)
    (tmp_path / "limits.yaml").write_text('title: t\nthresholds:\n  http_req_failed: ["rate<1%"]\n')
    code, output = run_import(
        tmp_path, path, "--scenario", tmp_path / "limits.yaml", "--out", tmp_path / "run"
    )
    assert code == 96
    assert "lists no failed requests" in output


def test_percentiles_of_two_summaries_are_not_merged(tmp_path):
    paths = []
    for place in (0, 1):
        path = tmp_path / f"{place}.json"
        path.write_bytes(result_files.k6_summary(SENT[place::2]))
        paths.append(path)
    (tmp_path / "limits.yaml").write_text(LIMITS.format(p95=100_000))
    code, output = run_import(
        tmp_path, *paths, "--scenario", tmp_path / "limits.yaml", "--out", tmp_path / "run"
    )
    assert code == 96
    assert "cannot be merged" in output


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "the file is empty"),
        (b"\xff\xfet\0i\0m\0e\0", "UTF-16"),
        (b"hello, world\n", "the format is not recognised"),
        (bytes(range(256)), "begins with the bytes 00 01 02"),
        (b"timeStamp,elapsed,label,success\n", "no requests found"),
        (b"timeStamp,elapsed,label,success\n2026-11-27 08:00:00,5,a,true\n", "has no time zone; add --zone"),
        (b"timeStamp,elapsed,label,success\nyesterday,5,a,true\n", "cannot be read"),
        (
            b"timeStamp,elapsed,label,success\n1764230400000,5,a,true\n1795766400000,5,a,true\n",
            "more than a week",
        ),
        (b"timeStamp,elapsed,label,success\n" + b"x,y,z,true\n" * 50, "no requests found|cannot be read"),
        (b"<testResults><httpSample t='1' ts='1", "is not JMeter XML"),
        (b'<!DOCTYPE x [<!ENTITY a "b">]><testResults version="1.2"/>', "no DOCTYPE"),
    ],
)
def test_a_bad_file_is_refused_in_one_sentence(content, words, tmp_path):
    import re

    path = tmp_path / "results"
    path.write_bytes(content)
    code, output = run_import(tmp_path, path, "--out", tmp_path / "run")
    assert code == 2
    assert re.search(words, output), output
    assert sorted(one.name for one in tmp_path.iterdir()) == ["results"]


def test_files_of_two_tools_are_refused(tmp_path):
    (tmp_path / "a").write_bytes(result_files.k6_json(SENT))
    (tmp_path / "b").write_bytes(result_files.jmeter_csv(SENT))
    code, output = run_import(tmp_path, tmp_path / "a", tmp_path / "b", "--out", tmp_path / "run")
    assert code == 2
    assert "several tools" in output


def test_a_scenario_about_customers_alone_is_refused(tmp_path):
    path = write(tmp_path, result_files.k6_json, SENT)
    (tmp_path / "shop.yaml").write_text(
        "title: t\nstory: s\ntarget: {shop: replatformed}\ndemand: {base: 1/s, duration: 10s}\n"
        "channels: {web: {journeys: {buy: 1}}}\nthresholds: {can_order: [rate>99%]}\n"
    )
    code, output = run_import(tmp_path, path, "--scenario", tmp_path / "shop.yaml", "--out", tmp_path / "run")
    assert code in (2, 104)
    assert not (tmp_path / "run").exists(), output


def test_a_mapping_names_every_problem(tmp_path):
    path = write(tmp_path, result_files.mapped_csv, SENT)
    (tmp_path / "map.yaml").write_text(
        "columns: {duration: took}\nunit: minutes\nlabels: {a: b}\ncolour: red\n"
    )
    code, output = run_import(tmp_path, path, "--map", tmp_path / "map.yaml", "--out", tmp_path / "run")
    assert code == 2
    for words in (
        "columns.duration is unknown",
        "unit must be one of",
        "labels.a must name",
        "unknown key 'colour'",
    ):
        assert words in output


def test_a_line_that_was_cut_off_is_counted(tmp_path):
    path = write(tmp_path, result_files.jmeter_csv, SENT)
    path.write_bytes(path.read_bytes()[:-30])
    code, output = run_import(tmp_path, path, "--out", tmp_path / "run")
    assert code == 96
    assert "399 requests, 1 row left out" in output


def test_a_cut_off_gzip_file_yields_what_it_holds(tmp_path):
    path = write(tmp_path, result_files.k6_json_gz, SENT)
    path.write_bytes(path.read_bytes()[:-200])
    code, output = run_import(tmp_path, path, "--out", tmp_path / "run")
    assert code == 96
    assert "ends early" in output


def test_an_existing_run_is_not_overwritten(tmp_path):
    path = write(tmp_path, result_files.jmeter_csv, SENT)
    assert run_import(tmp_path, path, "--out", tmp_path / "run")[0] == 96
    before = (tmp_path / "run" / "run.sqlite").read_bytes()
    code, output = run_import(tmp_path, path, "--out", tmp_path / "run")
    assert code == 2
    assert "is not empty" in output
    assert (tmp_path / "run" / "run.sqlite").read_bytes() == before


def test_an_option_without_effect_is_refused(tmp_path):
    path = write(tmp_path, result_files.k6_json, SENT)
    code, output = run_import(tmp_path, path, "--transactions", "--zone", "UTC", "--out", tmp_path / "run")
    assert code == 2
    assert "--transactions, --zone has no effect on k6 JSON lines" in output
    assert not (tmp_path / "run").exists()
