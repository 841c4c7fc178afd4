"""Where a client may connect to, whatever links and redirects say."""

from __future__ import annotations

import pytest

from doorbuster.load.http.settings import host_names
from doorbuster.scenario.target.target import is_loopback

HOSTS = host_names("https://Shop.invalid/a")  # a name that can never be looked up (RFC 6761)


@pytest.mark.parametrize(
    "elsewhere", ["http://other.example/", "//192.0.2.7/x", "https://127.0.0.1.example/"]
)
def test_a_redirect_to_another_host_is_refused_before_a_connection_is_made(elsewhere, server, recorder):
    server.routes["/go"] = lambda peer: peer.answer(b"", f"Location: {elsewhere}", status="302 Found")

    recorder.client(server.url, hosts=HOSTS).get("/go")

    assert recorder.causes == ["", "host_not_allowed"]
    assert recorder.exchanges[-1].bytes_sent == 0


def test_a_link_to_another_host_is_refused(server, recorder):
    recorder.client(server.url, hosts=HOSTS).get("http://192.0.2.7/")

    assert recorder.causes == ["host_not_allowed"]


def test_this_machine_is_always_free(server, recorder):
    place = f"Location: http://localhost:{server.port}/good"
    server.routes["/go"] = lambda peer: peer.answer(b"", place, status="302 Found")

    assert recorder.client(server.url, hosts=HOSTS).get("/go").content == b"good"


def test_an_allowed_host_is_looked_up(recorder):
    recorder.client("http://127.0.0.1:1", hosts=HOSTS).get("http://SHOP.invalid/")

    assert recorder.causes == ["dns"]


def test_hosts_are_compared_without_case():
    assert host_names("https://Shop.Example:8443/x", "WWW.shop.example") == {
        "shop.example",
        "www.shop.example",
    }
    assert host_names("") == frozenset()


@pytest.mark.parametrize(("host", "own"), [("127.9.9.9", True), ("::1", True), ("localhost", True),
                                           ("127.0.0.1.example", False), ("10.0.0.1", False)])  # fmt: skip
def test_this_machine_is_known_by_its_literal_names(host, own):
    assert is_loopback(host) is own
