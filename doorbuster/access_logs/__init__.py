"""Turns access logs into the demand that they show: a scenario with the source of every figure."""

from doorbuster.access_logs.demand_model import DemandModel, model_demand
from doorbuster.access_logs.demand_sections import demand_sections, method_notes
from doorbuster.access_logs.log_map import LogMap, read_log_map
from doorbuster.access_logs.minutes_file import minutes_text
from doorbuster.access_logs.pages_file import pages_text
from doorbuster.access_logs.reading import LogOptions
from doorbuster.access_logs.scenario_demand import ScenarioDemand, scenario_demand
from doorbuster.access_logs.scenario_diff import compare_demand, diff_section
from doorbuster.access_logs.scenario_file import scenario_text

__all__ = [
    "DemandModel",
    "LogMap",
    "LogOptions",
    "ScenarioDemand",
    "compare_demand",
    "demand_sections",
    "diff_section",
    "method_notes",
    "minutes_text",
    "model_demand",
    "pages_text",
    "read_log_map",
    "scenario_demand",
    "scenario_text",
]
