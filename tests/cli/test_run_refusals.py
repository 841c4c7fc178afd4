"""A shop with several hosts: a run loads none of them without the allow-list and a confirmation."""

from __future__ import annotations

import pytest

from doorbuster.records.reader import Run

SCENARIO = """
title: An interface on a second host
target: {storefront: "custom:two-hosts", url: "%s"}
demand: {peak: 10 customers/s, curve: {stages: [{for: 1s, at: 100%%}]}}
channels: {web: {share: 100%%, journeys: {order_status: 1}, patience: none}}
thresholds: {served: ["rate>=99%%"], http_req_duration: ["max<1s"]}
drain: 2s
"""
ALLOW = "safety: {allow: [192.0.2.7, 192.0.2.8]}\n"


@pytest.fixture
def run_two_hosts(root, tmp_path, doorbuster, stall_server):
    """Runs the scenario with this addition and these options."""

    def run(more: str, *options: str):
        path = tmp_path / "two.yaml"
        url = stall_server("--kind", "fifo", "--service-ms", 1)
        path.write_text(SCENARIO % url + more, encoding="utf-8")
        locustfile = root / "tests/load/other_host.py"
        return doorbuster(
            "run", path, "--out", tmp_path / "out", "--quiet", "--locustfile", locustfile, *options
        )

    return run


def test_a_host_that_the_scenario_does_not_list_is_a_fault_of_the_configuration(run_two_hosts):
    done = run_two_hosts("")
    assert done.returncode == 96
    assert "not sent, because safety.allow does not list their host (192.0.2.7)" in done.stdout
    assert "FAIL" not in done.stdout


@pytest.mark.parametrize(
    ("confirmed", "missing"),
    [
        ((), "add --confirm-host 192.0.2.7 --confirm-host 192.0.2.8 if you may load them"),
        (("192.0.2.8",), "add --confirm-host 192.0.2.7 if you may load it"),
    ],
)
def test_every_allowed_host_must_be_confirmed(run_two_hosts, confirmed, missing):
    done = run_two_hosts(ALLOW, *(word for host in confirmed for word in ("--confirm-host", host)))
    assert done.returncode == 2
    assert missing in done.stderr


def test_a_refused_run_does_not_block_its_folder(run_two_hosts):
    assert run_two_hosts(ALLOW).returncode == 2
    assert run_two_hosts("").returncode == 96


def test_the_first_error_of_a_step_has_its_url_and_request_id(root, tmp_path, doorbuster, stall_server):
    url = stall_server("--kind", "fifo", "--service-ms", 1, "--shed-ms", 0)
    path = tmp_path / "refused.yaml"
    path.write_text(SCENARIO.replace("two-hosts", "one-page") % url, encoding="utf-8")
    locustfile = root / "tests/load/one_step.py"
    done = doorbuster("run", path, "--out", tmp_path / "out", "--quiet", "--locustfile", locustfile)
    assert done.returncode == 99, done.stderr
    with Run.open(tmp_path / "out") as run:
        error = next(one for one in run.exemplars() if one.kind == "error")
    assert (error.status, error.url, error.series.cause) == (503, f"{url}/", "status_5xx")
    assert error.request_id
    page = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert f"503 {url}/" in page
    assert error.request_id in page


def test_a_page_where_the_driver_reads_json_fails_the_shop(root, tmp_path, doorbuster, stall_server):
    url = stall_server("--kind", "infinite", "--service-ms", 1)  # answers 200 with a text that is not JSON
    path = tmp_path / "holding.yaml"
    path.write_text(SCENARIO.replace("two-hosts", "json-shop") % url, encoding="utf-8")
    locustfile = root / "tests/load/reads_json.py"
    done = doorbuster("run", path, "--out", tmp_path / "out", "--quiet", "--locustfile", locustfile)
    assert done.returncode == 99, done.stderr
    with Run.open(tmp_path / "out") as run:
        assert run.outcome_totals().turned_away == run.outcome_totals().planned
        assert {series.cause for series in run.series} == {"unexpected_content"}
