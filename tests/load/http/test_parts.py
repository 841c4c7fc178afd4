"""The parts that need no server: URLs, encodings, bodies, headers."""

from __future__ import annotations

import contextlib
import gzip
import zlib

import brotli
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from doorbuster.load.exchange import RequestFailed
from doorbuster.load.http.decoding import decode, decode_stream, excerpt
from doorbuster.load.http.headers import ResponseHeaders, header_values
from doorbuster.load.http.redirect import follow
from doorbuster.load.http.request_target import resolve_target, with_params
from doorbuster.load.http.response_parsing import retry_after_s

BODY = b"tinsel, baubles and " * 5000


def raw_deflate(data: bytes) -> bytes:
    encoder = zlib.compressobj(wbits=-15)
    return encoder.compress(data) + encoder.flush()


def zstd(data: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(data)


ENCODERS = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": lambda data: brotli.compress(data, quality=4),
    "zstd": zstd,
}


@pytest.mark.parametrize("encoding", ENCODERS)
@pytest.mark.parametrize("size", [0, 1, len(BODY)])
def test_every_encoding_gives_back_the_body_whole_or_in_pieces(encoding, size):
    encoded = ENCODERS[encoding](BODY[:size])
    assert decode(encoded, encoding.upper(), len(BODY)) == BODY[:size]
    pieces = [encoded[at : at + 7] for at in range(0, len(encoded), 7)]
    assert b"".join(decode_stream(pieces, encoding, len(BODY))) == BODY[:size]


@pytest.mark.parametrize("encoding", ENCODERS)
def test_a_decoded_body_over_the_limit_is_too_large(encoding):
    encoded = ENCODERS[encoding](BODY)
    with pytest.raises(RequestFailed, match=rf"^too_large: the {encoding} body decodes to more than 99,999"):
        decode(encoded, encoding, len(BODY) - 1)


@pytest.mark.parametrize("encoding", ENCODERS)
def test_a_bomb_stops_long_before_it_is_unpacked(encoding):
    bomb = ENCODERS[encoding](bytes(20_000_000))
    pieces = []
    with pytest.raises(RequestFailed, match=r"^too_large"):
        pieces.extend(decode_stream([bomb], encoding, 1_000_000))
    assert sum(map(len, pieces)) <= 1_000_000


