"""Safety limits of a test: allow-list, rate and concurrency limits, abort rules."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from doorbuster.scenario.parsing.diagnostics import (
    KeyIssue,
    all_issues,
    collect_issues,
    invalid,
    preview,
    unknown_key,
)
from doorbuster.scenario.parsing.strict import StrictModel
from doorbuster.scenario.parsing.values import (
    DURATION_PATTERN,
    SHARE_PATTERN,
    RequestsPerS,
    duration,
    share,
    value_type,
    whole,
)
from doorbuster.scenario.target.target import is_host
from doorbuster.scenario.thresholds.metrics import METRICS

ABORT_RATES = tuple(name for name, metric in METRICS.items() if metric.counts_failures)
MAX_IN_FLIGHT = 1_000_000
_ABORT_PATTERN = SHARE_PATTERN.removesuffix("$") + " for " + DURATION_PATTERN.removeprefix("^")


class AbortRule(BaseModel, frozen=True):
    """End the run when a rate stays at or above `ratio` for `for_s` seconds."""

    ratio: float
    for_s: float


@value_type(
    {
        "type": "object",
        "properties": {key: {"type": "string", "pattern": _ABORT_PATTERN} for key in ABORT_RATES},
        "additionalProperties": False,
    }
)
def parse_abort(raw: object) -> object:
    """Abort rules by rate, from {turned_away: "90% for 60s"}."""
    if not isinstance(raw, dict):
        raise invalid('must be a mapping, such as {turned_away: "90% for 60s"}', got=preview(raw))
    with all_issues("abort", raw) as issues:
        rules = {}
        for name, text in raw.items():
            if name not in ABORT_RATES:
                issues.append(unknown_key(name, "is not a rate that can end a run", ABORT_RATES))
            rules[name] = collect_issues(issues, (str(name),), _parse_abort_rule, text)
    return rules


def _parse_abort_rule(raw: object) -> AbortRule:
    if isinstance(raw, AbortRule):
        return raw
    rule = 'must be a share and a duration, such as "90% for 60s"'
    parts = raw.split(" for ") if isinstance(raw, str) else []
    if len(parts) != 2:
        raise invalid(rule, got=preview(raw))
    issues: list[KeyIssue] = []
    ratio = collect_issues(issues, (), share(), parts[0])
    for_s = collect_issues(issues, (), duration(zero=False), parts[1].strip())
    if ratio is None or for_s is None or ratio == 0:
        raise invalid(rule, got=preview(raw))
    return AbortRule(ratio=ratio, for_s=for_s)


@value_type({"type": "array", "items": {"type": "string"}})
def parse_hosts(raw: object) -> object:
    """A list of host names or IP addresses."""
    if not isinstance(raw, list | tuple):
        raise invalid("must be a list of hosts, such as [127.0.0.1]", got=preview(raw))
    rule = "must be one host name or IP address, without scheme, port or *"
    with all_issues("allow", raw) as issues:
        for index, host in enumerate(raw):
            if not (isinstance(host, str) and is_host(host)):
                issues.append(KeyIssue((index,), rule, preview(host)))
    return tuple(host.lower() for host in raw)


class Safety(StrictModel):
    """Limits that keep a test from becoming an outage; always on."""

    allow: Annotated[tuple[str, ...], parse_hosts] = Field(
        default=(),
        description="Hosts that may be loaded, in addition to this machine.",
        examples=[["127.0.0.1"], ["staging.example.com"]],
    )
    max_rate_per_s: RequestsPerS = Field(
        default=1000.0,
        description="Maximum requests in any second, retries included, over all workers. Default: 1000/s.",
        examples=["500 requests/s"],
    )
    max_in_flight: Annotated[int, whole(1, MAX_IN_FLIGHT)] = Field(
        default=20_000,
        description="Maximum customers in the shop at once; further ones are counted as dropped.",
        examples=[20000],
    )
    abort: Annotated[dict[str, AbortRule], parse_abort] = Field(
        default={
            "turned_away": AbortRule(ratio=0.9, for_s=60.0),
            "http_req_failed": AbortRule(ratio=0.95, for_s=30.0),
        },
        description="End the run when a rate stays this high. Default: turned_away 90% for 60s, and"
        " http_req_failed 95% for 30s, which ends a storm of retries.",
        examples=[{"turned_away": "90% for 60s"}],
    )
