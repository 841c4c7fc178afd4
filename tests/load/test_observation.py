"""What a run may observe: hosts, secrets, commands, and what is observed without a word."""

from __future__ import annotations

import pytest

from doorbuster.errors import UsageError
from doorbuster.load.target.observation import COMMANDS_VARIABLE, TargetObserver
from doorbuster.output import masked
from doorbuster.scenario import read_scenario

SCENARIO = """\
title: T
target: {shop: {profile: replatformed}}
demand: {peak: 10 customers/s, curve: {stages: [{for: 10s, at: 100%%}]}}
channels: {web: {share: 100%%, journeys: {browse: 1}}}
observe: {%s}
"""


def observer(observe, *, confirmed=(), metrics_url=None):
    return TargetObserver(
        read_scenario(SCENARIO % observe), confirmed_hosts=confirmed, metrics_url=metrics_url
    )


def test_another_host_is_confirmed_by_name():
    remote = 'sources: {p: {scrape: {url: "http://192.0.2.7/metrics"}}}, allow: [192.0.2.7]'

    with pytest.raises(UsageError, match=r"reading metrics of 192\.0\.2\.7 needs a confirmation"):
        observer(remote)
    (source,) = observer(remote, confirmed=("192.0.2.7",))._sources
    assert source.settings["networks"] == ["192.0.2.7"]


def test_this_machine_needs_no_confirmation():
    (source,) = observer('sources: {p: {scrape: {url: "http://localhost:9187/metrics"}}}')._sources

    assert "127.0.0.0/8" in source.settings["networks"]


def test_secrets_come_from_the_environment_and_are_masked(monkeypatch):
    headers = (
        'sources: {p: {scrape: {url: "http://127.0.0.1/", headers: {Authorization: "Bearer ${PROM_KEY_X}"}}}}'
    )
    monkeypatch.delenv("PROM_KEY_X", raising=False)

    with pytest.raises(UsageError, match=r"observe\.sources\.p needs the environment variable PROM_KEY_X"):
        observer(headers)
    monkeypatch.setenv("PROM_KEY_X", "larkspur-and-finch")
    (source,) = observer(headers)._sources
    assert source.settings["headers"] == {"Authorization": "Bearer larkspur-and-finch"}
    assert "larkspur" not in masked("the answer quotes larkspur-and-finch")


def test_commands_run_only_where_the_environment_allows_them(monkeypatch):
    command = "sources: {q: {command: {run: rm -rf shop}}}"
    monkeypatch.delenv(COMMANDS_VARIABLE, raising=False)

    with pytest.raises(UsageError, match=f"runs shell commands: rm -rf shop.*{COMMANDS_VARIABLE}=1"):
        observer(command)
    monkeypatch.setenv(COMMANDS_VARIABLE, "1")
    assert [source.kind for source in observer(command)._sources] == ["command"]


def test_the_embedded_shop_is_observed_by_itself():
    url = "http://127.0.0.1:4000/metrics"

    (source,) = observer("trace_share: 0%", metrics_url=url)._sources
    rules = {rule.resource for rule in observer("trace_share: 0%", metrics_url=url)._resources}

    assert (source.name, source.settings["url"]) == ("shop", url)
    assert {"database workers", "stock lock", "connections", "payment service"} <= rules
    assert observer("shop: false", metrics_url=url)._sources == []


def test_without_sources_no_process_is_started(tmp_path):
    nothing = observer("shop: false")
    nothing.start(0.0, tmp_path)

    assert nothing.read(1.0) == ([], [])
    assert nothing.stop(lambda _: None) == ([], [])
    assert list(tmp_path.iterdir()) == []
