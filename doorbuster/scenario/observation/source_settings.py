"""The sources of `observe`: one kind each, with its settings. Secrets come from the environment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, ClassVar
from urllib.parse import urlsplit

from pydantic import Field

from doorbuster.scenario.parsing.diagnostics import invalid, preview
from doorbuster.scenario.parsing.strict import StrictModel
from doorbuster.scenario.parsing.values import Text, duration, value_type, whole
from doorbuster.scenario.target.target import parse_url
from doorbuster.scenario.target.target_headers import parse_target_headers

METRIC_NAME = re.compile(r"[A-Za-z_]\w*")
MIN_EVERY_S = 1.0
_VARIABLE = re.compile(r"\$\{[A-Za-z_][A-Za-z0-9_]*\}")

Port = Annotated[int, whole(1, 65_535)]
Headers = Annotated[dict[str, str], parse_target_headers]


@value_type({"type": "string", "pattern": r"^https?://"})
def parse_source_url(raw: object) -> str:
    """A URL with http or https and without credentials; its path and query are kept."""
    text = raw if isinstance(raw, str) else ""
    try:
        parts = urlsplit(text)
    except ValueError:  # such as half an IPv6 address
        parts = urlsplit("")
    if not parts.netloc or any(ord(character) <= ord(" ") for character in text):
        raise invalid("must be a URL, such as http://127.0.0.1:9090", got=preview(raw))
    if parts.username or parts.password:
        raise invalid("must not contain credentials", way_out="use headers with ${NAME}")
    if parts.fragment:
        raise invalid("must not have a fragment", got=preview(raw))
    parse_url(f"{parts.scheme}://{parts.netloc}")
    return text


@value_type(
    {"type": "object", "additionalProperties": {"type": "string", "minLength": 1}, "minProperties": 1}
)
def parse_queries(raw: object) -> dict[str, str]:
    """PromQL by name of the metric."""
    if not isinstance(raw, Mapping) or not raw:
        raise invalid(
            'must be PromQL by name, such as {db_connections: "pg_stat_activity_count"}', got=preview(raw)
        )
    for name, query in raw.items():
        if not METRIC_NAME.fullmatch(str(name)):
            raise invalid("must name each query with letters, digits and _", got=preview(name))
        if not isinstance(query, str) or not query.strip():
            raise invalid(f"must give PromQL for {name}", got=preview(query))
    return {str(name): str(query) for name, query in raw.items()}


@value_type({"type": "string", "pattern": r"^\$\{[A-Za-z_][A-Za-z0-9_]*\}$"})
def parse_dsn(raw: object) -> str:
    """The environment variable that has the address of a database and its password."""
    if not isinstance(raw, str) or not _VARIABLE.fullmatch(raw):
        rule = "must take its value from the environment"
        raise invalid(
            rule, got="a text" if isinstance(raw, str) else preview(raw), way_out="write ${SHOP_DATABASE}"
        )
    return raw


@value_type(dict(duration(zero=False).schema))
def parse_interval(raw: object) -> float:
    """Seconds between two readings, 1 or more."""
    seconds = duration(zero=False)(raw)
    if seconds < MIN_EVERY_S:
        raise invalid(f"must be at least {MIN_EVERY_S:g}s", got=preview(raw))
    return seconds


@value_type({"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1})
def parse_metric_names(raw: object) -> tuple[str, ...]:
    """Names of metrics, or patterns with *."""
    if not isinstance(raw, list | tuple) or not raw or not all(isinstance(one, str) and one for one in raw):
        raise invalid("must be a list of names, such as [pg_stat_*, up]", got=preview(raw))
    return tuple(raw)


class PrometheusSettings(StrictModel):
    """A Prometheus server, asked through its HTTP API."""

    url: Annotated[str, parse_source_url] = Field(
        description="Address of the server.", examples=["http://127.0.0.1:9090"]
    )
    queries: Annotated[dict[str, str], parse_queries] = Field(
        description="PromQL by name; the name is that of the metric.",
        examples=[{"db_connections": "pg_stat_database_numbackends / 100"}],
    )
    headers: Headers = Field(
        default={}, description="Headers of every request.", examples=[{"Authorization": "Bearer ${PROM}"}]
    )


class ScrapeSettings(StrictModel):
    """An endpoint in the text format of Prometheus."""

    url: Annotated[str, parse_source_url] = Field(
        description="Address of the endpoint.", examples=["http://127.0.0.1:9187/metrics"]
    )
    headers: Headers = Field(
        default={}, description="Headers of every request.", examples=[{"Authorization": "Bearer ${TOKEN}"}]
    )


class ProcessSettings(StrictModel):
    """A program on this machine, with the processes it started; exactly one key."""

    one_of: ClassVar[tuple[str, ...]] = ("port", "pid", "command")
    port: Port | None = Field(default=None, description="Port on which it listens.", examples=[8000])
    pid: Annotated[int, whole(1, 2**31 - 1)] | None = Field(
        default=None, description="Number of its process.", examples=[4711]
    )
    command: Text | None = Field(
        default=None, description="Text in its command line; the oldest such process.", examples=["gunicorn"]
    )


class MachineSettings(StrictModel):
    """The machine on which doorbuster runs; no keys."""


class DatabaseSettings(StrictModel):
    """A database, of which only statistics are read."""

    dsn: Annotated[str, parse_dsn] = Field(
        description="Environment variable with its address and password.", examples=["${SHOP_DATABASE}"]
    )


class CommandSettings(StrictModel):
    """A shell command that prints lines of a name and a number."""

    run: Text = Field(
        description="The command.", examples=["redis-cli info clients | tr -d '\\r' | tr : ' '"]
    )


class ReceiverSettings(StrictModel):
    """A port on 127.0.0.1 that the target or its agent sends to."""

    port: Port = Field(description="Port on 127.0.0.1 to receive on.", examples=[4318])


class ObservedSource(StrictModel):
    """One source: exactly one kind, how often it is read, and which of its metrics are kept."""

    KINDS: ClassVar[tuple[str, ...]] = (
        "prometheus", "scrape", "process", "machine", "postgresql", "mysql", "command", "statsd", "graphite",
        "otlp",
    )  # fmt: skip
    one_of: ClassVar[tuple[str, ...]] = KINDS

    prometheus: PrometheusSettings | None = Field(default=None, description="A Prometheus server.")
    scrape: ScrapeSettings | None = Field(default=None, description="A /metrics endpoint.")
    process: ProcessSettings | None = Field(default=None, description="A program on this machine.")
    machine: MachineSettings | None = Field(default=None, description="This machine: {}.", examples=[{}])
    postgresql: DatabaseSettings | None = Field(default=None, description="A PostgreSQL database.")
    mysql: DatabaseSettings | None = Field(default=None, description="A MySQL or MariaDB database.")
    command: CommandSettings | None = Field(default=None, description="A shell command.")
    statsd: ReceiverSettings | None = Field(default=None, description="Receives StatsD messages (UDP).")
    graphite: ReceiverSettings | None = Field(default=None, description="Receives Graphite's text (TCP).")
    otlp: ReceiverSettings | None = Field(
        default=None, description="Receives OpenTelemetry metrics and traces (OTLP/HTTP)."
    )
    every_s: Annotated[float, parse_interval] | None = Field(
        default=None,
        description="Interval between readings. Default: 1s; 5s for prometheus.",
        examples=["5s"],
    )
    metrics: Annotated[tuple[str, ...], parse_metric_names] = Field(
        default=(), description="Metrics to keep, or patterns with *. Default: all.", examples=[["pg_stat_*"]]
    )

    @property
    def kind(self) -> str:
        """The kind of the source."""
        return next(kind for kind in self.KINDS if getattr(self, kind) is not None)

    @property
    def settings(self) -> StrictModel:
        """The settings of its kind."""
        found: StrictModel = getattr(self, self.kind)
        return found

    @property
    def interval_s(self) -> float:
        """Seconds between readings."""
        return self.every_s or (5.0 if self.kind == "prometheus" else MIN_EVERY_S)

    @property
    def receives(self) -> bool:
        """Whether the target sends values, at moments of its own choice."""
        return isinstance(self.settings, ReceiverSettings)

    @property
    def url(self) -> str | None:
        """The address that is read; None for a source that receives, or is on this machine."""
        return getattr(self.settings, "url", None)

    @property
    def texts(self) -> tuple[str, ...]:
        """The values that may name environment variables."""
        settings = self.settings
        dsn = [settings.dsn] if isinstance(settings, DatabaseSettings) else []
        return (*getattr(settings, "headers", {}).values(), *dsn)

    @property
    def known_names(self) -> frozenset[str] | None:
        """The names of its metrics, or patterns; None if it may send any."""
        if self.metrics:
            return frozenset(self.metrics)
        return frozenset(self.prometheus.queries) if self.prometheus is not None else None
