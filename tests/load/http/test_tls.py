"""Encrypted connections against a CA and certificates made for the test by the openssl command."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading

import gevent
import pytest

from doorbuster.load.http.tls import context_for

RIGHT = "DNS:localhost,IP:127.0.0.1"


@pytest.fixture
def tls_server(certificates, raw_server_class):
    server = raw_server_class(certificates.server_context(RIGHT))
    yield server
    server.stop()


def test_a_verified_connection_serves_many_requests(tls_server, certificates, recorder):
    client = recorder.client(tls_server.url, ca_file=certificates.ca)
    tls_server.routes["/big"] = lambda peer: peer.answer(b"x" * 1_000_000)

    assert client.get("/good").content == b"good"
    assert len(client.get("/big").content) == 1_000_000
    assert client.post("/in", data=b"y" * 1_000_000).status_code == 200
    assert len(tls_server.last("/in").body) == 1_000_000
    gevent.sleep(0.01)  # session tickets arrive while nobody waits; they are no reason to reconnect
    assert client.get("/good").content == b"good"
    assert (client.connections_opened, client.reconnects) == (1, 0)
    assert recorder.exchanges[0].connect_s > 0


@pytest.mark.parametrize(
    ("label", "names", "options", "detail"),
    [
        ("wrong name", "DNS:other.example", {}, "certificate verify failed: IP address mismatch"),
        ("expired", RIGHT, {"days": -1}, "certificate verify failed: certificate has expired"),
        ("self-signed", RIGHT, {"self_signed": True}, "certificate verify failed: self-signed certificate"),
    ],
)
def test_a_certificate_that_does_not_fit_is_tls(
    label, names, options, detail, certificates, raw_server_class, server, recorder
):
    try:
        context = certificates.server_context(names, **options)
    except Exception:  # noqa: BLE001 - older openssl refuses negative days
        pytest.skip("this openssl makes no expired certificates")
    tls_server = raw_server_class(context)
    client = recorder.client(tls_server.url, ca_file=certificates.ca)
    response = client.get("/good")
    careless = recorder.client(tls_server.url, verify=False)

    assert (recorder.causes, response.status_code) == (["tls"], 0)
    assert recorder.exchanges[0].detail.startswith(detail)
    assert careless.get("/good").content == b"good"
    assert client.get("/good", verify=False).content == b"good"
    assert client.get("/good").cause == "tls"
    assert client.get(f"{server.url}/good").content == b"good"
    tls_server.stop()


def test_verification_is_on_by_default(tls_server, recorder):
    client = recorder.client(tls_server.url)
    assert client.get("/good").cause == "tls"
    client.verify = False
    assert client.get("/good").content == b"good"


def test_plain_http_behind_https_is_tls(server, recorder):
    server.on_connect.append(lambda peer: peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n"))
    client = recorder.client(server.url.replace("http://", "https://"))
    assert client.get("/").cause == "tls"


def test_a_handshake_that_hangs_is_a_connect_timeout_and_one_that_breaks_is_a_reset(server, recorder):
    done = threading.Event()
    client = recorder.client(server.url.replace("http://", "https://"))
    server.on_connect.append(lambda peer: done.wait(5))
    client.get("/", timeout=(0.1, 5.0))
    done.set()
    server.on_connect.append(lambda peer: peer.reset())
    client.get("/")
    server.on_connect.append(lambda peer: peer.close())
    client.get("/")

    assert recorder.causes == ["connect_timeout", "reset", "tls"]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_customers_further_connections_resume_its_session_and_no_other_customers(
    version, certificates, raw_server_class, recorder
):
    context = certificates.server_context(RIGHT)
    context.minimum_version = context.maximum_version = version
    server = raw_server_class(context)
    server.routes["/close"] = lambda peer: peer.answer(b"", "Connection: close")
    client = recorder.client(server.url, ca_file=certificates.ca)
    client.get("/good")
    client.get("/close")
    client.get("/good")
    other = recorder.client(server.url, ca_file=certificates.ca)
    other.get("/good")
    without = recorder.client(server.url, ca_file=certificates.ca, tls_resumption=False)
    without.get("/good")
    without.get("/close")
    without.get("/good")
    handshakes = list(server.handshakes)
    server.stop()

    assert recorder.causes == [""] * 7
    assert handshakes == [False, True, False, False, False]


def test_the_session_of_a_connection_is_read_at_most_twice(tls_server, certificates, recorder, monkeypatch):
    """Reading it costs more than a request: ssl copies the certificates, too."""
    reads, session = [], ssl.SSLObject.session
    monkeypatch.setattr(
        ssl.SSLObject, "session", property(lambda tls: reads.append(1) or session.fget(tls), session.fset)
    )
    client = recorder.client(tls_server.url, ca_file=certificates.ca)

    for _ in range(6):
        assert client.get("/good").content == b"good"

    assert 1 <= len(reads) <= 2


def test_a_body_that_ends_with_close_notify_or_without_is_complete(tls_server, certificates, recorder):
    tls_server.reply("/old", b"HTTP/1.1 200 OK\r\n\r\nuntil the end")

    def polite(peer):
        peer.send(b"HTTP/1.1 200 OK\r\n\r\nuntil the end")
        peer.sock = peer.sock.unwrap()
        peer.close()

    tls_server.routes["/polite"] = polite
    client = recorder.client(tls_server.url, ca_file=certificates.ca)

    assert client.get("/old").content == b"until the end"
    assert client.get("/polite").content == b"until the end"


def test_a_truncated_body_and_an_idle_close_are_noticed_through_tls(tls_server, certificates, recorder):
    tls_server.reply("/cut", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart")
    tls_server.reply("/last", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    client = recorder.client(tls_server.url, ca_file=certificates.ca)

    assert client.get("/cut").cause == "closed_early"
    assert client.get("/last").ok
    gevent.sleep(0.01)
    assert client.post("/good", data=b"x").content == b"good"
    assert client.reconnects == 1


def test_equal_settings_share_one_context(certificates):
    assert context_for(True, certificates.ca, "", "") is context_for(True, certificates.ca, "", "")
    assert context_for(True, certificates.ca, "", "") is not context_for(False, certificates.ca, "", "")
    with pytest.raises(ValueError, match=r"^the CA file, client certificate or its key cannot be used: "):
        context_for(True, "/nowhere/ca.pem", "", "")


def test_a_tunnel_through_a_proxy_is_encrypted_end_to_end(
    tls_server, certificates, raw_server_class, recorder
):
    proxy = raw_server_class()

    def tunnel(peer):
        """Pass bytes both ways until both sides are done."""
        upstream = socket.create_connection(("127.0.0.1", tls_server.port))
        peer.send(b"HTTP/1.1 200 Connection established\r\n\r\n")

        def copy(source, sink):
            with contextlib.suppress(OSError):
                while data := source.recv(65536):
                    sink.sendall(data)
                sink.shutdown(socket.SHUT_WR)

        back = threading.Thread(target=copy, args=(upstream, peer.sock))
        back.start()
        copy(peer.sock, upstream)
        back.join(5)
        upstream.close()

    proxy.routes[f"127.0.0.1:{tls_server.port}"] = tunnel
    client = recorder.client(tls_server.url, ca_file=certificates.ca, proxy=proxy.url)
    contents = [client.get("/good").content for _ in range(3)]
    client.close()
    proxy.stop()

    assert contents == [b"good"] * 3
    assert [request.method for request in proxy.requests] == ["CONNECT"]


def test_verify_may_be_the_path_of_a_ca_for_a_call_or_for_the_client(tls_server, certificates, recorder):
    client = recorder.client(tls_server.url)

    assert client.get("/a").cause == "tls"
    assert client.get("/a", verify=certificates.ca).text == "good"
    assert client.get("/a").cause == "tls"
    client.verify = certificates.ca
    assert (client.verify, client.get("/a").text) == (certificates.ca, "good")
    assert client.get("/a", verify=False).text == "good"
    client.verify = True
    assert client.get("/a").cause == "tls"
    client.verify = False
    assert client.get("/a").text == "good"


def test_a_client_certificate_may_be_given_for_a_call_or_for_the_client(
    certificates, raw_server_class, recorder
):
    context = certificates.server_context(RIGHT)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(certificates.ca)
    server = raw_server_class(context)
    pair = (str(certificates.folder / "server.pem"), str(certificates.folder / "server.key"))
    client = recorder.client(server.url, ca_file=certificates.ca)

    assert client.get("/a").status_code == 0
    assert client.get("/a", cert=pair).text == "good"
    assert client.get("/a").status_code == 0
    client.cert = pair
    assert (client.cert, client.get("/a").text) == (pair, "good")
    client.cert = None
    assert client.get("/a").status_code == 0
    server.stop()


def test_a_context_of_the_settings_replaces_files(tls_server, certificates, recorder):
    context = ssl.create_default_context(cafile=certificates.ca)

    assert recorder.client(tls_server.url, ssl_context=context).get("/a").text == "good"
