"""Every comparable metric of one recorded run."""

from __future__ import annotations

from collections.abc import Sequence

from doorbuster.compare.customer_metrics import customer_metrics
from doorbuster.compare.request_metrics import request_metrics
from doorbuster.compare.run_metric import RunMetric
from doorbuster.compare.threshold_metric import threshold_metric
from doorbuster.gate.recorded_metrics import RecordedMetrics
from doorbuster.gate.threshold_result import HasMetrics
from doorbuster.records.reader import Run
from doorbuster.scenario.thresholds.language import Threshold


def run_metrics(
    run: Run,
    *,
    thresholds: Sequence[Threshold] = (),
    sections: Sequence[HasMetrics] = (),
    intervals: bool = True,
) -> dict[str, RunMetric]:
    """All metrics of a run by key; those of the thresholds come first.

    Args:
        thresholds: whose metrics are wanted whatever their tags.
        sections: of the report, for thresholds on their metrics.
        intervals: whether to work out the intervals within the run, which comparing several runs does not
            need.
    """
    recorded = RecordedMetrics(run, tuple(sections))
    found = [threshold_metric(recorded, threshold) for threshold in thresholds]
    found += request_metrics(run, intervals=intervals)
    found += customer_metrics(recorded, intervals=intervals)
    by_key: dict[str, RunMetric] = {}
    for metric in found:
        by_key.setdefault(metric.key, metric)
    return by_key
