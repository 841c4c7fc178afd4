# ruff: noqa: E501 -- lines of logs are as they are
"""Formats of access logs: each is detected by its content and gives the same requests."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
import zstandard

from doorbuster.access_logs.formats.detection import detect_log
from doorbuster.access_logs.formats.named_fields import NamedFields
from doorbuster.errors import UsageError
from doorbuster.importers.input_file import InputFile

DATA = Path(__file__).parents[3] / "shared" / "data"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:141.0) Gecko/20100101 Firefox/141.0"
AT = 1_700_000_000.0  # 2023-11-14 22:13:20 UTC


def parsed(path: Path, **options):
    form = detect_log(path, **options)
    with InputFile(path) as file:
        return form, form.parse(b"".join(file.chunks()))


LINES = {
    "common": '192.0.2.7 - - [14/Nov/2023:22:13:20 +0000] "GET /p/1?x=2 HTTP/1.1" 200 512',
    "combined": f'192.0.2.7 - - [14/Nov/2023:22:13:20 +0000] "GET /p/1?x=2 HTTP/1.1" 200 512 "-" "{FIREFOX}"',
    "combined, other zone": f'192.0.2.7 - ann [15/Nov/2023:01:43:20 +0330] "GET /p/1?x=2 HTTP/1.1" '
    f'200 512 "https://s.example/" "{FIREFOX}"',
    "combined, quotation in the agent": '192.0.2.7 - - [14/Nov/2023:22:13:20 +0000] "GET /p/1?x=2 HTTP/1.1" '
    '200 512 "-" "Mozilla/5.0 (an \\"odd\\" one)"',
    "combined with host": 'shop.example:443 192.0.2.7 - - [14/Nov/2023:22:13:20 +0000] '
    f'"GET /p/1?x=2 HTTP/1.1" 200 512 "-" "{FIREFOX}"',
    "combined, forwarded": '10.0.0.1 - - [14/Nov/2023:22:13:20 +0000] "GET /p/1?x=2 HTTP/1.1" '
    f'200 512 "-" "{FIREFOX}" "192.0.2.7, 10.9.9.9"',
    "caddy": json.dumps({"level": "info", "ts": AT, "request": {"client_ip": "192.0.2.7", "method": "GET",
        "uri": "/p/1?x=2", "headers": {"User-Agent": [FIREFOX]}}, "status": 200, "duration": 0.25}),
    "nginx json": json.dumps({"time_iso8601": "2023-11-14T22:13:20+00:00", "remote_addr": "192.0.2.7",
        "request": "GET /p/1?x=2 HTTP/1.1", "status": "200", "request_time": "0.250", "http_user_agent": FIREFOX}),
    "cloudflare": json.dumps({"ClientIP": "192.0.2.7", "ClientRequestMethod": "GET", "ClientRequestURI": "/p/1?x=2",
        "EdgeStartTimestamp": 1_700_000_000_000_000_000, "EdgeEndTimestamp": 1_700_000_000_250_000_000,
        "EdgeResponseStatus": 200, "ClientRequestUserAgent": FIREFOX}),
    "fastly": json.dumps({"timestamp": "2023-11-14T22:13:20+0000", "client_ip": "192.0.2.7",
        "request_method": "GET", "url": "/p/1?x=2", "response_status": 200, "request_user_agent": FIREFOX,
        "time_elapsed": 250_000}),
    "syslog before json": "<134>Nov 14 22:13:20 edge cdn[1]: " + json.dumps({"timestamp": "2023-11-14T22:13:20Z",
        "client_ip": "192.0.2.7", "request_method": "GET", "url": "/p/1?x=2", "response_status": 200}),
    "alb": 'https 2023-11-14T22:13:20.000000Z app/lb/1 192.0.2.7:2817 10.0.0.1:80 0.100 0.100 0.050 200 200 34 366 '
    f'"GET https://shop.example:443/p/1?x=2 HTTP/1.1" "{FIREFOX}" ECDHE TLSv1.2 arn "Root=1"',
    "elb": '2023-11-14T22:13:20.000000Z lb 192.0.2.7:2817 10.0.0.1:80 0.100 0.100 0.050 200 200 34 366 '
    f'"GET https://shop.example:443/p/1?x=2 HTTP/1.1" "{FIREFOX}" - -',
    "cloudfront": "#Version: 1.0\n#Fields: date time x-edge-location sc-bytes c-ip cs-method cs(Host) cs-uri-stem "
    "sc-status cs(Referer) cs(User-Agent) cs-uri-query time-taken\n2023-11-14\t22:13:20\tLHR\t5\t192.0.2.7\tGET\t"
    "s.example\t/p/1\t200\t-\tMozilla/5.0%20(X11)\tx=2\t0.250",
    "iis": "#Software: Microsoft Internet Information Services 10.0\n#Fields: date time s-ip cs-method cs-uri-stem "
    "cs-uri-query s-port cs-username c-ip cs(User-Agent) sc-status time-taken\n2023-11-14 22:13:20 10.0.0.1 GET "
    "/p/1 x=2 443 - 192.0.2.7 Mozilla/5.0+(X11) 200 250",
    "table": "timestamp,client_ip,method,url,status\n2023-11-14T22:13:20Z,192.0.2.7,GET,/p/1?x=2,200",
}  # fmt: skip


@pytest.mark.parametrize("name", LINES)
def test_a_line_of_each_format_gives_the_same_request(name, tmp_path):
    path = tmp_path / "no-ending-that-helps"
    path.write_text(LINES[name] + "\n")
    form, block = parsed(path)
    assert block.time_s.tolist() == [AT]
    assert block.status.tolist() == [200]
    assert list(block.addresses) == [b"192.0.2.7"]
    assert block.requests[0].removesuffix(b" HTTP/1.1") == b"GET /p/1?x=2"
    assert list(block.unreadable) == []
    assert form.has_agents == (block.agents[0] != b"")
    if form.has_durations:
        assert block.duration_s[0] == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("tail", "duration_s", "stamp"),
    [("0.250", 0.25, "end"), ("250000", 0.25, "start"), ('"0.250"', 0.25, "end"), ("3", 3.0, "start")],
)
def test_the_request_time_behind_a_combined_line_has_its_unit(tail, duration_s, stamp, tmp_path):
    path = tmp_path / "log"
    path.write_text(f"{LINES['combined']} {tail}\n" * 3)
    form, block = parsed(path)
    assert [duration_s] * 3 == pytest.approx(block.duration_s.tolist())
    assert stamp == form.stamp


def test_haproxy_needs_a_zone_and_takes_it(tmp_path):
    line = (
        "Feb 25 16:19:49 lb haproxy[7]: 192.0.2.7:53332 [14/Nov/2023:22:13:20.500] front~ back/srv 10/0/7/233/260 "
        f'200 11394 - - ---- 2/1/0/0/0 0/0 {{{FIREFOX}}} {{}} "GET /p/1 HTTP/1.1"\n'
    )
    path = tmp_path / "log"
    path.write_text(line)
    with pytest.raises(
        UsageError, match=r"log:1: the time '14/Nov/2023:22:13:20.500' has no time zone; name it"
    ):
        detect_log(path)
    _, block = parsed(path, zone=ZoneInfo("America/New_York"))
    assert block.time_s[0] == AT + 5 * 3600 + 0.5
    assert block.duration_s[0] == pytest.approx(0.25)
    assert block.agents[0] == FIREFOX.encode()


def test_a_mapping_reads_names_of_its_own(tmp_path):
    fields = NamedFields(
        "", {"time": "when", "path": "where.page", "address": "who", "duration": "took"}, "end", 1e-3
    )
    path = tmp_path / "log"
    path.write_text(
        json.dumps({"when": "14.11.2023 22:13", "who": "v", "where": {"page": "/x"}, "took": 250}) + "\n"
    )
    _, block = parsed(path, fields=fields, form="%d.%m.%Y %H:%M", zone=ZoneInfo("UTC"))
    assert block.time_s[0] == AT - 20
    assert block.duration_s[0] == pytest.approx(0.25)
    assert block.requests[0] == b"GET /x"


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.ZstdCompressor().compress])
def test_compressed_logs_are_read_by_content(pack, tmp_path):
    path = tmp_path / "log"
    path.write_bytes(pack((LINES["combined"] + "\n").encode()))
    assert len(parsed(path)[1]) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dear diary\n", "log:1: not an access log that can be read; it begins with 'dear diary"),
        (
            '{"a": 1, "b": 2}\n',
            "log:1: its fields do not tell what is the time and the address of a request: a, b;",
        ),
        ("#Fields: date time c-ip\n", "log:1: its fields do not tell"),
        ("", "log: the file is empty"),
    ],
)
def test_a_file_that_is_not_an_access_log_is_refused_in_one_sentence(text, message, tmp_path):
    path = tmp_path / "log"
    path.write_text(text)
    with pytest.raises(UsageError) as error:
        detect_log(path)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def real(name: str) -> Path:
    path = DATA / name
    if not path.exists():
        pytest.skip(f"{path} is not here: the published data sets are not shipped")
    return path


@pytest.mark.parametrize(
    ("name", "lines", "requests", "bad"),
    [
        ("apache_combined_10k.log", 10_000, 9_999, [8_899]),
        ("access_logs/nginx-shop-zanbil-2019.log", 1_000, 1_000, []),
        ("access_logs/alb-samples.log", 5, 5, []),
        ("access_logs/cloudflare-logpush.json", 1, 1, []),
    ],
)
def test_published_logs_are_read_line_by_line(name, lines, requests, bad):
    _, block = parsed(real(name))
    assert (lines, requests) == (block.lines, len(block))
    assert bad == [one.line for one in block.unreadable]


def test_the_published_apache_log_has_the_published_statuses():
    _, block = parsed(real("apache_combined_10k.log"))
    found = {
        int(code): int(count)
        for code, count in zip(*np.unique(block.status, return_counts=True), strict=True)
    }
    # one of the 10,000 published lines is cut off
    assert found == {200: 9125, 304: 445, 404: 213, 301: 164, 206: 45, 500: 3, 403: 2, 416: 2}
    assert len(set(block.addresses)) == 1_753


def test_messages_of_caddy_and_haproxy_are_neither_requests_nor_errors():
    _, caddy = parsed(real("access_logs/caddy.log"))
    _, haproxy = parsed(real("access_logs/haproxy.log"), zone=ZoneInfo("Europe/Berlin"))
    assert (len(caddy) > 0, caddy.unreadable) == (True, [])
    assert (len(haproxy) > 0, haproxy.unreadable) == (True, [])
