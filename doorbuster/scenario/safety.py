"""Safety limits of a test: allow-list, rate and concurrency limits, abort rules."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from doorbuster.scenario.abort_rules import AbortRule, AnyAbortRule, parse_abort
from doorbuster.scenario.parsing.diagnostics import KeyIssue, all_issues, invalid, preview
from doorbuster.scenario.parsing.strict import StrictModel
from doorbuster.scenario.parsing.values import RequestsPerS, value_type, whole
from doorbuster.scenario.target.target import is_host

MAX_IN_FLIGHT = 1_000_000


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
    abort: Annotated[dict[str, AnyAbortRule], parse_abort] = Field(
        default={
            "turned_away": AbortRule(ratio=0.9, for_s=60.0),
            "http_req_failed": AbortRule(ratio=0.95, for_s=30.0),
        },
        description="End the run when a rate or an observed metric stays this high. Default: turned_away 90%"
        " for 60s, and http_req_failed 95% for 30s, which ends a storm of retries.",
        examples=[{"turned_away": "90% for 60s", "observed.db_connections": ">=90% for 10s"}],
    )
