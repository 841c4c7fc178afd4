"""From YAML to a validated scenario and a schedule of intended starts; the threshold language. Pure."""

from __future__ import annotations

from doorbuster.scenario.abort_rules import AbortRule
from doorbuster.scenario.browsers import Browsers, BrowserStep, journey_of
from doorbuster.scenario.customers.assets import ASSET_STEPS
from doorbuster.scenario.customers.behaviour import Constant, Exponential, Lognormal, Patience, Think, Uniform
from doorbuster.scenario.customers.channels import CHANNELS, Channel
from doorbuster.scenario.customers.devices import (
    DEFAULT_PAGES,
    Device,
    PageDepth,
    devices_given,
    ordering_shares,
)
from doorbuster.scenario.customers.failure_reactions import Offline, Reloads, Retries, WaitingRoom
from doorbuster.scenario.customers.journeys import JOURNEYS, MIXES, STEPS, Journey
from doorbuster.scenario.customers.page_chain import PAGE_CHAINS
from doorbuster.scenario.customers.visit_chain import CHAIN_STEPS, ENTER, LEAVE, VisitChain
from doorbuster.scenario.demand.demand import Demand
from doorbuster.scenario.demand.phases import Phase, find_phases, phase_seconds
from doorbuster.scenario.demand.rate_curve import RateCurve
from doorbuster.scenario.describe import (
    describe_abort_rule,
    describe_browsers,
    describe_channel,
    describe_freshness,
    describe_rule,
)
from doorbuster.scenario.freshness import FRESHNESS_KINDS, Freshness
from doorbuster.scenario.locust_scenario import (
    NO_CAPACITY,
    LocustScenario,
    is_locust_scenario,
    locust_scenario,
    read_locust_scenario,
)
from doorbuster.scenario.model import Scenario
from doorbuster.scenario.overrides import override
from doorbuster.scenario.planning.demand_groups import DemandGroup, group_demands
from doorbuster.scenario.planning.estimate import channels_exceeding_drain, estimate
from doorbuster.scenario.planning.schedule import (
    ChannelJourney,
    Schedule,
    arrival_rate_per_s,
    check_size,
    count_customers,
    expected_customers,
    plan_arrivals,
    plan_schedule,
)
from doorbuster.scenario.reader import (
    find_scenario,
    load_any_scenario,
    load_scenario,
    read_any_scenario,
    read_scenario,
)
from doorbuster.scenario.recorded import recorded_phases
from doorbuster.scenario.schema import scenario_schema, schema_text
from doorbuster.scenario.target.content_checks import EVERY_STEP, ContentRule
from doorbuster.scenario.target.target import is_driver_name
from doorbuster.scenario.target.target_headers import (
    NO_HEADERS,
    RUN_HEADER,
    HeaderValues,
    fill_headers,
    header_variables,
)
from doorbuster.scenario.thresholds.language import Threshold, missing_sections
from doorbuster.scenario.thresholds.metrics import METRICS

__all__ = [
    "ASSET_STEPS",
    "CHAIN_STEPS",
    "CHANNELS",
    "DEFAULT_PAGES",
    "ENTER",
    "EVERY_STEP",
    "FRESHNESS_KINDS",
    "JOURNEYS",
    "LEAVE",
    "METRICS",
    "MIXES",
    "NO_CAPACITY",
    "NO_HEADERS",
    "PAGE_CHAINS",
    "RUN_HEADER",
    "STEPS",
    "AbortRule",
    "BrowserStep",
    "Browsers",
    "Channel",
    "ChannelJourney",
    "Constant",
    "ContentRule",
    "Demand",
    "DemandGroup",
    "Device",
    "Exponential",
    "Freshness",
    "HeaderValues",
    "Journey",
    "LocustScenario",
    "Lognormal",
    "Offline",
    "PageDepth",
    "Patience",
    "Phase",
    "RateCurve",
    "Reloads",
    "Retries",
    "Scenario",
    "Schedule",
    "Think",
    "Threshold",
    "Uniform",
    "VisitChain",
    "WaitingRoom",
    "arrival_rate_per_s",
    "channels_exceeding_drain",
    "check_size",
    "count_customers",
    "describe_abort_rule",
    "describe_browsers",
    "describe_channel",
    "describe_freshness",
    "describe_rule",
    "devices_given",
    "estimate",
    "expected_customers",
    "fill_headers",
    "find_phases",
    "find_scenario",
    "group_demands",
    "header_variables",
    "is_driver_name",
    "is_locust_scenario",
    "journey_of",
    "load_any_scenario",
    "load_scenario",
    "locust_scenario",
    "missing_sections",
    "ordering_shares",
    "override",
    "phase_seconds",
    "plan_arrivals",
    "plan_schedule",
    "read_any_scenario",
    "read_locust_scenario",
    "read_scenario",
    "recorded_phases",
    "scenario_schema",
    "schema_text",
]
