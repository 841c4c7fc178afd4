"""Local addresses of connections: many for local targets, the choice of the system for others."""

from __future__ import annotations

import sys

import pytest

from doorbuster.load.runtime.source_addresses import LOOPBACK_SOURCES, sources_for

ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has all of 127.0.0.0/8")


@ON_LINUX
@pytest.mark.parametrize("url", ["http://127.0.0.1:8080", "http://localhost", "https://127.0.0.9/shop"])
def test_local_targets_are_reached_from_many_addresses(url):
    assert sources_for(url) == LOOPBACK_SOURCES


def test_addresses_of_the_scenario_take_precedence():
    chosen = ("10.0.0.5", "10.0.0.6")
    assert sources_for("https://staging.example.com", chosen) == chosen
    assert sources_for("http://127.0.0.1:8080", chosen) == chosen


@pytest.mark.parametrize("url", ["https://staging.example.com", "http://[::1]:80", "http://10.0.0.7"])
def test_for_remote_targets_the_system_chooses_the_address(url):
    assert sources_for(url) == ()
