"""What goes over the wire for a call: bodies, headers, credentials, cookies, and what redirects lead to."""

from __future__ import annotations

import io
import random
import re

import pytest


@pytest.mark.parametrize(
    ("options", "content_type", "body"),
    [
        ({"json": {"sku": 7, "text": "é"}}, "application/json", '{"sku":7,"text":"é"}'.encode()),
        ({"json": {1: None}}, "application/json", b'{"1": null}'),
        ({"json": {"id": 2**70}}, "application/json", b'{"id": 1180591620717411303424}'),
        ({"json": []}, "application/json", b"[]"),
        (
            {"data": {"a": "1 2", "b": [3, 4], "c": None}},
            "application/x-www-form-urlencoded",
            b"a=1+2&b=3&b=4",
        ),
        ({"data": [("a", "1"), ("a", "2")]}, "application/x-www-form-urlencoded", b"a=1&a=2"),
        ({"data": "tëxt"}, None, "tëxt".encode()),
        ({"data": b"\x00raw"}, None, b"\x00raw"),
        ({"data": io.BytesIO(b"from a file")}, None, b"from a file"),
        ({"data": "<x/>", "headers": {"content-type": "text/xml"}}, "text/xml", b"<x/>"),
        ({}, None, b""),
    ],
)
def test_a_body_is_sent_with_its_type_and_length(options, content_type, body, server, client):
    client.post("/in", **options)

    request = server.last("/in")
    assert request.body == body
    assert request.headers["content-length"] == str(len(body))
    assert request.headers.get("content-type") == content_type


def test_a_body_larger_than_the_buffers_of_the_socket_is_sent_once(server, client):
    body = random.Random(7).randbytes(8_000_000)

    assert client.put("/in", data=body, timeout=20).status_code == 200
    assert client.put("/in", data=b"next").status_code == 200

    sent, following = server.requests[-2:]
    assert sent.body == body
    assert following.body == b"next"


def test_files_are_sent_as_a_form(server, client):
    client.post(
        "/in",
        data={"order": "7"},
        files={"receipt": ("a.txt", io.StringIO("thanks"), "text/plain"), "photo": b"\x89PNG"},
    )

    request = server.last("/in")
    boundary = re.fullmatch(r"multipart/form-data; boundary=(\w+)", request.headers["content-type"])[1]
    assert request.body.decode("latin-1") == (
        f'--{boundary}\r\nContent-Disposition: form-data; name="order"\r\n\r\n7\r\n'
        f'--{boundary}\r\nContent-Disposition: form-data; name="receipt"; filename="a.txt"\r\n'
        "Content-Type: text/plain\r\n\r\nthanks\r\n"
        f'--{boundary}\r\nContent-Disposition: form-data; name="photo"; filename="photo"\r\n'
        f"Content-Type: application/octet-stream\r\n\r\n\x89PNG\r\n--{boundary}--\r\n"
    )


