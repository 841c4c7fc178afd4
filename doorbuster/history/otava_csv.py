"""A timeline as a CSV file and a configuration that Apache Otava reads.

`otava analyze TEST` with OTAVA_CONFIG set to the written otava.yaml finds the same changes as
`doorbuster history show --as-otava` with the same window, significance and least change.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from datetime import UTC, datetime

import yaml

from doorbuster.history.store import HistoryRun, MetricValues
from doorbuster.output import flat

CSV_FILE, CONFIG_FILE = "history.csv", "otava.yaml"
_NOT_A_NAME = re.compile(r"[^A-Za-z0-9_.]+")


def otava_csv(runs: Sequence[HistoryRun], metrics: Sequence[MetricValues]) -> str:
    """One row per usable run, one column per metric; empty where a run lacks it."""
    table: dict[int, dict[str, float]] = {at: {} for at, run in enumerate(runs) if not run.unusable}
    for metric in metrics:
        for at, value in zip(metric.at.tolist(), metric.value.tolist(), strict=True):
            table[at][column_name(metric.metric.key)] = value
    names = [column_name(metric.metric.key) for metric in metrics]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["time", "commit", "run_id", *names])
    for at, row in table.items():
        moment = datetime.fromtimestamp(runs[at].started_at_unix_ns / 1e9, UTC)
        values = [repr(row[name]) if name in row else "" for name in names]
        writer.writerow(
            [
                f"{moment:%Y-%m-%d %H:%M:%S.%f}+00:00",
                flat(runs[at].git_commit),
                flat(runs[at].run_id),
                *values,
            ]
        )
    return text.getvalue()


def otava_config(metrics: Sequence[MetricValues], *, test: str, file: str = CSV_FILE) -> str:
    """The configuration of a test with these metrics; direction 1 means that more is better."""
    directions = {"higher": 1, "lower": -1}
    columns = {
        column_name(metric.metric.key): {
            "column": column_name(metric.metric.key),
            "direction": directions.get(metric.metric.better, 1),
        }
        for metric in metrics
    }
    content = {
        "type": "csv", "file": file, "time_column": "time", "attributes": ["commit", "run_id"],
        "metrics": columns,
    }  # fmt: skip
    return yaml.safe_dump({"tests": {test: content}}, sort_keys=False)


def column_name(key: str) -> str:
    """A metric's key with other characters than letters, digits, dots and "_" replaced by "_"."""
    return _NOT_A_NAME.sub("_", key).strip("_")
