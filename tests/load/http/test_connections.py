"""Keep-alive, reconnects, names, addresses, proxies: which connection a request uses, and its cost."""

from __future__ import annotations

import gc
import os
import resource
import socket
import threading

import gevent
import pytest
from httptools import HttpResponseParser

from doorbuster.load.exchange import RequestFailed
from doorbuster.load.http import HttpClient
from doorbuster.load.http.connection import Connection
from doorbuster.load.http.dns import Address, Resolver


def test_a_kept_connection_the_server_closed_is_replaced_and_counted(server, client, recorder):
    server.reply("/last", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    for method in ("GET", "POST"):
        client.get("/last")
        closed = threading.Event()
        server.routes["/closed"] = lambda peer, closed=closed: closed.set()
        gevent.sleep(0.01)  # the loop hears of the close
        assert client.request(method, "/good", data=b"x" if method == "POST" else None).status_code == 200

    assert client.reconnects == 2
    assert [exchange.reconnected for exchange in recorder.exchanges] == [False, True, False, True]
    assert [exchange.reused for exchange in recorder.exchanges] == [False, False, True, False]
    assert recorder.causes == ["", "", "", ""]


@pytest.mark.parametrize(
    ("method", "causes", "reconnects"),
    [("GET", ["", ""], 1), ("PUT", ["", ""], 1), ("POST", ["", "closed_early"], 0)],
)
def test_a_request_that_may_have_been_done_is_not_sent_twice(
    method, causes, reconnects, server, client, recorder
):
    """The server reads the second request and closes without a word: it may have sold something."""
    served = []

    def script(peer):
        served.append(peer)
        if len(served) == 2:
            peer.close()
        else:
            peer.answer(b"done")

    server.routes["/order"] = script
    client.request(method, "/order")
    client.request(method, "/order")

    assert recorder.causes == causes
    assert client.reconnects == reconnects
    assert len(served) == 2 + reconnects


def test_a_new_connection_that_closes_is_no_reason_to_try_again(server, client, recorder):
    server.reply("/never", b"")
    assert client.get("/never").cause == "closed_early"
    assert (client.reconnects, len(server.requests)) == (0, 1)


def test_a_replacement_that_closes_too_is_a_failure(server, client, recorder):
    calls = []

    def script(peer):
        calls.append(peer)
        if len(calls) > 1:
            peer.close()
        else:
            peer.answer(b"")

    server.routes["/flaky"] = script
    assert [client.get("/flaky").cause for _ in range(2)] == ["", "closed_early"]
    assert (client.reconnects, len(calls)) == (1, 3)


def test_keep_alive_works_for_file_descriptors_select_cannot_name(server, client):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 1200
    if hard < wanted:
        pytest.skip(f"this machine allows only {hard} open files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    fillers = [os.open(os.devnull, os.O_RDONLY) for _ in range(1050)]
    try:
        for _ in range(5):
            assert client.get("/good").content == b"good"
        (connection,) = next(iter(client._pools.values())).idle
        assert connection.socket.fileno() >= 1024
    finally:
        for filler in fillers:
            os.close(filler)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert (client.connections_opened, server.connections) == (1, 1)


def test_a_reused_connection_does_not_yield_before_it_sends(server, client):
    client.get("/good")
    arrived = threading.Event()
    server.routes["/now"] = lambda peer: (arrived.set(), peer.answer(b""))[1]

    # The other greenlet is ready to run first; if the client gave way before it sent, it would wait in vain.
    other = gevent.spawn(arrived.wait, 5)
    client.get("/now")

    assert other.get() is True


def test_closing_a_client_closes_its_sockets_now_and_later(server, recorder):
    client = recorder.client(server.url)
    release = threading.Event()
    server.routes["/slow"] = lambda peer: (release.wait(5), peer.answer(b"late"))[1]
    running = gevent.spawn(client.get, "/slow")
    client.get("/good")
    (pool,) = client._pools.values()
    (idle,) = pool.idle

    client.close()
    assert idle.socket.fileno() == -1
    release.set()
    assert running.get().text == "late"
    assert pool.open == 0


def test_a_forgotten_client_closes_its_sockets(server):
    client = HttpClient(server.url)
    client.get("/good")
    sock = next(iter(client._pools.values())).idle[0].socket
    del client
    gc.collect()
    assert sock.fileno() == -1


def test_connections_do_not_wait_for_the_garbage_collector(server, recorder):
    client = recorder.client(server.url)
    server.reply("/bye", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    gc.collect()
    before = len(connections_alive())
    gc.disable()
    try:
        for _ in range(20):
            client.get("/bye")
        left = len(connections_alive()) - before
    finally:
        gc.enable()
    assert (client.connections_opened, left) == (20, 0)


def connections_alive():
    return [thing for thing in gc.get_objects() if isinstance(thing, Connection | HttpResponseParser)]


def test_an_idle_connection_costs_little_memory(server, recorder):
    """Sizes of the Python objects a connection keeps while its customer thinks; the kernel's come on top."""
    client = recorder.client(server.url)
    client.get("/good")
    (connection,) = next(iter(client._pools.values())).idle

    seen: set[int] = set()

    def size(thing: object) -> int:
        if id(thing) in seen or isinstance(thing, type | type(os)) or callable(thing):
            return 0
        seen.add(id(thing))
        slots = [slot for kind in type(thing).__mro__ for slot in getattr(kind, "__slots__", ())]
        inside = [getattr(thing, slot) for slot in slots if slot.strip("_") != "hub" and hasattr(thing, slot)]
        return thing.__sizeof__() + sum(size(one) for one in inside)

    assert size(connection) < 2048


def test_ipv6_literals_and_names_work(raw_server_class, recorder):
    try:
        server = raw_server_class(family=socket.AF_INET6)
    except OSError:
        pytest.skip("this machine has no IPv6 on loopback")
    client = recorder.client(server.url)
    assert client.get("/good").content == b"good"
    host = server.last("/good").headers["host"]
    server.stop()
    assert host == f"[::1]:{server.port}"


def test_localhost_is_reached_whichever_family_the_server_speaks(server, recorder):
    client = recorder.client(f"http://localhost:{server.port}")
    assert client.get("/good").content == b"good"
    assert client.connections_opened == 1


def test_source_addresses_take_turns(server, recorder):
    client = recorder.client(server.url, source_addresses=("127.0.0.2", "127.0.0.3"))
    sources: list[str] = []

    def script(peer):
        sources.append(peer.sock.getpeername()[0])
        peer.answer(b"", "Connection: close")

    server.routes["/from"] = script
    for _ in range(4):
        client.get("/from")
    assert sorted(sources) == ["127.0.0.2", "127.0.0.2", "127.0.0.3", "127.0.0.3"]
    assert sources[0] != sources[1]


def test_nagle_is_off(server, client):
    client.get("/good")
    (connection,) = next(iter(client._pools.values())).idle
    assert connection.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1


def answers(*hosts):
    return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, 80)) for host in hosts]


