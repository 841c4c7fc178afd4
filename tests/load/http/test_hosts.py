"""Where a client may connect to, whatever links, redirects and name servers say."""

from __future__ import annotations

import gevent.socket
import pytest

from doorbuster.load.exchange import RequestFailed
from doorbuster.load.http.allowed_hosts import LOOPBACK_ONLY, AllowedHosts, canonical_host, numeric_address
from doorbuster.load.http.gevent_socket import hub_resources
from doorbuster.scenario.target.target import is_loopback

HOSTS = AllowedHosts({"Shop.invalid": ["192.0.2.1"]}, loopback=True)  # a name without an address (RFC 6761)
REMOTE = AllowedHosts({"shop.invalid": ["192.0.2.0/24"]}, loopback=False)


@pytest.fixture
def resolve_to(monkeypatch):
    """Sets what the system's resolver answers for shop.invalid from now on."""
    answers = {}
    ask = gevent.socket.getaddrinfo

    def getaddrinfo(host, port, *how):
        if host not in answers:
            return ask(host, port, *how)
        return [row for address in answers[host] for row in ask(address, port, *how)]

    monkeypatch.setattr(gevent.socket, "getaddrinfo", getaddrinfo)
    hub_resources().resolver._known.clear()
    return lambda *addresses, host="shop.invalid": answers.__setitem__(host, addresses)


@pytest.mark.parametrize(
    "elsewhere", ["http://other.example/", "//192.0.2.7/x", "https://127.0.0.1.example/", "//3221225991/",
                  "http://0xc0000207/", "http://0300.0.2.7/", "http://[::ffff:192.0.2.7]/", "http://0.0.0.0/",
                  "http://169.254.169.254/", "http://127.0.0.1@192.0.2.7/", "http://[fe80::1]/"]
)  # fmt: skip
def test_a_redirect_to_another_host_is_refused_before_a_connection_is_made(elsewhere, server, recorder):
    server.routes["/go"] = lambda peer: peer.answer(b"", f"Location: {elsewhere}", status="302 Found")

    recorder.client(server.url, hosts=HOSTS).get("/go")

    assert recorder.causes == ["", "host_not_allowed"]
    assert recorder.exchanges[-1].bytes_sent == 0


def test_a_link_to_another_host_is_refused(server, recorder):
    recorder.client(server.url, hosts=HOSTS).get("http://192.0.2.7/")

    assert recorder.causes == ["host_not_allowed"]


@pytest.mark.parametrize("name", ["localhost", "LOCALHOST", "127.1", "2130706433", "0x7f.1"])
def test_a_target_on_this_machine_may_lead_to_this_machine(name, server, recorder):
    place = f"Location: http://{name}:{server.port}/good"
    server.routes["/go"] = lambda peer: peer.answer(b"", place, status="302 Found")

    assert recorder.client(server.url, hosts=LOOPBACK_ONLY).get("/go").content == b"good"
    assert LOOPBACK_ONLY.permits("localhost.", "::1")
    assert LOOPBACK_ONLY.permits("127.9.9.9", "127.9.9.9")


@pytest.mark.parametrize(
    "name",
    ["127.0.0.1", "localhost", "localhost.", "127.1", "2130706433", "0x7f000001", "017700000001", "[::1]",
     "[::ffff:127.0.0.1]", "0.0.0.0", "10.0.0.1", "192.168.1.1", "169.254.169.254"],
)  # fmt: skip
def test_a_remote_target_may_not_lead_to_this_machine_or_a_private_network(name, server, recorder):
    recorder.client("http://shop.invalid", hosts=REMOTE).get(f"http://{name}:{server.port}/good")

    assert recorder.causes == ["host_not_allowed"]
    assert server.connections == 0


def test_an_allowed_host_is_looked_up(recorder):
    recorder.client("http://127.0.0.1:1", hosts=HOSTS).get("http://SHOP.invalid/")

    assert recorder.causes == ["dns"]


