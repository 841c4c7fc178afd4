"""Logs of load balancers: AWS ALB, the classic AWS ELB, and HAProxy's HTTP log.

Sources: "Access logs for your Application Load Balancer", AWS documentation (the time is that of the
response); HAProxy configuration manual, section 8.2.3 "HTTP log format" (the time is that of the accepted
request, local).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from doorbuster.access_logs.formats.stamps import StampReader
from doorbuster.access_logs.log_requests import LogRequests, RowColumns, Stamp, read_rows

_ALB = re.compile(
    rb"(?:(?:https?|h2|grpcs|wss?) )?(?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z) \S+ "
    rb"(?P<address>\S+?):\d+ \S+ (?P<times>-?[\d.]+ -?[\d.]+ -?[\d.]+) (?P<status>\d{3}|-) \S+ \S+ \S+ "
    rb'"(?P<request>[^"]*)"(?: "(?P<agent>(?:[^"\\]|\\.)*)")?'
)
_HAPROXY = re.compile(
    rb"(?P<address>[0-9a-fA-F.:]+):\d+ "
    rb"\[(?P<time>\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d(?:\.\d+)?)\] \S+ \S+ "
    rb"(?P<times>(?:[+-]?\d+/){3,4}[+-]?\d+) (?P<status>-?\d+) \S+ \S+ \S+ \S{4} \S+ \S+ "
    rb'(?P<captured>.*?)"(?P<request>[^"]*)"?\s*$'
)
_CAPTURED = re.compile(rb"\{([^}]*)\}")


@dataclass(frozen=True, slots=True)
class LoadBalancerLog:
    """One of these formats; `read_time` is used for HAProxy, whose times name no zone."""

    pattern: re.Pattern[bytes]
    read_time: StampReader
    name: str
    description: str
    stamp: Stamp
    resolution_s: float = 1e-3
    has_agents: bool = True
    has_cookies: bool = False
    has_durations: bool = True

    def parse(self, content: bytes) -> LogRequests:
        return read_rows(content, self._read)

    def _read(self, line: bytes, columns: RowColumns) -> bool | None:
        found = self.pattern.search(line)
        if found is None:
            return None if self.pattern is _HAPROXY and b'"' not in line else False
        if found["status"] in (b"-", b"-1"):
            return None  # no answer was sent
        is_haproxy = self.pattern is _HAPROXY
        columns.add(
            self.read_time(found["time"].decode()),
            _haproxy_duration_s(found["times"]) if is_haproxy else _sum_s(found["times"]),
            int(found["status"]),
            found["address"],
            _captured_agent(found["captured"]) if is_haproxy else found["agent"] or b"",
            b"",
            _without_host(found["request"]),
        )
        return True


def detect_load_balancer(head: bytes, read_time: StampReader) -> LoadBalancerLog | None:
    """The format of a log that begins like this; None if it is not one of these."""
    lines = [line for line in head.split(b"\n")[:200] if line.strip()]
    alb = sum(_ALB.match(line) is not None for line in lines)
    if alb >= max(1, 0.5 * len(lines)):
        return LoadBalancerLog(_ALB, StampReader(), "alb", "AWS load balancer log", "end")
    haproxy = sum(_HAPROXY.search(line) is not None for line in lines)
    related = sum(b"haproxy" in line for line in lines)
    if haproxy and max(haproxy, related) >= 0.5 * len(lines):
        return LoadBalancerLog(_HAPROXY, read_time, "haproxy", "HAProxy HTTP log", "start")
    return None


def _sum_s(text: bytes) -> float:
    """Processing times of request, target and response; NaN if one is -1, which stands for none."""
    parts = [float(part) for part in text.split()]
    return sum(parts) if min(parts) >= 0 else float("nan")


def _haproxy_duration_s(text: bytes) -> float:
    """Tt, the last of Tq/Tw/Tc/Tr/Tt; without the time that the client took to send its request."""
    parts = [int(part) for part in text.split(b"/")]
    return (parts[-1] - max(parts[0], 0)) / 1e3 if parts[-1] >= 0 else float("nan")


def _captured_agent(text: bytes) -> bytes:
    """The captured header that looks like a user agent."""
    fields = [field for group in _CAPTURED.findall(text) for field in group.split(b"|")]
    return max(fields, key=lambda field: (b"Mozilla/" in field, b"/" in field, len(field)), default=b"")


def _without_host(request: bytes) -> bytes:
    """b"GET https://shop:443/path HTTP/1.1" without the host."""
    method, _, rest = request.partition(b" ")
    address, _, protocol = rest.partition(b" ")
    if b"://" not in address[:10]:
        return request
    try:
        parts = urlsplit(address)
    except ValueError:
        return request
    query = b"?" + parts.query if parts.query else b""
    return b"%s %s %s" % (method, (parts.path or b"/") + query, protocol)