def test_a_name_is_asked_once_per_lifetime_and_its_addresses_take_turns(monkeypatch):
    now = [100.0]
    asked = []

    def getaddrinfo(host, port, *_):
        asked.append(host)
        v6 = (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("2001:db8::1", 80, 0, 0))
        return [*answers("192.0.2.1", "192.0.2.2"), v6]

    monkeypatch.setattr("gevent.socket.getaddrinfo", getaddrinfo)
    resolver = Resolver(lambda: now[0])

    def first_of(resolved: tuple[Address, ...]) -> str:
        assert [address.family for address in resolved] == [socket.AF_INET, socket.AF_INET, socket.AF_INET6]
        return resolved[0].sockaddr[0]

    several = [gevent.spawn(resolver.addresses, "shop.example", 80, ttl_s=30, timeout_s=1) for _ in range(10)]
    gevent.joinall(several)
    firsts = [first_of(one.value) for one in several]
    assert asked == ["shop.example"]
    assert (firsts.count("192.0.2.1"), firsts.count("192.0.2.2")) == (5, 5)
    now[0] += 29.9
    resolver.addresses("shop.example", 80, ttl_s=30, timeout_s=1)
    assert len(asked) == 1
    now[0] += 0.2
    resolver.addresses("shop.example", 80, ttl_s=30, timeout_s=1)
    assert len(asked) == 2


