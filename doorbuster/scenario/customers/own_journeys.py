"""Journeys that a scenario defines itself, for a locustfile with customers that doorbuster does not know."""

from __future__ import annotations

import re
from collections.abc import Mapping
from keyword import iskeyword
from typing import Annotated

from pydantic import Field

from doorbuster.scenario.customers.assets import ASSET_STEPS
from doorbuster.scenario.customers.failure_reactions import WAITING_ROOM
from doorbuster.scenario.customers.journeys import JOURNEYS, Journey, StepVisits
from doorbuster.scenario.customers.visit_chain import VisitChain, parse_chain
from doorbuster.scenario.parsing.diagnostics import (
    KeyIssue,
    all_issues,
    collect_issues,
    invalid,
    preview,
)
from doorbuster.scenario.parsing.strict import StrictModel
from doorbuster.scenario.parsing.values import Flag, Text, is_number, value_type

NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
NAME_RULE = "must be a name of lower-case letters, digits and _, at most 40 characters"
MAX_VISITS = 1000


def is_name(text: object) -> bool:
    """Whether a channel, journey or step can have this name, which becomes a Python method name."""
    return isinstance(text, str) and NAME.fullmatch(text) is not None and not iskeyword(text)


@value_type(
    {
        "type": "object",
        "minProperties": 1,
        "propertyNames": {"pattern": f"^{NAME.pattern}$"},
        "additionalProperties": {"type": "number", "exclusiveMinimum": 0, "maximum": MAX_VISITS},
    }
)
def parse_steps(raw: object) -> object:
    """Steps of a journey, each with the number of visits of a typical customer."""
    if not isinstance(raw, dict) or not raw:
        rule = "must be a mapping of steps to visits per customer, such as {home: 1, product: 2}"
        raise invalid(rule, got=preview(raw))
    with all_issues("steps", raw) as issues:
        for name, visits in raw.items():
            if not is_name(name) or name in (WAITING_ROOM, *ASSET_STEPS):
                issues.append(KeyIssue((str(name),), NAME_RULE, preview(name), at="key"))
            if not is_number(visits) or not 0 < visits <= MAX_VISITS:
                rule = f"must be the mean number of visits: above 0, at most {MAX_VISITS}"
                issues.append(KeyIssue((str(name),), rule, preview(visits)))
    return raw


class OwnJourney(StrictModel):
    """A journey that the scenario defines: a method of the locustfile, or a chain of pages."""

    one_of = ("steps", "chain")

    description: Text = Field(description="What these customers want.", examples=["order at a terminal"])
    steps: Annotated[dict[str, float], parse_steps] | None = Field(
        default=None,
        description="Steps of a typical customer with the mean number of visits to each, for the estimate.",
        examples=[{"home": 1, "product": 2, "loyalty_card": 1, "checkout": 1}],
    )
    chain: Annotated[VisitChain, parse_chain] | None = Field(
        default=None,
        description="Instead of a method of the locustfile: the weights of what follows each page, as "
        "`doorbuster demand from-log` writes them.",
        examples=[{"enter": {"home": 1}, "home": {"product": 3, "leave": 1}, "product": {"leave": 1}}],
    )
    wants_order: Flag = Field(default=False, description="Whether every customer tries to order.")

    def as_journey(self, name: str) -> Journey:
        visits = self.steps if self.chain is None else self.chain.visits
        steps = tuple(StepVisits(*item) for item in (visits or {}).items())
        return Journey(name, self.wants_order, self.description, steps, self.chain)


def parse_own_journeys(raw: object) -> object:
    """Journeys by name; built-in names are not allowed."""
    if not isinstance(raw, dict):
        raise invalid("must be a mapping of journeys, such as kiosk_order: {...}", got=preview(raw))
    with all_issues("journeys", raw) as issues:
        made = {}
        for name, values in raw.items():
            if not is_name(name):
                issues.append(KeyIssue((str(name),), NAME_RULE, preview(name), at="key"))
            elif name in JOURNEYS:
                way_out = "choose another name; a locustfile may still override the built-in journey's method"
                issues.append(KeyIssue((name,), "is a built-in journey", way_out=way_out, at="key"))
            made[name] = collect_issues(issues, (str(name),), OwnJourney.model_validate, values)
    return made


def all_journeys(own: Mapping[str, OwnJourney]) -> dict[str, Journey]:
    """The built-in journeys and a scenario's own, by name."""
    return JOURNEYS | {name: journey.as_journey(name) for name, journey in own.items()}