@pytest.mark.parametrize("encoding", ENCODERS)
def test_an_encoded_body_that_ends_early_or_is_damaged_is_a_bad_response(encoding):
    encoded = ENCODERS[encoding](BODY)
    with pytest.raises(RequestFailed, match=r"^bad_response: the .* body ends early$"):
        decode(encoded[: len(encoded) // 2], encoding, len(BODY))
    with pytest.raises(RequestFailed, match=r"^bad_response"):
        decode(b"\x00\xff" * 20, encoding, len(BODY))


def test_an_empty_body_may_claim_any_encoding():
    for encoding in ENCODERS:
        assert decode(b"", encoding, 10) == b""


def test_several_encodings_are_undone_from_the_last_and_unknown_ones_stay():
    assert decode(brotli.compress(gzip.compress(BODY)), "gzip, br", len(BODY)) == BODY
    assert decode(b"as it came", "rot13", 5) == b"as it came"
    assert decode(b"as it came", "identity", 5) == b"as it came"
    assert decode(raw_deflate(BODY), "deflate", len(BODY)) == BODY


def test_gzip_members_follow_each_other_and_padding_is_ignored():
    encoded = gzip.compress(b"one ") + gzip.compress(b"two") + bytes(8)
    assert decode(encoded, "gzip", 100) == b"one two"


def test_an_excerpt_never_fails_and_never_grows():
    assert excerpt(gzip.compress(bytes(10_000_000)), "gzip", 200) == "\0" * 200
    assert excerpt(gzip.compress(b"sorry " * 100)[:60], "gzip", 200).startswith("sorry")
    assert excerpt(b"\xff\xfe", "", 200) == "��"
    assert excerpt(b"broken", "gzip", 200) == "broken"


@given(st.binary(max_size=2000), st.sampled_from(sorted(ENCODERS)))
def test_any_body_survives_any_encoding(body, encoding):
    assert decode(ENCODERS[encoding](body), encoding, 2000) == body


@given(st.binary(max_size=500), st.sampled_from(sorted(ENCODERS)))
def test_any_noise_ends_as_bytes_or_as_a_failure(noise, encoding):
    with contextlib.suppress(RequestFailed):
        assert len(decode(noise, encoding, 100_000)) <= 100_000


@pytest.mark.parametrize(
    ("base", "url", "origin", "authority", "path"),
    [
        ("http://shop.example", "/a", "http://shop.example:80", b"shop.example", b"/a"),
        ("http://shop.example/", "/a", "http://shop.example:80", b"shop.example", b"/a"),
        ("http://shop.example/api", "/a", "http://shop.example:80", b"shop.example", b"/api/a"),
        ("http://shop.example/api/", "a", "http://shop.example:80", b"shop.example", b"/api/a"),
        ("http://shop.example", "?q=1", "http://shop.example:80", b"shop.example", b"/?q=1"),
        ("http://shop.example", "", "http://shop.example:80", b"shop.example", b"/"),
        ("http://shop.example", "/a#top", "http://shop.example:80", b"shop.example", b"/a"),
        ("http://b.example", "/a b/é?ü%2F", "http://b.example:80", b"b.example", b"/a%20b/%C3%A9?%C3%BC%2F"),
        ("http://shop.example", "/100%", "http://shop.example:80", b"shop.example", b"/100%"),
        ("https://shop.example", "//step/x", "https://shop.example:443", b"shop.example", b"//step/x"),
        ("http://b.example", "/a/./b/%2E%2e/c/..", "http://b.example:80", b"b.example", b"/a/"),
        ("http://b.example", "/../x?y=/../z", "http://b.example:80", b"b.example", b"/x?y=/../z"),
        ("http://SHOP.example:80", "/", "http://shop.example:80", b"shop.example", b"/"),
        ("https://shop.example:8443", "/", "https://shop.example:8443", b"shop.example:8443", b"/"),
        ("https://shop.example:80", "/", "https://shop.example:80", b"shop.example:80", b"/"),
        ("http://[2001:db8::1]:8080", "/", "http://[2001:db8::1]:8080", b"[2001:db8::1]:8080", b"/"),
        ("http://bücher.example", "/", "http://xn--bcher-kva.example:80", b"xn--bcher-kva.example", b"/"),
        ("http://ann:pw@shop.example", "/", "http://shop.example:80", b"shop.example", b"/"),
        ("http://shop.example", "https://b.example/x?y", "https://b.example:443", b"b.example", b"/x?y"),
    ],
)  # fmt: skip
def test_a_url_is_taken_apart_as_a_browser_would(base, url, origin, authority, path):
    target = resolve_target(base, url)
    assert (target.origin, target.authority, target.path) == (origin, authority, path)
    assert resolve_target("", target.url).url == target.url
    assert b"@" not in target.path
    assert "#" not in target.url


def test_params_join_a_query_before_the_fragment():
    assert with_params("/s?a=1#f", {"q": "x y", "n": [1, 2], "none": None}) == "/s?a=1&q=x+y&n=1&n=2#f"
    assert with_params("/s", [("a", "1"), ("a", "2")]) == "/s?a=1&a=2"
    assert with_params("/s", "raw=1") == "/s?raw=1"
    assert with_params("/s", b"raw=1") == "/s?raw=1"
    assert with_params("/s", {"none": None}) == "/s"
    assert with_params("/s", None) == "/s"


@pytest.mark.parametrize(
    ("location", "url", "keeps_credentials"),
    [
        ("/x", "http://shop.example/x", True),
        ("x", "http://shop.example/a/x", True),
        ("?q=1", "http://shop.example/a/b?q=1", True),
        ("//cdn.example/x", "http://cdn.example/x", False),
        ("https://shop.example/", "https://shop.example/", True),
        ("https://shop.example:8443/", "https://shop.example:8443/", False),
        ("http://shop.example:8080/", "http://shop.example:8080/", False),
        ("http://shop.example/ü", "http://shop.example/%FC", True),
        ("/ü".encode().decode("latin-1"), "http://shop.example/%C3%BC", True),
        ("http:/x", "http://shop.example/x", True),
        ("http:x", "http://shop.example/a/x", True),
        ("https:/shop.example/x", "https://shop.example/x", True),
        (" ../c/./d\t", "http://shop.example/c/d", True),
        ("", "http://shop.example/a/b", True),
    ],
)
def test_a_location_is_resolved_against_the_page_it_came_from(location, url, keeps_credentials):
    redirect = follow(302, "GET", resolve_target("", "http://shop.example/a/b"), location)
    assert (redirect.target.url, redirect.keeps_credentials) == (url, keeps_credentials)


def test_headers_are_found_whatever_their_case_and_only_at_the_start_of_a_line():
    head = "HTTP/1.1 200 OK\r\nX-A: set-cookie: no\r\nSet-Cookie: a=1\r\nset-cookie:b=2 \r\nSET-COOKIE: c=3"
    assert header_values(head, head.lower(), "\nset-cookie:") == ["a=1", "b=2", "c=3"]
    headers = ResponseHeaders(head)
    assert headers["set-COOKIE"] == "a=1, b=2, c=3"
    assert list(headers) == ["X-A", "Set-Cookie"]
    assert len(headers) == 2
    assert "x-a" in headers
    assert 5 not in headers


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("0", 0.0),
        ("120", 120.0),
        ("-1", None),
        ("1.5", None),
        ("", None),
        ("Sat, 01 Jan 2022 00:01:00 GMT", 60.0),
        ("Fri, 31 Dec 2021 00:00:00 GMT", 0.0),
        ("Sat, 99 Foo 2022 99:99:99 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value, expected):
    assert retry_after_s(value, 1_640_995_200.0) == expected