def test_headers_of_one_request_replace_and_remove_standing_ones(server, client):
    client.headers["X-Tag"] = "load"
    client.headers["Authorization"] = "Bearer standing"
    client.get("/one", headers={"x-tag": "special", "User-Agent": None, "X-More": 5})
    client.get("/two")
    del client.headers["x-tag"]
    client.get("/three", headers={"Host": "shop.example"})

    one, two, three = (server.last(path) for path in ("/one", "/two", "/three"))
    assert (one.headers["x-tag"], one.headers["x-more"]) == ("special", "5")
    assert "user-agent" not in one.headers
    assert sum(line.lower().startswith("x-tag") for line in one.lines) == 1
    assert (two.headers["x-tag"], two.headers["user-agent"]) == ("load", "doorbuster")
    assert two.headers["authorization"] == "Bearer standing"
    assert "x-tag" not in three.headers
    assert [line for line in three.lines if line.lower().startswith("host")] == ["Host: shop.example"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"url": "ftp://shop.example/"}, r"the scheme must be http or https \(got 'ftp://shop.example/'\)"),
        ({"url": "http://"}, r"the URL has no host \(got 'http://'\)"),
        ({"url": "http://shop:port/"}, r"not a URL: 'http://shop:port/' \(.*\)"),
        ({"url": "http://sh op/"}, r"the host is not a valid name \(got 'http://sh op/'\)"),
        ({"json": {}, "data": "a"}, "a request has one body: give json or data, not both"),
        ({"json": {"total": float("nan")}}, "Out of range float values are not JSON compliant"),
        ({"json": [object()]}, "this has no JSON: .*"),
        ({"headers": {"Transfer-Encoding": "chunked"}}, "the client sets Transfer-Encoding itself; .*"),
        ({"headers": {"X-A": ["b"]}}, r"the value of header X-A must be text \(got \['b'\]\)"),
        ({"verify": "/nowhere/ca.pem"}, "verify: there is no file '/nowhere/ca.pem'"),
        ({"cert": "/nowhere/cert.pem"}, "cert: there is no file '/nowhere/cert.pem'"),
        ({"proxies": {"ftp": "http://proxy"}}, r"a proxy is set for http, .* \(got 'ftp'\)"),
        ({"proxies": {"http": "socks5://proxy"}}, r"a proxy must be an http:// URL; .*"),
        ({"auth": 7}, r"auth must be .* \(got 7\)"),
        ({"data": 7}, r"data must be fields, text, bytes or a file \(got int\)"),
        (
            {"headers": {"X-A": "b\r\nX-C: d"}},
            r"the value of header X-A must not contain a line break \(got .*\)",
        ),
        ({"headers": {"X A": "b"}}, r"a header name must be letters, .* \(got 'X A'\)"),
        ({"cookies": {"a": "b\r\n"}}, r"a cookie must not contain a line break \(got .*\)"),
        ({"timeout": 0}, r"a timeout must be > 0 s \(got 0.0\); for no limit, write None"),
        ({"method": "G ET"}, r"the method must be one word \(got 'G ET'\)"),
    ],
)
def test_a_request_that_can_never_be_sent_is_a_value_error_and_no_record(options, message, client, recorder):
    with pytest.raises(ValueError, match=f"^{message}$"):
        client.request(options.pop("method", "GET"), options.pop("url", "/"), **options)
    assert recorder.exchanges == []
    assert client.get("/good").content == b"good"


@pytest.mark.parametrize(
    ("status", "method", "second_method", "second_body"),
    [
        (301, "POST", "GET", b""),
        (302, "POST", "GET", b""),
        (303, "PUT", "GET", b""),
        (303, "HEAD", "HEAD", b""),
        (302, "PUT", "PUT", b"order"),
        (307, "POST", "POST", b"order"),
        (308, "POST", "POST", b"order"),
        (301, "GET", "GET", b""),
    ],
)
def test_a_redirect_keeps_or_changes_the_method_by_the_rules(
    status, method, second_method, second_body, server, client, recorder
):
    server.routes["/from"] = lambda peer: peer.answer(b"", "Location: to?x=1#part", status=f"{status} Moved")
    server.routes["/to?x=1"] = lambda peer: peer.answer(b"")
    data = b"order" if method in ("POST", "PUT") else None

    response = client.request(method, "/from", data=data, headers={"X-Tag": "kept"}, name="step")

    landed = server.last("/to?x=1")
    assert (landed.method, landed.body, landed.headers["x-tag"]) == (second_method, second_body, "kept")
    assert response.url == f"{server.url}/to?x=1"
    assert [hop.status_code for hop in response.history] == [status]
    assert [(exchange.hop, exchange.status, exchange.name) for exchange in recorder.exchanges] == [
        (0, status, "step"),
        (1, 200, "step"),
    ]


def test_redirects_may_be_refused_or_recorded_as_one(server, recorder):
    server.routes["/from"] = lambda peer: peer.answer(b"", "Location: /good", status="302 Found")
    client = recorder.client(server.url, record_hops=False)

    assert client.get("/from", allow_redirects=False).status_code == 302
    assert client.get("/from").status_code == 200

    stopped, chain = recorder.exchanges
    assert (stopped.status, stopped.hop) == (302, 0)
    assert (chain.status, chain.hop, chain.url) == (200, 1, f"{server.url}/from")
    assert chain.bytes_received > stopped.bytes_received


def test_a_redirect_to_another_origin_takes_no_credentials_along(server, recorder, raw_server_class):
    other = raw_server_class()
    server.routes["/from"] = lambda peer: peer.answer(b"", f"Location: {other.url}/to", status="307 Moved")
    server.routes["/near"] = lambda peer: peer.answer(b"", "Location: /home", status="307 Moved")
    client = recorder.client(server.url)
    client.headers["Authorization"] = "Bearer secret"
    client.headers["X-Tag"] = "load"

    client.get("/from", headers={"Cookie": "own=1"})
    client.get("/from", auth=("ann", "pw"))
    client.get("/near", auth=("ann", "pw"))
    requests = list(other.requests)
    other.stop()

    assert len(requests) == 2
    for request in requests:
        assert "authorization" not in request.headers
        assert "cookie" not in request.headers
        assert request.headers["x-tag"] == "load"
    assert server.last("/home").headers["authorization"] == "Basic YW5uOnB3"


