"""`observe`: the sources, the resources they describe, and the traces that requests carry."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import BaseModel, Field

from doorbuster.scenario.observation.source_settings import METRIC_NAME, ObservedSource
from doorbuster.scenario.parsing.diagnostics import KeyIssue, entry, invalid, preview
from doorbuster.scenario.parsing.strict import StrictModel
from doorbuster.scenario.parsing.values import Flag, Share, is_number, value_type
from doorbuster.scenario.safety import parse_hosts
from doorbuster.scenario.target.target import is_loopback
from doorbuster.scenario.target.target_headers import header_variables

TRACE_ID = "{trace_id}"
ROLES = ("utilisation", "saturation", "errors")
DERIVED_NAMES = frozenset({"up", "clock_ahead_seconds", *ROLES})
"""Metrics that every observation may have, whatever its sources are."""


class SeriesSelector(BaseModel, frozen=True):
    """A metric with labels, parsed from name{label:value,...}."""

    name: str
    labels: dict[str, str] = Field(default={})


def _selector(raw: object) -> SeriesSelector:
    if isinstance(raw, SeriesSelector):
        return raw
    rule = "must be a metric with optional labels, such as db_busy{role:primary}"
    text = raw.strip() if isinstance(raw, str) else ""
    name, brace, rest = text.partition("{")
    if not METRIC_NAME.fullmatch(name) or (brace and not rest.endswith("}")):
        raise invalid(rule, got=preview(raw))
    labels = {}
    for part in rest.removesuffix("}").split(",") if brace else ():
        key, colon, value = (one.strip() for one in part.partition(":"))
        if not (key and colon and value):
            raise invalid(rule, got=preview(raw))
        labels[key] = value.strip("\"'")
    return SeriesSelector(name=name, labels=labels)


_SELECTOR_SCHEMA = {"type": "string", "pattern": r"^\s*[A-Za-z_]\w*\s*(\{.*\})?\s*$"}
Selector = Annotated[SeriesSelector, value_type(_SELECTOR_SCHEMA)(_selector)]


@value_type({"anyOf": [{"type": "number", "exclusiveMinimum": 0}, _SELECTOR_SCHEMA]})
def parse_limit(raw: object) -> float | SeriesSelector:
    """A number above 0, or the metric that states it."""
    if is_number(raw):
        if raw <= 0:
            raise invalid("must be above 0", got=preview(raw))
        return float(raw)
    return _selector(raw)


Limit = Annotated[float | SeriesSelector, parse_limit]


class ObservedResource(StrictModel):
    """A resource of the target: how much of it is used, how long its queue is, how often it fails."""

    utilisation: Selector | None = Field(
        default=None, description="Metric of its use; divided by limit.", examples=["db_busy{role:primary}"]
    )
    limit: Limit | None = Field(
        default=None,
        description="The most of it that can be used: a number, or a metric. Default: 1.",
        examples=[4, "db_workers"],
    )
    saturation: Selector | None = Field(
        default=None, description="Metric of the work that waits for it.", examples=["db_waiting"]
    )
    errors: Selector | None = Field(
        default=None, description="Metric of its failures.", examples=["db_refused_total"]
    )

    @classmethod
    def rules(cls, raw: Mapping[str, Any]) -> Iterator[KeyIssue]:
        if not any(role in raw for role in ROLES):
            yield KeyIssue((), "needs utilisation, saturation or errors")
        if "limit" in raw and "utilisation" not in raw:
            yield KeyIssue(("limit",), "has no effect without utilisation", at="key")


@value_type({"type": "string", "pattern": r"^https?://.*\{trace_id\}"})
def parse_trace_url(raw: object) -> str:
    """A link with {trace_id}, by http or https."""
    if not isinstance(raw, str) or TRACE_ID not in raw or not _host(raw.replace(TRACE_ID, "0")):
        rule = f"must be a link with {TRACE_ID}, such as https://tempo.example.com/trace/{TRACE_ID}"
        raise invalid(rule, got=preview(raw))
    return raw


@value_type({"type": "object", "additionalProperties": {"type": "object"}, "minProperties": 1})
def parse_sources(raw: object) -> object:
    """Sources by name."""
    if not isinstance(raw, Mapping) or not raw:
        raise invalid("must be sources by name, such as {db: {postgresql: {dsn: ...}}}", got=preview(raw))
    for name in raw:
        if not METRIC_NAME.fullmatch(str(name)):
            raise invalid("must have names of letters, digits and _", got=preview(name))
    return {str(name): value for name, value in raw.items()}


class Observe(StrictModel):
    """What is observed at the target during the run, beside its answers."""

    sources: Annotated[dict[str, ObservedSource], parse_sources] = Field(
        default={},
        description="Where values come from, by name.",
        examples=[{"database": {"postgresql": {"dsn": "${SHOP_DATABASE}"}}}],
    )
    resources: dict[str, ObservedResource] = Field(
        default={},
        description="Resources that these values describe, by name: candidates for the bottleneck.",
        examples=[
            {"database": {"utilisation": "db_busy", "limit": "db_workers", "saturation": "db_waiting"}}
        ],
    )
    limits: dict[str, Limit] = Field(
        default={},
        description="The most that a metric can reach, for thresholds in percent: a number, or a metric.",
        examples=[{"db_connections": 100}],
    )
    shop: Flag = Field(
        default=True, description="Observe the embedded shop, if the target is one. Default: true."
    )
    allow: Annotated[tuple[str, ...], parse_hosts] = Field(
        default=(),
        description="Hosts whose metrics may be read, beside this machine; they are not loaded.",
        examples=[["prometheus.example.com"]],
    )
    trace_share_ratio: Share = Field(
        default=0.0,
        description="Share of the requests that carry traceparent and baggage. Default: none.",
        examples=["5%"],
    )
    trace_url: Annotated[str, parse_trace_url] | None = Field(
        default=None,
        description="Link to a trace, with {trace_id}, for the report.",
        examples=["https://tempo.example.com/trace/{trace_id}"],
    )

    @classmethod
    def rules(cls, raw: Mapping[str, Any]) -> Iterator[KeyIssue]:
        """Hosts are allowed; a link needs traces; names are known."""
        sources, allow = entry(raw, "sources"), entry(raw, "allow")
        allowed = [str(name).lower() for name in allow] if isinstance(allow, list | tuple) else []
        for name, source in sources.items() if isinstance(sources, Mapping) else ():
            for kind in ("prometheus", "scrape"):
                url = entry(entry(source, kind), "url")
                host = _host(url)
                if host and not is_loopback(host) and host not in allowed:
                    rule = "must have a host listed in observe.allow, unless it is this machine"
                    yield KeyIssue(("sources", str(name), kind, "url"), rule, host, f"add allow: [{host}]")
        share = raw.get("trace_share", 0)
        if "trace_url" in raw and share in (0, "0", "0%", None):
            yield KeyIssue(("trace_url",), "needs trace_share", way_out="add trace_share: 5%", at="key")

    @property
    def variables(self) -> tuple[str, ...]:
        """The environment variables that the sources need."""
        texts = [text for source in self.sources.values() for text in source.texts]
        return header_variables({str(number): text for number, text in enumerate(texts)})

    def may_have(self, name: str) -> bool:
        """Whether a metric of this name may be observed."""
        if name in DERIVED_NAMES:
            return True
        for source in self.sources.values():
            names = source.known_names
            if names is None or any(fnmatchcase(name, pattern) for pattern in names):
                return True
        return False

    @property
    def names(self) -> tuple[str, ...]:
        """The names of metrics that are known before the run, without patterns."""
        found = {name for source in self.sources.values() for name in source.known_names or ()}
        return tuple(sorted({*DERIVED_NAMES, *(name for name in found if "*" not in name)}))


def _host(url: object) -> str:
    """The host of a URL with http or https, "" of anything else."""
    try:
        parts = urlsplit(url if isinstance(url, str) else "")
        return (parts.hostname or "").lower() if parts.scheme in ("http", "https") else ""
    except ValueError:
        return ""
