"""The kinds of sources, by name; a module is imported when a run uses it."""

from __future__ import annotations

from importlib import import_module

from doorbuster.observe.plan import SourcePlan
from doorbuster.observe.sample import MetricSource

KINDS = {
    "prometheus": "prometheus.PrometheusSource",
    "scrape": "scrape.ScrapeSource",
    "process": "process.ProcessSource",
    "machine": "machine.MachineSource",
    "postgresql": "postgresql.PostgresqlSource",
    "mysql": "mysql.MysqlSource",
    "command": "command.CommandSource",
    "statsd": "statsd.StatsdSource",
    "graphite": "graphite.GraphiteSource",
    "otlp": "otlp.OtlpSource",
}
LAST_READING = frozenset({"prometheus", "statsd", "graphite", "otlp"})
"""Kinds that have values of the past, which are read once more at the end."""


def open_source(plan: SourcePlan, started_at: float) -> MetricSource:
    """The source of a plan. Raises: what its module raises, such as for a library that is not installed."""
    module, _, name = KINDS[plan.kind].partition(".")
    made: MetricSource = getattr(import_module(f"doorbuster.observe.sources.{module}"), name)(
        name=plan.name, started_at=started_at, every_s=plan.every_s, **plan.settings
    )
    return made