def test_cookies_are_kept_sent_and_added_to(server, client):
    server.routes["/login"] = lambda peer: peer.answer(
        b"",
        "Set-Cookie: sid=abc; Path=/; HttpOnly",
        "set-cookie: seen=1; Max-Age=0",
        "Set-Cookie: b=2; Path=/basket",
    )

    response = client.get("/login")
    client.get("/basket/1")
    client.get("/other", cookies={"extra": "x"})
    client.get("/plain")

    assert response.cookies.get_dict() == {"sid": "abc", "b": "2"}
    assert server.last("/basket/1").headers["cookie"] == "b=2; sid=abc"
    assert server.last("/other").headers["cookie"] == "sid=abc; extra=x"
    assert server.last("/plain").headers["cookie"] == "sid=abc"
    client.cookies.clear()
    client.get("/plain")
    assert "cookie" not in server.last("/plain").headers


def test_basic_auth_comes_from_the_call_the_client_or_the_url(server, client, recorder):
    client.get("/call", auth=("ann", "pässword"))
    client.auth = ("bob", "b")
    client.get("/client")
    with_user = recorder.client(server.url.replace("://", "://eve:p%20w@"))
    with_user.get("/url")

    assert server.last("/call").headers["authorization"] == "Basic YW5uOnDDpHNzd29yZA=="
    assert server.last("/client").headers["authorization"] == "Basic Ym9iOmI="
    assert server.last("/url").headers["authorization"] == "Basic ZXZlOnAgdw=="
    assert "eve" not in recorder.exchanges[-1].url


def test_request_ids_are_sent_and_recorded(server, recorder):
    client = recorder.client(server.url, request_id_header="X-Request-Id")
    client.get("/a")
    client.get("/b", headers={"X-Tag": "1"})

    sent = [request.headers["x-request-id"] for request in server.requests]
    assert sent == [exchange.request_id for exchange in recorder.exchanges]
    assert len(set(sent)) == 2
    assert sent[0].partition("-")[0] == sent[1].partition("-")[0]


def test_a_header_that_one_customer_adds_is_not_sent_by_another(server, recorder):
    one, other = recorder.client(server.url), recorder.client(server.url)
    other.get("/before")
    one.headers["X-Card"] = "gold"
    one.get("/one")
    other.get("/other")

    cards = {request.path: request.headers.get("x-card") for request in server.requests}
    assert cards == {"/before": None, "/one": "gold", "/other": None}


def test_a_redirect_that_becomes_a_get_drops_the_headers_of_the_body(server, client):
    server.routes["/from"] = lambda peer: peer.answer(b"", "Location: /to", status="302 Found")
    client.headers["Content-Type"] = "application/json"
    client.headers["X-Tag"] = "kept"

    client.post("/from", data="{}", headers={"Content-Length": "2", "Content-Language": "en", "X-A": "1"})

    landed = server.last("/to").headers
    assert {"content-type", "content-length", "content-language"}.isdisjoint(landed)
    assert (landed["x-tag"], landed["x-a"]) == ("kept", "1")


def test_cookies_are_chosen_anew_for_every_redirect(server, client):
    def wall(peer):
        if "wall=1" in peer.request.headers.get("cookie", ""):
            peer.answer(b"in")
        else:
            peer.answer(
                b"",
                "Location: /",
                "Set-Cookie: wall=1; Path=/",
                "Set-Cookie: p=1; Path=/p",
                status="302 Found",
            )

    server.routes["/"] = wall

    response = client.get("/", cookies={"lang": "en"})

    assert (response.text, len(response.history)) == ("in", 1)
    assert server.requests[-1].headers["cookie"] == "wall=1; lang=en"
    assert "lang" not in client.cookies


@pytest.mark.parametrize("length", ["0", "3", "30", "-1", "5, 5"])
def test_a_length_of_the_callers_never_goes_out(length, server, client):
    client.headers["Content-Length"] = length
    client.post("/a", data=b"12345", headers={"content-length": length})
    client.get("/b", headers={b"Content-Length": length})
    client.post("/c", data=iter((b"ab", b"", "c")), headers={"Content-Length": length})
    client.get("/d")

    assert [request.path for request in server.requests] == ["/a", "/b", "/c", "/d"]
    assert [request.headers.get("content-length") for request in server.requests] == ["5", None, None, None]


def test_a_host_of_none_is_the_usual_one(server, client):
    client.get("/a", headers={"Host": None})

    assert server.last("/a").headers["host"] == f"127.0.0.1:{server.port}"
