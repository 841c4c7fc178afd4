"""Which hosts a command may load: listed, confirmed by name, and at the addresses seen then."""

from __future__ import annotations

import socket

import pytest

from doorbuster.errors import UsageError
from doorbuster.load.target.permission import permitted_hosts


@pytest.fixture(autouse=True)
def names(monkeypatch):
    """The addresses of the names in these tests; every other name has none."""
    known = {"shop.example": ["192.0.2.1", "2001:db8::1"], "local.example": ["127.0.0.1"],
             "half.example": ["127.0.0.1", "192.0.2.5"], "metadata.example": ["169.254.169.254"],
             "cdn.example": ["198.51.100.7"]}  # fmt: skip
    ask = socket.getaddrinfo

    def getaddrinfo(host, *rest):
        if host in known:
            return [row for address in known[host] for row in ask(address, *rest)]
        if host[-1].isdigit() or host == "localhost" or ":" in host:
            return ask(host, *rest)
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return known


def test_a_confirmation_covers_the_addresses_of_the_moment():
    allowed = permitted_hosts(["shop.example"], ["shop.example"], ["shop.example"])
    assert allowed.permits("SHOP.example.", "192.0.2.1")
    assert allowed.permits("shop.example", "2001:db8::1")
    assert not allowed.permits("shop.example", "192.0.2.2")
    assert not allowed.names("localhost")


def test_a_confirmation_may_name_networks():
    allowed = permitted_hosts(
        ["shop.example"], ["shop.example"], ["shop.example=192.0.2.0/24,203.0.113.9", "shop.example=10.0.0.1"]
    )
    for address, permitted in [("192.0.2.200", True), ("203.0.113.9", True), ("10.0.0.1", True),
                               ("203.0.113.8", False), ("2001:db8::1", False)]:  # fmt: skip
        assert allowed.permits("shop.example", address) is permitted
    with pytest.raises(UsageError, match=r"--confirm-host shop\.example=192\.0\.2\.1/24: write addresses"):
        permitted_hosts(["shop.example"], ["shop.example"], ["shop.example=192.0.2.1/24"])


def test_a_name_on_this_machine_needs_no_confirmation_and_stays_there():
    allowed = permitted_hosts(["local.example"], [], [])
    assert allowed.permits("local.example", "127.0.0.9")
    assert not allowed.permits("local.example", "192.0.2.1")
    assert allowed.names("localhost")


def test_a_name_that_is_only_partly_on_this_machine_needs_a_confirmation():
    with pytest.raises(
        UsageError, match=r"half\.example \(127\.0\.0\.1, 192\.0\.2\.5\) needs a confirmation"
    ):
        permitted_hosts(["half.example"], ["half.example"], [])


@pytest.mark.parametrize("host", ["192.0.2.1", "3221225985", "0xc0000201", "0300.0.2.1", "::ffff:192.0.2.1"])
def test_an_address_is_one_in_every_spelling(host):
    with pytest.raises(UsageError, match=r"192\.0\.2\.1 may not be loaded"):
        permitted_hosts([host], [], [])
    assert permitted_hosts([host], ["192.0.2.1"], ["192.0.2.1"]).permits("192.0.2.1", "192.0.2.1")


def test_a_name_never_covers_a_link_local_address_but_the_address_itself_can_be_confirmed():
    by_name = permitted_hosts(["metadata.example"], None, ["metadata.example"])
    assert not by_name.permits("metadata.example", "169.254.169.254")
    by_address = permitted_hosts(["169.254.169.254"], None, ["169.254.169.254"])
    assert by_address.permits("169.254.169.254", "169.254.169.254")


def test_all_that_is_missing_is_named_at_once():
    with pytest.raises(UsageError) as told:
        permitted_hosts(["shop.example"], ["shop.example", "cdn.example", "nowhere.example"], [])
    assert str(told.value) == (
        "loading shop.example (192.0.2.1, 2001:db8::1) and cdn.example (198.51.100.7) and nowhere.example "
        "needs a confirmation: add --confirm-host shop.example --confirm-host cdn.example "
        "--confirm-host nowhere.example if you may load them right now"
    )


def test_a_remote_target_does_not_open_this_machine_unless_it_is_listed():
    allowed = permitted_hosts(["shop.example"], ["shop.example", "127.0.0.1"], ["shop.example"])
    assert allowed.permits("127.0.0.1", "127.0.0.1")
    assert not allowed.names("localhost")
    assert not allowed.names("10.0.0.1")