def test_a_failed_lookup_is_not_kept_and_a_slow_one_times_out(monkeypatch):
    results = iter([OSError("no such host"), answers("192.0.2.1")])

    def getaddrinfo(*_):
        result = next(results, None)
        if isinstance(result, OSError):
            raise result
        if result is None:
            gevent.sleep(5)
        return result

    monkeypatch.setattr("gevent.socket.getaddrinfo", getaddrinfo)
    resolver = Resolver(lambda: 0.0)
    with pytest.raises(RequestFailed, match=r"^dns: shop.example: no such host$"):
        resolver.addresses("shop.example", 80, ttl_s=30, timeout_s=1)
    assert resolver.addresses("shop.example", 80, ttl_s=30, timeout_s=1)[0].sockaddr == ("192.0.2.1", 80)
    with pytest.raises(RequestFailed, match=r"^dns: no answer for slow.example within 0.05 s$"):
        resolver.addresses("slow.example", 80, ttl_s=30, timeout_s=0.05)


def test_proxies_of_the_environment_are_used_only_if_asked(server, recorder, raw_server_class, monkeypatch):
    proxy = raw_server_class()
    monkeypatch.setenv("http_proxy", proxy.url.replace("://", "://ann:pw@"))
    monkeypatch.setenv("no_proxy", "")
    url = "http://shop.example/path?x=1"
    proxy.routes[url] = lambda peer: peer.answer(b"by proxy")

    direct = recorder.client(server.url)
    proxied = recorder.client(server.url, proxies_from_env=True)
    assert direct.get("/good").content == b"good"
    assert proxied.get(url).text == "by proxy"
    request = proxy.last(url)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    around = recorder.client(server.url, proxies_from_env=True)
    assert around.get("/good").content == b"good"
    count = len(proxy.requests)
    proxy.stop()

    assert request.headers["host"] == "shop.example"
    assert request.headers["proxy-authorization"] == "Basic YW5uOnB3"
    assert count == 1


def test_a_proxy_that_is_away_or_refuses_is_the_proxys_fault(recorder, raw_server_class):
    proxy = raw_server_class()
    proxy.reply("shop.example:443", b"HTTP/1.1 403 Forbidden\r\n\r\n")
    client = recorder.client("https://shop.example", proxy=proxy.url)
    client.get("/")
    proxy.reply("shop.example:443", b"")
    client.get("/")
    proxy.stop()
    client.get("/")

    assert recorder.causes == ["proxy", "proxy", "proxy"]
    assert recorder.exchanges[0].detail == "the proxy refused the tunnel: HTTP/1.1 403 Forbidden"
    assert "Connection refused" in recorder.exchanges[2].detail


def test_proxies_of_a_call_or_of_the_client_are_used(server, recorder, raw_server_class):
    proxy = raw_server_class()
    client = recorder.client(server.url)

    client.get("/a", proxies={"http": proxy.url})
    client.get("/b")
    client.proxies = {"all": proxy.url.removeprefix("http://")}
    client.get("/c")
    client.get("/d", proxies={"http": None})
    client.get("/e", proxies={"http://127.0.0.1": None})
    client.get("/f", proxies={"https": "http://127.0.0.1:1"})
    client.proxies = {}
    client.get("/g")
    by_proxy = [request.path.rpartition("/")[2] for request in proxy.requests]
    proxy.stop()

    assert by_proxy == ["a", "c", "f"]
    assert [request.path for request in server.requests] == ["/b", "/d", "/e", "/g"]
