"""Where a stream goes: reads `KIND=URL` of the command line. Secrets are never part of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from urllib.parse import SplitResult, parse_qs, urlsplit

from doorbuster.errors import UsageError
from doorbuster.output import masked, one_line
from doorbuster.output.secret_masking import is_secret
from doorbuster.streaming.output import Output
from doorbuster.streaming.outputs.http_post import token_variable
from doorbuster.streaming.outputs.influxdb import InfluxDb
from doorbuster.streaming.outputs.json_lines import JsonLines
from doorbuster.streaming.outputs.otlp import Otlp
from doorbuster.streaming.outputs.prometheus_endpoint import PrometheusEndpoint
from doorbuster.streaming.outputs.prometheus_remote_write import PrometheusRemoteWrite
from doorbuster.streaming.outputs.statsd import StatsD

LOOPBACK = "127.0.0.1"
NATIVE_KIND = "prometheus-native"
PROMETHEUS_KINDS = frozenset({"prometheus", "metrics", NATIVE_KIND})


class _Wrong(Exception):  # noqa: N818  reads as a finding
    """The rule that a destination breaks."""


@dataclass(frozen=True, slots=True)
class Destination:
    """One receiver, as named on the command line."""

    kind: str
    value: str
    make: Callable[[], Output]

    @property
    def name(self) -> str:
        """The destination for readers."""
        return f"{self.kind}={self.value}"


def parse_destinations(texts: Iterable[str]) -> tuple[Destination, ...]:
    """The destinations of a command line.

    Raises: UsageError with every problem found.
    """
    found: list[Destination] = []
    problems: list[str] = []
    for text in texts:
        kind, sign, value = text.partition("=")
        try:
            if kind not in _KINDS or not sign:
                raise _Wrong(_unknown(kind, has_value=bool(sign)))
            if not value:
                raise _Wrong(f"names no receiver; write {kind}={EXAMPLES[kind]}")
            found.append(Destination(kind, value, _KINDS[kind](value)))
        except _Wrong as wrong:
            address, mark, _ = text.partition("?")  # the query may hold a secret
            problems.append(f"{one_line(masked(address), 120)}{mark and '?…'} {wrong}")
    names = [each.name for each in found]
    problems += [f"{name} is named twice" for name in dict.fromkeys(names) if names.count(name) > 1]
    if problems:
        raise UsageError("\n".join(problems))
    return tuple(found)


def _unknown(kind: str, *, has_value: bool) -> str:
    kinds = ", ".join(_KINDS)
    if not has_value:
        return f"must have the form KIND=URL, such as prometheus={EXAMPLES['prometheus']} (kinds: {kinds})"
    near = get_close_matches(kind, _KINDS, n=1)
    return "has an unknown kind; " + (f'did you mean "{near[0]}"?' if near else f"choose from {kinds}")


def _url(kind: str, value: str) -> SplitResult:
    """An http or https URL without secrets."""
    try:
        url = urlsplit(value)
        valid = url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
    except ValueError:
        valid = False
    if not valid or any(ord(letter) <= 32 or ord(letter) > 126 for letter in value):
        raise _Wrong(f"must be an http:// or https:// URL; write {kind}={EXAMPLES[kind]}")
    names = [*parse_qs(url.query, keep_blank_values=True)]
    if url.username is not None or any(is_secret(name) or name in ("u", "p") for name in names):
        raise _Wrong(f"must hold no credentials; put them into the variable {token_variable(kind)}")
    if url.fragment:
        raise _Wrong("must not contain #")
    return url


def _remote_write(kind: str) -> Callable[[str], Callable[[], Output]]:
    def parse(value: str) -> Callable[[], Output]:
        url = _url(kind, value)
        if url.path in ("", "/"):
            raise _Wrong(f"must name the path for remote write; write {kind}={EXAMPLES[kind]}")
        return lambda: PrometheusRemoteWrite(url, native=kind == NATIVE_KIND)

    return parse


def _otlp(value: str) -> Callable[[], Output]:
    url = _url("otlp", value)
    return lambda: Otlp(url)


def _influxdb(value: str) -> Callable[[], Output]:
    url = _url("influxdb", value)
    query = parse_qs(url.query)
    if "bucket" in query:
        path = "/api/v2/write"
    elif "db" in query:
        path = "/write"
    else:
        raise _Wrong("must name the database (?db=NAME), or for version 2 ?org=NAME&bucket=NAME")
    if query.get("precision", ["ns"]) != ["ns"]:
        raise _Wrong("must not set another precision than ns")
    full = url._replace(path=path) if url.path in ("", "/") else url
    return lambda: InfluxDb(full)


def _address(kind: str, value: str, *, default_host: str) -> tuple[str, int]:
    """A host and a port from HOST:PORT, :PORT or PORT."""
    host, _, port = value.rpartition(":")
    if not port.isdecimal() or not 0 < int(port) < 65536 or any(sign in value for sign in "/@? "):
        raise _Wrong(f"must be an address; write {kind}={EXAMPLES[kind]}")
    return host.strip("[]") or default_host, int(port)


def _metrics(value: str) -> Callable[[], Output]:
    address = _address("metrics", value, default_host=LOOPBACK)
    return lambda: PrometheusEndpoint(*address)


def _statsd(kind: str) -> Callable[[str], Callable[[], Output]]:
    def parse(value: str) -> Callable[[], Output]:
        address = _address(kind, value, default_host=LOOPBACK)
        return lambda: StatsD(*address, tags=kind == "dogstatsd")

    return parse


def _jsonl(value: str) -> Callable[[], Output]:
    path = Path(value)
    if path.is_dir():
        raise _Wrong("is a folder; name a file")
    if path.exists() and not path.is_file():
        raise _Wrong("is not a regular file; name one, and follow it with tail -f")
    return lambda: JsonLines(path)


_KINDS: dict[str, Callable[[str], Callable[[], Output]]] = {
    "prometheus": _remote_write("prometheus"),
    NATIVE_KIND: _remote_write(NATIVE_KIND),
    "metrics": _metrics,
    "otlp": _otlp,
    "influxdb": _influxdb,
    "statsd": _statsd("statsd"),
    "dogstatsd": _statsd("dogstatsd"),
    "jsonl": _jsonl,
}
EXAMPLES = {
    "prometheus": "http://127.0.0.1:9090/api/v1/write",
    NATIVE_KIND: "http://127.0.0.1:9090/api/v1/write",
    "metrics": f"{LOOPBACK}:9464",
    "otlp": "http://127.0.0.1:4318",
    "influxdb": "http://127.0.0.1:8086?db=doorbuster",
    "statsd": "127.0.0.1:8125",
    "dogstatsd": "127.0.0.1:8125",
    "jsonl": "figures.jsonl",
}