def test_a_name_that_has_another_address_than_when_it_was_confirmed_is_refused(server, recorder, resolve_to):
    """DNS rebinding, and a worker whose resolver answers something else."""
    allowed = AllowedHosts({"shop.invalid": ["127.0.0.1"]}, loopback=False)
    for address in ("127.0.0.1", "127.0.0.2", "::1", "10.0.0.9", "::ffff:10.0.0.9", "0.0.0.0", "127.0.0.1"):
        resolve_to(address)
        recorder.client(f"http://shop.invalid:{server.port}", hosts=allowed, dns_ttl_s=0).get("/good")

    assert recorder.causes == ["", *["host_not_allowed"] * 5, ""]
    assert recorder.exchanges[3].detail == "shop.invalid at 10.0.0.9"


def test_localhost_must_be_this_machine(recorder, resolve_to):
    resolve_to("192.0.2.7", host="localhost")
    recorder.client("http://localhost:9", hosts=LOOPBACK_ONLY).get("/")

    assert recorder.causes == ["host_not_allowed"]


def test_only_the_confirmed_addresses_of_a_name_are_dialled(server, recorder, resolve_to):
    allowed = AllowedHosts({"shop.invalid": ["127.0.0.0/8"]}, loopback=False)
    resolve_to("192.0.2.7", "127.0.0.1", "10.0.0.9")
    for _ in range(4):
        recorder.client(f"http://shop.invalid:{server.port}", hosts=allowed, dns_ttl_s=0).get("/good")

    assert recorder.causes == [""] * 4


@pytest.mark.parametrize(
    ("allowed", "causes"),
    [
        (LOOPBACK_ONLY, ["host_not_allowed"]),  # the target is not allowed
        (REMOTE, ["host_not_allowed"]),  # the proxy is not
        (AllowedHosts({"shop.invalid": ["192.0.2.1"], "127.0.0.1": ["127.0.0.1"]}, loopback=False), [""]),
    ],
)
def test_a_proxy_needs_the_same_permission_as_its_target(server, recorder, resolve_to, allowed, causes):
    resolve_to("192.0.2.1")
    server.routes["http://shop.invalid/x"] = lambda peer: peer.answer(b"by proxy")
    client = recorder.client("http://shop.invalid", hosts=allowed, proxy=server.url)
    client.get("/x")
    assert recorder.causes == causes


def test_an_address_behind_a_proxy_is_checked_where_it_is_known(server, recorder, resolve_to):
    allowed = AllowedHosts({"shop.invalid": ["192.0.2.1"]}, loopback=True)
    resolve_to("10.0.0.9")
    recorder.client("http://shop.invalid", hosts=allowed, proxy=server.url).get("/x")

    assert recorder.causes == ["host_not_allowed"]


def test_a_session_of_a_driver_gets_only_addresses_that_may_be_loaded():
    assert LOOPBACK_ONLY.address("localhost", 7) in (("127.0.0.1", 7), ("::1", 7))
    moved = AllowedHosts({"localhost": ["192.0.2.1"]}, loopback=False)
    for hosts, name, cause in (
        (LOOPBACK_ONLY, "192.0.2.7", "host_not_allowed"),
        (HOSTS, "shop.invalid", "dns"),
        (moved, "localhost", "host_not_allowed"),
    ):
        with pytest.raises(RequestFailed) as told:
            hosts.address(name, 7)
        assert told.value.cause == cause


def test_spellings_of_a_host_are_one():
    for text in ("127.0.0.1", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "[::ffff:127.0.0.1]"):
        assert canonical_host(text) == "127.0.0.1"
    assert canonical_host("WWW.Shop.Example.") == "www.shop.example"
    assert canonical_host("bücher.example") == "xn--bcher-kva.example"
    assert canonical_host("be.ef") == "be.ef"
    assert numeric_address("shop.example") is None


def test_what_may_be_loaded_survives_a_message():
    again = AllowedHosts(**REMOTE.to_wire())
    assert again.permits("shop.invalid", "192.0.2.9")
    assert not again.permits("shop.invalid", "192.0.3.9")
    assert not again.loopback


@pytest.mark.parametrize(("host", "own"), [("127.9.9.9", True), ("::1", True), ("localhost", True),
                                           ("127.0.0.1.example", False), ("10.0.0.1", False)])  # fmt: skip
def test_this_machine_is_known_by_its_literal_names(host, own):
    assert is_loopback(host) is own
