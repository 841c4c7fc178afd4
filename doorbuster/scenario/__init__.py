"""YAML -> validated, frozen scenario -> schedule of intended starts; and the threshold language. Pure."""

from __future__ import annotations

from doorbuster.scenario.customers.behaviour import Constant, Exponential, Lognormal, Patience, Think, Uniform
from doorbuster.scenario.customers.channels import Channel
from doorbuster.scenario.customers.client_profile import (
    DEVICES,
    PAGES_UNSAID,
    Device,
    Pages,
    devices_given,
    ordering_shares,
)
from doorbuster.scenario.customers.journeys import CHANNELS, JOURNEYS, MIXES, STEPS, Journey
from doorbuster.scenario.customers.page_chain import WALKS, Walk
from doorbuster.scenario.customers.resilience import Offline, Reloads, Retries, WaitingRoom
from doorbuster.scenario.demand.curve_spec import Curve, Stage
from doorbuster.scenario.demand.demand import Demand
from doorbuster.scenario.demand.phases import PHASES, Phase, phases, seconds_of
from doorbuster.scenario.demand.rate_curve import RateCurve
from doorbuster.scenario.describe import told_of, told_of_freshness, told_of_rule
from doorbuster.scenario.freshness import FRESHNESS_KINDS, Freshness
from doorbuster.scenario.model import Scenario
from doorbuster.scenario.planning.demand_groups import Clock, clocks_of
from doorbuster.scenario.planning.estimate import Estimate, LaneEstimate, broken_off, estimate
from doorbuster.scenario.planning.schedule import (
    Lane,
    Schedule,
    Seats,
    expected_customers,
    plan_schedule,
    rate_at_per_s,
)
from doorbuster.scenario.reader import find_scenario, load_scenario, read_scenario, shipped_names
from doorbuster.scenario.recorded import recorded_phases
from doorbuster.scenario.safety import AbortRule, Safety
from doorbuster.scenario.schema import scenario_schema, schema_text
from doorbuster.scenario.target.content_checks import EVERY_STEP, Rule
from doorbuster.scenario.target.target import Shop, Target
from doorbuster.scenario.thresholds.language import Tag, Threshold, missing_sections
from doorbuster.scenario.thresholds.metrics import METRICS, Metric, metric_of

__all__ = [
    "CHANNELS",
    "DEVICES",
    "EVERY_STEP",
    "FRESHNESS_KINDS",
    "JOURNEYS",
    "METRICS",
    "MIXES",
    "PAGES_UNSAID",
    "PHASES",
    "STEPS",
    "WALKS",
    "AbortRule",
    "Channel",
    "Clock",
    "Constant",
    "Curve",
    "Demand",
    "Device",
    "Estimate",
    "Exponential",
    "Freshness",
    "Journey",
    "Lane",
    "LaneEstimate",
    "Lognormal",
    "Metric",
    "Offline",
    "Pages",
    "Patience",
    "Phase",
    "RateCurve",
    "Reloads",
    "Retries",
    "Rule",
    "Safety",
    "Scenario",
    "Schedule",
    "Seats",
    "Shop",
    "Stage",
    "Tag",
    "Target",
    "Think",
    "Threshold",
    "Uniform",
    "WaitingRoom",
    "Walk",
    "broken_off",
    "clocks_of",
    "devices_given",
    "estimate",
    "expected_customers",
    "find_scenario",
    "load_scenario",
    "metric_of",
    "missing_sections",
    "ordering_shares",
    "phases",
    "plan_schedule",
    "rate_at_per_s",
    "read_scenario",
    "recorded_phases",
    "scenario_schema",
    "schema_text",
    "seconds_of",
    "shipped_names",
    "told_of",
    "told_of_freshness",
    "told_of_rule",
]
